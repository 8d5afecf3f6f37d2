"""The outbox: events to the tracking system, each waiting for its receipt."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

LONGEST_WAIT = timedelta(minutes=5)
"""No event waits longer for its next attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """One event of the outbox. `state` is pending, receipted or blocked; `attempts` counts failed ones."""

    piece_id: str
    sequence: int
    event_id: str
    body: str
    created_at: datetime
    state: str
    attempts: int
    next_attempt_at: datetime
    last_error: str
    receipt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """What stands in the outbox. `oldest_pending_at` is when the oldest event without a receipt was written."""

    written: int
    receipted: int
    blocked: int
    pending: int
    oldest_pending_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDigest:
    """An event in short, to be compared with the other side's. `receipted`: its receipt is here (at the receiver: it gave one)."""

    piece_id: str
    sequence: int
    event_id: str
    body_sha256: str
    receipted: bool = True


class OutboxView(Protocol):
    """Queries over the outbox."""

    def outbox_depth(self) -> tuple[int, int, int]:
        """(events that were written, receipted, blocked)."""
        ...

    def oldest_pending_at(self) -> datetime | None:
        """When the oldest event without a receipt was written. Quick, however long the outbox is."""
        ...

    def outbox_status(self) -> OutboxStatus:
        """The outbox in figures."""
        ...

    def due_events(
        self, now: datetime, *, limit: int, excluding: Collection[str] = (), least_tried_first: bool = False
    ) -> list[OutboxEvent]:
        """For each piece (none of `excluding`) its first event without a receipt, if that is pending and due; oldest first.

        One whose next attempt is more than `LONGEST_WAIT` away is due: the clock was set back since.
        """
        ...

    def events_of(self, piece_id: str) -> list[OutboxEvent]:
        """All events of a piece in order."""
        ...

    def troubled_events(self, *, limit: int) -> list[OutboxEvent]:
        """Events that are blocked, or were tried in vain: blocked ones first, then oldest first."""
        ...

    def first_events(
        self, *, piece_id: str | None = None, since: datetime | None = None, blocked_only: bool = False
    ) -> list[tuple[str, int]]:
        """For each piece (or the one that is named) the sequence of its first event that was written since then, or is blocked."""
        ...

    def event_digests(self, start: datetime, end: datetime) -> list[EventDigest]:
        """Every event that was written from `start` on and before `end`, also those that are elsewhere; by piece and sequence."""
        ...


class OutboxChanges(Protocol):
    """Changes of the outbox, besides publishing."""

    def mark_receipted(self, piece_id: str, sequence: int, receipt: str, at: datetime) -> None:
        """The receiver's receipt (JSON text) for an event is here. Idempotent."""
        ...

    def mark_retry(self, piece_id: str, sequence: int, next_attempt_at: datetime, error: str) -> None:
        """An attempt failed; try again at that time. Leaves an event alone that is not pending."""
        ...

    def mark_blocked(self, piece_id: str, sequence: int, error: str) -> None:
        """An event can never be delivered as it is; it blocks its own piece."""
        ...

    def reopen_events(self, piece_id: str, from_sequence: int, at: datetime) -> int:
        """Make receipted or blocked events of a piece from that sequence on pending and due again; returns how many changed.

        A receipt that was there stays until the next one: it tells what the receiver once said.
        """
        ...

    def leave_elsewhere(self, event: EventDigest, day: date) -> bool:
        """Keep the number of an event of that day (UTC) that only the receiver has, so that it is never given again; lower numbers first.

        False when an event of that number is known already.
        """
        ...

    def hasten_events(self, at: datetime) -> None:
        """Have every event that waits for its next attempt tried at once."""
        ...
