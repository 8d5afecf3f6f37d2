"""What was reviewed before, and what is marked, takes more."""

from dataclasses import replace

import pytest
from domain_facts import (
    OPERATOR,
    OPERATOR_POLICY,
    SECOND_REVIEW,
)
from domain_worlds import OPERATOR_WORLD, REVIEW_WORLD, Flip, World, evidence, known_alarm, part

from station.domain.clearance import Outcome
from station.domain.piece import Secrecy
from station.domain.reasons import Reason

R = Reason


@pytest.mark.parametrize("known", [None, 0.0])
def test_an_alarm_that_the_reviewers_did_not_know_of_is_new(known: float | None):
    before = REVIEW_WORLD if known is None else known_alarm(known)(REVIEW_WORLD)
    alarmed = part("model_reading", score=5.0)(before).judged()
    assert (alarmed.outcome, alarmed.reasons) == (Outcome.HELD, (R.NEW_FINDING,))
    assert part("model_reading", score=9.0)(before).judged().outcome is Outcome.ATTENTION


def test_a_score_that_newly_reaches_the_freeze_score_is_an_attention_stop_though_the_alarm_was_known():
    assert part("model_reading", score=9.0)(known_alarm(5.0)(REVIEW_WORLD)).judged().outcome is Outcome.ATTENTION


def test_a_review_that_does_not_stand_does_not_excuse_a_freeze_score():
    world = part("image_match", distance=0.9)(part("model_reading", score=9.0)(REVIEW_WORLD))
    assert world.judged().outcome is Outcome.ATTENTION


MARKED_HOLDS = [
    ("C over an alarm by one", part("model_reading", score=5.0), Secrecy.C, R.MODEL_ALARM),
    ("B not read blind", evidence(operator_readings=(replace(OPERATOR, blind=False),)), Secrecy.B, R.READ_NOT_BLIND),
    ("after any hold", evidence(earlier_holds=(R.TRACK_LOST,)), Secrecy.C, R.TRACK_LOST),
]


@pytest.mark.parametrize(("name", "flip", "level", "reason"), MARKED_HOLDS, ids=[hold[0] for hold in MARKED_HOLDS])
def test_marked_pieces_take_more_even_when_people_have_access(name: str, flip: Flip, level: Secrecy, reason: Reason):
    answer = World(flip(part("identification", secrecy=level)(OPERATOR_WORLD)).evidence, OPERATOR_POLICY).judged()
    assert answer.outcome is Outcome.HELD
    assert reason in answer.reasons


def test_a_marked_piece_back_from_review_takes_two_reviewers():
    world = World(part("identification", secrecy=Secrecy.C)(REVIEW_WORLD).evidence, OPERATOR_POLICY)
    assert world.judged().reasons == (R.AWAITING_SECOND_PERSON,)
    assert evidence(second_clearance=SECOND_REVIEW)(world).judged().outcome is Outcome.CLEARED
    assert evidence(second_clearance=replace(SECOND_REVIEW, person="HOA"))(world).judged().outcome is Outcome.HELD
