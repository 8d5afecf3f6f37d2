"""What is recorded of each comparison of a day's events with the receiver's."""

from dataclasses import dataclass
from datetime import datetime

TRACKING_SUBJECT = "TRACKING"
"""Under this name the facts about compared days stand, where a piece's stand under its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReconciled:
    """A day (UTC, ISO) was compared with the receiver. `visit` numbers these facts from 1; `ours` and `theirs` are numbers of events."""

    piece_id: str
    visit: int
    at: datetime
    day: str
    ours: int
    theirs: int
    agrees: bool
