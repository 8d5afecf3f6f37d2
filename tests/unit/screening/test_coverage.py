import math

import pytest

from station.domain.errors import ScreeningError
from station.screening.coverage import (
    ALPHAS,
    coverage_lines,
    coverage_table,
    held_interval,
    measure_coverage,
    simulated_sources,
    split_source,
)

DRAWS = 1_000


def test_the_interval_is_that_of_the_beta_binomial_distribution():
    """Against sums over the urn itself: m held out of m + n by drawing, for numbers small enough to count."""
    found = held_interval(19, 0.05, 1)
    assert (found.low, found.high) == (0, 1)
    assert found.probability == pytest.approx(1.0)
    wide = held_interval(500, 0.05, 500)
    assert wide.low < 25 < wide.high
    assert 0.95 <= wide.probability < 0.97
    with pytest.raises(ScreeningError):
        held_interval(500, 0.001, 100)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", ["skewed", "two humps"])
def test_the_held_share_lies_where_it_must(name: str, alpha: float):
    found = measure_coverage(name, simulated_sources()[name], n=500, m=500, alpha=alpha, draws=DRAWS, seed=2)
    must = found.interval.probability
    # four standard errors: one of fifteen thousand such tests fails by chance
    assert abs(found.inside - must) < 4 * math.sqrt(must * (1 - must) / DRAWS)
    one_draw = math.sqrt(alpha * (1 - alpha) * (1 / 500 + 1 / 500))
    assert abs(found.held - found.held_must) < 4 * one_draw / math.sqrt(DRAWS)
    assert found.held_must <= alpha


@pytest.mark.parametrize("alpha", ALPHAS)
def test_ties_hold_no_more_than_promised(alpha: float):
    found = measure_coverage("ties", simulated_sources()["ties"], n=500, m=500, alpha=alpha, draws=DRAWS, seed=3)
    assert found.held < alpha + 4 * math.sqrt(alpha / 250 / DRAWS)


def test_splits_of_real_scores_keep_the_promise_and_the_table_names_everything():
    scores = [number / 600 for number in range(600)]
    found = measure_coverage("split", split_source(scores), n=500, m=100, alpha=0.05, draws=DRAWS, seed=4)
    assert abs(found.inside - found.interval.probability) < 4 * math.sqrt(0.03 / DRAWS)
    rows = coverage_table({"envelope": scores, "packet": scores[:500]}, draws=20)
    assert {row.source for row in rows} == {"skewed", "two humps", "ties", "own envelope"}
    assert len(coverage_lines(rows)) == len(rows) + 1
