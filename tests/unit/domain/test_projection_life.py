"""The life of a projected threat: every walk through the table, and what it can never do to the piece."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from domain_facts import (
    BY_MODEL,
    BY_OPERATOR,
    HEALTH,
    IDENTIFICATION,
    MEASUREMENT,
    NOW,
    OPERATOR,
    OPERATOR_POLICY,
    READING,
    REVIEW,
    SCAN,
    TWO_POLICY,
)
from hypothesis import given
from hypothesis import strategies as st

from station.domain.clearance import VisitEvidence, clear
from station.domain.errors import TransitionError
from station.domain.lifecycle_diagram import projection_table
from station.domain.piece import Secrecy
from station.domain.policy import Policy
from station.domain.projection import ANSWERS, DECISIONS, TRANSITIONS, ProjectionAnswer, step
from station.domain.projection import ProjectionEvent as E
from station.domain.projection import ProjectionState as S
from station.domain.projection_rules import Objection, ProjectionQuestion, drawn_by, objections, seed_of
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.domain.scan import Finding

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "threat-projection.md"
PROJECTED = "1" * 64


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", E)
def test_only_what_the_table_names_happens(state: S, event: E):
    if (state, event) in TRANSITIONS:
        assert step(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(TransitionError, match="knows no"):
            step(state, event)


def walks() -> list[list[tuple[S, E]]]:
    """Every way from the first state to an end; repeated keys that change nothing are taken at most once."""
    done: list[list[tuple[S, E]]] = []
    open_ways: list[tuple[S, list[tuple[S, E]]]] = [(S.SHOWN, [])]
    while open_ways:
        state, way = open_ways.pop()
        if state.is_over:
            done.append(way)
            continue
        open_ways += [
            (found, [*way, (state, event)]) for (at, event), found in TRANSITIONS.items() if at is state and (at, event) not in way
        ]
    return done


WALKS = walks()
TRUE_IMAGE = {S.TRUE_IMAGE, S.TRUE_STOPPED, S.TRUE_SUSPECT}


def test_every_walk_ends_and_uses_the_whole_table():
    assert {place for way in WALKS for place in way} == set(TRANSITIONS)
    assert {S.DECIDED, S.HELD, S.FROZEN} == {state for state in S if state.is_over}


@pytest.mark.parametrize("way", WALKS, ids=lambda way: "-".join(event.value for _, event in way))
def test_every_walk(way: list[tuple[S, E]]):
    events = [event for _, event in way]
    end = TRANSITIONS[way[-1]]
    # the piece's fate comes from its true image, from silence, or from a freeze; never from what was said of the projected one
    if end is S.DECIDED:
        state, event = way[-1]
        assert state in TRUE_IMAGE
        assert event in DECISIONS.values()
        assert E.REVEALED in events
    else:
        assert events[-1] in {E.WINDOW_OVER, E.REVEAL_LATE, E.FREEZE, E.LANE_FREEZE}
    if E.LANE_FREEZE in events:
        assert end is S.FROZEN
    # who called a freeze must take it back in so many words
    if E.FREEZE in events and end is not S.FROZEN:
        assert events[-1] in {E.CLEAR, E.HOLD}


def test_each_first_event_has_its_answer():
    assert {event for state, event in TRANSITIONS if state is S.SHOWN} == set(ANSWERS)
    assert set(DECISIONS) == set(OperatorDecision)
    hits = {answer for answer in ProjectionAnswer if answer.is_hit}
    assert hits == {ProjectionAnswer.CALLED_HOLD, ProjectionAnswer.CALLED_FREEZE}
    assert {answer for answer in ProjectionAnswer if not answer.counts} == {ProjectionAnswer.WITHDRAWN}


def test_the_page_says_what_the_table_says():
    assert projection_table() in PAGE.read_text(encoding="utf-8")


@given(st.lists(st.sampled_from(OperatorDecision), max_size=4), st.sampled_from([BY_MODEL, BY_OPERATOR]), st.booleans())
def test_what_was_said_of_a_projected_image_never_counts(said: list[OperatorDecision], world: VisitEvidence, expired: bool):
    world = replace(world, window_expired=expired)
    projected = tuple(
        replace(OPERATOR, person=f"reader {number}", decision=one, projected_sha256=PROJECTED) for number, one in enumerate(said)
    )
    with_them = replace(world, operator_readings=(*projected, *world.operator_readings))
    assert clear(with_them, OPERATOR_POLICY, HEALTH, NOW) == clear(world, OPERATOR_POLICY, HEALTH, NOW)


def test_a_projected_image_passed_off_as_the_scan_holds():
    passed_off = replace(BY_MODEL, operator_readings=(replace(OPERATOR, scan_sha256=PROJECTED),))
    assert Reason.SCAN_NOT_THIS_PIECE in clear(passed_off, OPERATOR_POLICY, HEALTH, NOW).reasons


FIRST = replace(
    BY_MODEL,
    identification=replace(IDENTIFICATION, visit=1),
    measurement=replace(MEASUREMENT, visit=1),
    scan=replace(SCAN, visit=1),
    model_reading=replace(READING, visit=1),
)
OPAQUE = (Finding(reason=Reason.OPAQUE_AREA),)


def question(evidence: VisitEvidence = FIRST, policy: Policy = OPERATOR_POLICY, **changes: object) -> ProjectionQuestion:
    base = ProjectionQuestion(
        evidence=evidence,
        clearance=clear(evidence, policy, HEALTH, NOW),
        announced=True,
        others_waiting=0,
        lane_quiet=True,
        rate=0.02,
        drawn=0.0199,
    )
    return replace(base, **changes)


def of(part: str, **changes: object) -> VisitEvidence:
    return replace(FIRST, **{part: replace(getattr(FIRST, part), **changes)})


def test_an_ordinary_piece_may_carry_a_projection():
    assert objections(question()) == ()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (question(rate=0.0), Objection.SWITCHED_OFF),
        (question(rate=0.05), Objection.SWITCHED_OFF),
        (question(rate=float("nan")), Objection.SWITCHED_OFF),
        (question(of("identification", secrecy=Secrecy.C)), Objection.MARKED),
        (question(replace(FIRST, identification=None)), Objection.MARKED),
        (question(announced=False), Objection.UNANNOUNCED),
        (question(of("identification", piece_id="LOCAL-lane-1-3")), Objection.NOT_A_PIECE_OF_MAIL),
        (question(of("identification", piece_id="TEST-1")), Objection.NOT_A_PIECE_OF_MAIL),
        (question(BY_MODEL), Objection.FED_IN_AGAIN),
        (question(replace(FIRST, earlier_clearance=REVIEW)), Objection.FED_IN_AGAIN),
        (question(replace(FIRST, earlier_holds=(Reason.DECISION_TIMEOUT,))), Objection.FED_IN_AGAIN),
        (question(of("scan", findings=OPAQUE)), Objection.SPOKEN_AGAINST),
        (question(of("model_reading", findings=OPAQUE)), Objection.SPOKEN_AGAINST),
        (question(of("model_reading", score=6.0)), Objection.SPOKEN_AGAINST),
        (question(of("model_reading", score=float("nan"))), Objection.SPOKEN_AGAINST),
        (question(of("model_reading", projected_sha256=PROJECTED)), Objection.SPOKEN_AGAINST),
        (question(of("measurement", findings=OPAQUE)), Objection.SPOKEN_AGAINST),
        (question(of("identification", reasons=(Reason.WEIGHT_DIFFERS,))), Objection.SPOKEN_AGAINST),
        (question(replace(FIRST, contradictions=(Reason.TRACK_LOST,))), Objection.SPOKEN_AGAINST),
        (question(replace(FIRST, model_reading=None)), Objection.SPOKEN_AGAINST),
        (question(of("model_reading", score=9.5)), Objection.NOT_FOR_ONE_OPERATOR),  # an attention stop
        (question(FIRST, TWO_POLICY), Objection.NOT_FOR_ONE_OPERATOR),
        (question(replace(FIRST, operator_readings=(replace(OPERATOR, visit=1),))), Objection.NOT_FOR_ONE_OPERATOR),
        (question(replace(FIRST, window_expired=True)), Objection.NOT_FOR_ONE_OPERATOR),
        (question(others_waiting=1), Objection.ANOTHER_WAITS),
        (question(lane_quiet=False), Objection.LANE_NOT_QUIET),
        (question(drawn=0.02), Objection.NOT_DRAWN),
        (question(drawn=float("nan")), Objection.NOT_DRAWN),
    ],
)
def test_what_speaks_against_it(asked: ProjectionQuestion, expected: Objection):
    assert expected in objections(asked)


@given(st.floats(0, 1, exclude_max=True), st.sampled_from([0.01, 0.02, 0.04]))
def test_the_share_is_the_rate(drawn: float, rate: float):
    assert (objections(question(rate=rate, drawn=drawn)) == ()) == (drawn < rate)


def test_the_draw_is_even_and_has_nothing_to_do_with_the_blind_sample():
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5_000)]
    drawn = [one for one in hashes if drawn_by(one) < 0.04]
    assert abs(len(drawn) - 200) < 3 * (5_000 * 0.04 * 0.96) ** 0.5
    sampled = Policy(sha256="", blind_sample=0.5)
    assert 0.35 < sum(sampled.is_sampled(None, one) for one in drawn) / len(drawn) < 0.65
    assert len({seed_of(one) for one in drawn}) == len(drawn)
    assert drawn_by("no hash") == drawn_by("") == 1.0
