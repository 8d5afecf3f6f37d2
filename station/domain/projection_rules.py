"""May a threat be projected into this piece's image? Every objection is named; no objection is a condition that was looked at. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from station.domain.clearance import Clearance, Outcome
from station.domain.evidence import VisitEvidence
from station.domain.identifiers import is_local_id, is_test_id
from station.domain.policy import Authority
from station.domain.reasons import Reason

LEAST_RATE = 0.01
GREATEST_RATE = 0.04
"""Supervised share of the images that could carry a projection (design: threat image projection). 0 switches projections off."""


class Objection(StrEnum):
    """Why nothing is projected."""

    SWITCHED_OFF = "switched-off"
    MARKED = "marked"
    UNANNOUNCED = "unannounced"
    NOT_A_PIECE_OF_MAIL = "not-a-piece-of-mail"
    FED_IN_AGAIN = "fed-in-again"
    SPOKEN_AGAINST = "spoken-against"
    """Something was found, measured, alarmed or contradicted: this piece is to be looked at for its own sake."""
    NOT_FOR_ONE_OPERATOR = "not-for-one-operator"
    """Nobody is asked, two people are, or somebody has answered already."""
    ANOTHER_WAITS = "another-waits"
    LANE_NOT_QUIET = "lane-not-quiet"
    NOT_DRAWN = "not-drawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionQuestion:
    """What the answer stands on.

    `clearance` is what `clear` said of this visit's `evidence`. `announced` as in `Piece`. `others_waiting` counts pieces that wait for a
    decision besides this one, or will before a window could be over. `lane_quiet`: it runs, without trouble and without a freeze. `rate` is
    the site's; `drawn` a uniform random number in [0, 1), drawn for this visit and never again.
    """

    evidence: VisitEvidence
    clearance: Clearance
    announced: bool
    others_waiting: int
    lane_quiet: bool
    rate: float
    drawn: float


def _marked(question: ProjectionQuestion) -> bool:
    found = question.evidence.identification
    return found is None or found.secrecy is not None


def _no_mail(question: ProjectionQuestion) -> bool:
    found = question.evidence.identification
    return found is None or not found.piece_id or is_test_id(found.piece_id) or is_local_id(found.piece_id)


def _fed_in_again(question: ProjectionQuestion) -> bool:
    evidence = question.evidence
    found = evidence.identification
    first = found is not None and found.visit == 1
    return not first or evidence.earlier_clearance is not None or bool(evidence.earlier_holds)


def _spoken_against(question: ProjectionQuestion) -> bool:
    evidence = question.evidence
    scan, reading, measured, found = evidence.scan, evidence.model_reading, evidence.measurement, evidence.identification
    if scan is None or reading is None or measured is None or found is None:
        return True
    findings = (*scan.findings, *reading.findings, *measured.findings)
    return bool(findings or found.reasons or evidence.contradictions) or reading.alarms or reading.projected_sha256 is not None


def _not_for_one_operator(question: ProjectionQuestion) -> bool:
    asked = question.clearance.outcome is Outcome.AWAITING and question.clearance.reasons == (Reason.AWAITING_OPERATOR,)
    one = question.clearance.authority is Authority.OPERATOR
    return not (asked and one) or bool(question.evidence.operator_readings) or question.evidence.window_expired


_OBJECTIONS: MappingProxyType[Objection, Callable[[ProjectionQuestion], bool]] = MappingProxyType(
    {
        Objection.SWITCHED_OFF: lambda question: not LEAST_RATE <= question.rate <= GREATEST_RATE,
        Objection.MARKED: _marked,
        Objection.UNANNOUNCED: lambda question: not question.announced,
        Objection.NOT_A_PIECE_OF_MAIL: _no_mail,
        Objection.FED_IN_AGAIN: _fed_in_again,
        Objection.SPOKEN_AGAINST: _spoken_against,
        Objection.NOT_FOR_ONE_OPERATOR: _not_for_one_operator,
        Objection.ANOTHER_WAITS: lambda question: question.others_waiting != 0,
        Objection.LANE_NOT_QUIET: lambda question: not question.lane_quiet,
        Objection.NOT_DRAWN: lambda question: not 0 <= question.drawn < question.rate,
    }
)


def objections(question: ProjectionQuestion) -> tuple[Objection, ...]:
    """Everything that speaks against projecting a threat now; empty means that one may be shown."""
    return tuple(objection for objection, holds in _OBJECTIONS.items() if holds(question))


_SKIPPED_DIGITS, _DRAWN_DIGITS = 12, 12


def drawn_by(scan_sha256: str) -> float:
    """The draw of a scan, in [0, 1), by twelve digits of its own hash (hex) that the blind sample does not look at (decision 0105).

    Nobody can foresee it, and anybody can check it afterwards. What is no hash is never drawn: 1.
    """
    try:
        return int(scan_sha256[_SKIPPED_DIGITS : _SKIPPED_DIGITS + _DRAWN_DIGITS], 16) / float(16**_DRAWN_DIGITS)
    except ValueError:
        return 1.0


def seed_of(scan_sha256: str) -> int:
    """What the thing, its place and its noise are drawn by: the rest of the hash."""
    return int(scan_sha256[_SKIPPED_DIGITS + _DRAWN_DIGITS :], 16)
