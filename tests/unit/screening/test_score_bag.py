import math
import random

import numpy as np
import pytest

from station.domain.errors import ScreeningError
from station.screening.score_bag import PLACES, ScoreBag, place_of, tie_share


def test_places_rise_with_the_score_and_stay_on_the_grid():
    scores = [0.0, 1e-300, 1e-7, 0.001, 0.2, 0.5, 0.8, 0.999, 1 - 1e-12, 1.0]
    places = [place_of(score) for score in scores]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == PLACES - 1
    for broken in (-0.1, 1.1, math.nan, math.inf):
        with pytest.raises(ScreeningError):
            place_of(broken)


def test_a_score_is_ranked_before_it_joins():
    bag = ScoreBag.of([0.1] * 500)
    assert bag.add(0.9, tie_share=1.0) == 1 / 501
    assert bag.add(0.8, tie_share=1.0) == 2 / 502
    assert bag.add(0.1, tie_share=0.5) == (2 + 0.5 * 501) / 503
    assert len(bag) == 503
    for broken in (0.0, 1.1, math.nan):
        with pytest.raises(ScreeningError):
            bag.add(0.5, tie_share=broken)
    assert len(bag) == 503


def test_counts_come_back_as_they_were():
    bag = ScoreBag.of([0.1, 0.1, 0.9])
    assert ScoreBag(bag.counts()).counts() == bag.counts()
    assert sum(bag.counts().values()) == 3
    for broken in ({-1: 2}, {PLACES: 1}, {4: -1}):
        with pytest.raises(ScreeningError):
            ScoreBag(broken)


@pytest.mark.parametrize("digits", [1, 2, 7])
def test_smoothed_p_values_are_uniform_however_many_ties(digits: int):
    """One p-value of each of many calibrations: their distribution is flat, by Kolmogorov's bound at the 0.1 % level."""
    source = random.Random(digits)
    values = []
    for _ in range(1_500):
        bag = ScoreBag.of(round(source.betavariate(2, 8), digits) for _ in range(60))
        values.append(bag.add(round(source.betavariate(2, 8), digits), tie_share=1 - source.random()))
    ordered = np.sort(values)
    steps = np.arange(1, len(ordered) + 1) / len(ordered)
    assert np.abs(ordered - steps).max() < 1.95 / math.sqrt(len(ordered))


def test_successive_p_values_are_independent():
    source = random.Random(9)
    pairs = []
    for _ in range(1_500):
        bag = ScoreBag.of(source.random() for _ in range(20))
        pairs.append([bag.add(source.random(), tie_share=1 - source.random()) for _ in range(2)])
    assert abs(float(np.corrcoef(np.asarray(pairs).T)[0, 1])) < 4 / math.sqrt(len(pairs))


def test_the_share_of_ties_is_the_same_again_and_spread_evenly():
    shares = [tie_share(f"{number:064x}") for number in range(2_000)]
    assert shares == [tie_share(f"{number:064x}") for number in range(2_000)]
    assert all(0 < share <= 1 for share in shares)
    assert abs(float(np.mean(shares)) - 0.5) < 4 * 0.289 / math.sqrt(2_000)
