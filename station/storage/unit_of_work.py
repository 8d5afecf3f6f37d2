"""The queries and the changes of one transaction, over one connection."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NoReturn

from sqlalchemy import Connection

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.domain.events import PieceEvent
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.ports.auditing import LoggedFact, WantedFacts
from station.ports.outbox import EventDigest, OutboxEvent, OutboxStatus
from station.ports.readers import ReaderCounts
from station.ports.store import (
    AuditFact,
    AuditHead,
    AuditLeaf,
    Claim,
    EventRenderer,
    Evidence,
    EvidenceRow,
    ScanOwner,
    StateChange,
    StoredCheckpoint,
)
from station.storage import alarms, audit_log, checkpoints, facts, logged_facts, outbox, pieces, reader_days, small_things
from station.storage.access import SqlAccessUnit, SqlAccessView
from station.storage.report_rows import SqlReportView
from station.storage.salts import FactSalts


class SqlReadView(SqlAccessView, SqlReportView):
    """`station.ports.store.ReadView` over the snapshot of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def piece(self, piece_id: str) -> Piece | None:
        """One piece, or None."""
        return pieces.get(self._connection, piece_id)

    def pieces(
        self,
        *,
        states: Sequence[PieceState] = (),
        lane_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
        levels: Collection[Secrecy] | None = None,
    ) -> list[Piece]:
        """Pieces by state, lane and level, urgent and marked first, then oldest; raises `NotFoundError` for a bad cursor."""
        return pieces.find(self._connection, states=states, lane_id=lane_id, after=after, limit=limit, levels=levels)

    def evidence(self, piece_id: str, visit: int | None = None) -> list[EvidenceRow]:
        """All facts about a piece in commit order."""
        return facts.of_piece(self._connection, piece_id, visit)

    def present_evidence(self, piece_ids: Collection[str]) -> dict[str, list[EvidenceRow]]:
        """All facts about the present visit of each of these pieces in commit order, by piece."""
        return facts.of_present_visits(self._connection, piece_ids)

    def history(self, piece_id: str) -> list[StateChange]:
        """The steps of a piece's life in commit order."""
        return facts.history_of(self._connection, piece_id)

    def scans(self, *, states: Collection[PieceState], since: datetime | None = None) -> list[ScanOwner]:
        """Every scan of pieces that are in one of these states, or came into theirs since then."""
        return facts.scans_of(self._connection, states=states, since=since)

    def owners(self, sha256: str) -> list[ScanOwner]:
        """The pieces of which this scan is in evidence."""
        return facts.owners_of(self._connection, sha256)

    def recent(self, *, lane_id: str, limit: int, levels: Collection[Secrecy] | None = None) -> list[Piece]:
        """The pieces of a lane that last got their outcome, newest first."""
        return pieces.with_outcome(self._connection, lane_id=lane_id, limit=limit, levels=levels)

    def claim(self, piece_id: str) -> Claim | None:
        """The lease on a piece, expired or not."""
        return small_things.claim_on(self._connection, piece_id)

    def claims(self, piece_ids: Collection[str]) -> dict[str, Claim]:
        """The leases on these pieces, expired or not, by piece."""
        return small_things.claims_on(self._connection, piece_ids)

    def alarms(self, *, active_only: bool = True, limit: int = 200) -> list[Alarm]:
        """Alarms that are active or unacknowledged (or all), newest first."""
        return alarms.find(self._connection, active_only=active_only, limit=limit)

    def value(self, key: str) -> str | None:
        """A small persistent value."""
        return small_things.value_of(self._connection, key)

    def outbox_depth(self) -> tuple[int, int, int]:
        """(events that were written, receipted, blocked)."""
        status = outbox.status(self._connection)
        return status.written, status.receipted, status.blocked

    def oldest_pending_at(self) -> datetime | None:
        """When the oldest event without a receipt was written."""
        return outbox.oldest_pending_at(self._connection)

    def outbox_status(self) -> OutboxStatus:
        """The outbox in figures."""
        return outbox.status(self._connection)

    def due_events(
        self, now: datetime, *, limit: int, excluding: Collection[str] = (), least_tried_first: bool = False
    ) -> list[OutboxEvent]:
        """Pending heads of line that are due, oldest first."""
        return outbox.due(self._connection, now, limit=limit, excluding=excluding, least_tried_first=least_tried_first)

    def troubled_events(self, *, limit: int) -> list[OutboxEvent]:
        """Events that are blocked, or were tried in vain: blocked ones first, then oldest first."""
        return outbox.troubled(self._connection, limit=limit)

    def first_events(
        self, *, piece_id: str | None = None, since: datetime | None = None, blocked_only: bool = False
    ) -> list[tuple[str, int]]:
        """For each piece (or the one that is named) the sequence of its first event that was written since then, or is blocked."""
        return outbox.first_of_each(self._connection, piece_id=piece_id, since=since, blocked_only=blocked_only)

    def event_digests(self, start: datetime, end: datetime) -> list[EventDigest]:
        """Every event that was written from `start` on and before `end`, with those of whole days that are elsewhere."""
        return outbox.digests(self._connection, start, end)

    def events_of(self, piece_id: str) -> list[OutboxEvent]:
        """All events of a piece in order."""
        return outbox.of_piece(self._connection, piece_id)

    def reader_counts(self, first: date, last: date) -> list[ReaderCounts]:
        """What each reader did from day to day (UTC, both included)."""
        return reader_days.between(self._connection, first, last)

    def audit_head(self) -> AuditHead:
        """Size and root of the audit log."""
        return audit_log.read_head(self._connection)

    def audit_leaves(self, *, start: int, limit: int) -> list[AuditLeaf]:
        """Leaves from index `start` on, in order."""
        return audit_log.read_leaves(self._connection, start=start, limit=limit)

    def audit_facts(self, *, start: int, limit: int) -> list[AuditFact]:
        """Facts from that of leaf `start` on, in order."""
        return audit_log.read_facts(self._connection, start=start, limit=limit)

    def audit_rows(self, *, start: int, limit: int) -> tuple[int, bytes] | None:
        """(place after the last one, all as they lie) of facts from that of leaf `start` on; None when there are no more."""
        return audit_log.read_rows(self._connection, start=start, limit=limit)

    def logged_facts(self, wanted: WantedFacts) -> list[LoggedFact]:
        """Facts with their leaves, newest first, of what may be told."""
        return logged_facts.find(self._connection, wanted)

    def audit_facts_of(self, piece_id: str) -> list[AuditFact]:
        """Every fact about a piece, in order."""
        return audit_log.read_facts_of(self._connection, piece_id)

    def checkpoints(self, *, above: int, limit: int) -> list[StoredCheckpoint]:
        """Checkpoints of more than `above` leaves, smallest first."""
        return checkpoints.read(self._connection, above=above, limit=limit)

    def newest_checkpoint(self, *, witnessed: bool = False) -> StoredCheckpoint | None:
        """The checkpoint of the most leaves, or of the most leaves that a witness signed."""
        return checkpoints.newest(self._connection, witnessed=witnessed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What the store cannot know by itself: how events are written, and with what salts facts are committed to."""

    render: EventRenderer
    salts: FactSalts


class SqlUnitOfWork(SqlReadView, SqlAccessUnit):
    """`station.ports.store.UnitOfWork`: changes of one transaction, which somebody else commits."""

    def __init__(self, connection: Connection, injected: Injected) -> None:
        super().__init__(connection)
        self._injected = injected
        self._log = audit_log.AuditAppender(connection)

    def mark(self) -> tuple[int, int, tuple[bytes, ...]]:
        """Where the state outside the database stands, for `undo`."""
        return self._log.mark()

    def undo(self, mark: tuple[int, int, tuple[bytes, ...]]) -> None:
        """The savepoint that began at `mark` was rolled back."""
        self._log.undo(mark)

    def flush(self) -> None:
        """Write what was gathered; the commit follows."""
        self._log.flush()

    def audit_head(self) -> AuditHead:
        """Size and root of the audit log with the leaves of this transaction."""
        return self._log.head()

    def announce(self, announcement: Announcement, at: datetime) -> Piece:
        """Insert or update an announced piece (idempotent); raises `ConflictError` when it is past `announced` and differs.

        A piece that came unannounced takes its announcement as long as it is on the site. What was announced, and each change of it, is a
        fact with an audit leaf.
        """
        before, piece = pieces.announce(self._connection, announcement, at)
        if before is None:
            self._record(piece, None, at)
        if before != piece:
            facts.append_announcement(self._connection, self._log, piece, at, self._injected.salts)
        return piece

    def add_piece(self, piece: Piece) -> Piece:
        """Insert a piece that nobody announced."""
        pieces.add(self._connection, piece)
        self._record(piece, None, piece.state_since)
        return piece

    def change_state(
        self,
        piece_id: str,
        state: PieceState,
        at: datetime,
        *,
        reasons: Sequence[str] = (),
        lane_id: str | None = None,
        visit: int | None = None,
    ) -> Piece:
        """Move a piece along its lifecycle table (raises `TransitionError`); appends an audit leaf of the change."""
        before, after = pieces.move(self._connection, piece_id, state, at, reasons=reasons, lane_id=lane_id, visit=visit)
        self._record(after, before.state, at, reasons)
        return after

    def append(self, evidence: Evidence) -> EvidenceRow:
        """Append a fact and its audit leaf."""
        row_id, leaf_index = facts.append(self._connection, self._log, evidence, self._injected.salts)
        reader_days.count(self._connection, evidence)
        return facts.row_of(self._connection, evidence, row_id, leaf_index)

    def publish(self, event: PieceEvent) -> None:
        """Append an event to the outbox with the piece's next sequence number."""
        sequence = outbox.next_sequence(self._connection, event.piece_id)
        outbox.append(self._connection, event.piece_id, sequence, self._injected.render(event, sequence), event.at)

    def mark_receipted(self, piece_id: str, sequence: int, receipt: str, at: datetime) -> None:
        """The receiver's receipt for an event is here."""
        outbox.mark_receipted(self._connection, piece_id, sequence, receipt, at)

    def mark_retry(self, piece_id: str, sequence: int, next_attempt_at: datetime, error: str) -> None:
        """An attempt failed; try again at that time."""
        outbox.mark_retry(self._connection, piece_id, sequence, next_attempt_at, error)

    def mark_blocked(self, piece_id: str, sequence: int, error: str) -> None:
        """An event can never be delivered as it is; it blocks its own piece."""
        outbox.mark_blocked(self._connection, piece_id, sequence, error)

    def reopen_events(self, piece_id: str, from_sequence: int, at: datetime) -> int:
        """Make receipted or blocked events of a piece from that sequence on pending and due again."""
        return outbox.reopen(self._connection, piece_id, from_sequence, at)

    def leave_elsewhere(self, event: EventDigest, day: date) -> bool:
        """Keep the number of an event that only the receiver has; False when an event of that number is known already."""
        return outbox.leave_elsewhere(self._connection, event, day)

    def hasten_events(self, at: datetime) -> None:
        """Have every event that waits for its next attempt tried at once."""
        outbox.hasten(self._connection, at)

    def next_number(self, counter: str, *, at_least: int = 1) -> int:
        """The next value of a named, durable counter; numbers below `at_least` are left out."""
        return small_things.next_number(self._connection, counter, at_least)

    def set_claim(self, claim: Claim | None, piece_id: str) -> None:
        """Set or drop the lease on a piece."""
        small_things.set_claim(self._connection, claim, piece_id)

    def raise_alarm(self, code: AlarmCode, priority: AlarmPriority, subject: str, detail: str, at: datetime) -> Alarm:
        """Raise an alarm, or bring the active one with the same code and subject up to date.

        An empty detail and a lower priority change nothing; one that was acknowledged calls anew if its priority rises.
        """
        return alarms.raise_one(self._connection, code, priority, subject, detail, at)

    def clear_alarm(self, code: AlarmCode, subject: str, at: datetime) -> bool:
        """The cause is gone. True when the alarm stood."""
        return alarms.clear(self._connection, code, subject, at)

    def acknowledge_alarm(self, alarm_id: int, person: str, at: datetime) -> Alarm:
        """A person has seen it; raises `NotFoundError`."""
        return alarms.acknowledge(self._connection, alarm_id, person, at)

    def set_value(self, key: str, value: str) -> None:
        """Set a small persistent value."""
        small_things.set_value(self._connection, key, value)

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint of the first `size` leaves; a repetition changes nothing. Raises `StoreError` when there is another."""
        checkpoints.add(self._connection, size, note)

    def add_cosignature(self, size: int, line: str) -> None:
        """Keep a witness's signature line on the checkpoint of that size."""
        checkpoints.add_cosignature(self._connection, size, line)

    def remember_request(self, key: str, fingerprint: str, answer: str) -> None:
        """Store the answer to a request under its idempotency key."""
        small_things.remember_request(self._connection, key, fingerprint, answer)

    def answer_for(self, key: str) -> tuple[str, str] | None:
        """(fingerprint, answer) of an earlier request with this idempotency key."""
        return small_things.answer_for(self._connection, key)

    def forget_request(self, key: str) -> None:
        """Take an answer back."""
        small_things.forget_request(self._connection, key)

    def _record(self, piece: Piece, before: PieceState | None, at: datetime, reasons: Sequence[str] = ()) -> None:
        change = StateChange(
            piece_id=piece.piece_id,
            visit=piece.visit,
            at=at,
            before=before,
            after=piece.state,
            reasons=tuple(str(reason) for reason in reasons),
            lane_id=piece.lane_id,
        )
        facts.append(self._connection, self._log, change, self._injected.salts)


def refuse_events(event: PieceEvent, sequence: int) -> NoReturn:
    """Renderer of a store that was opened without one; raises `StoreError`."""
    raise StoreError(
        f"Event {sequence} of piece {event.piece_id} cannot be written: the store was opened without a message format",
        consequence="Nothing was stored",
        remedy="Report this as a programming error",
    )
