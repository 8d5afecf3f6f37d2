"""People, programs, sessions and failed tries as they are stored; and whoever hashes passwords."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from station.domain.accounts import MachineToken, User
from station.domain.errors import StationError
from station.domain.guesses import Tries


class TooBusyError(StationError):
    """So many passwords are being looked at that this one is not."""

    code = "too-many-tries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with the hash of the password; None until one was chosen."""

    user: User
    password_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person's session. Only the SHA-256 of its token is stored."""

    token_sha256: str
    user_id: str
    made_at: datetime
    seen_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """A program's token, by its SHA-256."""

    token: MachineToken
    token_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link by which one person may choose a password once."""

    link_sha256: str
    user_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBrowser:
    """A browser from which a person has logged in before."""

    token_sha256: str
    user_id: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessState:
    """Who may come in and who is in, in one look."""

    accounts: tuple[Account, ...]
    sessions: tuple[Session, ...]
    tokens: tuple[StoredToken, ...]
    links: tuple[Link, ...]
    browsers: tuple[KnownBrowser, ...]


class AccessView(Protocol):
    """Queries about access."""

    def access_state(self) -> AccessState:
        """All of it."""
        ...

    def tries(self) -> dict[str, Tries]:
        """Failed tries by key, the one that has been quiet for longest first."""
        ...

    def accounts(self) -> list[Account]:
        """Every user, by login."""
        ...


class AccessUnit(AccessView, Protocol):
    """Changes of access. Each belongs to a transaction that also appends the fact of it."""

    def put_account(self, account: Account) -> None:
        """Add a user, or replace what is known of one. Raises `LoginTakenError` when the login is somebody else's."""
        ...

    def put_session(self, session: Session) -> None:
        """Add a session, or replace what is known of it."""
        ...

    def drop_session(self, token_sha256: str) -> None:
        """End one session."""
        ...

    def drop_sessions_of(self, user_id: str) -> None:
        """End every session of a user."""
        ...

    def put_token(self, token: StoredToken) -> None:
        """Add a program's token, or replace what is known of it."""
        ...

    def put_link(self, link: Link) -> None:
        """Give a user a link, in place of any earlier one."""
        ...

    def drop_links_of(self, user_id: str) -> None:
        """The user's link is used up, or void."""
        ...

    def put_browser(self, browser: KnownBrowser) -> None:
        """A person logged in from this browser. Of each person the newest twenty are kept."""
        ...

    def drop_browsers_of(self, user_id: str) -> None:
        """No browser is known for the user any more."""
        ...

    def set_tries(self, key: str, tries: Tries | None) -> None:
        """How many tries failed under a key; None forgets it. Of all keys the newest ten thousand are kept."""
        ...


class Passwords(Protocol):
    """Hashes passwords beside the event loop, a few at a time."""

    async def hash(self, password: str) -> str:
        """The hash to be stored. Raises `TooBusyError`."""
        ...

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """True when the password is the one that was hashed. Without a hash it takes as long, and is False. Raises `TooBusyError`."""
        ...
