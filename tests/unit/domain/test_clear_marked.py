"""What a single person may not clear because the piece carries a level."""

from dataclasses import replace

import pytest
from domain_facts import (
    BY_MODEL,
    BY_OPERATOR,
    BY_REVIEW,
    HEALTH,
    IDENTIFICATION,
    NOW,
    OLD_SHA,
    OPERATOR,
    OPERATOR_POLICY,
    READING,
    SECOND_REVIEW,
)

from station.domain.clearance import Outcome, clear
from station.domain.piece import Secrecy
from station.domain.reasons import Reason


@pytest.mark.parametrize("level", Secrecy)
def test_a_new_freeze_score_of_a_reviewed_marked_piece_is_settled_by_no_single_person(level: Secrecy):
    """Two people cleared a scan with an alarm; the next scan reaches the freeze score, which they have not judged."""
    alarmed = replace(READING, visit=1, scan_sha256=OLD_SHA, score=6.0)
    facts = replace(
        BY_REVIEW,
        identification=replace(IDENTIFICATION, secrecy=level),
        second_clearance=SECOND_REVIEW,
        cleared_reading=alarmed,
        model_reading=replace(READING, score=9.5),
    )
    assert clear(facts, OPERATOR_POLICY, HEALTH, NOW).outcome is Outcome.ATTENTION
    answer = clear(replace(facts, operator_readings=(OPERATOR,)), OPERATOR_POLICY, HEALTH, NOW)
    assert (answer.outcome, Reason.NEW_FINDING in answer.reasons) == (Outcome.HELD, True)


@pytest.mark.parametrize("level", [Secrecy.B, Secrecy.C])
def test_a_freeze_score_below_the_threshold_is_an_alarm_of_a_marked_piece(level: Secrecy):
    rules = replace(OPERATOR_POLICY, freeze_score=3.0)
    facts = replace(BY_OPERATOR, identification=replace(IDENTIFICATION, secrecy=level), model_reading=replace(READING, score=4.0))
    answer = clear(facts, rules, HEALTH, NOW)
    assert (answer.outcome, Reason.MODEL_ALARM in answer.reasons) == (Outcome.HELD, True)


def test_being_asked_blind_does_not_tell_what_the_model_found():
    for score, after in ((1.0, Outcome.CLEARED), (6.0, Outcome.HELD)):
        facts = replace(BY_MODEL, identification=replace(IDENTIFICATION, secrecy=Secrecy.B), model_reading=replace(READING, score=score))
        assert clear(facts, OPERATOR_POLICY, HEALTH, NOW).outcome is Outcome.AWAITING
        assert clear(replace(facts, operator_readings=(OPERATOR,)), OPERATOR_POLICY, HEALTH, NOW).outcome is after
