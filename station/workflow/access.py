"""Coming in and going out: log-in, log-out, confirmation, choosing a password by a one-time link or by the present one."""

import asyncio
import contextlib
import ipaddress
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from station.domain.access import Caller, session_holds
from station.domain.accounts import AccessEvent, User, checked_password, normal_password
from station.domain.errors import StoreError
from station.domain.guesses import ACCOUNT, BROWSER, SESSION, SOURCE, STRANGERS, Limit
from station.domain.people import person_key
from station.ports.access import Account, KnownBrowser, Link, Passwords, Session, TooBusyError
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork
from station.workflow.access_memory import AccessMemory, digest
from station.workflow.access_steps import account_of, record
from station.workflow.durable import durable
from station.workflow.refusals import LinkInvalidError, LogInRefusedError, NotLoggedInError, TooManyTriesError
from station.workflow.refused_log_ins import Refused, RefusedLogIns

T = TypeVar("T")

_MOST_SESSIONS = 20
_IPV6_SITE_BITS = 64
_log = logging.getLogger(__name__)


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """What comes with a log-in besides the password: from which address, and the secrets that the browser holds already."""

    source: str
    browser: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """A new session: the secrets that go to the browser, never to be seen again. `browser` is None where it holds a good one already."""

    session: str
    browser: str | None
    caller: Caller


