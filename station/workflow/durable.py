"""Waiting for the disk, but not for ever: a disk that hangs answers neither yes nor no."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from station.domain.errors import StoreError

T = TypeVar("T")

COMMIT_LIMIT_S = 5.0
"""A commit takes milliseconds. One that takes longer than this hangs."""


async def durable(step: Awaitable[T], *, limit_s: float = COMMIT_LIMIT_S) -> T:
    """The result of a change once it is durable.

    Raises:
        StoreError: it failed, or nothing was heard of it in time. In that case it may still become durable, in its turn: whoever goes
            on must read from the store what became of it, as after a restart.
    """
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await step
    except TimeoutError:
        if not limit.expired():
            raise
        raise StoreError(
            f"The disk has not answered for {limit_s:g} s",
            consequence="Whether the change was stored is not known; everything is held",
            remedy="Check the disk. The lane can be started when it answers again",
        ) from None
