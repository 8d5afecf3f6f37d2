"""The system of record."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from station.domain.accounts import AccessFact
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.backup import RecordRestored, StoreRestored
from station.domain.clearance import Clearance, Identification
from station.domain.disinfection import DisinfectionResult
from station.domain.drift import DriftReset, DriftTrip
from station.domain.escape import EscapeSettled
from station.domain.events import PieceEvent
from station.domain.freeze import FreezeFact
from station.domain.gate import GateAction, Permit, Refusal
from station.domain.measurement import InfeedMeasurement
from station.domain.model_use import ModelInUse
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.domain.projection import ProjectionResult
from station.domain.reconciled import DayReconciled
from station.domain.review import Handover, OperatorReading, ReviewDecision
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.domain.shift import ShiftHandedOver, ShiftTakenOver
from station.domain.test_piece import TestPieceReferenceEnded, TestPieceRun
from station.domain.vault import ImageLookedAt, ImagesDestroyed, ImageViewed
from station.ports.access import AccessUnit, AccessView
from station.ports.outbox import OutboxChanges, OutboxView
from station.ports.readers import ReaderCounts
from station.ports.reporting import ReportView

if TYPE_CHECKING:
    from station.ports.auditing import LoggedFact, WantedFacts

T = TypeVar("T")


Evidence = (
    Identification
    | InfeedMeasurement
    | Scan
    | ModelReading
    | OperatorReading
    | ReviewDecision
    | ImageMatch
    | Clearance
    | DisinfectionResult
    | Permit
    | Refusal
    | GateAction
    | Handover
    | EscapeSettled
    | DriftTrip
    | DriftReset
    | ModelInUse
    | TestPieceReferenceEnded
    | TestPieceRun
    | ProjectionResult
    | ImageViewed
    | ImageLookedAt
    | ImagesDestroyed
    | AccessFact
    | FreezeFact
    | DayReconciled
    | RecordRestored
    | StoreRestored
    | ShiftHandedOver
    | ShiftTakenOver
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One stored fact; `row_id` rises in the order of commits; `leaf_index` is its place in the audit log."""

    row_id: int
    piece_id: str
    visit: int
    at: datetime
    evidence: Evidence
    leaf_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One step of a piece's life, itself a stored fact with an audit leaf. `before` is None when the piece became known."""

    piece_id: str
    visit: int
    at: datetime
    before: PieceState | None
    after: PieceState
    reasons: tuple[str, ...]
    lane_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLeaf:
    """One leaf of the audit log, read without trusting it.

    `commitment` is what `station.domain.commitment` makes of its fact, the entry of the leaf; None when what is stored is no hash at all.
    """

    leaf_index: int
    commitment: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFact:
    """One stored fact as its leaf commits to it, read without trusting it. The fact of leaf n has `row_id` n + 1.

    `content` is the RFC 8785 canonical JSON of the whole row, `salt` the fact's own and its piece's (of facts from before there were parts:
    its own alone). Both are None when the row cannot be what was once written: a column
    of another type, or a scan's hash that is not the one in its payload. `row` is then empty; else it is the whole row as it lies there,
    every column, written so that two rows that differ in anything differ here.
    """

    row_id: int
    leaf_index: int | None
    salt: bytes | None
    content: bytes | None
    row: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A signed checkpoint of the audit log with the signature lines of witnesses that came for it."""

    size: int
    note: str
    cosignatures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """Size and RFC 6962 root hash of the audit log; `frontier` are the roots of its perfect subtrees, largest first."""

    size: int
    root: bytes
    frontier: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedEvent:
    """A piece's event as it goes out: its stable id and the exact body that every attempt sends."""

    event_id: str
    body: str


EventRenderer = Callable[[PieceEvent, int], RenderedEvent]
"""Makes the outgoing message of an event and its sequence number (given to the store when it is opened)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A reviewer's lease on a held piece."""

    piece_id: str
    person: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOwner:
    """A scan that is in evidence, and the level that its piece counts as now."""

    sha256: str
    piece_id: str
    level: Secrecy | None


