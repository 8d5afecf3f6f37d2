import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.review.performance import Tally, performance, rank_readers, sensitivity, wilson


def tally(hits: int, projections: int, false_alarms: int, plain: int) -> Tally:
    return Tally(projections=projections, hits=hits, plain=plain, false_alarms=false_alarms)


tallies = st.tuples(st.integers(1, 400), st.integers(0, 400), st.integers(1, 4000), st.integers(0, 4000)).map(
    lambda t: tally(min(t[1], t[0]), t[0], min(t[3], t[2]), t[2])
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # the first two are worked examples of Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)],
)
def test_wilson_as_published(successes: int, trials: int, low: float, high: float):
    found = wilson(successes, trials)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_rate_lies_within_its_interval_and_its_mirror_image_mirrors_it(case: tuple[int, int]):
    successes, trials = case
    found, other = wilson(successes, trials), wilson(trials - successes, trials)
    assert 0 <= found.low <= successes / trials <= found.high <= 1
    assert found.low == pytest.approx(1 - other.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_no_rate(successes: int, trials: int):
    with pytest.raises(ValueError, match="no rate"):
        wilson(successes, trials)


def test_counts_that_cannot_be():
    with pytest.raises(ValueError, match="more calls than"):
        tally(5, 4, 0, 1)
    with pytest.raises(ValueError, match="more calls than"):
        tally(0, 4, 2, 1)


def test_d_a_by_hand():
    # 80.5 of 101 and 50.5 of 1001 after the log-linear correction: z = 0.8310 and −1.6407; times √(2 / 1.36) = 1.2127
    found = sensitivity(tally(80, 100, 50, 1000))
    z = NormalDist().inv_cdf
    assert found is not None
    assert found.d_a == pytest.approx(math.sqrt(2 / 1.36) * (z(80.5 / 101) - 0.6 * z(50.5 / 1001)))
    assert found.d_a == pytest.approx(1.2127 * (0.8310 + 0.6 * 1.6407), abs=1e-3)


def test_with_slope_one_it_is_d_prime():
    found = sensitivity(tally(80, 100, 50, 1000), slope=1.0)
    z = NormalDist().inv_cdf
    assert found is not None
    assert found.d_a == pytest.approx(z(80.5 / 101) - z(50.5 / 1001))


def test_rates_of_0_and_1_are_numbers():
    found = sensitivity(tally(100, 100, 0, 500))
    assert found is not None
    assert math.isfinite(found.d_a)
    assert math.isfinite(found.standard_error)


def test_nothing_is_said_without_both_kinds_of_images():
    assert sensitivity(tally(0, 0, 3, 10)) is None
    assert sensitivity(tally(3, 10, 0, 0)) is None
    empty = performance(tally(0, 0, 0, 0))
    assert (empty.hit_rate, empty.hit_interval, empty.false_alarm_rate, empty.false_alarm_interval, empty.sensitivity) == (None,) * 5


@given(tallies)
def test_one_hit_more_is_better_and_one_false_alarm_more_is_worse(one: Tally):
    found = sensitivity(one)
    assert found is not None
    assert found.interval.low < found.d_a < found.interval.high
    if one.hits < one.projections:
        better = sensitivity(tally(one.hits + 1, one.projections, one.false_alarms, one.plain))
        assert better is not None
        assert better.d_a > found.d_a
    if one.false_alarms < one.plain:
        worse = sensitivity(tally(one.hits, one.projections, one.false_alarms + 1, one.plain))
        assert worse is not None
        assert worse.d_a < found.d_a


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng, normal = np.random.default_rng(11), NormalDist()
    hit_rate, alarm_rate = 0.8, 0.06
    truth = math.sqrt(2 / 1.36) * (normal.inv_cdf(hit_rate) - 0.6 * normal.inv_cdf(alarm_rate))
    inside = 0
    for hits, alarms in zip(rng.binomial(120, hit_rate, 2000), rng.binomial(2000, alarm_rate, 2000), strict=True):
        found = sensitivity(tally(int(hits), 120, int(alarms), 2000))
        assert found is not None
        inside += found.interval.low <= truth <= found.interval.high
    assert 0.935 < inside / 2000 < 0.975


READERS = {
    "an": tally(190, 200, 20, 2000),
    "binh": tally(120, 200, 200, 2000),
    "chi": tally(160, 200, 60, 2000),
    "dung": tally(99, 99, 0, 2000),
}


def test_the_best_comes_first_and_who_saw_too_few_does_not_come():
    found = rank_readers(READERS)
    assert found.order == ("an", "chi", "binh")
    assert found.too_few == ("dung",)
    assert found.reliability is not None
    assert found.reliability > 0.9


def test_readers_who_cannot_be_told_apart_are_not_ranked():
    found = rank_readers({"an": tally(80, 100, 50, 1000), "binh": tally(82, 100, 50, 1000), "chi": tally(81, 100, 49, 1000)})
    assert found.order == ()
    assert found.reliability == 0.0
    assert rank_readers({"an": tally(80, 100, 50, 1000)}).reliability is None
    same = tally(80, 100, 50, 1000)
    assert rank_readers({"an": same, "binh": same}).reliability == 0.0


def test_a_hundred_projections_but_no_plain_piece():
    assert rank_readers({"an": tally(80, 100, 0, 0)}).too_few == ("an",)


@given(st.dictionaries(st.sampled_from("abcdef"), tallies, max_size=6))
def test_each_reader_is_in_one_place_at_most(given_tallies: dict[str, Tally]):
    found = rank_readers(given_tallies)
    assert not set(found.order) & set(found.too_few)
    assert all(given_tallies[name].projections >= 100 for name in found.order)
    assert set(found.order) | set(found.too_few) <= given_tallies.keys()
