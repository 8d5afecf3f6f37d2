"""Stored images: which keys there are, how long they are kept, who still needs them, and the facts about them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from station.domain.piece import PieceState, Secrecy

VAULT_SUBJECT = "IMAGES"
"""Under this name the station's facts about destroyed images stand, where a piece's stand under its id."""

UNMARKED = "unmarked"
_KEY_ID = re.compile(r"(\d{4}-\d{2}-\d{2})-(A|B|C|unmarked)-([0-9a-f]{8})", re.ASCII)
_STRICTNESS: tuple[Secrecy | None, ...] = (Secrecy.A, Secrecy.B, Secrecy.C, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKey:
    """Names one key-encryption key: of all images of one level (None: unmarked) that were put, or kept on, on one UTC day.

    `serial` (8 hex digits, random) tells a key from an earlier one of the same day and level that was destroyed.
    """

    day: date
    level: Secrecy | None
    serial: str

    @property
    def key_id(self) -> str:
        """The key's name as text; whoever reads it knows day and level."""
        return f"{self.day.isoformat()}-{level_name(self.level)}-{self.serial}"

    @classmethod
    def parse(cls, key_id: str) -> Self | None:
        """Read a key's name; None for a text that is none."""
        found = _KEY_ID.fullmatch(key_id)
        if found is None:
            return None
        try:
            day = date.fromisoformat(found[1])
        except ValueError:
            return None
        return cls(day=day, level=None if found[2] == UNMARKED else Secrecy(found[2]), serial=found[3])


def level_name(level: Secrecy | None) -> str:
    """A level as key names, the policy and the command line write it."""
    return UNMARKED if level is None else level.value


def level_named(name: str) -> Secrecy | None:
    """The level that `level_name` wrote. Raises `ValueError` for any other text."""
    return None if name == UNMARKED else Secrecy(name)


def strictest(levels: Iterable[Secrecy | None]) -> Secrecy | None:
    """The level of an image that belongs to pieces of these levels: the highest; A for one that belongs to no known piece."""
    return min(levels, key=_STRICTNESS.index, default=Secrecy.A)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Whole UTC days for which images of a level are kept after the day of their key."""

    days_a: int = 7
    days_b: int = 14
    days_c: int = 30
    days_unmarked: int = 90

    def days(self, level: Secrecy | None) -> int:
        """Days for images of this level; None means unmarked."""
        if level is None:
            return self.days_unmarked
        return {Secrecy.A: self.days_a, Secrecy.B: self.days_b, Secrecy.C: self.days_c}[level]

    def last_day(self, key: ImageKey) -> date:
        """The last day on which the images under a key are kept."""
        return key.day + timedelta(days=self.days(key.level))


def due(keys: Iterable[ImageKey], retention: Retention, today: date) -> tuple[ImageKey, ...]:
    """The keys whose time is over, the oldest first. A key of a day that has not come is never due."""
    return tuple(sorted((key for key in keys if retention.last_day(key) < today), key=lambda key: (key.day, key.key_id)))


def ahead(keys: Iterable[ImageKey], today: date) -> tuple[ImageKey, ...]:
    """The keys of days to come, tomorrow's apart: made while the date was wrong, if it is not wrong now."""
    return tuple(key for key in keys if key.day > today + timedelta(days=1))


def needs_images(state: PieceState) -> bool:
    """True while the images of a piece in this state must stay, however old they are: nothing is decided for good, or it escaped."""
    return state is PieceState.ESCAPED or not state.is_terminal


class Rendering(StrEnum):
    """What of a scan was given out."""

    FIGURES = "figures"
    STANDARD = "standard"
    HEAT = "heat"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageViewed:
    """A person was given a rendering of a scan.

    Of a marked piece every time; else once per person, rendering and minute of the clock, however often it was asked for.
    """

    piece_id: str
    visit: int
    at: datetime
    person: str
    scan_sha256: str
    rendering: Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLookedAt:
    """For how long a person had a scan's picture on the screen until `at`, and with the heat map over it for how much of that time.

    Their page says so when the picture leaves the screen; of a page that died there is only the `ImageViewed` that began it.
    """

    piece_id: str
    visit: int
    at: datetime
    person: str
    scan_sha256: str
    shown_ms: int
    heat_ms: int


class DestructionCause(StrEnum):
    """Why images are destroyed."""

    RETENTION = "retention"
    EARLY = "early"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestructionOrder:
    """By what rule, or by whose word and why. `person` is empty where the policy demands it; `policy_sha256` is the policy in force."""

    cause: DestructionCause
    person: str
    note: str
    policy_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesDestroyed:
    """The destruction record: the key of these images no longer exists. It tells nothing of any piece's content.

    `visit` numbers these facts from 1. `images` were destroyed; `roll_sha256` is the SHA-256 of the roll that names their scans.
    """

    piece_id: str
    visit: int
    at: datetime
    key_id: str
    level: Secrecy | None
    images: int
    roll_sha256: str
    order: DestructionOrder
