"""What people say became of something that passed a gate without a permit."""

from dataclasses import dataclass
from datetime import datetime

ESCAPE_SUBJECT = "ESCAPE"
"""Under this name stand the facts about what escaped without anybody knowing what it was, where a piece's stand under its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscapeSettled:
    """A person accounts for an escape: it is found, or others have taken the search over. `note` says which.

    Piece and visit are those of the piece that escaped; of something unknown `ESCAPE_SUBJECT`, and the number of its alarm. `subject` is
    the alarm's.
    """

    piece_id: str
    visit: int
    at: datetime
    subject: str
    person: str
    note: str
