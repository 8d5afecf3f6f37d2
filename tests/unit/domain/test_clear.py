"""What holds, what waits, what stops the belts and what clears."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations, product

import pytest
from domain_facts import (
    BY_MODEL,
    BY_OPERATOR,
    BY_REVIEW,
    BY_TWO,
    HEALTH,
    IDENTIFICATION,
    MATCH,
    MODEL_POLICY,
    MODEL_SHA,
    NOW,
    OPEN_POLICY,
    OPERATOR,
    OPERATOR_POLICY,
    PIECE,
    READING,
    REVIEW,
    SCAN,
    SECOND,
    SECOND_REVIEW,
    SHA,
    TWO_POLICY,
    ago,
)

from station.domain.clearance import Clearance, Outcome, StationHealth, VisitEvidence, clear
from station.domain.people import JUDGED_BY_PEOPLE, NEEDS_REVIEW
from station.domain.piece import Secrecy
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, ReviewOutcome
from station.domain.scan import Finding

R = Reason
FUTURE = NOW + timedelta(milliseconds=1)


@dataclass(frozen=True)
class World:
    evidence: VisitEvidence
    policy: Policy
    health: StationHealth = HEALTH

    def judged(self) -> Clearance:
        return clear(self.evidence, self.policy, self.health, NOW)


Flip = Callable[[World], World]

MODEL_WORLD = World(BY_MODEL, MODEL_POLICY)
OPERATOR_WORLD = World(BY_OPERATOR, OPERATOR_POLICY)
TWO_WORLD = World(BY_TWO, TWO_POLICY)
REVIEW_WORLD = World(BY_REVIEW, OPERATOR_POLICY)
WORLDS = {"model": MODEL_WORLD, "operator": OPERATOR_WORLD, "two people": TWO_WORLD, "review": REVIEW_WORLD}


def evidence(**changes: object) -> Flip:
    return lambda world: replace(world, evidence=replace(world.evidence, **changes))


def part(name: str, **changes: object) -> Flip:
    def flip(world: World) -> World:
        value = getattr(world.evidence, name)
        return world if value is None else evidence(**{name: replace(value, **changes)})(world)

    return flip


def health(**changes: object) -> Flip:
    return lambda world: replace(world, health=replace(world.health, **changes))


def policy(**changes: object) -> Flip:
    return lambda world: replace(world, policy=replace(world.policy, **changes))


def another_reading(decision: OperatorDecision, **changes: object) -> Flip:
    def flip(world: World) -> World:
        added = replace(SECOND, decision=decision, **changes)
        return evidence(operator_readings=(*world.evidence.operator_readings, added))(world)

    return flip


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
    *[(f"marked {level}", part("identification", secrecy=level), R.LEVEL_NEEDS_ACCESS) for level in Secrecy],
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
    ("model kept from marked", lambda w: policy(model_on_marked=False)(part("identification", secrecy=Secrecy.C)(w)), R.LEVEL_NEEDS_ACCESS),
]

REVIEW_HOLDS: list[tuple[str, Flip, Reason]] = [
    ("review rejects", part("earlier_clearance", outcome=ReviewOutcome.REJECT), R.REVIEW_REJECTS),
    ("review holds", part("earlier_clearance", outcome=ReviewOutcome.HOLD), R.REVIEW_HOLDS),
    ("review of another piece", part("earlier_clearance", piece_id="RR473124829VN"), R.SCAN_NOT_THIS_PIECE),
    ("review of this visit", part("earlier_clearance", visit=2), R.SCAN_NOT_THIS_PIECE),
    ("review of a later visit", part("earlier_clearance", visit=3), R.SCAN_NOT_THIS_PIECE),
    ("review by nobody", part("earlier_clearance", person=" "), R.AWAITING_SECOND_PERSON),
    ("review of no scan", part("earlier_clearance", scan_sha256=None), R.IMAGE_MISMATCH),
    ("review of another scan", part("earlier_clearance", scan_sha256="9" * 64), R.IMAGE_MISMATCH),
    ("review in the future", part("earlier_clearance", at=FUTURE), R.EVIDENCE_STALE),
    ("second rejects", evidence(second_clearance=replace(SECOND_REVIEW, outcome=ReviewOutcome.REJECT)), R.REVIEW_REJECTS),
    ("second holds", evidence(second_clearance=replace(SECOND_REVIEW, outcome=ReviewOutcome.HOLD)), R.REVIEW_HOLDS),
    ("second saw another scan", evidence(second_clearance=replace(SECOND_REVIEW, scan_sha256="9" * 64)), R.IMAGE_MISMATCH),
    ("second in the future", evidence(second_clearance=replace(SECOND_REVIEW, at=FUTURE)), R.EVIDENCE_STALE),
    ("no image match", evidence(image_match=None), R.IMAGE_MISMATCH),
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


def known_alarm(score: float) -> Flip:
    """What the model had said of the scan that people cleared."""
    return evidence(cleared_reading=replace(READING, score=score, visit=1))


EDGES: list[tuple[str, World]] = [
    ("test piece of exactly 24 h", health(test_piece_passed_at=ago(24 * 3600))(MODEL_WORLD)),
    ("test piece just now", health(test_piece_passed_at=NOW)(MODEL_WORLD)),
    ("score just below the threshold", part("model_reading", score=math.nextafter(5.0, 0))(MODEL_WORLD)),
    ("p-value 0", part("model_reading", p_value=0.0)(MODEL_WORLD)),
    ("p-value 1", part("model_reading", p_value=1.0)(MODEL_WORLD)),
    ("first visit, first tag", part("scan", visit=1)(part("model_reading", visit=1)(part("identification", visit=1, tag=1)(MODEL_WORLD)))),
    ("one line, one pixel", part("scan", lines=1, pixels=1)(MODEL_WORLD)),
    ("weight not measured", part("identification", weight_g=None)(MODEL_WORLD)),
    ("demo waives the proof", policy(unproved_model=True)(health(model_proved=False)(MODEL_WORLD))),
    ("no freeze score", policy(freeze_score=None)(MODEL_WORLD)),
    ("earlier hold that needs no review", evidence(earlier_holds=(R.TRACK_LOST,))(MODEL_WORLD)),
    ("facts of this very moment", part("scan", at=NOW)(MODEL_WORLD)),
    ("operator over a model's alarm", part("model_reading", score=5.0)(OPERATOR_WORLD)),
    ("operator over a freeze score", part("model_reading", score=9.0)(OPERATOR_WORLD)),
    ("operator, model not proved", health(model_usable=False, model_proved=False)(OPERATOR_WORLD)),
    ("operator just before expiry", evidence(window_expired=True)(OPERATOR_WORLD)),
    ("operator not blind, unmarked", evidence(operator_readings=(replace(OPERATOR, blind=False),))(OPERATOR_WORLD)),
    ("two over an alarm", part("model_reading", score=5.0)(TWO_WORLD)),
    ("reviewed alarm", known_alarm(5.0)(part("model_reading", score=5.0)(REVIEW_WORLD))),
    ("reviewed freeze score", known_alarm(9.0)(part("model_reading", score=9.0)(REVIEW_WORLD))),
    ("reviewed alarm, model authority", replace(known_alarm(5.0)(part("model_reading", score=5.0)(REVIEW_WORLD)), policy=MODEL_POLICY)),
    ("reviewed, model not usable", replace(health(model_usable=False)(REVIEW_WORLD), policy=MODEL_POLICY)),
    ("reviewed by two", evidence(second_clearance=SECOND_REVIEW)(REVIEW_WORLD)),
    ("distance at the bound", part("image_match", distance=0.15)(REVIEW_WORLD)),
    ("distance 0", part("image_match", distance=0.0)(REVIEW_WORLD)),
    (
        "opaque, two reviewed",
        evidence(second_clearance=SECOND_REVIEW)(part("scan", findings=(Finding(reason=R.OPAQUE_AREA),))(REVIEW_WORLD)),
    ),
    ("two demanded, two reviewed", policy(authority_unmarked=Authority.TWO_PEOPLE)(evidence(second_clearance=SECOND_REVIEW)(REVIEW_WORLD))),
    ("marked C with access", World(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD).evidence, OPEN_POLICY)),
    ("marked B with access, blind", World(part("identification", secrecy=Secrecy.B)(OPERATOR_WORLD).evidence, OPEN_POLICY)),
    ("marked A with access, two", World(part("identification", secrecy=Secrecy.A)(TWO_WORLD).evidence, OPEN_POLICY)),
    (
        "marked A over an alarm, two",
        World(part("model_reading", score=5.0)(part("identification", secrecy=Secrecy.A)(TWO_WORLD)).evidence, OPEN_POLICY),
    ),
    (
        "marked, model off, no reading",
        World(
            evidence(model_reading=None)(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD)).evidence,
            replace(OPEN_POLICY, model_on_marked=False),
        ),
    ),
    (
        "marked, model off, alarm unread",
        World(
            part("model_reading", score=9.0)(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD)).evidence,
            replace(OPEN_POLICY, model_on_marked=False),
        ),
    ),
    ("a projected threat was called", another_reading(OperatorDecision.HOLD, projected_sha256="1" * 64)(OPERATOR_WORLD)),
]


@pytest.mark.parametrize(("name", "world"), EDGES, ids=[edge[0] for edge in EDGES])
def test_the_edge_of_what_is_allowed_clears(name: str, world: World):
    answer = world.judged()
    assert (answer.outcome, answer.reasons) == (Outcome.CLEARED, ())


@pytest.mark.parametrize("known", [None, 0.0])
def test_an_alarm_that_the_reviewers_did_not_know_of_is_new(known: float | None):
    before = REVIEW_WORLD if known is None else known_alarm(known)(REVIEW_WORLD)
    alarmed = part("model_reading", score=5.0)(before).judged()
    assert (alarmed.outcome, alarmed.reasons) == (Outcome.HELD, (R.NEW_FINDING,))
    assert part("model_reading", score=9.0)(before).judged().outcome is Outcome.ATTENTION


def test_a_score_that_newly_reaches_the_freeze_score_is_an_attention_stop_though_the_alarm_was_known():
    assert part("model_reading", score=9.0)(known_alarm(5.0)(REVIEW_WORLD)).judged().outcome is Outcome.ATTENTION


def test_two_reviewers_are_both_named():
    assert evidence(second_clearance=SECOND_REVIEW)(REVIEW_WORLD).judged().by == ("hoa", "tuan")


def test_a_model_that_is_off_for_marked_pieces_is_not_named():
    world = World(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD).evidence, replace(OPEN_POLICY, model_on_marked=False))
    assert world.judged().model_sha256 is None


MARKED_HOLDS = [
    ("C over an alarm by one", part("model_reading", score=5.0), Secrecy.C, R.MODEL_ALARM),
    ("B not read blind", evidence(operator_readings=(replace(OPERATOR, blind=False),)), Secrecy.B, R.READ_NOT_BLIND),
    ("after any hold", evidence(earlier_holds=(R.TRACK_LOST,)), Secrecy.C, R.TRACK_LOST),
]


@pytest.mark.parametrize(("name", "flip", "level", "reason"), MARKED_HOLDS, ids=[hold[0] for hold in MARKED_HOLDS])
def test_marked_pieces_take_more_even_when_people_have_access(name: str, flip: Flip, level: Secrecy, reason: Reason):
    answer = World(flip(part("identification", secrecy=level)(OPERATOR_WORLD)).evidence, OPEN_POLICY).judged()
    assert answer.outcome is Outcome.HELD
    assert reason in answer.reasons


def test_a_marked_piece_back_from_review_takes_two_reviewers():
    world = World(part("identification", secrecy=Secrecy.C)(REVIEW_WORLD).evidence, OPEN_POLICY)
    assert world.judged().reasons == (R.AWAITING_SECOND_PERSON,)
    assert evidence(second_clearance=SECOND_REVIEW)(world).judged().outcome is Outcome.CLEARED
    assert evidence(second_clearance=replace(SECOND_REVIEW, person="HOA"))(world).judged().outcome is Outcome.HELD


WAITS = [
    ("no reading", BY_MODEL, OPERATOR_POLICY, R.AWAITING_OPERATOR),
    ("no reading of two", BY_MODEL, TWO_POLICY, R.AWAITING_OPERATOR),
    ("one of two", BY_OPERATOR, TWO_POLICY, R.AWAITING_SECOND_PERSON),
    (
        "one of two twice",
        replace(BY_TWO, operator_readings=(OPERATOR, replace(SECOND, person=" LAN"))),
        TWO_POLICY,
        R.AWAITING_SECOND_PERSON,
    ),
    ("read by nobody", replace(BY_OPERATOR, operator_readings=(replace(OPERATOR, person="  "),)), OPERATOR_POLICY, R.AWAITING_OPERATOR),
    (
        "projected image read",
        replace(BY_OPERATOR, operator_readings=(replace(OPERATOR, projected_sha256="1" * 64),)),
        OPERATOR_POLICY,
        R.AWAITING_OPERATOR,
    ),
]


@pytest.mark.parametrize(("name", "facts", "rules", "reason"), WAITS, ids=[wait[0] for wait in WAITS])
def test_only_a_missing_decision_waits_and_expiry_holds(name: str, facts: VisitEvidence, rules: Policy, reason: Reason):
    waiting = clear(facts, rules, HEALTH, NOW)
    assert (waiting.outcome, waiting.reasons, waiting.by) == (Outcome.AWAITING, (reason,), ())
    late = clear(replace(facts, window_expired=True), rules, HEALTH, NOW)
    assert (late.outcome, late.reasons) == (Outcome.HELD, (R.DECISION_TIMEOUT,))


def test_an_alarm_may_be_asked_about_and_its_expiry_names_it():
    alarm = part("model_reading", score=5.0)(World(BY_MODEL, OPERATOR_POLICY))
    assert alarm.judged().outcome is Outcome.AWAITING
    assert evidence(window_expired=True)(alarm).judged().reasons == (R.DECISION_TIMEOUT, R.MODEL_ALARM)


@pytest.mark.parametrize("rules", [OPERATOR_POLICY, MODEL_POLICY, TWO_POLICY], ids=["operator", "model", "two people"])
def test_a_score_at_the_freeze_score_stops_the_belts_before_it_holds(rules: Policy):
    world = part("model_reading", score=9.0)(World(BY_MODEL, rules))
    assert world.judged().outcome is Outcome.ATTENTION
    assert world.judged().reasons[0] is R.ATTENTION_SCORE
    lost = evidence(contradictions=(R.TRACK_LOST,))(world).judged()
    assert lost.outcome is Outcome.ATTENTION
    assert R.TRACK_LOST in lost.reasons
    marked = part("identification", secrecy=Secrecy.B)(world).judged()
    assert marked.outcome is Outcome.ATTENTION
    assert part("model_reading", score=math.nextafter(9.0, 0))(world).judged().outcome is not Outcome.ATTENTION
    assert policy(freeze_score=math.nan)(world).judged().outcome is Outcome.ATTENTION
    assert policy(freeze_score=None)(world).judged().outcome is not Outcome.ATTENTION


@pytest.mark.parametrize(
    "flip",
    [
        evidence(window_expired=True),
        health(frozen=True),
        part("identification", piece_id="TEST-1"),
        part("model_reading", projected_sha256="1" * 64),
        part("model_reading", scan_sha256="f" * 64),
        another_reading(OperatorDecision.HOLD),
    ],
    ids=["expired", "frozen", "test piece", "projected", "another scan", "decided"],
)
def test_an_attention_stop_ends_in_a_hold(flip: Flip):
    world = part("model_reading", score=9.0)(World(BY_MODEL, OPERATOR_POLICY))
    assert flip(world).judged().outcome is Outcome.HELD


def test_an_attention_stop_that_expires_says_so():
    world = evidence(window_expired=True)(part("model_reading", score=9.0)(World(BY_MODEL, OPERATOR_POLICY)))
    assert world.judged().reasons == (R.DECISION_TIMEOUT, R.ATTENTION_SCORE, R.MODEL_ALARM)


def test_a_review_that_does_not_stand_does_not_excuse_a_freeze_score():
    world = part("image_match", distance=0.9)(part("model_reading", score=9.0)(REVIEW_WORLD))
    assert world.judged().outcome is Outcome.ATTENTION


SCORES = (1.0, 5.0, 9.0, math.nan)
READINGS = ((), (OPERATOR,), (OPERATOR, SECOND), (replace(OPERATOR, decision=OperatorDecision.HOLD),))
RULES = tuple(Authority)


def expected(
    authority: Authority, score: float, people: int, *, holds: bool, expired: bool, level: Secrecy | None, opaque: bool, reviewed: bool
) -> Outcome:
    """The design's table, written a second time as one decision per line."""
    decided = people > 0 or holds
    if score == 9.0 and not decided and not expired and not (reviewed and level is None and not opaque):
        return Outcome.ATTENTION
    if math.isnan(score) or holds or level is not None:
        return Outcome.HELD
    if reviewed:
        return Outcome.HELD if opaque or authority is Authority.TWO_PEOPLE else Outcome.CLEARED
    if opaque or (authority is Authority.MODEL and score >= 5.0):
        return Outcome.HELD
    needed = {Authority.MODEL: 0, Authority.OPERATOR: 1, Authority.TWO_PEOPLE: 2}[authority]
    if people >= needed:
        return Outcome.CLEARED
    return Outcome.HELD if expired else Outcome.AWAITING