class ReadView(AccessView, OutboxView, ReportView, Protocol):
    """Read-only queries over one consistent snapshot of the store."""

    def piece(self, piece_id: str) -> Piece | None:
        """One piece, or None."""
        ...

    def pieces(
        self,
        *,
        states: Sequence[PieceState] = (),
        lane_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
        levels: Collection[Secrecy] | None = None,
    ) -> list[Piece]:
        """Pieces by state and lane: urgent and marked first, then oldest; `after` is the cursor (a piece id) of the last page.

        With `levels` only pieces that count as one of these, and unmarked ones.
        """
        ...

    def evidence(self, piece_id: str, visit: int | None = None) -> list[EvidenceRow]:
        """All facts about a piece in commit order."""
        ...

    def present_evidence(self, piece_ids: Collection[str]) -> dict[str, list[EvidenceRow]]:
        """All facts about the present visit of each of these pieces in commit order, by piece; without those about which there are none."""
        ...

    def scans(self, *, states: Collection[PieceState], since: datetime | None = None) -> list[ScanOwner]:
        """Every scan of pieces that are in one of these states, or, where that is given, came into theirs since then."""
        ...

    def owners(self, sha256: str) -> list[ScanOwner]:
        """The pieces of which this scan is in evidence: more than one where the raw counts are the very same."""
        ...

    def recent(self, *, lane_id: str, limit: int, levels: Collection[Secrecy] | None = None) -> list[Piece]:
        """The pieces of a lane that last got their outcome (released, held, rejected, …), newest first; `levels` as above."""
        ...

    def claim(self, piece_id: str) -> Claim | None:
        """The lease on a piece, expired or not."""
        ...

    def claims(self, piece_ids: Collection[str]) -> dict[str, Claim]:
        """The leases on these pieces, expired or not, by piece."""
        ...

    def alarms(self, *, active_only: bool = True, limit: int = 200) -> list[Alarm]:
        """Alarms that are active or unacknowledged (or all), newest first."""
        ...

    def value(self, key: str) -> str | None:
        """A small persistent value of the station (for example when the test piece passed last)."""
        ...

    def history(self, piece_id: str) -> list[StateChange]:
        """The steps of a piece's life in commit order."""
        ...

    def reader_counts(self, first: date, last: date) -> list[ReaderCounts]:
        """What each reader did from day to day (UTC, both included): people, then models, each by name."""
        ...

    def audit_head(self) -> AuditHead:
        """Size and root of the audit log."""
        ...

    def audit_leaves(self, *, start: int, limit: int) -> list[AuditLeaf]:
        """Leaves from index `start` on, in order."""
        ...

    def audit_facts(self, *, start: int, limit: int) -> list[AuditFact]:
        """Facts from that of leaf `start` on (by their own numbers), in order."""
        ...

    def audit_rows(self, *, start: int, limit: int) -> tuple[int, bytes] | None:
        """(place after the last one, `AuditFact.row` of all) of up to `limit` facts from that of leaf `start` on; None: there are no more.

        A tenth of what `audit_facts` takes. Nothing is compared: of a row that the station cannot have written something else stands there.
        Raises `StoreError` also for text that is no text.
        """
        ...

    def logged_facts(self, wanted: "WantedFacts") -> "list[LoggedFact]":
        """Facts with their leaves, newest first, of what may be told."""
        ...

    def audit_facts_of(self, piece_id: str) -> list[AuditFact]:
        """Every fact about a piece, read like `audit_facts`, in order."""
        ...

    def checkpoints(self, *, above: int, limit: int) -> list[StoredCheckpoint]:
        """Checkpoints of more than `above` leaves, smallest first."""
        ...

    def newest_checkpoint(self, *, witnessed: bool = False) -> StoredCheckpoint | None:
        """The checkpoint of the most leaves, or that of the most leaves that a witness signed."""
        ...


class UnitOfWork(ReadView, AccessUnit, OutboxChanges, Protocol):
    """All changes of one transaction. Nothing is visible or durable before it commits; the store commits, never the caller."""

    def announce(self, announcement: Announcement, at: datetime) -> Piece:
        """Insert or update an announced piece (idempotent); raises `ConflictError` when it is past `announced` and differs.

        A piece that came unannounced takes its announcement as long as it is on the site. What was announced, and each change of it, is a
        fact with an audit leaf.
        """
        ...

    def add_piece(self, piece: Piece) -> Piece:
        """Insert a piece that nobody announced."""
        ...

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
        ...

    def append(self, evidence: Evidence) -> EvidenceRow:
        """Append a fact and its audit leaf."""
        ...

    def publish(self, event: PieceEvent) -> None:
        """Append an event to the outbox with the piece's next sequence number, in the same transaction."""
        ...

    def next_number(self, counter: str, *, at_least: int = 1) -> int:
        """The next value of a named, durable, gap-free counter (tags, acquisitions, local ids); numbers below `at_least` are left out."""
        ...

    def set_claim(self, claim: Claim | None, piece_id: str) -> None:
        """Set or drop the lease on a piece."""
        ...

    def raise_alarm(self, code: AlarmCode, priority: AlarmPriority, subject: str, detail: str, at: datetime) -> Alarm:
        """Raise an alarm, or bring the active one with the same code and subject up to date.

        An empty detail and a lower priority change nothing; one that was acknowledged calls anew if its priority rises.
        """
        ...

    def clear_alarm(self, code: AlarmCode, subject: str, at: datetime) -> bool:
        """The cause is gone. True when the alarm stood."""
        ...

    def acknowledge_alarm(self, alarm_id: int, person: str, at: datetime) -> Alarm:
        """A person has seen it; raises `NotFoundError`."""
        ...

    def set_value(self, key: str, value: str) -> None:
        """Set a small persistent value."""
        ...

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint of the first `size` leaves; a repetition changes nothing. Raises `StoreError` when there is another."""
        ...

    def add_cosignature(self, size: int, line: str) -> None:
        """Keep a witness's signature line on the checkpoint of that size; a repetition changes nothing."""
        ...

    def remember_request(self, key: str, fingerprint: str, answer: str) -> None:
        """Store the answer to a request under its idempotency key."""
        ...

    def answer_for(self, key: str) -> tuple[str, str] | None:
        """(fingerprint, answer) of an earlier request with this idempotency key."""
        ...

    def forget_request(self, key: str) -> None:
        """Take an answer back: the request was refused after all, and its key may be used again."""
        ...


class Store(Protocol):
    """The system of record. One writer with group commit; `write` returns only when the change is durable."""

    def write(self, work: Callable[[UnitOfWork], T]) -> Awaitable[T]:
        """Run `work` in a transaction of its own; its exception rolls it back and is raised here. Callable from any event loop."""
        ...

    def read(self, query: Callable[[ReadView], T]) -> T:
        """Run a read-only query at once, in the calling thread."""
        ...

    def audit_damage(self) -> list[str]:
        """What is wrong with the tables of the audit log, their indexes and what is tied to them, in the database's own words."""
        ...

    def healthy(self) -> bool:
        """False when the last write failed for a reason of the medium (disk full, I/O error), until one succeeds again."""
        ...

    def close(self) -> None:
        """Finish what was accepted and close."""
        ...
