"""What the store says of a lane as a whole: which pieces it believes to be on the belts, and what explains a passage of the gate."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from station.domain.clearance import Clearance, Outcome
from station.domain.gate import Permit
from station.domain.measurement import InfeedMeasurement
from station.domain.piece import ON_LANE_STATES, Piece, PieceState
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision
from station.ports.lane_plc import PassedPiece
from station.ports.store import ReadView
from station.workflow.identification import clearing_reviews

HALF_WAY = 0x8000
"""Of the ring's numbers: a number less than this ahead of the last one seen is a new one."""

MOST_ON_LANE = 1000


def on_belts(view: ReadView, lane_id: str) -> list[Piece]:
    """Pieces on the lane's belts; those that reviews cleared lie in a bin."""
    known = view.pieces(states=sorted(ON_LANE_STATES), lane_id=lane_id, limit=MOST_ON_LANE)
    return [piece for piece in known if not clearing_reviews(view, piece)]


def permits_of(view: ReadView, known: Piece) -> list[Permit]:
    """Every permit of the piece's present visit."""
    facts = (row.evidence for row in view.evidence(known.piece_id, known.visit))
    return [fact for fact in facts if isinstance(fact, Permit)]


def length_of(view: ReadView, known: Piece) -> float | None:
    """The length that was measured at the infeed on the piece's present visit, mm; None where none was."""
    facts = (row.evidence for row in view.evidence(known.piece_id, known.visit))
    return next((fact.length_mm for fact in facts if isinstance(fact, InfeedMeasurement)), None)


def undecided_attention(view: ReadView, lane_id: str) -> list[str]:
    """Pieces of the lane whose attention stop nobody has decided; none of them may be moved, whatever else happens."""
    waiting = view.pieces(states=[PieceState.SCANNED], lane_id=lane_id, limit=MOST_ON_LANE)
    return [piece.piece_id for piece in waiting if _last_outcome(view, piece) is Outcome.ATTENTION]


def must_stay_frozen(view: ReadView, lane_id: str) -> list[str]:
    """Pieces of the lane that are frozen, or whose attention stop nobody has decided."""
    frozen = view.pieces(states=[PieceState.FROZEN], lane_id=lane_id, limit=MOST_ON_LANE)
    return [piece.piece_id for piece in frozen] + undecided_attention(view, lane_id)


def was_held_by_freeze(view: ReadView, piece: Piece) -> bool:
    """True when the piece's present visit ended by a freeze, and nobody has reviewed it since."""
    facts = (row.evidence for row in view.evidence(piece.piece_id, piece.visit))
    judged = [fact for fact in facts if isinstance(fact, Clearance | ReviewDecision)]
    return bool(judged) and isinstance(judged[-1], Clearance) and Reason.FROZEN in judged[-1].reasons


def _last_outcome(view: ReadView, piece: Piece) -> Outcome | None:
    clearances = _clearances(view, piece)
    return clearances[-1].outcome if clearances else None


def _clearances(view: ReadView, piece: Piece) -> list[Clearance]:
    return [row.evidence for row in view.evidence(piece.piece_id, piece.visit) if isinstance(row.evidence, Clearance)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """An entry of the gate's ring; `known` and `permit` are what explains it, None where nothing does. `is_new`: not settled before."""

    entry: PassedPiece
    known: Piece | None
    permit: Permit | None
    is_new: bool

    @property
    def is_open(self) -> bool:
        """True while nothing has come after the permit: its use decides what becomes of the piece."""
        return self.known is not None and self.known.state is PieceState.DISINFECTED

    @property
    def may_leave(self) -> bool:
        """True when the piece may still stand in the exit."""
        return self.is_open or (self.is_new and self.known is not None and not self.known.state.is_terminal)


def passages(view: ReadView, lane_id: str, ring: Sequence[PassedPiece], seen: str | None) -> Iterator[Passage]:
    """Each entry of the gate's ring with the piece and the permit that explain it. `seen` is the last number that was settled.

    What was settled before is explained by a permit that still waits for its use, or not at all.
    """
    waiting = list(_permitted(view, view.pieces(states=[PieceState.DISINFECTED], lane_id=lane_id, limit=MOST_ON_LANE)))
    for entry in ring:
        is_new = seen is not None and 0 < ((entry.seq - int(seen)) & 0xFFFF) < HALF_WAY
        found = _holder(entry, waiting)
        if found is None and is_new:
            found = _holder(entry, _permitted(view, _later_pieces(view, lane_id)))
        known, permit = found or (None, None)
        yield Passage(entry=entry, known=known, permit=permit, is_new=is_new)


def _holder(entry: PassedPiece, holders: Iterable[tuple[Piece, Permit]]) -> tuple[Piece, Permit] | None:
    key = (entry.tag, entry.challenge)
    return next(((known, permit) for known, permit in holders if (permit.tag, permit.challenge) == key), None)


def _permitted(view: ReadView, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Permit]]:
    for known in pieces:
        for permit in permits_of(view, known):
            yield known, permit


def _later_pieces(view: ReadView, lane_id: str) -> Iterator[Piece]:
    """Pieces of the lane that something came over after their permit: a hold, a freeze, decisions. The ring is short: newest first."""
    for known in view.recent(lane_id=lane_id, limit=MOST_ON_LANE):
        if known.state is not PieceState.RELEASED:
            yield known
    yield from view.pieces(states=[PieceState.CLEARED], lane_id=lane_id, limit=MOST_ON_LANE)
