"""Who may come in, as it stands in the store, held in memory: a disk that hangs keeps nobody from stopping or freezing a lane."""

import contextlib
import hashlib
import threading
from dataclasses import replace
from datetime import datetime, timedelta

from station.domain.access import Caller, Role, session_holds
from station.domain.errors import StoreError
from station.domain.guesses import Limit, Tries, after_failure, taken_back, wait_s
from station.domain.people import person_key
from station.ports.access import Account, Link, Session, StoredToken
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork

SEEN_KEPT_EVERY = timedelta(minutes=1)
MACHINE = "machine:"
_TRIES_KEPT = 10_000


def digest(secret: str) -> str:
    """What is kept of a secret that was drawn at random: its SHA-256, as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


class AccessMemory:
    """The newest committed state, and who was seen when. Every method may be called from any thread.

    The station's process is the only one that changes these tables while it runs, and it reads them again after each of its changes.

    Args:
        store: where it stands.
        clock: tells what has expired.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._seen: dict[str, datetime] = {}
        self.tries = TriesMemory(store.read(lambda view: view.tries()))
        self.reload()

    def reload(self) -> None:
        """Read everything again. Raises `StoreError`."""
        # What was read first can never be put in place of what was read later. Whoever asks meanwhile does not wait for the disk.
        with self._reading:
            state = self._store.read(lambda view: view.access_state())
            with self._lock:
                self._accounts = {one.user.user_id: one for one in state.accounts}
                self._by_login = {one.user.login: one for one in state.accounts}
                self._sessions: dict[str, Session] = {one.token_sha256: one for one in state.sessions}
                self._tokens = {one.token_sha256: one for one in state.tokens if not one.token.revoked}
                self._all_tokens = state.tokens
                self._links = {one.link_sha256: one for one in state.links}
                self._browsers = {(one.token_sha256, one.user_id) for one in state.browsers}
                self._seen = {sha256: at for sha256, at in self._seen.items() if sha256 in self._sessions}

    def accounts(self) -> list[Account]:
        """Every user, by login."""
        return sorted(self._accounts.values(), key=lambda one: one.user.login)

    def tokens(self) -> tuple[StoredToken, ...]:
        """Every program's token, revoked ones too."""
        return self._all_tokens

    def account(self, user_id: str) -> Account | None:
        """One user."""
        return self._accounts.get(user_id)

    def account_of(self, login: str) -> Account | None:
        """The user with that login, however it is spelt."""
        return self._by_login.get(person_key(login))

    def link(self, secret: str) -> Link | None:
        """A link that may still be used, by what stands in it."""
        return self._usable(self._links.get(digest(secret)))

    def link_of(self, user_id: str) -> Link | None:
        """The link that a user may still use; there is one at most."""
        return self._usable(next((one for one in self._links.values() if one.user_id == user_id), None))

    def _usable(self, link: Link | None) -> Link | None:
        return link if link is not None and self._clock.utc_now() <= link.expires_at else None

    def knows_browser(self, token: str, user_id: str) -> bool:
        """True when the user has logged in from the browser that holds this secret."""
        return (digest(token), user_id) in self._browsers

    def issued(self, token: str) -> bool:
        """True when this browser's secret came from here."""
        wanted = digest(token)
        return any(sha256 == wanted for sha256, _ in self._browsers)

    def by_session(self, token: str) -> Caller | None:
        """Whose session this is, if it still counts; from now on it was seen just now."""
        sha256 = digest(token)
        caller = self._caller(sha256)
        if caller is not None:
            self._see(sha256)
        return caller

    def by_token(self, token: str) -> Caller | None:
        """Which program's token this is, if it is not revoked."""
        found = self._tokens.get(digest(token))
        return _machine(found) if found is not None else None

    def still(self, caller: Caller) -> Caller | None:
        """The same caller as things are now; None when the session or the token has ended. Nobody counts as seen by this."""
        if caller.session is not None:
            return self._caller(caller.session)
        return next((_machine(one) for one in self._tokens.values() if one.token.token_id == caller.user_id), None)

    def _caller(self, sha256: str) -> Caller | None:
        session = self._sessions.get(sha256)
        account = self._accounts.get(session.user_id) if session is not None else None
        if session is None or account is None or account.user.disabled:
            return None
        seen_at = max(session.seen_at, self._seen.get(sha256, session.seen_at))
        if not session_holds(made_at=session.made_at, seen_at=seen_at, now=self._clock.utc_now()):
            return None
        user = account.user
        return Caller(
            user_id=user.user_id,
            name=user.login,
            display_name=user.display_name,
            roles=user.roles,
            clearance=user.clearance,
            session=sha256,
            confirmed_at=session.confirmed_at,
        )

    def _see(self, sha256: str) -> None:
        now = self._clock.utc_now()
        with self._lock:
            session = self._sessions.get(sha256)
            if session is None:
                return
            self._seen[sha256] = now
            if now - session.seen_at < SEEN_KEPT_EVERY:
                return
            self._sessions[sha256] = replace(session, seen_at=now)
        # Nobody waits for this: without it a restart only makes the session seem unused for a little longer.
        with contextlib.suppress(StoreError):
            self._store.write(lambda uow: _keep_seen(uow, sha256, now))


def _keep_seen(uow: UnitOfWork, sha256: str, at: datetime) -> None:
    current = next((one for one in uow.access_state().sessions if one.token_sha256 == sha256), None)
    if current is not None and current.seen_at < at:
        uow.put_session(replace(current, seen_at=at))


def _machine(found: StoredToken) -> Caller:
    one = found.token
    return Caller(
        user_id=one.token_id,
        name=MACHINE + one.name,
        display_name=one.name,
        roles=frozenset({Role.MACHINE}),
        clearance=one.clearance,
        session=None,
    )


class TriesMemory:
    """Failed tries by key. A try counts as failed from the moment that it begins, so that many at once do not slip through together."""

    def __init__(self, stored: dict[str, Tries]) -> None:
        self._tries = stored
        self._lock = threading.Lock()

    def begin(self, keys: dict[str, Limit], now: datetime) -> float:
        """Count a try under all these keys and return 0; or count nothing and return the seconds that it must wait."""
        with self._lock:
            wait = max(wait_s(self._tries.get(key), limit, now) for key, limit in keys.items())
            if wait > 0:
                return wait
            for key in keys:
                # Put at the end: the first in the dictionary is the one that has been quiet for longest.
                self._tries[key] = after_failure(self._tries.pop(key, None), now)
            while len(self._tries) > _TRIES_KEPT:
                del self._tries[next(iter(self._tries))]
            return 0.0

    def succeed(self, keys: dict[str, Limit], forgotten: frozenset[str]) -> dict[str, Tries | None]:
        """The try was right: forget these keys, and take it back from the others. Returns what each key holds now."""
        with self._lock:
            found: dict[str, Tries | None] = {}
            for key in keys:
                left = None if key in forgotten else taken_back(self._tries.get(key))
                self._tries.pop(key, None)
                if left is not None:
                    self._tries[key] = left
                found[key] = left
            return found

    def of(self, keys: dict[str, Limit]) -> dict[str, Tries | None]:
        """What these keys hold."""
        with self._lock:
            return {key: self._tries.get(key) for key in keys}
