"""Truth table of the gate: every condition flipped alone, and every pair of them."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from itertools import combinations

import pytest
from domain_facts import CLEARANCE, DISINFECTION, IDENTIFICATION, NOW, PIECE, REQUEST, SCAN, ago

from station.domain.clearance import Outcome
from station.domain.gate import GateRequest, Permit, Refusal, may_open
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason

Flip = Callable[[GateRequest], GateRequest]
FUTURE = NOW + timedelta(milliseconds=1)


def request(**changes: object) -> Flip:
    return lambda now: replace(now, **changes)


def part(name: str, **changes: object) -> Flip:
    def flip(now: GateRequest) -> GateRequest:
        value = getattr(now, name)
        return now if value is None else replace(now, **{name: replace(value, **changes)})

    return flip


R = Reason
CONDITIONS: list[tuple[str, Flip, Reason]] = [
    *[(f"state {state.value}", request(state=state), R.WRONG_STATE) for state in PieceState if state is not PieceState.DISINFECTED],
    ("test piece", request(piece_id="TEST-1"), R.TEST_PIECE),
    ("local piece", request(piece_id="LOCAL-lane-1-4"), R.NOT_IDENTIFIED),
    ("no piece id", request(piece_id=""), R.NOT_IDENTIFIED),
    ("visit 0", request(visit=0), R.NOT_IDENTIFIED),
    ("no identification", request(identification=None), R.NOT_IDENTIFIED),
    ("another piece identified", part("identification", piece_id="RR473124829VN"), R.NOT_IDENTIFIED),
    ("identified on another visit", part("identification", visit=1), R.NOT_IDENTIFIED),
    ("identity doubted", part("identification", reasons=(R.SIZE_DIFFERS,)), R.SIZE_DIFFERS),
    ("infeed read nothing", part("identification", barcode=None), R.BARCODE_UNREADABLE),
    ("infeed read an empty code", part("identification", barcode=""), R.BARCODE_UNREADABLE),
    ("gate read nothing", request(gate_barcode=None), R.BARCODE_UNREADABLE),
    ("gate read an empty code", request(gate_barcode=""), R.BARCODE_UNREADABLE),
    ("gate read another code", request(gate_barcode="RR473124829VN"), R.BARCODE_DIFFERS),
    ("no scan", request(scan=None), R.NO_SCAN),
    ("scan without hash", part("scan", sha256=""), R.NO_SCAN),
    ("scan of another piece", part("scan", piece_id="RR473124829VN"), R.SCAN_NOT_THIS_PIECE),
    ("scan of another visit", part("scan", visit=1), R.SCAN_NOT_THIS_PIECE),
    ("scan of another lane", part("scan", lane_id="lane-2"), R.SCAN_NOT_THIS_PIECE),
    ("another scan than the cleared one", part("scan", sha256="f" * 64), R.SCAN_NOT_THIS_PIECE),
    ("scanned after the clearance", part("scan", at=ago(8.5)), R.SCAN_NOT_THIS_PIECE),
    ("no clearance", request(clearance=None), R.NOT_CLEARED),
    ("another piece cleared", part("clearance", piece_id="RR473124829VN"), R.NOT_CLEARED),
    ("cleared on another visit", part("clearance", visit=1), R.NOT_CLEARED),
    *[
        (f"clearance says {outcome.value}", part("clearance", outcome=outcome), R.NOT_CLEARED)
        for outcome in Outcome
        if outcome is not Outcome.CLEARED
    ],
    ("clearance with reasons", part("clearance", reasons=(R.MODEL_ALARM,)), R.NOT_CLEARED),
    ("cleared by nobody", part("clearance", by=()), R.NOT_CLEARED),
    ("cleared by one of two", part("clearance", authority=Authority.TWO_PEOPLE), R.NOT_CLEARED),
    ("cleared by one twice", part("clearance", authority=Authority.TWO_PEOPLE, by=("lan", " Lan ")), R.NOT_CLEARED),
    ("clearance of another image", part("clearance", scan_sha256="9" * 64), R.SCAN_NOT_THIS_PIECE),
    ("clearance of no image", part("clearance", scan_sha256=None), R.SCAN_NOT_THIS_PIECE),
    ("no disinfection", request(disinfection=None), R.NO_DISINFECTION),
    ("another piece disinfected", part("disinfection", piece_id="RR473124829VN"), R.NO_DISINFECTION),
    ("disinfected on another visit", part("disinfection", visit=1), R.NO_DISINFECTION),
    ("disinfection failed", part("disinfection", reasons=(R.LAMP_FAULT,)), R.LAMP_FAULT),
    ("dose short", part("disinfection", dose_mj_per_cm2=math.nextafter(30.0, 0), unit_dose_mj_per_cm2=30.0), R.DOSE_SHORT),
    ("dose not a number", part("disinfection", dose_mj_per_cm2=math.nan), R.DOSE_SHORT),
    ("dose infinite", part("disinfection", dose_mj_per_cm2=math.inf), R.DOSE_SHORT),
    ("no target", part("disinfection", target_mj_per_cm2=0.0), R.DOSE_SHORT),
    ("target not a number", part("disinfection", target_mj_per_cm2=math.nan), R.DOSE_SHORT),
    ("unit's dose far below", part("disinfection", unit_dose_mj_per_cm2=37.0), R.DOSE_DISAGREES),
    ("unit's dose far above", part("disinfection", unit_dose_mj_per_cm2=41.1), R.DOSE_DISAGREES),
    ("unit's dose not a number", part("disinfection", unit_dose_mj_per_cm2=math.nan), R.DOSE_DISAGREES),
    ("nonce 0", part("disinfection", nonce=0), R.NONCE_DIFFERS),
    ("nonce beyond u32", part("disinfection", nonce=0x1_0000_0000), R.NONCE_DIFFERS),
    ("lit before the clearance", part("disinfection", started_at=ago(9.5)), R.DISINFECTED_BEFORE_CLEARANCE),
    ("lit at the clearance", part("disinfection", started_at=ago(9)), R.DISINFECTED_BEFORE_CLEARANCE),
    ("ended before it began", part("disinfection", ended_at=ago(8)), R.DISINFECTED_BEFORE_CLEARANCE),
    ("judged before it ended", part("disinfection", at=ago(3.5)), R.DISINFECTED_BEFORE_CLEARANCE),
    ("started at no known time", part("disinfection", started_at=ago(8).replace(tzinfo=None)), R.DISINFECTED_BEFORE_CLEARANCE),
    ("PLC has another tag", request(plc_tag=8), R.TAG_DIFFERS),
    ("both tags 0", lambda now: part("identification", tag=0)(replace(now, plc_tag=0)), R.TAG_DIFFERS),
    ("both tags beyond u32", lambda now: part("identification", tag=2**32)(replace(now, plc_tag=2**32)), R.TAG_DIFFERS),
    ("challenge used", request(challenge_used=True), R.CHALLENGE_STALE),
    ("challenge 0", request(plc_challenge=0), R.CHALLENGE_STALE),
    ("challenge beyond u32", request(plc_challenge=2**32), R.CHALLENGE_STALE),
    ("track lost", request(track_intact=False), R.TRACK_LOST),
    ("access", request(access=True), R.ZONE_ACCESSED),
    ("frozen", request(frozen=True), R.FROZEN),
    ("not healthy", request(healthy=False), R.STATION_UNHEALTHY),
    ("newer finding", request(contradictions=(R.RADIATION,)), R.RADIATION),
    ("another policy now", request(policy_sha256="q" * 64), R.POLICY_CHANGED),
    ("no policy", lambda now: part("clearance", policy_sha256="")(replace(now, policy_sha256="")), R.POLICY_CHANGED),
    ("cleared by another policy", part("clearance", policy_sha256="r" * 64), R.POLICY_CHANGED),
    ("valid for 0 ms", request(valid_ms=0), R.PERMIT_INVALID),
    ("valid for 1001 ms", request(valid_ms=1001), R.PERMIT_INVALID),
    ("identified in the future", part("identification", at=FUTURE), R.EVIDENCE_STALE),
    ("scanned in the future", part("scan", at=FUTURE), R.EVIDENCE_STALE),
    ("cleared in the future", part("clearance", at=FUTURE), R.EVIDENCE_STALE),
    ("disinfected in the future", part("disinfection", at=FUTURE), R.EVIDENCE_STALE),
    ("now has no time zone", request(now=NOW.replace(tzinfo=None)), R.EVIDENCE_STALE),
]


def test_favourable_facts_open_the_gate():
    permit = may_open(REQUEST)
    assert permit == Permit(
        piece_id=PIECE, visit=2, at=NOW, tag=7, challenge=991, valid_ms=800, scan_sha256="a" * 64, nonce=77, policy_sha256="p" * 64
    )


@pytest.mark.parametrize(
    "favourable",
    [
        request(valid_ms=1),
        request(valid_ms=1000),
        request(plc_challenge=1),
        request(plc_challenge=2**32 - 1),
        part("disinfection", nonce=1),
        part("disinfection", nonce=2**32 - 1),
        part("disinfection", dose_mj_per_cm2=30.0, unit_dose_mj_per_cm2=30.0),
        part("disinfection", dose_mj_per_cm2=38.0, unit_dose_mj_per_cm2=40.0),
        part("disinfection", dose_mj_per_cm2=40.0, unit_dose_mj_per_cm2=38.0),
        part("disinfection", at=NOW),
        part("disinfection", at=ago(3)),
        part("scan", at=ago(9)),
        part("clearance", authority=Authority.TWO_PEOPLE, by=("lan", "minh")),
        lambda now: part("identification", tag=1)(replace(now, plc_tag=1)),
        lambda now: part("identification", tag=2**32 - 1)(replace(now, plc_tag=2**32 - 1)),
        lambda now: replace(
            now,
            visit=1,
            identification=replace(IDENTIFICATION, visit=1),
            scan=replace(SCAN, visit=1),
            clearance=replace(CLEARANCE, visit=1),
            disinfection=replace(DISINFECTION, visit=1),
        ),
    ],
)
def test_the_edge_of_what_is_allowed_opens(favourable: Flip):
    assert isinstance(may_open(favourable(REQUEST)), Permit)


@pytest.mark.parametrize(("name", "flip", "reason"), CONDITIONS, ids=[condition[0] for condition in CONDITIONS])
def test_each_condition_alone_keeps_the_gate_shut(name: str, flip: Flip, reason: Reason):
    answer = may_open(flip(REQUEST))
    assert isinstance(answer, Refusal)
    assert reason in answer.reasons
    assert len(set(answer.reasons)) == len(answer.reasons)


def test_no_pair_of_failed_conditions_opens_the_gate():
    for (_, one, _), (_, other, _) in combinations(CONDITIONS, 2):
        for flipped in (one(other(REQUEST)), other(one(REQUEST))):
            answer = may_open(flipped)
            assert isinstance(answer, Refusal)
            assert answer.reasons


def test_independent_failures_are_all_named():
    flipped = REQUEST
    independent = ["frozen", "access", "track lost", "not healthy", "challenge used", "valid for 0 ms", "dose short", "PLC has another tag"]
    for name, flip, _ in CONDITIONS:
        flipped = flip(flipped) if name in independent else flipped
    answer = may_open(flipped)
    assert isinstance(answer, Refusal)
    assert set(answer.reasons) == {reason for name, _, reason in CONDITIONS if name in independent}


def test_the_table_turns_every_field_of_the_request():
    turned = set()
    for _, flip, _ in CONDITIONS:
        flipped = flip(REQUEST)
        turned |= {field.name for field in fields(GateRequest) if getattr(flipped, field.name) != getattr(REQUEST, field.name)}
    assert turned == {field.name for field in fields(GateRequest)}


def test_a_refusal_names_the_piece_and_the_moment():
    answer = may_open(replace(REQUEST, frozen=True))
    assert answer == Refusal(piece_id=PIECE, visit=2, at=NOW, reasons=(Reason.FROZEN,))


def everywhere(**changes: object) -> GateRequest:
    """The request with the same change in every fact, so that only the rule itself can refuse it."""
    facts = {name: replace(getattr(REQUEST, name), **changes) for name in ("identification", "scan", "clearance", "disinfection")}
    return replace(REQUEST, **facts, **changes)


def test_some_pieces_never_leave_however_well_their_facts_agree():
    assert isinstance(may_open(everywhere(piece_id="RR473124829VN")), Permit)
    for changes, reason in (
        ({"piece_id": "LOCAL-lane-1-4"}, R.NOT_IDENTIFIED),
        ({"piece_id": ""}, R.NOT_IDENTIFIED),
        ({"visit": 0}, R.NOT_IDENTIFIED),
        ({"piece_id": "TEST-1"}, R.TEST_PIECE),
    ):
        answer = may_open(everywhere(**changes))
        assert isinstance(answer, Refusal)
        assert answer.reasons == (reason,)


def test_any_target_above_nothing_is_a_target():
    small = part("disinfection", target_mj_per_cm2=0.5, dose_mj_per_cm2=0.6, unit_dose_mj_per_cm2=0.6)
    assert isinstance(may_open(small(REQUEST)), Permit)
