import itertools
import math

import pytest

from station.drivers.tube_conditioning import conditioning_steps, step_after


@pytest.mark.parametrize("idle_days", [0.0, 0.3, 8 / 24])
def test_a_warm_tube_needs_nothing(idle_days: float):
    assert conditioning_steps(idle_days=idle_days, kv_max=160, ma_max=4) == ()


@pytest.mark.parametrize("idle_days", [0.34, 30.0, 91.0])
def test_after_a_night_the_tube_is_warmed_up_below_three_quarters(idle_days: float):
    steps = conditioning_steps(idle_days=idle_days, kv_max=160, ma_max=4)
    assert [step.kv for step in steps] == sorted(step.kv for step in steps)
    assert max(step.kv for step in steps) < 0.75 * 160
    assert sum(step.hold_s for step in steps) > 20


@pytest.mark.parametrize("idle_days", [91.25, 1000.0, math.inf, math.nan])
def test_after_three_months_it_is_seasoned_as_the_maker_says(idle_days: float):
    steps = conditioning_steps(idle_days=idle_days, kv_max=160, ma_max=4)
    assert (steps[0].kv, steps[0].ma, steps[0].hold_s) == (40, 0, 900)
    assert (steps[1].kv, steps[1].ma, steps[1].hold_s) == (40, pytest.approx(0.8), 300)
    rising = [step.kv for step in steps[1:]]
    assert [after - before for before, after in itertools.pairwise(rising)] == [5] * (len(rising) - 1)
    assert all(step.hold_s == 300 for step in steps[1:])
    assert all(step.ma == (4 if step.kv > 80 else pytest.approx(0.8)) for step in steps[1:])
    assert (steps[-1].kv, steps[-1].ma) == (160, 4)


def test_an_unstable_tube_goes_a_step_back():
    steps = conditioning_steps(idle_days=1, kv_max=160, ma_max=4)
    assert step_after(steps, 0, stable=False) == 0
    assert step_after(steps, 2, stable=False) == 1
    assert step_after(steps, 2, stable=True) == 3
