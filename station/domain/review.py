"""Facts that people add: the operator's reading of a scan, the decision of a review, a hand-over."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OperatorDecision(StrEnum):
    """What the operator of a lane may decide within the window."""

    CLEAR = "clear"
    HOLD = "hold"
    FREEZE = "freeze"


class ReviewOutcome(StrEnum):
    """What a reviewer may decide about a held piece."""

    CLEAR = "clear"
    REJECT = "reject"
    HOLD = "hold"
    SECOND_OPINION = "second_opinion"
    """Somebody else shall look at it, and from now on two must clear it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorReading:
    """An operator read one scan. `blind` tells that the model's finding was not shown before the decision."""

    piece_id: str
    visit: int
    at: datetime
    scan_sha256: str
    person: str
    decision: OperatorDecision
    blind: bool
    projected_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDecision:
    """A reviewer decided about a held piece, looking at one scan."""

    piece_id: str
    visit: int
    at: datetime
    scan_sha256: str | None
    person: str
    outcome: ReviewOutcome
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A piece left the station by hand: back to its sender, or to the competent force."""

    piece_id: str
    visit: int
    at: datetime
    to: str
    person: str
