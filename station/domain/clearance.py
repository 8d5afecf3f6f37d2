"""`clear`: may this piece's own scan be called cleared? Hold is the default; each hold has its reasons."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.domain.piece import Secrecy
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorReading, ReviewDecision
from station.domain.scan import ImageMatch, ModelReading, Scan


class Outcome(StrEnum):
    """What became of the question. `awaiting`: a person may still decide within the window; it counts as held until then."""

    CLEARED = "cleared"
    HELD = "held"
    AWAITING = "awaiting"
    ATTENTION = "attention"
    """The score reached the freeze score: belts stop and the operator is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """A piece was identified at the infeed on one visit.

    `barcode` is what was read (None: unreadable). `tag` is the lane PLC's number for this visit. `reasons` are what speaks against the
    identity (unreadable, malformed, unannounced, not new, weight or size far from the announcement).
    """

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    tag: int
    barcode: str | None
    secrecy: Secrecy | None
    weight_g: float | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEvidence:
    """All facts about one visit of one piece. `earlier_clearance` is the review that cleared it in the bin on an earlier visit.

    `contradictions` are newer findings that speak against the piece (lost track, access to its zone, restart, purge, device lost, …).
    `window_expired` tells that the operator's time is over.
    """

    identification: Identification | None
    scan: Scan | None = None
    model_reading: ModelReading | None = None
    operator_readings: tuple[OperatorReading, ...] = ()
    earlier_clearance: ReviewDecision | None = None
    image_match: ImageMatch | None = None
    contradictions: tuple[Reason, ...] = ()
    window_expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StationHealth:
    """What the station knows of itself. `model_proved`: signed, fitted on this site, n ≥ 500, detection bound ≥ 0.90."""

    model_usable: bool
    model_proved: bool
    audit_ok: bool
    store_ok: bool
    frozen: bool
    test_piece_passed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """The answer of `clear`, and on what it stands. `scan_sha256` is the piece's own scan."""

    piece_id: str
    visit: int
    at: datetime
    outcome: Outcome
    reasons: tuple[Reason, ...]
    scan_sha256: str | None
    model_sha256: str | None
    authority: Authority
    by: tuple[str, ...]
    policy_sha256: str


def clear(evidence: VisitEvidence, policy: Policy, health: StationHealth, now: datetime) -> Clearance:
    """Judge one visit. Never raises on odd evidence: what cannot be understood is held.

    Args:
        evidence: facts of this visit; anything missing speaks for holding.
        policy: the site's rules.
        health: the station's own condition at `now`.
        now: aware UTC.
    """
    raise NotImplementedError
