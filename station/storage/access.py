"""People, programs, sessions and failed tries: what stands in their tables, and changing it."""

import json
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from station.domain.access import Role
from station.domain.accounts import LoginTakenError, MachineToken, User
from station.domain.canonical import canonical
from station.domain.guesses import Tries
from station.domain.piece import Secrecy
from station.ports.access import AccessState, Account, KnownBrowser, Link, Session, StoredToken
from station.storage import tables

BROWSERS_KEPT = 20
TRIES_KEPT = 10_000
_U, _S, _M, _L, _B, _T = (
    tables.user_account.c,
    tables.session.c,
    tables.machine_token.c,
    tables.one_time_link.c,
    tables.known_browser.c,
    tables.tries.c,
)


class SqlAccessView:
    """`station.ports.access.AccessView` over one connection."""

    _connection: Connection

    def access_state(self) -> AccessState:
        """All of it."""
        run = self._connection.execute
        return AccessState(
            accounts=tuple(self.accounts()),
            sessions=tuple(Session(**row._mapping) for row in run(select(tables.session))),  # noqa: SLF001 - a row's public mapping
            tokens=tuple(map(_token, run(select(tables.machine_token).order_by(_M.name, _M.token_id)))),
            links=tuple(Link(**row._mapping) for row in run(select(tables.one_time_link))),  # noqa: SLF001
            browsers=tuple(KnownBrowser(**row._mapping) for row in run(select(tables.known_browser))),  # noqa: SLF001
        )

    def tries(self) -> dict[str, Tries]:
        """Failed tries by key, the one that has been quiet for longest first."""
        rows = self._connection.execute(select(tables.tries).order_by(_T.last_at))
        return {row.key: Tries(failures=row.failures, last_at=row.last_at) for row in rows}

    def accounts(self) -> list[Account]:
        """Every user, by login."""
        return [_account(row) for row in self._connection.execute(select(tables.user_account).order_by(_U.login))]


class SqlAccessUnit(SqlAccessView):
    """`station.ports.access.AccessUnit` within one transaction."""

    def put_account(self, account: Account) -> None:
        """Add a user, or replace what is known of one. Raises `LoginTakenError` when the login is somebody else's."""
        user = account.user
        owner = self._connection.execute(select(_U.user_id).where(_U.login == user.login)).scalar_one_or_none()
        if owner not in {None, user.user_id}:
            raise LoginTakenError(
                f"The login {user.login} is somebody else's, or was", consequence="Nothing was changed", remedy="Choose another login"
            )
        values = {
            "login": user.login,
            "display_name": user.display_name,
            "roles": canonical(sorted(role.value for role in user.roles)),
            "clearance": user.clearance and user.clearance.value,
            "disabled": user.disabled,
            "password_hash": account.password_hash,
        }
        self._put(tables.user_account, {"user_id": user.user_id}, values)

    def put_session(self, session: Session) -> None:
        """Add a session, or replace what is known of it."""
        values = {
            "user_id": session.user_id,
            "made_at": session.made_at,
            "seen_at": session.seen_at,
            "confirmed_at": session.confirmed_at,
        }
        self._put(tables.session, {"token_sha256": session.token_sha256}, values)

    def drop_session(self, token_sha256: str) -> None:
        """End one session."""
        self._connection.execute(delete(tables.session).where(_S.token_sha256 == token_sha256))

    def drop_sessions_of(self, user_id: str) -> None:
        """End every session of a user."""
        self._connection.execute(delete(tables.session).where(_S.user_id == user_id))

    def put_token(self, token: StoredToken) -> None:
        """Add a program's token, or replace what is known of it."""
        one = token.token
        values = {
            "name": one.name,
            "clearance": one.clearance and one.clearance.value,
            "revoked": one.revoked,
            "token_sha256": token.token_sha256,
        }
        self._put(tables.machine_token, {"token_id": one.token_id}, values)

    def put_link(self, link: Link) -> None:
        """Give a user a link, in place of any earlier one."""
        self.drop_links_of(link.user_id)
        self._put(tables.one_time_link, {"link_sha256": link.link_sha256}, {"user_id": link.user_id, "expires_at": link.expires_at})

    def drop_links_of(self, user_id: str) -> None:
        """The user's link is used up, or void."""
        self._connection.execute(delete(tables.one_time_link).where(_L.user_id == user_id))

    def put_browser(self, browser: KnownBrowser) -> None:
        """A person logged in from this browser. Of each person the newest twenty are kept."""
        key = {"token_sha256": browser.token_sha256, "user_id": browser.user_id}
        self._put(tables.known_browser, key, {"seen_at": browser.seen_at})
        newest = select(_B.token_sha256).where(_B.user_id == browser.user_id).order_by(_B.seen_at.desc()).limit(BROWSERS_KEPT)
        self._connection.execute(
            delete(tables.known_browser).where(_B.user_id == browser.user_id, _B.token_sha256.not_in(newest.scalar_subquery()))
        )

    def drop_browsers_of(self, user_id: str) -> None:
        """No browser is known for the user any more."""
        self._connection.execute(delete(tables.known_browser).where(_B.user_id == user_id))

    def set_tries(self, key: str, tries: Tries | None) -> None:
        """How many tries failed under a key; None forgets it. Of all keys the newest ten thousand are kept."""
        if tries is None:
            self._connection.execute(delete(tables.tries).where(_T.key == key))
            return
        self._put(tables.tries, {"key": key}, {"failures": tries.failures, "last_at": tries.last_at})
        if self._connection.execute(select(func.count()).select_from(tables.tries)).scalar_one() > TRIES_KEPT:
            oldest = select(_T.key).order_by(_T.last_at).limit(1)
            self._connection.execute(delete(tables.tries).where(_T.key.in_(oldest.scalar_subquery())))

    def _put(self, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
        where = [table.c[name] == value for name, value in key.items()]
        if not self._connection.execute(update(table).where(*where).values(**values)).rowcount:
            self._connection.execute(insert(table), key | values)


def _account(row: Row[Any]) -> Account:
    known = {role.value: role for role in Role}
    user = User(
        user_id=row.user_id,
        login=row.login,
        display_name=row.display_name,
        # A role or a clearance that a newer version wrote gives nothing here.
        roles=frozenset(known[name] for name in json.loads(row.roles) if name in known),
        clearance=_clearance(row.clearance),
        disabled=row.disabled,
    )
    return Account(user=user, password_hash=row.password_hash)


def _token(row: Row[Any]) -> StoredToken:
    token = MachineToken(token_id=row.token_id, name=row.name, clearance=_clearance(row.clearance), revoked=row.revoked)
    return StoredToken(token=token, token_sha256=row.token_sha256)


def _clearance(stored: str | None) -> Secrecy | None:
    return Secrecy(stored) if stored in set(Secrecy) else None
