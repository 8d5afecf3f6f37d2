import math
import random

import pytest

from station.domain.errors import ScreeningError
from station.screening.martingale import BETS, RESTART_EVERY, DriftMartingale, gains


def grid(count: int) -> list[float]:
    return [(number + 0.5) / count for number in range(count)]


def test_every_bet_is_fair_and_never_loses_more_than_its_stake():
    steps = [gains(p) for p in grid(10_000)]
    for bet in range(BETS):
        assert sum(step[bet] for step in steps) / len(steps) == pytest.approx(1.0, abs=1e-6)
    assert min(min(gains(p)) for p in (0.0, 0.05, 0.1, 0.5, 1.0)) > 0


@pytest.mark.parametrize("pieces", [0, 1, RESTART_EVERY - 1, RESTART_EVERY, 3 * RESTART_EVERY, 1234])
def test_the_capital_is_a_fair_game_at_every_piece(pieces: int):
    """Averaged over a uniform p-value one step leaves the capital as it was, also where the mixture begins anew."""
    source = random.Random(1)
    game = DriftMartingale()
    for _ in range(pieces):
        game = game.step(source.random())
    after = [game.step(p).capital for p in grid(2_000)]
    assert sum(after) / len(after) == pytest.approx(game.capital, rel=1e-6)
    assert min(after) > 0


def test_it_begins_with_one():
    assert DriftMartingale().capital == 1.0
    assert DriftMartingale().most == 1.0


def ville(level: float, runs: int, pieces: int) -> float:
    source = random.Random(7)
    reached = 0
    for _ in range(runs):
        game = DriftMartingale()
        for _ in range(pieces):
            game = game.step(source.random())
        reached += game.most >= level
    return reached / runs


def test_uniform_p_values_reach_a_level_no_more_often_than_ville_says():
    # three standard errors above 1 / level would be chance in one of a thousand
    assert ville(5.0, 400, 400) <= 1 / 5 + 3 * math.sqrt(0.2 * 0.8 / 400)


@pytest.mark.parametrize("bent", [lambda u: u**2, lambda u: u**0.5, lambda u: 0.05 * u if u < 0.3 else u, lambda u: 0.5 + (u - 0.5) / 3])
def test_p_values_that_are_not_uniform_make_it_grow(bent: object):
    source = random.Random(3)
    game = DriftMartingale()
    for _ in range(600):
        game = game.step(bent(source.random()))  # type: ignore[operator]
    assert game.most > 1_000


def test_a_change_after_a_long_good_time_is_still_noticed():
    source = random.Random(4)
    game = DriftMartingale()
    for _ in range(30_000):
        game = game.step(source.random())
    assert game.most < 100
    for _ in range(200):
        game = game.step(source.random() ** 2)
    assert game.most >= 400


def test_the_highest_capital_is_remembered_and_stays_finite():
    game = DriftMartingale()
    for _ in range(5_000):
        game = game.step(0.0)
    assert math.isfinite(game.most)
    most = game.most
    for _ in range(20_000):
        game = game.step(0.5)
    assert game.most == most
    assert game.pieces == 25_000


@pytest.mark.parametrize("p", [-0.01, 1.01, math.nan])
def test_a_bet_on_no_p_value_is_refused(p: float):
    with pytest.raises(ScreeningError, match="no p-value"):
        DriftMartingale().step(p)
