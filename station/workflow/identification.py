"""Who is this piece? Compares what the infeed measured with what the store knows, inside the transaction of the arrival."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from station.domain.backup import RecordRestored
from station.domain.clearance import Clearance, Outcome
from station.domain.disinfection import DisinfectionResult
from station.domain.identifiers import PieceId, local_id
from station.domain.measurement import InfeedMeasurement
from station.domain.people import NEEDS_REVIEW, SAID_AGAINST, distinct_people, people_needed
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision, ReviewOutcome
from station.domain.scan import ModelReading
from station.ports.store import Evidence, ReadView, StateChange, UnitOfWork

F = TypeVar("F")

_REASONS = frozenset(reason.value for reason in Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class InfeedFacts:
    """What was measured of a piece at the infeed. `on_lane` are the ids of the pieces that are on the belts already."""

    barcode: str | None
    length_mm: float | None
    weight_g: float | None
    radiation_nsv_per_h: float
    on_lane: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The answer: the id for this visit, what speaks against it, and what earlier visits left behind.

    `failed_cycles` counts the disinfections that failed since people lifted what stood against the piece.
    `known` is the stored piece that is fed in (again); None for a piece that gets a new record. `first_clearance` and
    `second_clearance` are the decisions of the people who cleared it where it lay in a bin.
    """

    piece_id: str
    visit: int
    announcement: Announcement
    known: Piece | None
    reasons: tuple[Reason, ...]
    first_clearance: ReviewDecision | None = None
    second_clearance: ReviewDecision | None = None
    cleared_reading: ModelReading | None = None
    reviewed_measurement: InfeedMeasurement | None = None
    earlier_holds: tuple[Reason, ...] = ()
    failed_cycles: int = 0


def recognise(uow: UnitOfWork, found: PieceId | Reason, facts: InfeedFacts, lane_id: str, policy: Policy, *, max_retries: int) -> Arrival:
    """Find the piece, or give it a local id. Takes a number from the store where a local id is needed; changes nothing else."""
    if isinstance(found, Reason):
        return _stranger(uow, found, lane_id)
    known = uow.piece(found.value)
    if known is None:
        announcement = Announcement(piece_id=found.value)
        unannounced = (Reason.UNANNOUNCED,) if policy.hold_unannounced else ()
        # Nothing is known of it but, perhaps, that something was in a time that was lost.
        lost = any(isinstance(row.evidence, RecordRestored) for row in uow.evidence(found.value))
        return Arrival(
            piece_id=found.value,
            visit=1,
            announcement=announcement,
            known=None,
            reasons=unannounced,
            earlier_holds=(Reason.RECORD_RESTORED,) if lost else (),
        )
    if known.piece_id in facts.on_lane or not _may_be_fed_in(uow, known):
        return _stranger(uow, Reason.ID_NOT_NEW, lane_id)
    reasons = () if known.announced or not policy.hold_unannounced else (Reason.UNANNOUNCED,)
    history = [row.evidence for row in uow.evidence(known.piece_id)]
    clearances = standing_reviews(uow, known)
    review = clearances[-1] if clearances else None
    changes = uow.history(known.piece_id)
    holds, failed_cycles = _unlifted(history, changes, known, max_retries)
    if known.level is not None:
        holds = tuple(sorted({*holds, *_marked_holds(changes)}))
    return Arrival(
        piece_id=known.piece_id,
        visit=known.visit + 1,
        announcement=known.announcement,
        known=known,
        reasons=reasons,
        first_clearance=review,
        second_clearance=clearances[-2] if len(clearances) > 1 else None,
        cleared_reading=_last([f for f in history if isinstance(f, ModelReading) and review and f.scan_sha256 == review.scan_sha256]),
        reviewed_measurement=_last([f for f in history if isinstance(f, InfeedMeasurement) and review and f.visit == review.visit]),
        earlier_holds=holds,
        failed_cycles=failed_cycles,
    )


def local_counter(lane_id: str) -> str:
    """The store's counter of the local ids that a lane gives."""
    return f"local:{lane_id}"


def clearing_reviews(view: ReadView, known: Piece) -> list[ReviewDecision]:
    """The decisions by which people cleared the piece where it lies in a bin; empty when it was not (only) people."""
    if known.state is not PieceState.CLEARED:
        return []
    facts = [row.evidence for row in view.evidence(known.piece_id, known.visit)]
    decisions = [fact for fact in facts if isinstance(fact, ReviewDecision)]
    if not decisions or decisions[-1].outcome is not ReviewOutcome.CLEAR:
        return []
    return [decision for decision in decisions if decision.outcome is ReviewOutcome.CLEAR]


