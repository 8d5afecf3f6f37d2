"""Which pieces a site's model may be fitted on: those that people let pass, whatever the model had said of them."""

from collections.abc import Sequence
from enum import StrEnum

from station.domain.clearance import Clearance
from station.domain.evidence import Identification
from station.domain.identifiers import is_local_id, is_test_id
from station.domain.piece import Piece, PieceState
from station.domain.policy import Authority
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision, ReviewOutcome
from station.domain.scan import Scan


class Unfit(StrEnum):
    """Why a piece does not serve."""

    NOT_RELEASED = "not-released"
    MARKED = "marked-or-unannounced"
    NO_NAME = "no-own-id"
    NO_SCAN = "no-first-scan"
    MODEL_CHOSE = "only-read-because-of-the-model"
    NOBODY_CLEARED = "no-person-cleared-it"


def first_scan(piece: Piece, facts: Sequence[object]) -> Scan | Unfit:
    """The piece's first scan, if it may stand for harmless mail; else why not.

    Marked pieces never serve, nor any whose level was unknown on any visit. Where the model decides who is asked, pieces that people read
    are those that it found odd: only a first scan that people had to read in any case counts, because the policy then demanded people, or
    because it was read blind.

    Args:
        piece: as it is now.
        facts: all evidence about it.
    """
    identified = [fact for fact in facts if isinstance(fact, Identification)]
    scan = next((fact for fact in facts if isinstance(fact, Scan) and fact.visit == 1), None)
    sha256 = scan.sha256 if scan else ""
    read = [one for one in facts if isinstance(one, OperatorReading) and one.scan_sha256 == sha256 and one.projected_sha256 is None]
    judged = [fact for fact in facts if isinstance(fact, Clearance) and fact.visit == 1]
    people_were_asked = bool(judged) and all(fact.authority is not Authority.MODEL for fact in judged)
    reviewed = any(isinstance(fact, ReviewDecision) and fact.outcome is ReviewOutcome.CLEAR for fact in facts)
    objections = (
        (piece.state is not PieceState.RELEASED, Unfit.NOT_RELEASED),
        (piece.is_marked or not identified or any(fact.secrecy is not None for fact in identified), Unfit.MARKED),
        (is_test_id(piece.piece_id) or is_local_id(piece.piece_id), Unfit.NO_NAME),
        (scan is None, Unfit.NO_SCAN),
        (not (people_were_asked or any(fact.blind for fact in read)), Unfit.MODEL_CHOSE),
        (not (reviewed or any(fact.decision is OperatorDecision.CLEAR for fact in read)), Unfit.NOBODY_CLEARED),
    )
    unfit = next((why for holds, why in objections if holds), None)
    return unfit or scan or Unfit.NO_SCAN
