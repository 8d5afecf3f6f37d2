"""The facts that `clear` looks at: about one visit of one piece, and about the station itself."""

from dataclasses import dataclass
from datetime import datetime

from station.domain.measurement import InfeedMeasurement
from station.domain.piece import Secrecy
from station.domain.reasons import Reason
from station.domain.review import OperatorReading, ReviewDecision
from station.domain.scan import ImageMatch, ModelReading, Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """A piece was identified at the infeed on one visit.

    `barcode` is what was read (None: unreadable). `tag` is the lane PLC's number for this visit. `reasons` are what speaks against the
    identity (unreadable, malformed, unannounced, not new). `secrecy` is the level that the piece counted as: A when nobody had
    announced it.
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

    `second_clearance` is the second person's decision in that review, where one is demanded (see `people_needed`).
    `measurement` is the infeed's of this visit, `reviewed_measurement` that of the visit on which people cleared the piece.
    `cleared_reading` is what the model had said of the scan that people cleared: an alarm that they did not know of is a new one.
    `earlier_holds` are reasons of holds on earlier visits that no later review has lifted.
    `operator_readings` are those of this visit alone. `contradictions` are newer findings that speak against the piece (lost
    track, access to its zone, restart, purge, device lost, …). `window_expired` tells that the operator's time is over.
    """

    identification: Identification | None
    scan: Scan | None = None
    model_reading: ModelReading | None = None
    operator_readings: tuple[OperatorReading, ...] = ()
    earlier_clearance: ReviewDecision | None = None
    image_match: ImageMatch | None = None
    contradictions: tuple[Reason, ...] = ()
    window_expired: bool = False
    second_clearance: ReviewDecision | None = None
    cleared_reading: ModelReading | None = None
    earlier_holds: tuple[Reason, ...] = ()
    measurement: InfeedMeasurement | None = None
    reviewed_measurement: InfeedMeasurement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StationHealth:
    """What the station knows of itself. `model_proved`: signed, fitted on this site, n ≥ 500, detection bound ≥ 0.90."""

    model_usable: bool
    model_proved: bool
    audit_ok: bool
    store_ok: bool
    frozen: bool
    test_piece_passed_at: datetime | None
