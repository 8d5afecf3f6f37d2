"""What holds a piece, and that no pair of such facts clears it."""

import math
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest
from domain_facts import (
    MODEL_SHA,
    NOW,
    PIECE,
    SECOND_REVIEW,
    SHA,
    ago,
)
from domain_worlds import (
    MODEL_WORLD,
    REVIEW_WORLD,
    WORLDS,
    Flip,
    World,
    another_reading,
    evidence,
    health,
    part,
    policy,
)

from station.domain.clearance import Outcome
from station.domain.people import JUDGED_BY_PEOPLE, NEEDS_REVIEW
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, ReviewOutcome
from station.domain.scan import Finding

R = Reason
FUTURE = NOW + timedelta(milliseconds=1)
MEASURED = (R.SIZE_DIFFERS, R.WEIGHT_DIFFERS, R.RADIATION)


ALWAYS_HOLD: list[tuple[str, Flip, Reason]] = [
    ("not identified", evidence(identification=None), R.NOT_IDENTIFIED),
    ("test piece", part("identification", piece_id="TEST-1"), R.TEST_PIECE),
    ("local piece", part("identification", piece_id="LOCAL-lane-1-4"), R.NOT_IDENTIFIED),
    ("no piece id", part("identification", piece_id=""), R.NOT_IDENTIFIED),
    ("visit 0", part("identification", visit=0), R.NOT_IDENTIFIED),
    ("unreadable", part("identification", barcode=None), R.BARCODE_UNREADABLE),
    ("no tag", part("identification", tag=0), R.TRACK_LOST),
    ("weight not a number", part("identification", weight_g=math.nan), R.WEIGHT_DIFFERS),
    *[(f"identity: {reason}", part("identification", reasons=(reason,)), reason) for reason in (R.UNANNOUNCED, R.SIZE_DIFFERS)],
    ("not measured", evidence(measurement=None), R.NOT_IDENTIFIED),
    ("another piece measured", part("measurement", piece_id="RR473124829VN"), R.NOT_IDENTIFIED),
    ("measured on another visit", part("measurement", visit=1), R.NOT_IDENTIFIED),
    *[(f"measured: {reason}", part("measurement", findings=(Finding(reason=reason, measured=500.0),)), reason) for reason in MEASURED],
    ("measured in the future", part("measurement", at=FUTURE), R.EVIDENCE_STALE),
    *[(f"newer: {reason}", evidence(contradictions=(reason,)), reason) for reason in Reason],
    *[(f"earlier hold: {reason}", evidence(earlier_holds=(reason,)), reason) for reason in sorted(NEEDS_REVIEW)],
    ("no scan", evidence(scan=None), R.NO_SCAN),
    ("scan without hash", part("scan", sha256=""), R.NO_SCAN),
    ("scan of another piece", part("scan", piece_id="RR473124829VN"), R.SCAN_NOT_THIS_PIECE),
    ("scan of another visit", part("scan", visit=1), R.SCAN_NOT_THIS_PIECE),
    ("scan of another lane", part("scan", lane_id="lane-2"), R.SCAN_NOT_THIS_PIECE),
    ("another scan", part("scan", sha256="8" * 64), R.SCAN_NOT_THIS_PIECE),
    ("no lines", part("scan", lines=0), R.SCAN_INCOMPLETE),
    ("no pixels", part("scan", pixels=0), R.SCAN_INCOMPLETE),
    ("length not a number", part("scan", length_mm=math.nan), R.SCAN_INCOMPLETE),
    ("no width", part("scan", width_mm=0.0), R.SCAN_INCOMPLETE),
    ("infinite width", part("scan", width_mm=math.inf), R.SCAN_INCOMPLETE),
    ("kV not a number", part("scan", kv=math.nan), R.BEAM_OFF_SET_POINT),
    ("no mA", part("scan", ma=0.0), R.BEAM_OFF_SET_POINT),
    *[
        (f"finding: {reason}", part("scan", findings=(Finding(reason=reason),)), reason)
        for reason in Reason
        if reason not in JUDGED_BY_PEOPLE
    ],
    ("no model reading", evidence(model_reading=None), R.NO_MODEL_READING),
    ("reading of another piece", part("model_reading", piece_id="RR473124829VN"), R.SCAN_NOT_THIS_PIECE),
    ("reading of another visit", part("model_reading", visit=1), R.SCAN_NOT_THIS_PIECE),
    ("reading of another scan", part("model_reading", scan_sha256="f" * 64), R.SCAN_NOT_THIS_PIECE),
    ("reading of a projected image", part("model_reading", projected_sha256="1" * 64), R.PROJECTED_IMAGE),
    ("reading by no model", part("model_reading", model_sha256=""), R.MODEL_FAILED),
    ("score not a number", part("model_reading", score=math.nan), R.MODEL_FAILED),
    ("score minus infinity", part("model_reading", score=-math.inf), R.MODEL_FAILED),
    ("threshold not a number", part("model_reading", threshold=math.nan), R.MODEL_FAILED),
    ("threshold infinite", part("model_reading", threshold=math.inf), R.MODEL_FAILED),
    ("p-value not a number", part("model_reading", p_value=math.nan), R.MODEL_FAILED),
    ("p-value above 1", part("model_reading", p_value=1.01), R.MODEL_FAILED),
    ("p-value below 0", part("model_reading", p_value=-0.01), R.MODEL_FAILED),
    ("duration not a number", part("model_reading", duration_ms=math.nan), R.MODEL_FAILED),
    ("model names a scan fault", part("model_reading", findings=(Finding(reason=R.TWO_PIECES),)), R.TWO_PIECES),
    ("an operator holds", another_reading(OperatorDecision.HOLD), R.OPERATOR_HOLDS),
    ("an operator freezes", another_reading(OperatorDecision.FREEZE), R.FROZEN),
    ("operator read another piece", another_reading(OperatorDecision.CLEAR, piece_id="RR473124829VN"), R.SCAN_NOT_THIS_PIECE),
    ("operator read another visit", another_reading(OperatorDecision.CLEAR, visit=1), R.SCAN_NOT_THIS_PIECE),
    ("operator read another scan", another_reading(OperatorDecision.CLEAR, scan_sha256="f" * 64), R.SCAN_NOT_THIS_PIECE),
    ("audit broken", health(audit_ok=False), R.AUDIT_BROKEN),
    ("store failing", health(store_ok=False), R.STORE_FAILING),
    ("frozen", health(frozen=True), R.FROZEN),
    ("no test piece", health(test_piece_passed_at=None), R.TEST_PIECE_MISSING),
    ("test piece too old", health(test_piece_passed_at=ago(24 * 3600 + 0.001)), R.TEST_PIECE_MISSING),
    ("test piece in the future", health(test_piece_passed_at=FUTURE), R.TEST_PIECE_MISSING),
    ("test piece at no known time", health(test_piece_passed_at=ago(60).replace(tzinfo=None)), R.TEST_PIECE_MISSING),
    ("test piece limit not a number", policy(test_piece_max_age_h=math.nan), R.TEST_PIECE_MISSING),
    ("identified in the future", part("identification", at=FUTURE), R.EVIDENCE_STALE),
    ("scanned in the future", part("scan", at=FUTURE), R.EVIDENCE_STALE),
    ("read in the future", part("model_reading", at=FUTURE), R.EVIDENCE_STALE),
    ("operator in the future", another_reading(OperatorDecision.CLEAR, at=FUTURE), R.EVIDENCE_STALE),
    ("scanned at no known time", part("scan", at=ago(5).replace(tzinfo=None)), R.EVIDENCE_STALE),
]


