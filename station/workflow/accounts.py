"""Changing who may come in and what they may do: users, their links, programs' tokens. One transaction and one fact for each change."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from station.domain.access import Action, Caller, Role
from station.domain.accounts import (
    AccessEvent,
    MachineToken,
    TokenNameTakenError,
    User,
    checked_login,
    checked_name,
    checked_password,
    checked_roles,
    demand_administrator,
)
from station.domain.errors import ConflictError, NotFoundError
from station.domain.piece import Secrecy
from station.ports.access import Account, Link, Passwords, StoredToken
from station.ports.clock import Clock
from station.ports.store import UnitOfWork
from station.workflow.access import Access, new_secret
from station.workflow.access_memory import digest
from station.workflow.access_steps import account_of, demand_person, record
from station.workflow.once import Answer, Once, do_once
from station.workflow.refusals import OwnAccountError

LINK_LASTS = timedelta(hours=24)
TOKEN_PREFIX: Final = "kt1m_"  # noqa: S105 - what stands before a secret
"""Before every program's secret, so that one that lies where it should not is recognised."""
UNCHANGED: Final = object()
"""Stands for a member that is left as it is, where None means none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was answered, and the secret that was made, if any: it is told once and stored nowhere."""

    answer: Answer
    secret: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of a user; None leaves it as it is, and so does `UNCHANGED`."""

    display_name: str | None = None
    roles: frozenset[Role] | None = None
    clearance: object = UNCHANGED
    disabled: bool | None = None


class Accounts:
    """The use cases of an administrator.

    Args:
        access: who is here; told of every change.
        passwords: for users whose password is set at once (a demo's).
        clock: the station's time.
        new_id: draws the random part of an id.
    """

    def __init__(
        self, *, access: Access, passwords: Passwords, clock: Clock, new_id: Callable[[], str] = lambda: secrets.token_hex(8)
    ) -> None:
        self._access = access
        self._passwords = passwords
        self._clock = clock
        self._new_id = new_id

    # Users

    def users(self) -> list[Account]:
        """Every user, by login."""
        return self._access.memory.accounts()

    def user(self, user_id: str) -> Account:
        """One user, or `NotFoundError`."""
        found = self._access.memory.account(user_id)
        if found is None:
            raise NotFoundError(f"There is no user {user_id!r}", remedy="Load the list of users again")
        return found

    def link_expires_at(self, user_id: str) -> datetime | None:
        """Until when a link waits for the user; None where none does."""
        link = self._access.memory.link_of(user_id)
        return None if link is None else link.expires_at

    def called(self, login: str) -> Account:
        """The user of that login, or `NotFoundError`."""
        found = self._access.memory.account_of(login)
        if found is None:
            raise NotFoundError(f"There is no user {login!r}", remedy="Look at the list of users")
        return found

    async def add(
        self,
        login: str,
        *,
        display_name: str = "",
        roles: Iterable[Role],
        clearance: Secrecy | None,
        by: Caller | None = None,
        once: Once | None = None,
    ) -> Made:
        """Add a user, and make the link by which they choose a password.

        Raises:
            LoginMalformedError, RefusedError: the login, the name or a role cannot be used.
            LoginTakenError: the login is somebody's, or was.
        """
        login = checked_login(login)
        user = User(
            user_id=f"u-{self._new_id()}",
            login=login,
            display_name=checked_name(display_name, login=login),
            roles=checked_roles(roles),
            clearance=clearance,
        )
        at = self._clock.utc_now()
        secret, link = self._access.make_link(user.user_id, at + LINK_LASTS)

        def work(uow: UnitOfWork) -> Answer:
            uow.put_account(Account(user=user, password_hash=None))
            record(uow, AccessEvent.USER_ADDED, at, about=user, person=_name(by))
            _give_link(uow, user, link, at, by)
            return _told(user) | {"link_expires_at": link.expires_at.isoformat()}

        return await self._make(work, once, secret, by)

    async def change(self, user_id: str, change: Change, *, by: Caller | None = None, once: Once | None = None) -> Made:
        """Change what a user is. Whoever is logged in as that user is not any more, if it changes what they may do.

        Raises:
            NotFoundError: no such user.
            OwnAccountError: it is the caller's own account, and more than its name would change.
            LastAdministratorError: nobody would be left to let people in.
        """
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            account = account_of(uow, user_id)
            before, after = account.user, _changed(account.user, change)
            if after == before:
                return _told(after)
            powers_change = (before.roles, before.clearance, before.disabled) != (after.roles, after.clearance, after.disabled)
            if by is not None and by.user_id == user_id and powers_change:
                raise OwnAccountError(
                    "Nobody changes their own roles or clearance, or disables themselves",
                    consequence="Nothing was changed",
                    remedy="Ask another administrator",
                )
            uow.put_account(replace(account, user=after))
            demand_administrator(one.user for one in uow.accounts())
            if powers_change:
                uow.drop_sessions_of(user_id)
            if after.disabled:
                uow.drop_links_of(user_id)
            record(uow, _event_of(before, after), at, about=after, person=_name(by))
            return _told(after)

        return await self._make(work, once, None, by)

    async def new_link(self, user_id: str, *, by: Caller | None = None, once: Once | None = None) -> Made:
        """Make a link by which the user chooses a new password; an earlier one is void. The old password counts until then."""
        at = self._clock.utc_now()
        secret, link = self._access.make_link(user_id, at + LINK_LASTS)

        def work(uow: UnitOfWork) -> Answer:
            user = account_of(uow, user_id).user
            if user.disabled:
                raise ConflictError(f"{user.login} is disabled", consequence="No link was made", remedy="Enable the user first")
            _give_link(uow, user, link, at, by)
            return _told(user) | {"link_expires_at": link.expires_at.isoformat()}

        return await self._make(work, once, secret, by)

    async def set_demo_user(self, login: str, *, password: str, roles: Iterable[Role], clearance: Secrecy | None) -> None:
        """Make a demo's user be there with this very password. Only a demo, whose station works on simulators, calls this."""
        known = self._access.memory.account_of(login)
        hashed = await self._passwords.hash(checked_password(password, login))
        user = User(
            user_id=known.user.user_id if known else f"u-{self._new_id()}",
            login=checked_login(login),
            display_name=login,
            roles=checked_roles(roles),
            clearance=clearance,
        )
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> None:
            uow.put_account(Account(user=user, password_hash=hashed))
            uow.drop_sessions_of(user.user_id)
            if known is None:
                record(uow, AccessEvent.USER_ADDED, at, about=user, person="")
            record(uow, AccessEvent.PASSWORD_CHOSEN, at, about=user, person="")

        await self._access.change(work)

    # Programs

    def tokens(self) -> list[MachineToken]:
        """Every program's token, revoked ones too."""
        return [one.token for one in self._access.memory.tokens()]

    async def add_token(self, name: str, *, clearance: Secrecy | None, by: Caller | None = None, once: Once | None = None) -> Made:
        """Make a token for a program. Raises `TokenNameTakenError` when another one in use has that name."""
        token = MachineToken(token_id=f"m-{self._new_id()}", name=checked_login(name), clearance=clearance)
        secret = TOKEN_PREFIX + new_secret()
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            if any(one.token.name == token.name and not one.token.revoked for one in uow.access_state().tokens):
                raise TokenNameTakenError(f"A token named {token.name} is in use", consequence="None was made", remedy="Revoke it first")
            uow.put_token(StoredToken(token=token, token_sha256=digest(secret)))
            record(uow, AccessEvent.TOKEN_ADDED, at, about=token, person=_name(by))
            return _token_told(token)

        return await self._make(work, once, secret, by)

    async def revoke_token(self, token_id: str, *, by: Caller | None = None, once: Once | None = None) -> Made:
        """The program may not ask any more. Twice is once."""
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            found = next((one for one in uow.access_state().tokens if one.token.token_id == token_id), None)
            if found is None:
                raise NotFoundError(f"There is no token {token_id!r}", remedy="Load the list of tokens again")
            revoked = replace(found.token, revoked=True)
            if not found.token.revoked:
                uow.put_token(replace(found, token=revoked))
                record(uow, AccessEvent.TOKEN_REVOKED, at, about=revoked, person=_name(by))
            return _token_told(revoked)

        return await self._make(work, once, None, by)

    async def _make(self, work: Callable[[UnitOfWork], Answer], once: Once | None, secret: str | None, by: Caller | None) -> Made:
        """The answer is stored for a repetition, the secret is not: a repetition is told without it.

        Whoever asks is looked at again in the transaction: their role may have been taken away since the door let them in.
        """
        asked_at = self._clock.utc_now()

        def whole(uow: UnitOfWork) -> tuple[Answer, bool]:
            if by is not None:
                demand_person(uow, by, Action.CHANGE_USERS, level=None, confirmed_at=asked_at)
            return do_once(uow, once, work) if once is not None else (work(uow), True)

        answer, is_new = await self._access.change(whole)
        return Made(answer=answer, secret=secret if is_new else None)


def _name(by: Caller | None) -> str:
    return by.name if by is not None else ""


def _changed(user: User, change: Change) -> User:
    members: dict[str, Any] = {}
    if change.display_name is not None:
        members["display_name"] = checked_name(change.display_name, login=user.login)
    if change.roles is not None:
        members["roles"] = checked_roles(change.roles)
    if change.clearance is not UNCHANGED:
        members["clearance"] = change.clearance
    if change.disabled is not None:
        members["disabled"] = change.disabled
    return replace(user, **members)


def _event_of(before: User, after: User) -> AccessEvent:
    if before.disabled != after.disabled:
        return AccessEvent.USER_DISABLED if after.disabled else AccessEvent.USER_ENABLED
    return AccessEvent.USER_CHANGED


def _give_link(uow: UnitOfWork, user: User, link: Link, at: datetime, by: Caller | None) -> None:
    uow.put_link(link)
    record(uow, AccessEvent.LINK_MADE, at, about=user, person=_name(by))


def _told(user: User) -> Answer:
    return {
        "user_id": user.user_id,
        "login": user.login,
        "display_name": user.display_name,
        "roles": sorted(role.value for role in user.roles),
        "clearance": user.clearance,
        "disabled": user.disabled,
    }


def _token_told(token: MachineToken) -> Answer:
    return {"token_id": token.token_id, "name": token.name, "clearance": token.clearance, "revoked": token.revoked}
