"""What one caller may see: the only place where routers read the store. What may not be seen is as if it did not exist.

Whatever is looked up here goes the same way for a piece that may not be seen as for one that does not exist: the same query, the same
answer, the same words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from station.domain.access import levels_seen, may_see
from station.domain.alarm import Alarm, AlarmPriority
from station.domain.errors import NotFoundError
from station.domain.freeze import AllClear, Checklist, Freeze, standing_all_clears
from station.domain.piece import Piece, PieceState, Secrecy
from station.ports.auditing import LoggedFact, WantedFacts
from station.ports.readers import ReaderCounts
from station.ports.store import Claim, EvidenceRow, ReadView
from station.workflow.alarm_sight import alarm_seen
from station.workflow.freeze_steps import current_freeze, entitled
from station.workflow.proving import Inclusion, LogProofs, Standing
from station.workflow.reporting import Read
from station.workflow.reviewing import known_piece
from station.workflow.views import LaneView, PieceOnLane

T = TypeVar("T")
_MOST_ALARMS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFreeze:
    """A lane's freeze with the all clears that count now. `suspects_restricted` is how many suspects are not among `suspects`."""

    freeze: Freeze
    all_clears: tuple[AllClear, ...]
    suspects: tuple[str, ...]
    suspects_restricted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHeld:
    """A held piece with the facts about its present visit and the lease on it."""

    piece: Piece
    rows: Sequence[EvidenceRow]
    claim: Claim | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentAlarms:
    """Alarms that are active or unacknowledged: some, and how many there are in all."""

    most_urgent: list[Alarm]
    count: int
    unacknowledged: int


class SeenView:
    """A snapshot of the store as one caller may see it.

    Args:
        view: the whole snapshot.
        clearance: the caller's.
    """

    def __init__(self, view: ReadView, clearance: Secrecy | None) -> None:
        self._view = view
        self._clearance = clearance

    def piece(self, piece_id: str) -> Piece | None:
        """One piece, or None."""
        piece = self._view.piece(piece_id)
        return piece if piece is not None and may_see(self._clearance, piece.level) else None

    def pieces(self, *, states: Sequence[PieceState] = (), lane_id: str | None = None, after: str | None = None, limit: int) -> list[Piece]:
        """See `ReadView.pieces`."""
        return self._view.pieces(states=states, lane_id=lane_id, after=after, limit=limit, levels=levels_seen(self._clearance))

    def recent(self, *, lane_id: str, limit: int) -> list[Piece]:
        """See `ReadView.recent`."""
        return self._view.recent(lane_id=lane_id, limit=limit, levels=levels_seen(self._clearance))

    def evidence(self, piece_id: str, visit: int | None = None) -> list[EvidenceRow]:
        """Facts about a piece; none about one that may not be seen."""
        return self._view.evidence(piece_id, visit) if self.piece(piece_id) is not None else []

    def claim(self, piece_id: str) -> Claim | None:
        """The lease on a piece; none on one that may not be seen."""
        return self._view.claim(piece_id) if self.piece(piece_id) is not None else None

    def held(self, *, after: str | None, limit: int) -> list[SeenHeld]:
        """The queue of held pieces, in the order of `pieces`."""
        pieces = self.pieces(states=[PieceState.HELD, PieceState.IN_REVIEW], after=after, limit=limit)
        piece_ids = [piece.piece_id for piece in pieces]
        rows, claims = self._view.present_evidence(piece_ids), self._view.claims(piece_ids)
        return [SeenHeld(piece=one, rows=rows.get(one.piece_id, ()), claim=claims.get(one.piece_id)) for one in pieces]

    def freeze(self, lane_id: str, checklist: Checklist) -> SeenFreeze | None:
        """The freeze that the lane is in; which piece is suspected only where the caller may see that piece."""
        freeze = current_freeze(self._view, lane_id)
        if freeze is None:
            return None
        suspects = tuple(piece_id for piece_id in freeze.frozen.suspects if self.piece(piece_id) is not None)
        return SeenFreeze(
            freeze=freeze,
            all_clears=standing_all_clears(freeze, checklist, entitled(self._view)),
            suspects=suspects,
            suspects_restricted=len(freeze.frozen.suspects) - len(suspects),
        )

    def reader_counts(self, first: date, last: date) -> list[ReaderCounts]:
        """See `ReadView.reader_counts`: sums of days, without any piece."""
        return self._view.reader_counts(first, last)

    def logged_facts(
        self,
        *,
        fact_type: type[Any] | None,
        subject: str | None,
        since: datetime | None,
        until: datetime | None,
        below: int | None,
        limit: int,
    ) -> list[LoggedFact]:
        """Facts of the audit log, newest first; see `WantedFacts`."""
        wanted = WantedFacts(
            levels=levels_seen(self._clearance),
            fact_type=fact_type,
            subject=subject,
            since=since,
            until=until,
            below=below,
            limit=limit,
        )
        return self._view.logged_facts(wanted)

    def logged_fact(self, leaf: int) -> LoggedFact | None:
        """One fact by its leaf; None where there is none that may be told."""
        found = self._view.logged_facts(WantedFacts(levels=levels_seen(self._clearance), leaf=leaf))
        return found[0] if found else None

    def audit_standing(self, proofs: LogProofs) -> Standing:
        """How the audit log stands: numbers and hashes, without any piece."""
        return proofs.standing(self._view)

    def inclusion(self, proofs: LogProofs, fact: LoggedFact) -> Inclusion:
        """The proof that the leaf of a fact stands in the log."""
        return proofs.inclusion(self._view, fact.leaf_index, fact.commitment)

    def all_alarms(self, *, limit: int) -> list[Alarm]:
        """Alarms, newest first. One about a piece that may not be seen stands there without its subject: it calls people all the same."""
        return self._alarms_seen(self._view.alarms(active_only=False, limit=limit))

    def present_alarms(self, of_lanes: Sequence[Alarm], *, limit: int) -> PresentAlarms:
        """What calls people now, the most urgent first. `of_lanes` are what stands at the lanes themselves, stored or not."""
        stored = self._view.alarms(active_only=True, limit=_MOST_ALARMS)
        standing = {(alarm.code, alarm.subject) for alarm in stored if alarm.cleared_at is None}
        alarms = [*(alarm for alarm in of_lanes if (alarm.code, alarm.subject) not in standing), *stored]
        return PresentAlarms(
            most_urgent=self._alarms_seen(sorted(alarms, key=_urgency)[:limit]),
            count=len(alarms),
            unacknowledged=sum(alarm.acknowledged_at is None for alarm in alarms),
        )

    def _alarms_seen(self, alarms: Sequence[Alarm]) -> list[Alarm]:
        return [alarm_seen(self._view, alarm, self._clearance) for alarm in alarms]