MODEL_HOLDS: list[tuple[str, Flip, Reason]] = [
    ("alarm", part("model_reading", score=5.0), R.MODEL_ALARM),
    ("named finding", part("model_reading", findings=(Finding(reason=R.MODEL_ALARM),)), R.MODEL_ALARM),
    ("opaque", part("scan", findings=(Finding(reason=R.OPAQUE_AREA),)), R.OPAQUE_AREA),
    ("model not usable", health(model_usable=False), R.MODEL_STALE),
    ("model not proved", health(model_proved=False), R.MODEL_NOT_PROVED),
    ("too few calibration pieces", part("model_reading", calibration_n=499), R.MODEL_NOT_PROVED),
    ("few pieces though waived", lambda w: policy(unproved_model=True)(part("model_reading", calibration_n=499)(w)), R.MODEL_NOT_PROVED),
]


REVIEW_HOLDS: list[tuple[str, Flip, Reason]] = [
    ("review rejects", part("earlier_clearance", outcome=ReviewOutcome.REJECT), R.REVIEW_REJECTS),
    ("review holds", part("earlier_clearance", outcome=ReviewOutcome.HOLD), R.REVIEW_HOLDS),
    ("review of another piece", part("earlier_clearance", piece_id="RR473124829VN"), R.SCAN_NOT_THIS_PIECE),
    ("review of this visit", part("earlier_clearance", visit=2), R.SCAN_NOT_THIS_PIECE),
    ("review of a later visit", part("earlier_clearance", visit=3), R.SCAN_NOT_THIS_PIECE),
    ("review by nobody", part("earlier_clearance", person=" "), R.AWAITING_SECOND_PERSON),
    ("review of no scan", part("earlier_clearance", scan_sha256=None), R.IMAGE_NOT_COMPARED),
    ("review of another scan", part("earlier_clearance", scan_sha256="9" * 64), R.IMAGE_MISMATCH),
    ("review in the future", part("earlier_clearance", at=FUTURE), R.EVIDENCE_STALE),
    ("second rejects", evidence(second_clearance=replace(SECOND_REVIEW, outcome=ReviewOutcome.REJECT)), R.REVIEW_REJECTS),
    ("second holds", evidence(second_clearance=replace(SECOND_REVIEW, outcome=ReviewOutcome.HOLD)), R.REVIEW_HOLDS),
    ("second saw another scan", evidence(second_clearance=replace(SECOND_REVIEW, scan_sha256="9" * 64)), R.IMAGE_MISMATCH),
    ("second in the future", evidence(second_clearance=replace(SECOND_REVIEW, at=FUTURE)), R.EVIDENCE_STALE),
    ("no image match", evidence(image_match=None), R.IMAGE_NOT_COMPARED),
    ("match of another cleared scan", part("image_match", cleared_scan_sha256="7" * 64), R.IMAGE_MISMATCH),
    ("match of another new scan", part("image_match", new_scan_sha256="6" * 64), R.IMAGE_MISMATCH),
    ("too far", part("image_match", distance=0.150001), R.IMAGE_MISMATCH),
    ("too far for the policy", part("image_match", distance=0.2, bound=0.5), R.IMAGE_MISMATCH),
    ("distance not a number", part("image_match", distance=math.nan), R.IMAGE_MISMATCH),
    ("distance negative", part("image_match", distance=-0.01), R.IMAGE_MISMATCH),
    ("bound not a number", part("image_match", bound=math.nan), R.IMAGE_MISMATCH),
    ("policy's bound not a number", policy(image_match_bound=math.nan), R.IMAGE_MISMATCH),
    ("new finding", part("image_match", new_findings=(Finding(reason=R.OPAQUE_AREA),)), R.NEW_FINDING),
    ("opaque, one person", part("scan", findings=(Finding(reason=R.OPAQUE_AREA),)), R.AWAITING_SECOND_PERSON),
    ("radiation, one person", part("scan", findings=(Finding(reason=R.RADIATION),)), R.AWAITING_SECOND_PERSON),
    ("two demanded, one person", policy(authority_unmarked=Authority.TWO_PEOPLE), R.AWAITING_SECOND_PERSON),
]


