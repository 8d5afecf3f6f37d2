import numpy as np
import pytest

from station.screening.resampling import auroc, interval, means, rates, rates_by_stratum, scene_weights


def by_hand(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, false_alarms: float) -> tuple[float, float]:
    """AUROC by all pairs; the best share found over every threshold that keeps to the false alarms."""
    bad, good = positive.nonzero()[0], (~positive).nonzero()[0]
    won = sum(weights[i] * weights[j] * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])) for i in bad for j in good)
    best = 0.0
    for limit in (*scores, scores.min() - 1):
        over = scores > limit
        if weights[good] @ over[good] <= false_alarms * weights[good].sum() + 1e-9:
            best = max(best, weights[bad] @ over[bad] / weights[bad].sum())
    return won / (weights[bad].sum() * weights[good].sum()), best


@pytest.mark.parametrize("seed", range(6))
def test_rates_are_those_counted_by_hand(seed: int):
    rng = np.random.default_rng(seed)
    # few distinct scores, so that there are ties within and between the classes
    scores, positive = rng.integers(0, 9, 40) / 8, rng.random(40) < 0.4
    weights = rng.integers(0, 4, (5, 40)).astype(float)
    found = rates(scores, positive, weights, false_alarms=0.2)
    for row, own in zip(found, weights, strict=True):
        assert row == pytest.approx(by_hand(scores, positive, own, 0.2))


def test_a_draw_without_one_of_the_classes_counts_for_nothing():
    scores, positive = np.asarray([0.1, 0.9]), np.asarray([False, True])
    found = rates(scores, positive, np.asarray([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    assert found[0].tolist() == [1.0, 1.0]
    assert np.isnan(found[1:]).all()
    assert interval(found[:, 0], 2) == {"mean": 1.0, "lo": None, "hi": None, "n": 2}
    assert interval(found[1:, 0], 2)["mean"] is None


def test_pictures_of_one_scene_are_drawn_together_and_the_first_row_is_the_measurement():
    weights = scene_weights(["a", "b", "a", "c", "b"], draws=200)
    assert weights[0].tolist() == [1, 1, 1, 1, 1]
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[1:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_more_pictures_of_the_same_scenes_are_no_more_evidence():
    rng = np.random.default_rng(1)
    values = rng.random(60)
    scenes = [str(number) for number in range(60)]
    alone = interval(means(values, scene_weights(scenes)), 60)
    tenfold = interval(means(np.repeat(values, 10), scene_weights(np.repeat(scenes, 10).tolist())), 600)
    assert {key: tenfold[key] for key in ("mean", "lo", "hi")} == pytest.approx({key: alone[key] for key in ("mean", "lo", "hi")})


def test_the_interval_covers_what_is_true_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    scenes = [str(number) for number in range(80)]
    weights = scene_weights(scenes, draws=400)
    inside = 0
    for _ in range(200):
        found = interval(means(rng.exponential(1.0, 80), weights), 80)
        inside += found["lo"] <= 1.0 <= found["hi"]
    assert 178 <= inside <= 200


def test_strata_are_judged_each_by_its_own_threshold():
    scores = np.asarray([0.1, 0.2, 0.3, 5.1, 5.2, 5.3])
    positive = np.asarray([False, False, True, False, False, True])
    assert auroc(scores, positive) == pytest.approx(0.75)
    assert rates_by_stratum(scores, positive, np.ones((1, 6)), list("aaabbb"))[0].tolist() == [1.0, 1.0]
    # a stratum without benign pieces says nothing
    assert rates_by_stratum(scores, positive, np.ones((1, 6)), list("aaabbc"))[0].tolist() == [1.0, 1.0]
