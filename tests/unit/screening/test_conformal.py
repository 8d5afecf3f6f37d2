import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import ScreeningError
from station.screening.conformal import p_value, rank, threshold
from station.screening.policy import ModelFacts, may_be_authority

BENIGN = [float(number) for number in range(1, 501)]


@pytest.mark.parametrize(
    ("n", "alpha", "expected"),
    [(500, 0.05, 476), (999, 0.05, 950), (999, 0.1, 900), (999, 0.3, 700), (500, 0.002, 500), (19, 0.05, 19), (600, 0.05, 571)],
)
def test_ranks(n: int, alpha: float, expected: int):
    assert rank(n, alpha) == expected


@given(st.integers(500, 5_000), st.integers(1, 999))
def test_the_rank_is_exact_where_floating_point_is_not(n: int, thousandths: int):
    alpha = thousandths / 1_000
    exact = math.ceil(Fraction(n + 1) * (1_000 - thousandths) / 1_000)
    if exact > n:
        with pytest.raises(ScreeningError, match="cannot support"):
            rank(n, alpha)
    else:
        assert rank(n, alpha) == exact


def test_a_rank_beyond_n_never_means_an_infinite_threshold():
    with pytest.raises(ScreeningError, match="500 benign pieces cannot support") as refused:
        threshold(BENIGN, 0.001)
    assert "at least 999" in refused.value.remedy
    assert math.isfinite(threshold(BENIGN, 0.002))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_a_rate_that_means_nothing(alpha: float):
    with pytest.raises(ScreeningError, match="means nothing"):
        rank(500, alpha)


def test_the_threshold_is_just_above_the_score_of_that_rank():
    limit = threshold(reversed(BENIGN), 0.05)
    assert limit > 476.0
    assert math.nextafter(476.0, math.inf) == limit
    assert sum(not score < limit for score in BENIGN) == 24


def test_tied_scores_keep_the_guarantee():
    tied = [1.0] * 490 + [2.0] * 10
    limit = threshold(tied, 0.05)
    assert sum(not score < limit for score in tied) / len(tied) <= 0.05


def test_too_few_or_broken_scores_are_refused():
    with pytest.raises(ScreeningError, match="499 benign pieces are too few"):
        threshold(BENIGN[:499], 0.05)
    for broken in (math.nan, math.inf, -math.inf):
        with pytest.raises(ScreeningError, match="not a finite number"):
            threshold([*BENIGN, broken], 0.05)


def test_p_values():
    scores = [1.0, 2.0, 2.0, 3.0]
    assert p_value(scores, 4.0) == 1 / 5
    assert p_value(scores, 3.0) == 2 / 5
    assert p_value(scores, 2.0) == 4 / 5
    assert p_value(scores, 0.0) == 1.0
    assert p_value(scores, 2.0, tie_share=0.5) == (1 + 0.5 * 3) / 5
    assert p_value([], 1.0) == 1.0


def test_a_piece_alarms_exactly_when_its_p_value_is_at_most_alpha():
    limit = threshold(BENIGN, 0.05)
    for score in (475.5, 476.0, 476.5, 477.0, 500.0, 501.0):
        assert (not score < limit) == (p_value(BENIGN, score) <= 0.05)


@pytest.mark.parametrize(("score", "tie_share"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, 0.0), (1.0, 1.1), (1.0, math.nan)])
def test_a_p_value_of_nonsense_is_refused(score: float, tie_share: float):
    with pytest.raises(ScreeningError, match="No p-value"):
        p_value(BENIGN, score, tie_share=tie_share)


PROVED = ModelFacts(signed=True, fitted_site="site-1", calibration_n=500, detection_lower_95=0.90)


def test_a_proved_model_may_be_an_authority():
    assert may_be_authority(PROVED, site="site-1").allowed
    assert may_be_authority(ModelFacts(signed=True, fitted_site="s", calibration_n=501, detection_lower_95=1.0), site="s").allowed


@pytest.mark.parametrize(
    ("change", "site", "why"),
    [
        ({"signed": False}, "site-1", "not signed"),
        ({"fitted_site": "site-2"}, "site-1", "fitted on site-2, not on site-1"),
        ({"fitted_site": None}, "site-1", "synthetic pieces"),
        ({"fitted_site": ""}, "", "a named site"),
        ({"calibration_n": 499}, "site-1", "499 benign pieces"),
        ({"detection_lower_95": 0.899}, "site-1", "0.899"),
        ({"detection_lower_95": None}, "site-1", "not measured"),
        ({"detection_lower_95": math.nan}, "site-1", "nan"),
        ({"detection_lower_95": 1.01}, "site-1", "1.010"),
    ],
)
def test_each_lack_is_an_objection(change: dict[str, object], site: str, why: str):
    facts = {"signed": True, "fitted_site": "site-1", "calibration_n": 500, "detection_lower_95": 0.90} | change
    judgement = may_be_authority(ModelFacts(**facts), site=site)  # type: ignore[arg-type]
    assert not judgement.allowed
    assert len(judgement.objections) == 1
    assert why in judgement.objections[0]


def test_every_objection_is_named():
    nothing = ModelFacts(signed=False, fitted_site=None, calibration_n=0, detection_lower_95=None)
    assert len(may_be_authority(nothing, site="site-1").objections) == 4
