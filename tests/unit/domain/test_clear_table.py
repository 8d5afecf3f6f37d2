"""The whole product of the facts against the design's table."""

import math
from dataclasses import replace
from itertools import product

from domain_facts import (
    HEALTH,
    IDENTIFICATION,
    MATCH,
    MEASUREMENT,
    NOW,
    OPERATOR,
    OPERATOR_POLICY,
    READING,
    REVIEW,
    SCAN,
    SECOND,
)

from station.domain.clearance import Outcome, VisitEvidence, clear
from station.domain.piece import Secrecy
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.domain.scan import Finding

R = Reason
SCORES = (1.0, 5.0, 9.0, math.nan)
READINGS = ((), (OPERATOR,), (OPERATOR, SECOND), (replace(OPERATOR, decision=OperatorDecision.HOLD),))
RULES = tuple(Authority)


def expected(
    authority: Authority,
    score: float,
    people: int,
    *,
    holds: bool,
    expired: bool,
    level: Secrecy | None,
    opaque: bool,
    reviewed: bool,
    sampled: bool,
) -> Outcome:
    """The design's table, written a second time as one decision per line."""
    decided = people > 0 or holds
    if level is not None:
        authority, sampled = (Authority.TWO_PEOPLE if level is Secrecy.A else Authority.OPERATOR), False
    needed = {Authority.MODEL: 1 if sampled else 0, Authority.OPERATOR: 1, Authority.TWO_PEOPLE: 2}[authority]
    if score == 9.0 and not decided and not expired and not (reviewed and level is None and not opaque):
        return Outcome.ATTENTION
    if math.isnan(score) or holds or (reviewed and (opaque or level is not None or authority is Authority.TWO_PEOPLE)):
        return Outcome.HELD
    if reviewed:
        return Outcome.CLEARED
    # No single person clears a marked piece over the model's alarm.
    alarm_holds = (authority is Authority.MODEL and not sampled) or (level is not None and authority is not Authority.TWO_PEOPLE)
    # Who reads blind is asked whatever the model found.
    asked_blind = level is Secrecy.B and not decided and not expired
    if opaque or (score >= 5.0 and alarm_holds and not asked_blind):
        return Outcome.HELD
    if people >= needed:
        # Nobody who read blind has judged the alarm.
        return Outcome.HELD if sampled and score >= 5.0 else Outcome.CLEARED
    return Outcome.HELD if expired else Outcome.AWAITING


def test_the_whole_product_agrees_with_the_table():
    counts = dict.fromkeys(Outcome, 0)
    table = product(RULES, SCORES, READINGS, (False, True), (None, *Secrecy), (False, True), (False, True), (False, True))
    for authority, score, readings, expired, level, opaque, reviewed, sampled in table:
        facts = VisitEvidence(
            identification=replace(IDENTIFICATION, secrecy=level),
            measurement=MEASUREMENT,
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
        wanted = expected(
            authority, score, people, holds=holds, expired=expired, level=level, opaque=opaque, reviewed=reviewed, sampled=sampled
        )
        if authority is Authority.TWO_PEOPLE and reviewed and score == 9.0 and not readings and not expired:
            wanted = Outcome.ATTENTION
        rules = replace(OPERATOR_POLICY, authority_unmarked=authority, blind_sample=1.0 if sampled else 0.0)
        answer = clear(facts, rules, HEALTH, NOW)
        assert answer.outcome is wanted, (authority, score, readings, expired, level, opaque, reviewed, sampled, answer.reasons)
        counts[answer.outcome] += 1
    assert all(counts.values())
