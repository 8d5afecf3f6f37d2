"""The life of a piece: one literal table; anything that is not in it raises and changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from station.domain.errors import TransitionError


class Secrecy(StrEnum):
    """Secrecy level (độ mật). An unknown level counts as A; an unmarked piece has none."""

    A = "A"
    B = "B"
    C = "C"


class Urgency(StrEnum):
    """Urgency (độ khẩn)."""

    EXPRESS = "hoa_toc"
    TIMED = "hen_gio"


class PieceState(StrEnum):
    """Where a piece is in its life."""

    ANNOUNCED = "announced"
    ARRIVED = "arrived"
    SCANNING = "scanning"
    SCANNED = "scanned"
    CLEARED = "cleared"
    HELD = "held"
    IN_REVIEW = "in_review"
    REJECTED = "rejected"
    DISINFECTING = "disinfecting"
    DISINFECTED = "disinfected"
    RELEASED = "released"
    RETURNED = "returned"
    HANDED_OVER = "handed_over"
    FROZEN = "frozen"
    ESCAPED = "escaped"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """True when nothing can follow."""
        return not TRANSITIONS[self]


_S = PieceState
TRANSITIONS: MappingProxyType[PieceState, frozenset[PieceState]] = MappingProxyType(
    {
        _S.ANNOUNCED: frozenset({_S.ARRIVED, _S.CANCELLED}),
        _S.ARRIVED: frozenset({_S.SCANNING, _S.HELD, _S.FROZEN, _S.ESCAPED}),
        _S.SCANNING: frozenset({_S.SCANNED, _S.HELD, _S.FROZEN, _S.ESCAPED}),
        _S.SCANNED: frozenset({_S.CLEARED, _S.HELD, _S.FROZEN, _S.ESCAPED}),
        _S.CLEARED: frozenset({_S.DISINFECTING, _S.HELD, _S.ARRIVED, _S.FROZEN, _S.ESCAPED}),
        _S.HELD: frozenset({_S.IN_REVIEW, _S.ARRIVED, _S.FROZEN, _S.ESCAPED}),
        _S.IN_REVIEW: frozenset({_S.CLEARED, _S.REJECTED, _S.HELD, _S.FROZEN, _S.ESCAPED}),
        _S.REJECTED: frozenset({_S.RETURNED, _S.HANDED_OVER, _S.ESCAPED}),
        _S.DISINFECTING: frozenset({_S.DISINFECTED, _S.HELD, _S.FROZEN, _S.ESCAPED}),
        _S.DISINFECTED: frozenset({_S.RELEASED, _S.HELD, _S.FROZEN, _S.ESCAPED}),
        _S.FROZEN: frozenset({_S.HELD, _S.HANDED_OVER, _S.ESCAPED}),
        _S.RELEASED: frozenset(),
        _S.RETURNED: frozenset(),
        _S.HANDED_OVER: frozenset(),
        _S.ESCAPED: frozenset(),
        _S.CANCELLED: frozenset(),
    }
)

FIRST_STATES = frozenset({_S.ANNOUNCED, _S.ARRIVED})
"""States in which a piece may become known."""

ON_LANE_STATES = frozenset({_S.ARRIVED, _S.SCANNING, _S.SCANNED, _S.CLEARED, _S.DISINFECTING, _S.DISINFECTED})
"""States of a piece that rides on the belts (a cleared piece may also lie in the hold bin)."""


def change_state(current: PieceState | None, new: PieceState) -> PieceState:
    """Return `new` if the lifecycle allows it from `current` (None: not known yet).

    Raises:
        TransitionError: the table has no such entry; the caller must change nothing.
    """
    allowed = FIRST_STATES if current is None else TRANSITIONS[current]
    if new not in allowed:
        raise TransitionError(
            f"A piece cannot go from {current.value if current else 'unknown'} to {new.value}",
            consequence="Nothing was changed",
            remedy="Look at the piece's history; hold it if in doubt",
        )
    return new


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Pre-advice of the tracking system: routing data only, never title or content.

    `length_mm`, `width_mm`, `height_mm` and `weight_g` are what the sender declared; None means not declared.
    `kind` is envelope, packet, parcel, or unknown.
    """

    piece_id: str
    secrecy: Secrecy | None = None
    urgency: Urgency | None = None
    destination: str = ""
    sender_unit: str = ""
    kind: str = "unknown"
    length_mm: float | None = None
    width_mm: float | None = None
    height_mm: float | None = None
    weight_g: float | None = None


UNDECIDED = frozenset({_S.ARRIVED, _S.SCANNING, _S.SCANNED, _S.HELD, _S.IN_REVIEW, _S.FROZEN})
"""States of a piece about which somebody may yet have to read blind, or to decide as the second."""


def level_of(announcement: Announcement | None, *, announced: bool) -> Secrecy | None:
    """The level that a piece counts as, so whether it counts as marked: A while nobody has announced it; None means unmarked."""
    return announcement.secrecy if announced and announcement is not None else Secrecy.A


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece as the station knows it now.

    `announced` is False for one that came before its announcement, or without any: what `announcement` says of it is then nothing.
    `visit` counts how often it was fed in (0 while only announced); `state_since` is aware UTC; `reasons` are those of the
    last hold; `lane_id` is where it was seen last; `row_version` rises with every change.
    """

    piece_id: str
    state: PieceState
    visit: int
    state_since: datetime
    announcement: Announcement
    announced: bool
    lane_id: str | None = None
    reasons: tuple[str, ...] = ()
    row_version: int = 0

    @property
    def secrecy(self) -> Secrecy | None:
        """The secrecy level that was announced; None where none was. What the piece counts as: `level`."""
        return self.announcement.secrecy

    @property
    def level(self) -> Secrecy | None:
        """The level that the piece counts as; None means unmarked."""
        return level_of(self.announcement, announced=self.announced)

    @property
    def is_marked(self) -> bool:
        """True when the piece counts as one of any level of secrecy."""
        return self.level is not None
