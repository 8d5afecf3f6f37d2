"""People who are known to a station's store, so that its transactions find them: accounts with sessions, without passwords."""

import hashlib

from station.domain.access import PEOPLES_ROLES, Caller, Role
from station.domain.accounts import User
from station.domain.piece import Secrecy
from station.ports.access import Account, Session
from station.ports.clock import Clock
from station.ports.store import UnitOfWork
from station.storage.store import SqliteStore
from station.workflow.durable import durable

EVERYTHING = PEOPLES_ROLES - {Role.ADMINISTRATOR}


class Staff:
    """The people of one store. Whoever is added may do everything, and see everything, unless said otherwise.

    Args:
        store: where they are known.
        clock: when they confirm.
        logins: whom to add at once.
    """

    def __init__(self, store: SqliteStore, clock: Clock, *logins: str) -> None:
        self._store = store
        self._clock = clock
        self._users: dict[str, User] = {}
        for login in logins:
            self.add(login)

    def add(
        self, login: str, *, roles: frozenset[Role] = EVERYTHING, clearance: Secrecy | None = Secrecy.A, disabled: bool = False
    ) -> Caller:
        """Add somebody, or change what they may do."""
        self._store.write(lambda uow: self._put(uow, login, roles, clearance, disabled=disabled)).result()
        return self.caller(login)

    def caller(self, login: str) -> Caller:
        """Somebody who asks, with whatever confirmation there was."""
        user = self._users[login]
        return Caller(
            user_id=user.user_id,
            name=login,
            display_name=login,
            roles=user.roles,
            clearance=user.clearance,
            session=hashlib.sha256(login.encode()).hexdigest(),
        )

    async def confirmed(self, login: str) -> Caller:
        """Somebody who has just given the password once more. Raises what the store raises."""
        await durable(self._store.write(lambda uow: self._confirm(uow, login)))
        return self.caller(login)

    def _put(self, uow: UnitOfWork, login: str, roles: frozenset[Role], clearance: Secrecy | None, *, disabled: bool = False) -> None:
        user = User(user_id=f"u-{login}", login=login, display_name=login, roles=roles, clearance=clearance, disabled=disabled)
        uow.put_account(Account(user=user, password_hash=None))
        self._users[login] = user
        self._confirm(uow, login)

    def _confirm(self, uow: UnitOfWork, login: str) -> None:
        now, caller = self._clock.utc_now(), self.caller(login)
        assert caller.session is not None
        uow.put_session(Session(token_sha256=caller.session, user_id=caller.user_id, made_at=now, seen_at=now, confirmed_at=now))
