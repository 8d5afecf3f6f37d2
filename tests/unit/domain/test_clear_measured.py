"""When a figure that the infeed measured holds a piece again after people reviewed it."""

import math
from dataclasses import replace

import pytest
from domain_facts import MEASUREMENT, SECOND_REVIEW
from domain_worlds import REVIEW_WORLD, World, evidence, part

from station.domain.clearance import Outcome
from station.domain.reasons import Reason
from station.domain.scan import Finding

R = Reason


def measured(reason: Reason, now: float | None, then: float | None, *, of: Reason | None = None, visit: int = 1) -> World:
    """Two people cleared the piece with the figure `then`; on this visit it is `now`."""
    reviewed = replace(MEASUREMENT, visit=visit, findings=(Finding(reason=of or reason, measured=then),))
    found = replace(MEASUREMENT, findings=(Finding(reason=reason, measured=now),))
    return evidence(measurement=found, reviewed_measurement=reviewed, second_clearance=SECOND_REVIEW)(REVIEW_WORLD)


@pytest.mark.parametrize(
    ("reason", "now", "then"),
    [
        (R.SIZE_DIFFERS, 340.0, 300.0),
        (R.SIZE_DIFFERS, 260.0, 300.0),
        (R.WEIGHT_DIFFERS, 515.0, 500.0),
        (R.WEIGHT_DIFFERS, 485.0, 500.0),
        (R.RADIATION, 600.0, 500.0),
        (R.RADIATION, 410.0, 900.0),
        (R.RADIATION, 999.9, 999.9),
    ],
)
def test_what_people_reviewed_does_not_hold_again(reason: Reason, now: float, then: float):
    answer = measured(reason, now, then).judged()
    assert (answer.outcome, answer.reasons) == (Outcome.CLEARED, ())
    alone = evidence(second_clearance=None)(measured(reason, now, then)).judged()
    assert (alone.outcome, alone.reasons) == (Outcome.HELD, (R.AWAITING_SECOND_PERSON,))


@pytest.mark.parametrize(
    "world",
    [
        measured(R.SIZE_DIFFERS, 340.1, 300.0),
        measured(R.SIZE_DIFFERS, 259.9, 300.0),
        measured(R.WEIGHT_DIFFERS, 515.1, 500.0),
        measured(R.WEIGHT_DIFFERS, 484.9, 500.0),
        measured(R.RADIATION, 600.1, 500.0),
        measured(R.RADIATION, 1000.0, 1000.0),
        measured(R.RADIATION, 1000.0, 5000.0),
        measured(R.RADIATION, 999.9, 1000.0),
        measured(R.RADIATION, 410.0, 5000.0),
        measured(R.RADIATION, math.nan, 500.0),
        measured(R.SIZE_DIFFERS, math.nan, 500.0),
        measured(R.RADIATION, None, 500.0),
        measured(R.RADIATION, 500.0, None),
        measured(R.RADIATION, 500.0, math.nan),
        measured(R.WEIGHT_DIFFERS, 500.0, 500.0, of=R.SIZE_DIFFERS),
        measured(R.WEIGHT_DIFFERS, 500.0, 500.0, visit=2),
        measured(R.TWO_PIECES, 500.0, 500.0),
        evidence(reviewed_measurement=None)(measured(R.WEIGHT_DIFFERS, 500.0, 500.0)),
        part("reviewed_measurement", piece_id="RR473124829VN")(measured(R.WEIGHT_DIFFERS, 500.0, 500.0)),
    ],
)
def test_a_figure_that_nobody_reviewed_holds(world: World):
    answer = world.judged()
    assert world.evidence.measurement is not None
    assert (answer.outcome, answer.reasons) == (Outcome.HELD, (world.evidence.measurement.findings[0].reason,))


def test_each_of_two_figures_must_have_been_reviewed():
    both = (Finding(reason=R.WEIGHT_DIFFERS, measured=500.0), Finding(reason=R.SIZE_DIFFERS, measured=500.0))
    world = part("measurement", findings=both)(measured(R.SIZE_DIFFERS, 500.0, 500.0))
    assert world.judged().reasons == (R.WEIGHT_DIFFERS,)
    assert part("reviewed_measurement", findings=both)(world).judged().outcome is Outcome.CLEARED


def test_a_figure_without_a_review_holds_whatever_was_known():
    world = evidence(earlier_clearance=None, second_clearance=None)(measured(R.WEIGHT_DIFFERS, 500.0, 500.0))
    assert R.WEIGHT_DIFFERS in world.judged().reasons