def test_the_whole_product_agrees_with_the_table():
    counts = dict.fromkeys(Outcome, 0)
    table = product(RULES, SCORES, READINGS, (False, True), (None, *Secrecy), (False, True), (False, True))
    for authority, score, readings, expired, level, opaque, reviewed in table:
        facts = VisitEvidence(
            identification=replace(IDENTIFICATION, secrecy=level),
            scan=replace(SCAN, findings=(Finding(reason=R.OPAQUE_AREA),) if opaque else ()),
            model_reading=replace(READING, score=score),
            operator_readings=readings,
            window_expired=expired,
            earlier_clearance=REVIEW if reviewed else None,
            cleared_reading=replace(READING, score=score, visit=1) if reviewed else None,
            image_match=MATCH if reviewed else None,
        )
        holds = any(reading.decision is OperatorDecision.HOLD for reading in readings)
        people = sum(reading.decision is OperatorDecision.CLEAR for reading in readings)
        wanted = expected(authority, score, people, holds=holds, expired=expired, level=level, opaque=opaque, reviewed=reviewed)
        if authority is Authority.TWO_PEOPLE and reviewed and score == 9.0 and not readings and not expired:
            wanted = Outcome.ATTENTION
        answer = clear(facts, replace(OPERATOR_POLICY, authority_unmarked=authority), HEALTH, NOW)
        assert answer.outcome is wanted, (authority, score, readings, expired, level, opaque, reviewed, answer.reasons)
        counts[answer.outcome] += 1
    assert all(counts.values())


