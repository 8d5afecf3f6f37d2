"""What a report counts: stored facts, alarms and events by the time they carry, page by page."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from station.domain.piece import PieceState, Secrecy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTS, _DIGITS = 4, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Up to where a report has looked: facts of the audit log, alarms and events by number, and the moment (aware UTC).

    What is stored later is not in it, whatever time it carries, so that a list asked for later still fits the number.
    """

    leaves: int
    alarms: int
    events: int
    as_of: datetime

    @property
    def token(self) -> str:
        """The snapshot as text: four numbers."""
        return f"{self.leaves}.{self.alarms}.{self.events}.{(self.as_of - _EPOCH) // timedelta(microseconds=1)}"

    @classmethod
    def parse(cls, token: str) -> "Snapshot":
        """Read a `token`. Raises `ValueError` for a text that is none."""
        parts = token.split(".")
        if len(parts) != _PARTS or not all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in parts):
            raise ValueError(f"{token!r} is no snapshot")
        leaves, alarms, events, microseconds = map(int, parts)
        try:
            as_of = _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError as error:
            raise ValueError(f"{token!r} is no snapshot") from error
        return cls(leaves=leaves, alarms=alarms, events=events, as_of=as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    """An event of the outbox without its body, as it stands now. `state` is pending, receipted or blocked."""

    piece_id: str
    sequence: int
    event_id: str
    state: str
    attempts: int
    receipted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFact:
    """One thing that a report counts, with what is known of its piece now.

    `number` is its place: of a fact its row, of an alarm or an event its own number. `content` is the fact, an `Alarm` or a `SentEvent`.
    `since` is when what a person decided about had begun to wait: the scan of an `OperatorReading`, the claim of a `ReviewDecision`; None
    where there is no such moment. `exercise`: a threat had been projected for the reader on that visit. `kind` and `level` are its piece's
    as they are now, `state` and what it is held for (`reasons`) as in the snapshot, known of what people and models said of it and of
    views; of what is about no piece they are empty.
    """

    number: int
    at: datetime
    content: Any
    piece_id: str = ""
    visit: int = 0
    since: datetime | None = None
    exercise: bool = False
    kind: str = ""
    level: Secrecy | None = None
    state: PieceState | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWindow:
    """What to read: from `start` (included) to `end` (not included) by the time that facts carry, within a snapshot.

    `levels`: only pieces that count as one of these, and unmarked ones. `holds`: only facts whose canonical JSON has this in it.
    """

    start: datetime
    end: datetime
    levels: Collection[Secrecy]
    snapshot: Snapshot
    holds: str = ""


Place = tuple[datetime, int]
"""Time and number of what a page ended with."""


class ReportView(Protocol):
    """Queries for reports. Every list is in the order of time and number, and goes on after a `Place`."""

    def report_snapshot(self, as_of: datetime) -> Snapshot:
        """Everything that is stored."""
        ...

    def facts_between(self, kind: type[Any], window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
        """Facts of one type; those about a piece only if the piece is known and of one of the levels."""
        ...

    def alarms_between(self, window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
        """Alarms by the time at which they were raised, of whatever they are about."""
        ...

    def events_between(self, window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
        """Events to the tracking system by the time at which they were written, of pieces of these levels."""
        ...
