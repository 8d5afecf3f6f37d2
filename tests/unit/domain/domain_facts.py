"""Favourable facts about one unmarked piece; each test turns some of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from station.domain.clearance import Clearance, Identification, Outcome, StationHealth, VisitEvidence
from station.domain.disinfection import DisinfectionResult
from station.domain.gate import GateRequest
from station.domain.measurement import InfeedMeasurement
from station.domain.piece import PieceState
from station.domain.policy import Authority, Policy
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision, ReviewOutcome
from station.domain.scan import ImageMatch, ModelReading, Scan

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
PIECE = "EE473124829VN"
SHA = "a" * 64
OLD_SHA = "b" * 64
MODEL_SHA = "c" * 64


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


IDENTIFICATION = Identification(piece_id=PIECE, visit=2, at=ago(20), lane_id="lane-1", tag=7, barcode=PIECE, secrecy=None, weight_g=40.0)
MEASUREMENT = InfeedMeasurement(
    piece_id=PIECE, visit=2, at=ago(20), lane_id="lane-1", length_mm=220.0, weight_g=40.0, radiation_nsv_per_h=100.0
)
SCAN = Scan(
    piece_id=PIECE,
    visit=2,
    at=ago(12),
    lane_id="lane-1",
    sha256=SHA,
    acquisition=5,
    lines=300,
    pixels=128,
    length_mm=220.0,
    width_mm=110.0,
    kv=140.0,
    ma=1.0,
)
READING = ModelReading(
    piece_id=PIECE,
    visit=2,
    at=ago(11),
    scan_sha256=SHA,
    model_sha256=MODEL_SHA,
    score=1.0,
    threshold=5.0,
    p_value=0.5,
    calibration_n=500,
    kind="envelope",
    duration_ms=80.0,
)
OPERATOR = OperatorReading(piece_id=PIECE, visit=2, at=ago(10), scan_sha256=SHA, person="lan", decision=OperatorDecision.CLEAR, blind=True)
SECOND = OperatorReading(piece_id=PIECE, visit=2, at=ago(9), scan_sha256=SHA, person="minh", decision=OperatorDecision.CLEAR, blind=True)
REVIEW = ReviewDecision(piece_id=PIECE, visit=1, at=ago(600), scan_sha256=OLD_SHA, person="hoa", outcome=ReviewOutcome.CLEAR)
SECOND_REVIEW = ReviewDecision(piece_id=PIECE, visit=1, at=ago(500), scan_sha256=OLD_SHA, person="tuan", outcome=ReviewOutcome.CLEAR)
MATCH = ImageMatch(cleared_scan_sha256=OLD_SHA, new_scan_sha256=SHA, distance=0.05, bound=0.15)
HEALTH = StationHealth(model_usable=True, model_proved=True, audit_ok=True, store_ok=True, frozen=False, test_piece_passed_at=ago(3600))
OPERATOR_POLICY = Policy(sha256="p" * 64, freeze_score=9.0)
MODEL_POLICY = Policy(sha256="p" * 64, freeze_score=9.0, authority_unmarked=Authority.MODEL)
TWO_POLICY = Policy(sha256="p" * 64, freeze_score=9.0, authority_unmarked=Authority.TWO_PEOPLE)

BY_MODEL = VisitEvidence(identification=IDENTIFICATION, measurement=MEASUREMENT, scan=SCAN, model_reading=READING)
BY_OPERATOR = replace(BY_MODEL, operator_readings=(OPERATOR,))
BY_TWO = replace(BY_MODEL, operator_readings=(OPERATOR, SECOND))
BY_REVIEW = replace(BY_MODEL, earlier_clearance=REVIEW, image_match=MATCH)

CLEARANCE = Clearance(
    piece_id=PIECE,
    visit=2,
    at=ago(9),
    outcome=Outcome.CLEARED,
    reasons=(),
    scan_sha256=SHA,
    model_sha256=MODEL_SHA,
    authority=Authority.OPERATOR,
    by=("lan",),
    policy_sha256="p" * 64,
)
DISINFECTION = DisinfectionResult(
    piece_id=PIECE,
    visit=2,
    at=ago(2),
    unit_id="uvc-1",
    nonce=77,
    recipe_sha256="d" * 64,
    dose_mj_per_cm2=39.0,
    unit_dose_mj_per_cm2=40.0,
    target_mj_per_cm2=30.0,
    min_irradiance_uw_per_cm2=9_900.0,
    max_irradiance_uw_per_cm2=10_100.0,
    started_at=ago(8),
    ended_at=ago(3),
    samples_sha256="e" * 64,
)
REQUEST = GateRequest(
    piece_id=PIECE,
    visit=2,
    state=PieceState.DISINFECTED,
    identification=IDENTIFICATION,
    scan=SCAN,
    clearance=CLEARANCE,
    disinfection=DISINFECTION,
    plc_tag=7,
    plc_challenge=991,
    challenge_used=False,
    gate_barcode=PIECE,
    track_intact=True,
    access=False,
    frozen=False,
    healthy=True,
    contradictions=(),
    policy_sha256="p" * 64,
    valid_ms=800,
    now=NOW,
)
