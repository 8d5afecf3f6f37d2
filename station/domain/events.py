"""What the station tells the tracking system about a piece (contract: tracking events)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.domain.disinfection import DisinfectionResult
from station.domain.piece import Secrecy
from station.domain.reasons import Reason


class PieceStatus(StrEnum):
    """Statuses that are sent, each exactly once in effect and in order per piece."""

    ARRIVED = "arrived"
    SCREENED = "screened"
    HELD = "held"
    CLEARED = "cleared"
    DISINFECTED = "disinfected"
    RELEASED = "released"
    REJECTED = "rejected"
    FROZEN = "frozen"
    HANDED_OVER = "handed_over"
    RETURNED = "returned"
    ESCAPED = "escaped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceEvent:
    """One status of one piece, before it gets its sequence number from the outbox.

    `secrecy` is the level that the piece counts as: A when it is not known (`announced` is False), and then it is not sent as its level.
    `destination` is where the piece was announced to go, empty when nobody said; it leaves only where the site's policy says so.
    `reasons` are left out by the message builder for a marked piece wherever they describe content.
    """

    piece_id: str
    visit: int
    status: PieceStatus
    at: datetime
    lane_id: str
    secrecy: Secrecy | None
    announced: bool = True
    reasons: tuple[Reason, ...] = ()
    outcome: str | None = None
    policy_sha256: str | None = None
    model_sha256: str | None = None
    disinfection: DisinfectionResult | None = None
    destination: str = ""
