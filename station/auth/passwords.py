"""Passwords as Argon2id hashes (RFC 9106), made beside the event loop by one thread that does not get in the lanes' way."""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import argon2

from station.ports.access import TooBusyError

T = TypeVar("T")

_WAITING = 8
"""Passwords that may wait for the thread; whoever comes then is told to come again."""
_NICENESS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one hash costs: passes over the memory, its KiB, threads."""

    passes: int
    memory_kib: int
    threads: int


RECOMMENDED = Cost(passes=3, memory_kib=64 * 1024, threads=4)
"""The second recommended option of RFC 9106, section 4, for machines that cannot give 2 GiB to a log-in."""


class Argon2Passwords:
    """`station.ports.access.Passwords`.

    Args:
        cost: of the hashes that are made. A stored hash is looked at with the cost that it was made with.
    """

    def __init__(self, cost: Cost = RECOMMENDED) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.threads, type=argon2.Type.ID
        )
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="passwords", initializer=_step_back)
        self._room = threading.BoundedSemaphore(1 + _WAITING)
        # Who names nobody waits as long as who names somebody.
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """The hash to be stored. Raises `TooBusyError`."""
        return await self._beside(lambda: self._hasher.hash(password))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """True when the password is the one that was hashed. Raises `TooBusyError`."""
        found = await self._beside(lambda: self._verify(password_hash or self._nobodys, password))
        return found and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _beside(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise TooBusyError(
                "Too many people are logging in at this moment", consequence="Nothing was looked at", remedy="Try again in a few seconds"
            )
        future = self._threads.submit(work)
        # Room comes back when the work ends, not when whoever asked stops waiting for it.
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)


def _step_back() -> None:
    # On Linux a thread has a niceness of its own.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
