"""Facts about the model's own trust: what it was taken from it for, and who gave it back."""

from dataclasses import dataclass
from datetime import datetime

STATE_UNREADABLE = "state-unreadable"
"""What a cause is called when the record of the watch itself cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCause:
    """One thing that went over its limit.

    `what` names it: `scores <kind>`, `scores overall`, `image <figure>` or `state-unreadable`. `measured` and `limit` are the capital and
    its level, or the figure and the bound that it left.
    """

    what: str
    measured: float
    limit: float

    @property
    def about_scores(self) -> bool:
        """True when the calibration itself is in doubt: only another one gives the trust back."""
        return self.what.startswith("scores ")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTrip:
    """The guarantee of the model's threshold no longer stands; from this piece on the model clears nothing.

    Piece, visit and scan are those of the reading that tripped it.
    """

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    scan_sha256: str
    model_sha256: str
    calibration_sha256: str
    causes: tuple[DriftCause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReset:
    """A supervisor let the model clear again. Piece and visit are those of the trip that this answers."""

    piece_id: str
    visit: int
    at: datetime
    person: str
    note: str
    model_sha256: str
    calibration_sha256: str
