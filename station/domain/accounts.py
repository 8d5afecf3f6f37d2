"""People and programs that the station knows, what is recorded of them, and what nobody may do to them. Pure."""

import itertools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.domain.access import PEOPLES_ROLES, Role
from station.domain.errors import ConflictError, RefusedError
from station.domain.people import person_key
from station.domain.piece import Secrecy

ACCESS_SUBJECT = "ACCESS"
"""Under this name the facts about people and programs stand, where a piece's stand under its id."""

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 128
_TELLING_LOGIN = 3
"""A shorter login stands in many a word."""
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. `login` is unique, never changed and never given again, so that a recorded name is one person for good."""

    user_id: str
    login: str
    display_name: str
    roles: frozenset[Role]
    clearance: Secrecy | None
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineToken:
    """A program that may ask by a secret of its own, as role `machine`. `name` is unique among tokens that are not revoked."""

    token_id: str
    name: str
    clearance: Secrecy | None
    revoked: bool = False


class AccessEvent(StrEnum):
    """What happened to people and programs."""

    USER_ADDED = "user-added"
    USER_CHANGED = "user-changed"
    USER_DISABLED = "user-disabled"
    USER_ENABLED = "user-enabled"
    LINK_MADE = "link-made"
    PASSWORD_CHOSEN = "password-chosen"  # noqa: S105 - the name of an event
    TOKEN_ADDED = "token-added"  # noqa: S105
    TOKEN_REVOKED = "token-revoked"  # noqa: S105
    LOGGED_IN = "logged-in"
    LOG_IN_REFUSED = "log-in-refused"
    LOGGED_OUT = "logged-out"
    CONFIRMED = "confirmed"
    CONFIRMATION_REFUSED = "confirmation-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFact:
    """One thing that happened to a person or a program, with what it may do from then on.

    `visit` numbers these facts from 1. `person` did it (empty: whoever works at the machine itself, or nobody known); `user_id` and `login`
    tell whom it is about, both empty for a name that the station does not know: what was typed there may be a password. `count` is
    how many refusals the fact stands for.
    """

    piece_id: str
    visit: int
    at: datetime
    event: AccessEvent
    person: str
    user_id: str
    login: str
    roles: tuple[Role, ...] = ()
    clearance: Secrecy | None = None
    source: str = ""
    count: int = 1


class LoginMalformedError(RefusedError):
    """The login cannot be used."""

    code = "login-malformed"


class LoginTakenError(ConflictError):
    """The login is another person's, or was: it names one person for good."""

    code = "login-taken"


class TokenNameTakenError(ConflictError):
    """Another program asks by this name."""

    code = "token-name-taken"


class PasswordRefusedError(RefusedError):
    """The password is too easy to guess, or too long."""

    code = "password-refused"


class LastAdministratorError(RefusedError):
    """Nobody would be left who can let people in."""

    code = "last-administrator"


def checked_login(text: str) -> str:
    """A login as it is stored. Plain letters only, so that no two logins look alike. Raises `LoginMalformedError`."""
    login = person_key(text)
    if _LOGIN.fullmatch(login) is None:
        raise LoginMalformedError(
            "A login is made of 1 to 32 letters a to z, digits, dots, hyphens and underscores, a letter or digit first",
            consequence="Nothing was changed",
            remedy="Choose another login; the name that is shown may have any letters",
        )
    return login


def checked_name(text: str, *, login: str) -> str:
    """The name that is shown, on one line; the login where none was given. Raises `LoginMalformedError`."""
    name = " ".join(text.split())
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise LoginMalformedError(
            f"A name has at most {_LONGEST_NAME} characters, all of which can be shown", consequence="Nothing was changed"
        )
    return name or login


def checked_roles(roles: Iterable[Role]) -> frozenset[Role]:
    """A person's roles. Raises `RefusedError` for a program's role."""
    found = frozenset(roles)
    if not found <= PEOPLES_ROLES:
        raise RefusedError(
            "The role machine is for programs: people do not get it",
            consequence="Nothing was changed",
            remedy="Make a machine token for the program",
        )
    return found


def checked_password(password: str, login: str) -> str:
    """A password in its Unicode normal form. Raises `PasswordRefusedError`."""
    normal = normal_password(password)
    if not SHORTEST_PASSWORD <= len(normal) <= LONGEST_PASSWORD:
        problem = f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    elif len(set(normal)) < SHORTEST_PASSWORD // 2:
        problem = "The password repeats the same few characters"
    elif 2 * sum(abs(ord(after) - ord(before)) <= 1 for before, after in itertools.pairwise(normal)) >= len(normal):
        problem = "The password is mostly a row of neighbouring characters"
    elif len(login) >= _TELLING_LOGIN and login in normal.casefold():
        problem = "The password contains the login"
    else:
        return normal
    raise PasswordRefusedError(problem, consequence="Nothing was changed", remedy="Choose several words that only you would put together")


def normal_password(password: str) -> str:
    """The same password however the keyboard composed its letters."""
    return unicodedata.normalize("NFC", password)


def demand_administrator(users: Iterable[User]) -> None:
    """Raise `LastAdministratorError` unless an administrator is left who is not disabled."""
    if not any(Role.ADMINISTRATOR in user.roles and not user.disabled for user in users):
        raise LastAdministratorError(
            "Nobody would be left who can let people in",
            consequence="Nothing was changed",
            remedy="Make somebody else an administrator first",
        )
