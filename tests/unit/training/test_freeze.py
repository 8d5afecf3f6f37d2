"""What is said of the freeze score holds as often as it says, whatever the sample it was chosen from."""

from dataclasses import replace

import numpy as np
import pytest

from firmware_sims.mail import GENERATIONS, NEWEST_GENERATION
from station.screening.card import card_lines
from station.screening.manifest import load_model
from tests.support.screening_models import SHIPPED
from training.freeze import CONFIDENCE, PIECES, WANTED, FreezeScore, freeze_score, most_above, upper_bound
from training.kinds import kind_shares


def test_so_few_reach_it_as_is_promised_in_as_many_samples_as_is_promised():
    """Scores are uniform, so that the share of all pieces that reach a score is 1 less it."""
    rng = np.random.default_rng(4)
    found = [freeze_score(rng.random(PIECES).tolist()) for _ in range(150)]
    reached = np.asarray([1 - one.score for one in found if one])
    assert len(reached) == 150
    assert (reached <= WANTED).mean() >= CONFIDENCE
    # the bound that is stated is as wide as it must be, and no wider: four standard errors of a share of 95 %
    inside = np.mean([1 - one.score <= one.upper_95 for one in found if one])
    assert abs(inside - CONFIDENCE) < 4 * (CONFIDENCE * (1 - CONFIDENCE) / 150) ** 0.5


def test_how_many_may_reach_it_follows_from_the_size_alone():
    # ln 0.05 / ln(1 - 1/5000) is 14 977.2; half the chi-square quantiles 9.488 and 12.592 times 5000 are 23 720 and 31 480
    assert [most_above(count) for count in (14_977, 14_978, 23_717, 23_718, 31_476, 31_477)] == [None, 0, 0, 1, 1, 2]
    for count in (20_000, 31_500):
        above = most_above(count)
        assert above is not None
        assert upper_bound(above, count) <= WANTED < upper_bound(above + 1, count)
    assert upper_bound(0, PIECES) == pytest.approx(1 - 0.05 ** (1 / PIECES))


def test_it_lies_above_every_piece_of_the_least_sample_and_needs_that_many():
    scores = np.linspace(0.1, 0.7, PIECES).tolist()
    assert freeze_score(scores[1:]) is None
    found = freeze_score(scores)
    assert found is not None
    assert (found.pieces, found.above) == (PIECES, 0)
    assert max(scores) < found.score < max(scores) + 1e-9
    # where a whole scanner saturates nothing stops the lane by its score
    tied = freeze_score([*scores, *[1.0] * 40])
    assert tied is not None
    assert tied.score > 1


def test_of_one_kind_alone_more_may_reach_it_and_the_card_says_so():
    shares = kind_shares(GENERATIONS[NEWEST_GENERATION])
    assert shares == pytest.approx({"envelope": 0.45, "packet": 0.25, "parcel": 0.30})
    said = FreezeScore(score=0.91, pieces=PIECES, above=0, upper_95=upper_bound(0, PIECES)).said(shares)
    assert said["upper_by_kind"]["parcel"] == pytest.approx(said["upper"] / 0.30)
    shipped, _ = load_model(SHIPPED)
    manifest = replace(shipped, freeze_score=0.91, freeze_n=PIECES, metrics={**shipped.metrics, "freeze": said})
    (line,) = [line for line in card_lines(manifest) if line.startswith("freeze score")]
    assert "at most 0 of 20000 benign pieces reached it" in line
    assert "with 95 % confidence at most 1 in 6676 of such mail do" in line
    assert line.endswith("at most 1 in 3004 of kind envelope, 1 in 1669 of kind packet, 1 in 2002 of kind parcel")
    older = replace(manifest, metrics=shipped.metrics)
    assert any("how often such pieces reach it is not stated" in line for line in card_lines(older))