def test_a_thin_piece_is_a_piece():
    assert part("scan", length_mm=0.9, width_mm=0.5)(MODEL_WORLD).judged().outcome is Outcome.CLEARED


@pytest.mark.parametrize(
    ("level", "advisory", "held"), [(None, False, True), (None, True, True), (Secrecy.C, True, True), (Secrecy.C, False, False)]
)
def test_a_missing_reading_holds_wherever_the_model_reads(level: Secrecy | None, advisory: bool, held: bool):
    facts = replace(BY_OPERATOR, identification=replace(IDENTIFICATION, secrecy=level), model_reading=None)
    answer = clear(facts, replace(OPEN_POLICY, model_on_marked=advisory), HEALTH, NOW)
    assert answer.reasons == ((R.NO_MODEL_READING,) if held else ())


def test_only_a_missing_decision_can_be_late():
    broken = health(audit_ok=False)
    assert evidence(window_expired=True)(broken(OPERATOR_WORLD)).judged().reasons == (R.AUDIT_BROKEN,)
    assert broken(World(BY_MODEL, OPERATOR_POLICY)).judged().reasons == (R.AUDIT_BROKEN,)
    both = evidence(window_expired=True)(broken(World(BY_MODEL, OPERATOR_POLICY)))
    assert both.judged().reasons == (R.AUDIT_BROKEN, R.DECISION_TIMEOUT)
