"""What is known of a file in a backup, and what is recorded when a station goes on from one."""

from dataclasses import dataclass
from datetime import datetime

RESTORED_SUBJECT = "STORE"
"""Under this name the facts about restored backups stand, where a piece's stand under its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpFile:
    """One file: its place in the backup, its size, its SHA-256, and when its original was last changed (ns since 1970)."""

    path: str
    size: int
    sha256: str
    changed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored:
    """The station goes on from a backup; what it did between `made_at` and `at` is in no record of its own.

    `visit` numbers these facts from 1. `leaves` is how many leaves of the audit log were in the backup, `lost_leaves` how many more the
    station's own newest checkpoint had (0: as far as was known). `lost_events` is how many events the receiver has from the lost time.
    """

    piece_id: str
    visit: int
    at: datetime
    backup: str
    made_at: datetime
    leaves: int
    lost_leaves: int
    lost_events: int
    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRestored:
    """Something may have become of this piece in the time that was lost: until people have cleared it, it is held.

    `visit` is the last one that the backup knew, 0 for a piece of which only the receiver knows. `lost_events` is how many events of it
    the receiver has from the lost time.
    """

    piece_id: str
    visit: int
    at: datetime
    backup: str
    lost_events: int