HOLDS = [
    *[(f"{which}: {name}", WORLDS[which], flip, reason) for which in WORLDS for name, flip, reason in ALWAYS_HOLD],
    *[(f"model: {name}", MODEL_WORLD, flip, reason) for name, flip, reason in MODEL_HOLDS],
    *[(f"review: {name}", REVIEW_WORLD, flip, reason) for name, flip, reason in REVIEW_HOLDS],
]


@pytest.mark.parametrize(
    ("which", "by"), [("model", ("model",)), ("operator", ("lan",)), ("two people", ("lan", "minh")), ("review", ("hoa",))]
)
def test_favourable_facts_clear(which: str, by: tuple[str, ...]):
    answer = WORLDS[which].judged()
    assert (answer.outcome, answer.reasons, answer.by) == (Outcome.CLEARED, (), by)
    assert (answer.piece_id, answer.visit, answer.at) == (PIECE, 2, NOW)
    assert (answer.scan_sha256, answer.model_sha256, answer.policy_sha256) == (SHA, MODEL_SHA, "p" * 64)
    assert answer.authority is WORLDS[which].policy.authority_unmarked


@pytest.mark.parametrize(("name", "world", "flip", "reason"), HOLDS, ids=[hold[0] for hold in HOLDS])
def test_each_fact_against_it_holds_a_piece(name: str, world: World, flip: Flip, reason: Reason):
    answer = flip(world).judged()
    assert answer.outcome is Outcome.HELD
    assert reason in answer.reasons
    assert len(set(answer.reasons)) == len(answer.reasons)
    assert answer.by == ()


@pytest.mark.parametrize("which", sorted(WORLDS))
def test_no_pair_of_facts_against_it_clears_a_piece(which: str):
    own = {"model": MODEL_HOLDS, "review": REVIEW_HOLDS}.get(which, [])
    flips = [flip for _, flip, _ in (*ALWAYS_HOLD[::3], *own)]
    for one, other in combinations(flips, 2):
        answer = one(other(WORLDS[which])).judged()
        assert answer.outcome is Outcome.HELD, (one(other(WORLDS[which])), answer)
