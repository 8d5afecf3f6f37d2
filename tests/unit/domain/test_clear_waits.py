"""What waits for people, what stops the belts until they answer, and what comes of an answer that never comes."""

import math
from dataclasses import replace

import pytest
from domain_facts import (
    BY_MODEL,
    BY_OPERATOR,
    BY_TWO,
    HEALTH,
    MODEL_POLICY,
    NOW,
    OPERATOR,
    OPERATOR_POLICY,
    READING,
    SECOND,
    TWO_POLICY,
)
from domain_worlds import (
    OPERATOR_WORLD,
    Flip,
    World,
    another_reading,
    evidence,
    health,
    part,
    policy,
)

from station.domain.clearance import Outcome, VisitEvidence, clear
from station.domain.piece import Secrecy
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision

R = Reason


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
    second = (R.AWAITING_SECOND_PERSON,) if rules is TWO_POLICY else ()
    assert (late.outcome, late.reasons) == (Outcome.HELD, (R.DECISION_TIMEOUT, *second))


SAMPLED = replace(MODEL_POLICY, blind_sample=1.0)
ALARM = replace(BY_MODEL, model_reading=replace(READING, score=5.0))


def test_who_reads_blind_is_asked_whatever_the_model_found():
    calm, alarmed = clear(BY_MODEL, SAMPLED, HEALTH, NOW), clear(ALARM, SAMPLED, HEALTH, NOW)
    assert (calm.outcome, calm.reasons) == (alarmed.outcome, alarmed.reasons) == (Outcome.AWAITING, (R.AWAITING_OPERATOR,))


def test_the_sample_is_cleared_by_the_model_and_the_operator_together():
    answer = clear(BY_OPERATOR, SAMPLED, HEALTH, NOW)
    assert (answer.outcome, answer.authority, answer.by) == (Outcome.CLEARED, Authority.MODEL, ("model", "lan"))


@pytest.mark.parametrize("rules", [MODEL_POLICY, OPERATOR_POLICY, TWO_POLICY])
def test_an_alarm_that_nobody_was_shown_holds(rules: Policy):
    facts = replace(BY_TWO, model_reading=replace(READING, score=5.0))
    answer = clear(facts, replace(rules, blind_sample=1.0), HEALTH, NOW)
    assert (answer.outcome, answer.reasons) == (Outcome.HELD, (R.MODEL_ALARM,))


@pytest.mark.parametrize("rules", [MODEL_POLICY, OPERATOR_POLICY])
def test_a_sampled_scan_that_was_not_read_blind_holds(rules: Policy):
    facts = replace(BY_MODEL, operator_readings=(replace(OPERATOR, blind=False),))
    answer = clear(facts, replace(rules, blind_sample=1.0), HEALTH, NOW)
    assert (answer.outcome, answer.reasons) == (Outcome.HELD, (R.READ_NOT_BLIND,))


def test_only_a_missing_decision_can_be_late():
    broken = health(audit_ok=False)
    assert evidence(window_expired=True)(broken(OPERATOR_WORLD)).judged().reasons == (R.AUDIT_BROKEN,)
    assert broken(World(BY_MODEL, OPERATOR_POLICY)).judged().reasons == (R.AUDIT_BROKEN,)
    both = evidence(window_expired=True)(broken(World(BY_MODEL, OPERATOR_POLICY)))
    assert both.judged().reasons == (R.AUDIT_BROKEN, R.DECISION_TIMEOUT)


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