class Access:
    """Who is here, and how they come and go. Every method may be called from any event loop.

    Args:
        store: where people and sessions are kept, and what happened is recorded.
        clock: the station's time; delays and limits go by the wall.
        passwords: hashes passwords beside the loop.
        secret: draws a new secret.
    """

    def __init__(self, *, store: Store, clock: Clock, passwords: Passwords, secret: Callable[[], str] = new_secret) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._secret = secret
        self._refused = RefusedLogIns()
        self.memory = AccessMemory(store, clock)

    # Coming in

    async def log_in(self, login: str, password: str, visitor: Visitor) -> LoggedIn:
        """Begin a session.

        Raises:
            TooManyTriesError: one guess too many; the password was not looked at.
            LogInRefusedError: unknown, disabled, or another password. It says no more, and takes as long.
            StoreError: the session could not be made durable.
        """
        now = self._clock.utc_now()
        account = self.memory.account_of(login)
        keys = self._keys(account, login, visitor)
        wait_s = self.memory.tries.begin(keys, now)
        if wait_s > 0:
            await self._tell_refused(account, visitor, now)
            raise TooManyTriesError(wait_s)
        stored = account.password_hash if account is not None and not account.user.disabled else None
        with self._counted_unless_hindered(keys):
            right = await self._passwords.matches(stored, normal_password(password))
            if right and account is not None:
                return await self._begin(account, visitor, keys)
        await self._keep_tries(keys)
        await self._tell_refused(account, visitor, now)
        raise LogInRefusedError(
            "Login and password do not belong together", consequence="Nobody was logged in", remedy="Try again, or ask an administrator"
        )

    async def choose_password(self, link: str, password: str, visitor: Visitor) -> LoggedIn:
        """Set the password of whomever the link was made for, end all their sessions, and begin one here.

        Raises:
            LinkInvalidError: the link is not, or no longer, one.
            PasswordRefusedError: the password is too easy; the link may be used again.
        """
        known = self.memory.link(link)
        account = self.memory.account(known.user_id) if known is not None else None
        if known is None or account is None or account.user.disabled:
            raise _link_invalid()

        def demand(uow: UnitOfWork) -> None:
            # Once means once, also for two who come at the same moment.
            if not any(one.link_sha256 == known.link_sha256 for one in uow.access_state().links):
                raise _link_invalid()

        return await self._set_password(account, password, visitor, demand)

    async def change_password(self, caller: Caller, present: str, password: str, visitor: Visitor) -> LoggedIn:
        """Set another password for oneself, end all one's sessions and links, and begin a session here.

        Raises:
            TooManyTriesError, LogInRefusedError: as for `confirm`; `present` is not the password.
            NotLoggedInError: the session ended meanwhile, or the caller is a program.
            PasswordRefusedError: the new password is too easy; the present one still counts.
        """
        await self.confirm(caller, present, visitor.source)
        account = self.memory.account(caller.user_id)
        if account is None:
            raise not_logged_in()

        def demand(uow: UnitOfWork) -> None:
            # Whoever was logged out or disabled while the new password was hashed sets none.
            if not any(one.token_sha256 == caller.session for one in uow.access_state().sessions):
                raise not_logged_in()

        return await self._set_password(account, password, visitor, demand)

    async def _set_password(self, account: Account, password: str, visitor: Visitor, demand: Callable[[UnitOfWork], None]) -> LoggedIn:
        hashed = await self._passwords.hash(checked_password(password, account.user.login))
        now = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Account:
            demand(uow)
            # Hashing took its time: what an administrator changed meanwhile stays as it is now.
            fresh = replace(account_of(uow, account.user.user_id), password_hash=hashed)
            uow.put_account(fresh)
            uow.drop_links_of(account.user.user_id)
            uow.drop_sessions_of(account.user.user_id)
            uow.drop_browsers_of(account.user.user_id)
            record(uow, AccessEvent.PASSWORD_CHOSEN, now, about=fresh.user, person=fresh.user.login, source=visitor.source)
            return fresh

        changed = await self.change(work)
        return await self._begin(changed, visitor, {})

    async def _begin(self, account: Account, visitor: Visitor, keys: dict[str, Limit]) -> LoggedIn:
        user, now, token = account.user, self._clock.utc_now(), self._secret()
        keep = visitor.browser is not None and self.memory.issued(visitor.browser)
        browser = visitor.browser if keep and visitor.browser is not None else self._secret()
        session = Session(token_sha256=digest(token), user_id=user.user_id, made_at=now, seen_at=now, confirmed_at=None)

        def work(uow: UnitOfWork) -> None:
            state = uow.access_state()
            # The account may have been disabled or given another password while this one was looked at.
            if account not in state.accounts:
                raise LogInRefusedError("The account was changed at this moment", consequence="Nobody was logged in", remedy="Try again")
            _drop_old(uow, state.sessions, user, now)
            if visitor.session is not None:
                uow.drop_session(digest(visitor.session))
            uow.put_session(session)
            uow.put_browser(KnownBrowser(token_sha256=digest(browser), user_id=user.user_id, seen_at=now))
            record(uow, AccessEvent.LOGGED_IN, now, about=user, person=user.login, source=visitor.source)

        await self.change(work)
        caller = self.memory.by_session(token)
        if caller is None:
            raise LogInRefusedError("The account was changed at this moment", consequence="Nobody was logged in", remedy="Try again")
        if keys:
            self.memory.tries.succeed(keys, frozenset(key for key in keys if key.startswith(("account:", "browser:"))))
            await self._keep_tries(keys)
        return LoggedIn(session=token, browser=None if keep else browser, caller=caller)

    # Going out, and confirming

    async def log_out(self, caller: Caller) -> None:
        """End the session. A program has none: its token is revoked by an administrator."""
        sha256, now = caller.session, self._clock.utc_now()
        if sha256 is None:
            return
        account = self.memory.account(caller.user_id)

        def work(uow: UnitOfWork) -> None:
            uow.drop_session(sha256)
            record(uow, AccessEvent.LOGGED_OUT, now, about=account.user if account else None, person=caller.name)

        await self.change(work)

    async def confirm(self, caller: Caller, password: str, source: str) -> Caller:
        """The person gives the password once more; it counts for a minute.

        Raises:
            TooManyTriesError, LogInRefusedError: as for `log_in`.
            NotLoggedInError: the session ended meanwhile, or the caller is a program.
        """
        sha256, now = caller.session, self._clock.utc_now()
        account = self.memory.account(caller.user_id)
        if sha256 is None or account is None:
            raise not_logged_in()
        keys = {f"session:{sha256}": SESSION}
        wait_s = self.memory.tries.begin(keys, now)
        if wait_s > 0:
            raise TooManyTriesError(wait_s)
        with self._counted_unless_hindered(keys):
            right = await self._passwords.matches(account.password_hash, normal_password(password))
        event = AccessEvent.CONFIRMED if right else AccessEvent.CONFIRMATION_REFUSED
        if right:
            self.memory.tries.succeed(keys, frozenset(keys))
        now = self._clock.utc_now()

        def work(uow: UnitOfWork) -> None:
            current = next((one for one in uow.access_state().sessions if one.token_sha256 == sha256), None)
            if current is None:
                raise not_logged_in()
            if right:
                uow.put_session(replace(current, confirmed_at=now))
            record(uow, event, now, about=account.user, person=caller.name, source=source)

        await self.change(work)
        if not right:
            raise LogInRefusedError("The password is not right", consequence="Nothing was confirmed", remedy="Try again")
        fresh = self.memory.still(caller)
        if fresh is None:
            raise not_logged_in()
        return fresh

    # For those who change accounts

    async def change(self, work: Callable[[UnitOfWork], T]) -> T:
        """Make a change of access durable; from then on it counts."""
        try:
            return await durable(self._store.write(work))
        finally:
            # Also when nothing is known of what became of it.
            with contextlib.suppress(StoreError):
                await asyncio.to_thread(self.memory.reload)

    def make_link(self, user_id: str, expires_at: datetime) -> tuple[str, Link]:
        """A new one-time link: the secret, and what is stored of it."""
        secret = self._secret()
        return secret, Link(link_sha256=digest(secret), user_id=user_id, expires_at=expires_at)

    async def sweep(self) -> None:
        """Record what refusals were gathered and are due, and read again who may come in. Call it every few seconds.

        A change of which nothing was heard in time may have become durable since.
        """
        await asyncio.to_thread(self.memory.reload)
        await self._record(self._refused.due(self._clock.utc_now()), self._clock.utc_now())

    async def tell_all(self) -> None:
        """Record every refusal that was gathered: the station ends."""
        await self._record(self._refused.take(self._clock.utc_now()), self._clock.utc_now())

    # Guesses

    def _keys(self, account: Account | None, login: str, visitor: Visitor) -> dict[str, Limit]:
        if account is not None and visitor.browser is not None and self.memory.knows_browser(visitor.browser, account.user.user_id):
            return {f"browser:{digest(visitor.browser)}:{account.user.user_id}": BROWSER}
        # What was typed as a login may be a password.
        return {f"account:{digest(person_key(login))}": ACCOUNT, f"source:{visitor.source}": SOURCE, "strangers": STRANGERS}

    @contextlib.contextmanager
    def _counted_unless_hindered(self, keys: dict[str, Limit]) -> Iterator[None]:
        """A try that the station itself could not look at, or not carry out, is no wrong one."""
        try:
            yield
        except (TooBusyError, StoreError):
            self.memory.tries.succeed(keys, frozenset())
            raise

    async def _keep_tries(self, keys: dict[str, Limit]) -> None:
        found = self.memory.tries.of(keys)

        def work(uow: UnitOfWork) -> None:
            for key, tries in found.items():
                uow.set_tries(key, tries)

        with contextlib.suppress(StoreError):
            await durable(self._store.write(work))

    async def _tell_refused(self, account: Account | None, visitor: Visitor, now: datetime) -> None:
        await self._record(self._refused.note(account.user.user_id if account else None, visitor.source, now), now)

    async def _record(self, refused: list[Refused], now: datetime) -> None:
        if not refused:
            return

        def work(uow: UnitOfWork) -> None:
            users = {one.user.user_id: one.user for one in uow.accounts()}
            for one in refused:
                about = users.get(one.user_id) if one.user_id is not None else None
                record(uow, AccessEvent.LOG_IN_REFUSED, now, about=about, person="", source=one.source, count=one.count)

        try:
            await durable(self._store.write(work))
        except StoreError as error:
            # The store says for itself that it is failing; that somebody guesses is said here.
            _log.warning("%d refused log-ins were not recorded: %s", sum(one.count for one in refused), error)


def source_of(host: str) -> str:
    """The address that a request counts for: of IPv6 the whole network of one subscriber, who has countless addresses in it."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_SITE_BITS), strict=False))
    return str(address)


def not_logged_in() -> NotLoggedInError:
    """The one answer to whoever is not, or no longer, known."""
    return NotLoggedInError("Nobody is logged in here", consequence="Nothing was done or shown", remedy="Log in")


def _link_invalid() -> LinkInvalidError:
    return LinkInvalidError(
        "This link was used, has expired, or was replaced by a newer one",
        consequence="No password was set",
        remedy="Ask an administrator for a new one",
    )


def _drop_old(uow: UnitOfWork, sessions: Iterable[Session], user: User, now: datetime) -> None:
    """Sessions that no longer count, and the user's oldest when there are many."""
    own = []
    for session in sessions:
        if not session_holds(made_at=session.made_at, seen_at=session.seen_at, now=now):
            uow.drop_session(session.token_sha256)
        elif session.user_id == user.user_id:
            own.append(session)
    for session in sorted(own, key=lambda one: one.made_at)[: max(0, len(own) - _MOST_SESSIONS + 1)]:
        uow.drop_session(session.token_sha256)
