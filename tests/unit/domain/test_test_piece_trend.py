"""The trend of the test piece's values: quiet on a scanner that stays as it is, loud on one that changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.test_piece import FIRST_RUNS, MOST_SUM, WATCHED, TestPieceTrend, TestValue, ValueTrend

LEAST = 0.02


def values(**changes: float) -> tuple[TestValue, ...]:
    named = {**dict.fromkeys(WATCHED, 1.0), **{name.replace("_", "-"): value for name, value in changes.items()}}
    return tuple(TestValue(name=name, measured=value, limit=0.1, passed=True) for name, value in named.items())


def after(runs: int, trend: TestPieceTrend | None = None, **changes: float) -> TestPieceTrend:
    trend = trend or TestPieceTrend()
    for _ in range(runs):
        trend = trend.step(values(**changes), passed=True)
    return trend


def runs_until_warned(shift: float, *, seed: int, most: int = 400) -> int:
    """Runs to the warning after a shift in spreads of the value itself; `most` when it never came."""
    rng = np.random.default_rng(seed)
    trend = ValueTrend()
    for _ in range(FIRST_RUNS):
        trend = trend.step(1.0 + 0.05 * float(rng.standard_normal()), LEAST, passed=True)
    for run in range(most):
        trend = trend.step(1.0 + 0.05 * (shift + float(rng.standard_normal())), LEAST, passed=True)
        if trend.drifts:
            return run + 1
    return most


def test_nothing_is_said_before_there_is_a_reference():
    assert after(FIRST_RUNS).warnings == ()
    assert after(FIRST_RUNS - 1, air_signal_share=5.0).warnings == ()


def test_a_lasting_change_is_named_with_its_way_and_size():
    trend = after(4, after(FIRST_RUNS), air_signal_share=0.8)
    (warning,) = trend.warnings
    assert (warning.name, warning.reference, warning.newest, warning.rises) == ("air-signal-share", 1.0, 0.8, False)
    assert after(4, after(FIRST_RUNS), air_noise_share=1.5).warnings[0].rises


def test_one_odd_run_says_nothing():
    assert after(3, after(1, after(FIRST_RUNS), air_signal_share=0.2)).warnings == ()


def test_a_repair_shows_after_some_runs():
    worn = after(20, after(FIRST_RUNS), air_signal_share=0.8)
    assert worn.warnings
    assert after(10, worn).warnings == ()


def test_a_slow_decline_is_seen_long_before_the_limit():
    trend = after(FIRST_RUNS)
    for run in range(60):
        trend = trend.step(values(air_signal_share=1.0 - 0.003 * run), passed=True)
    assert [one.name for one in trend.warnings] == ["air-signal-share"]


@pytest.mark.parametrize(("shift", "median_at_most"), [(2.0, 16), (3.0, 8), (5.0, 4)])
def test_how_soon_a_change_is_called(shift: float, median_at_most: int):
    waits = [runs_until_warned(shift, seed=seed) for seed in range(200)]
    assert float(np.median(waits)) <= median_at_most


def test_a_value_that_stays_is_rarely_called():
    waits = [runs_until_warned(0.0, seed=seed, most=365) for seed in range(300)]
    assert sum(wait < 365 for wait in waits) <= 6


def test_only_passed_runs_make_the_reference():
    trend = TestPieceTrend()
    for _ in range(30):
        trend = trend.step(values(), passed=False)
    assert all(one.first == () for one in trend.values.values())


@pytest.mark.parametrize("measured", [-1.0, float("nan"), float("inf")])
def test_a_run_that_could_not_be_measured_changes_nothing(measured: float):
    trend = after(FIRST_RUNS)
    assert trend.step(values(air_signal_share=measured), passed=False) == trend
    assert trend.step(values()[1:], passed=False) == trend


def test_another_detector_begins_anew():
    trend = after(FIRST_RUNS + 5)
    other = (*values(), TestValue(name="wire-32-under-aluminium-mm", measured=24.0, limit=24.0, passed=True))
    assert all(len(one.first) == 1 for one in trend.step(other, passed=True).values.values())


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60), st.booleans())
def test_any_values_keep_the_sums_within_bounds(measured: list[float], passed: bool):
    trend = ValueTrend()
    for value in measured:
        trend = trend.step(value, LEAST, passed=passed)
        assert 0.0 <= trend.up <= MOST_SUM
        assert 0.0 <= trend.down <= MOST_SUM
        assert trend.spread(LEAST) > 0
        assert trend.newest == value


@given(st.lists(st.floats(0.5, 2.0), min_size=FIRST_RUNS + 1, max_size=60))
def test_up_and_down_are_alike(measured: list[float]):
    there, back = ValueTrend(), ValueTrend()
    for value in measured:
        there, back = there.step(value, 0.0, passed=True), back.step(-value, 0.0, passed=True)
    assert there.up == pytest.approx(back.down)
    assert there.down == pytest.approx(back.up)
