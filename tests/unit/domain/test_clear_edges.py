"""The edge of what is allowed still clears, and says by whom."""

import math
from dataclasses import replace

import pytest
from domain_facts import (
    BY_OPERATOR,
    HEALTH,
    IDENTIFICATION,
    MODEL_POLICY,
    NOW,
    OPERATOR,
    OPERATOR_POLICY,
    SECOND_REVIEW,
    ago,
)
from domain_worlds import (
    MODEL_WORLD,
    OPERATOR_WORLD,
    REVIEW_WORLD,
    TWO_WORLD,
    World,
    another_reading,
    evidence,
    health,
    known_alarm,
    part,
    policy,
)

from station.domain.clearance import Outcome, clear
from station.domain.piece import Secrecy
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.domain.scan import Finding

R = Reason


def first_visit(world: World) -> World:
    """The same facts, told of visit 1."""
    for name in ("identification", "measurement", "scan", "model_reading"):
        world = part(name, visit=1)(world)
    return world


EDGES: list[tuple[str, World]] = [
    ("test piece of exactly 24 h", health(test_piece_passed_at=ago(24 * 3600))(MODEL_WORLD)),
    ("test piece just now", health(test_piece_passed_at=NOW)(MODEL_WORLD)),
    ("score just below the threshold", part("model_reading", score=math.nextafter(5.0, 0))(MODEL_WORLD)),
    ("p-value 0", part("model_reading", p_value=0.0)(MODEL_WORLD)),
    ("p-value 1", part("model_reading", p_value=1.0)(MODEL_WORLD)),
    ("first visit, first tag", first_visit(part("identification", tag=1)(MODEL_WORLD))),
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
    ("marked C", World(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD).evidence, OPERATOR_POLICY)),
    ("marked B blind", World(part("identification", secrecy=Secrecy.B)(OPERATOR_WORLD).evidence, OPERATOR_POLICY)),
    ("marked A two", World(part("identification", secrecy=Secrecy.A)(TWO_WORLD).evidence, OPERATOR_POLICY)),
    (
        "marked A over an alarm, two",
        World(part("model_reading", score=5.0)(part("identification", secrecy=Secrecy.A)(TWO_WORLD)).evidence, OPERATOR_POLICY),
    ),
    (
        "marked, model off, no reading",
        World(
            evidence(model_reading=None)(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD)).evidence,
            replace(OPERATOR_POLICY, model_on_marked=False),
        ),
    ),
    (
        "marked, model off, alarm unread",
        World(
            part("model_reading", score=9.0)(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD)).evidence,
            replace(OPERATOR_POLICY, model_on_marked=False),
        ),
    ),
    ("a projected threat was called", another_reading(OperatorDecision.HOLD, projected_sha256="1" * 64)(OPERATOR_WORLD)),
]


@pytest.mark.parametrize(("name", "world"), EDGES, ids=[edge[0] for edge in EDGES])
def test_the_edge_of_what_is_allowed_clears(name: str, world: World):
    answer = world.judged()
    assert (answer.outcome, answer.reasons) == (Outcome.CLEARED, ())


def test_two_reviewers_are_both_named():
    assert evidence(second_clearance=SECOND_REVIEW)(REVIEW_WORLD).judged().by == ("hoa", "tuan")


def test_a_model_that_is_off_for_marked_pieces_is_not_named():
    world = World(part("identification", secrecy=Secrecy.C)(OPERATOR_WORLD).evidence, replace(OPERATOR_POLICY, model_on_marked=False))
    assert world.judged().model_sha256 is None


def test_a_thin_piece_is_a_piece():
    assert part("scan", length_mm=0.9, width_mm=0.5)(MODEL_WORLD).judged().outcome is Outcome.CLEARED


@pytest.mark.parametrize(
    ("level", "advisory", "held"), [(None, False, True), (None, True, True), (Secrecy.C, True, True), (Secrecy.C, False, False)]
)
def test_a_missing_reading_holds_wherever_the_model_reads(level: Secrecy | None, advisory: bool, held: bool):
    facts = replace(BY_OPERATOR, identification=replace(IDENTIFICATION, secrecy=level), model_reading=None)
    answer = clear(facts, replace(OPERATOR_POLICY, model_on_marked=advisory), HEALTH, NOW)
    assert answer.reasons == ((R.NO_MODEL_READING,) if held else ())


@pytest.mark.parametrize("changes", [{"piece_id": "LOCAL-lane-1-4"}, {"piece_id": ""}, {"visit": 0}], ids=["local", "no id", "no visit"])
def test_a_piece_without_an_identity_is_held_even_if_all_its_facts_agree(changes: dict[str, object]):
    world = MODEL_WORLD
    for name in ("identification", "measurement", "scan", "model_reading"):
        world = part(name, **changes)(world)
    answer = world.judged()
    assert (answer.outcome, answer.reasons) == (Outcome.HELD, (R.NOT_IDENTIFIED,))