def _urgency(alarm: Alarm) -> tuple[bool, bool, int]:
    """What nobody has seen comes first, then what still stands, then by priority; among equals the newest stays first."""
    return alarm.acknowledged_at is not None, alarm.cleared_at is not None, list(AlarmPriority).index(alarm.priority)


class Sight:
    """The eyes of one caller.

    Args:
        read: as `Store.read`: what is looked at.
        clearance: the caller's.
        sees_images: whether the caller may see what is inside.
    """

    def __init__(self, read: Read, *, clearance: Secrecy | None, sees_images: bool) -> None:
        self._read = read
        self.clearance = clearance
        self.sees_images = sees_images

    @property
    def kind(self) -> tuple[Secrecy | None, bool]:
        """What two callers must have in common to be shown the same."""
        return self.clearance, self.sees_images

    @property
    def sees_all(self) -> bool:
        """True for whoever may see pieces of every level."""
        return may_see(self.clearance, Secrecy.A)

    def sees_content(self, level: Secrecy | None) -> bool:
        """True when the caller may know what is inside a piece of that level: of a marked one only who may see its images."""
        return level is None or (self.sees_images and may_see(self.clearance, level))

    def read(self, query: Callable[[SeenView], T]) -> T:
        """Run a query on one snapshot, as `Store.read` does."""
        found: T = self._read(lambda view: query(SeenView(view, self.clearance)))
        return found

    def demand(self, piece_id: str) -> Piece:
        """The piece that something is to be done about; `NotFoundError` if there is none that the caller may see."""
        return self.read(lambda view: known_piece(view, piece_id))

    def may_see_on_lane(self, piece: PieceOnLane) -> bool:
        """True when the caller may know that it is this piece that lies there."""
        return may_see(self.clearance, level_on_lane(piece))

    def demand_exercise(self, lane: LaneView, piece_id: str) -> None:
        """Raise `NotFoundError` unless the lane tells this caller of an exercise in that piece. The store is not asked: the lane waits."""
        exercise = lane.exercise
        if exercise is None or exercise.piece_id != piece_id or not may_see(self.clearance, exercise.level):
            raise NotFoundError("No exercise in that piece was revealed", remedy="Look at the lane page again")

    def named_suspect(self, lane: LaneView, piece_id: str | None) -> str | None:
        """The piece that a freeze is about, if the caller can see it on the lane. The store is not asked: freezing waits for nothing."""
        on_lane = (piece for piece in lane.pieces if piece.piece_id == piece_id)
        return next((piece.piece_id for piece in on_lane if self.may_see_on_lane(piece)), None)


def level_on_lane(piece: PieceOnLane) -> Secrecy | None:
    """The level that a piece on a lane counts as; the highest where it is marked and nobody said how high."""
    return (piece.secrecy or Secrecy.A) if piece.marked else None