def standing_reviews(view: ReadView, known: Piece) -> list[ReviewDecision]:
    """The review that the next scan must match: the one that cleared the piece in the bin, until a visit was judged after it.

    A visit that was cut short (purge, restart, lost track) judged nothing, so the review and the scan that it saw still bind.
    """
    reviews = clearing_reviews(view, known)
    if reviews or known.state is not PieceState.HELD:
        return reviews
    facts = [row.evidence for row in view.evidence(known.piece_id)]
    judged = [index for index, fact in enumerate(facts) if isinstance(fact, Clearance | ReviewDecision)]
    if not judged or not isinstance(facts[judged[-1]], ReviewDecision):
        return []
    last = facts[judged[-1]]
    settled = [change for change in view.history(known.piece_id) if change.before is PieceState.IN_REVIEW]
    if not isinstance(last, ReviewDecision) or not settled or settled[-1].after is not PieceState.CLEARED:
        return []
    return [f for f in facts if isinstance(f, ReviewDecision) and f.visit == last.visit and f.outcome is ReviewOutcome.CLEAR]


def _last(facts: Sequence[F]) -> F | None:
    return facts[-1] if facts else None


def _stranger(uow: UnitOfWork, reason: Reason, lane_id: str) -> Arrival:
    piece_id = local_id(lane_id, uow.next_number(local_counter(lane_id)))
    return Arrival(piece_id=piece_id, visit=1, announcement=Announcement(piece_id=piece_id), known=None, reasons=(reason,))


def _may_be_fed_in(view: ReadView, known: Piece) -> bool:
    if known.state is PieceState.CLEARED:
        return bool(clearing_reviews(view, known))
    return known.state in {PieceState.ANNOUNCED, PieceState.HELD}


def _is_cleared_by_review(change: StateChange) -> bool:
    return change.before is PieceState.IN_REVIEW and change.after is PieceState.CLEARED


def _marked_holds(changes: Sequence[StateChange]) -> set[Reason]:
    """Everything that a marked piece was held for since a review cleared it: no visit makes any of it undone, whatever it was."""
    holds: set[Reason] = set()
    for change in changes:
        if _is_cleared_by_review(change):
            holds.clear()
        elif change.after is PieceState.HELD:
            holds |= {Reason(reason) for reason in change.reasons if reason in _REASONS} or {Reason.REVIEW_HOLDS}
    return holds


def _unlifted(
    history: Sequence[Evidence], changes: Sequence[StateChange], known: Piece, max_retries: int
) -> tuple[tuple[Reason, ...], int]:
    """Reasons that only people can lift, and failed disinfections, since the last review in which enough different people lifted them."""
    lifted_at = {change.at for change in changes if _is_cleared_by_review(change)}
    failed_cycles = 0
    holds: set[Reason] = set()
    suspicions: set[Reason] = set()
    spoken: set[Reason] = set()
    cleared_by: list[str] = []
    for fact in history:
        if isinstance(fact, Clearance):
            # What an attention stop said stands until the operator has cleared that scan, or a review.
            against = set(fact.reasons) | suspicions
            suspicions = set(fact.reasons) if fact.outcome is Outcome.ATTENTION else set()
            if fact.outcome is Outcome.HELD:
                holds |= NEEDS_REVIEW & against
                spoken = against
                cleared_by.clear()
        elif isinstance(fact, RecordRestored):
            holds.add(Reason.RECORD_RESTORED)
            cleared_by.clear()
        elif isinstance(fact, DisinfectionResult) and not fact.passed:
            failed_cycles += 1
            spoken = set(fact.reasons)
            cleared_by.clear()
            if failed_cycles > max_retries:
                holds.add(Reason.RETRIES_USED_UP)
        elif isinstance(fact, ReviewDecision):
            if fact.outcome is ReviewOutcome.CLEAR:
                cleared_by.append(fact.person)
                # Whoever was sent away in between counted no longer: the review itself must have cleared the piece.
                if fact.at in lifted_at and len(distinct_people(cleared_by)) >= people_needed(known.level, holds | spoken):
                    holds.clear()
                    suspicions.clear()
                    failed_cycles = 0
            else:
                holds.add(SAID_AGAINST[fact.outcome])
                cleared_by.clear()
    return tuple(sorted(holds | (NEEDS_REVIEW & suspicions))), failed_cycles
