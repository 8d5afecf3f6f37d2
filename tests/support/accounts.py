"""People for tests: users whose passwords cost nothing to look at, and sessions as if they had just logged in."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from station.api import cookies
from station.auth.passwords import Argon2Passwords, Cost
from station.domain.access import PEOPLES_ROLES, Role
from station.domain.accounts import User
from station.domain.piece import Secrecy
from station.ports.access import Account, Session
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork
from station.workflow.access import Access, new_secret
from station.workflow.access_memory import digest
from station.workflow.accounts import Accounts

CHEAP = Cost(passes=1, memory_kib=8, threads=1)
PASSWORD = "bốn con mèo đen"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end, also where another event loop holds this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def user(login: str, *, roles: frozenset[Role] = PEOPLES_ROLES, clearance: Secrecy | None = Secrecy.A) -> User:
    return User(user_id=f"u-{login.encode().hex()[:24]}", login=login, display_name=login, roles=roles, clearance=clearance)


def put_people(store: Store, *users: User) -> None:
    """Let these people in with the password `PASSWORD`, into a store that no station works on."""
    hashed = run(Argon2Passwords(CHEAP).hash(PASSWORD))

    def work(uow: UnitOfWork) -> None:
        for one in users:
            uow.put_account(Account(user=one, password_hash=hashed))

    store.write(work).result(30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A person's session: its secret and the headers of a request."""

    session: str
    confirmed_at: datetime

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": f"{cookies.SESSION}={self.session}", cookies.CSRF_HEADER: cookies.csrf_of(self.session)}


class Door:
    """Access over an open store, and whoever a test needs to be logged in."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.passwords = Argon2Passwords(CHEAP)
        self._hash = run(self.passwords.hash(PASSWORD))
        self.access = Access(store=store, clock=clock, passwords=self.passwords)
        self.accounts = Accounts(access=self.access, passwords=self.passwords, clock=clock)
        self._signed: dict[str, Signed] = {}

    def let_in(self, login: str, **what: Any) -> User:
        """Make the user be there, with the password `PASSWORD`."""
        one = user(login, **what)
        self._write(lambda uow: uow.put_account(Account(user=one, password_hash=self._hash)))
        return one

    def signed(self, login: str, *, confirmed: bool = True, **what: Any) -> Signed:
        """A session of that person, confirmed just now; the person is let in with every role and the highest clearance if need be."""
        known = self._signed.get(login)
        now = self._clock.utc_now()
        if known is not None and (now - known.confirmed_at).total_seconds() < 30:
            return known
        account = self.access.memory.account_of(login)
        one = account.user if account is not None else self.let_in(login, **what)
        secret = known.session if known is not None else new_secret()
        session = Session(
            token_sha256=digest(secret), user_id=one.user_id, made_at=now, seen_at=now, confirmed_at=now if confirmed else None
        )
        self._write(lambda uow: uow.put_session(session))
        self._signed[login] = Signed(session=secret, confirmed_at=now)
        return self._signed[login]

    def _write(self, work: Any) -> None:
        self._store.write(work).result(30)
        self.access.memory.reload()
