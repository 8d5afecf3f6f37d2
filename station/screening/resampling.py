"""Rates of a score that separates two classes, and their 95 % intervals by drawing scenes again.

Pictures of one scene are not independent, so whole scenes are drawn, with replacement, each as often as it comes. All scorers are measured
on the same draws: a difference of two is paired. Source: Efron and Tibshirani, *An Introduction to the Bootstrap*, chapters 8 and 13.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Weights = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BOOTSTRAPS = 1000
SEED = 20_240_611
FALSE_ALARMS = 0.05
"""The share of benign pieces that may alarm where a detection rate is given."""
ROWS_AT_ONCE = 100
NOTHING: dict[str, Any] = {"mean": None, "lo": None, "hi": None, "n": 0}


def auroc(scores: Floats, positive: BoolArray) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher; ties count half."""
    return float(rates(scores, positive, np.ones((1, len(scores))))[0, 0])


def scene_weights(scenes: Sequence[str], *, draws: int = BOOTSTRAPS, seed: int = SEED) -> Weights:
    """How often each picture counts, (1 + draws, pictures): first the measurement itself, then one row for each draw of scenes."""
    _, places = np.unique(np.asarray(scenes, dtype=str), return_inverse=True)
    count = int(places.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return np.concatenate([np.ones((1, len(places))), drawn[:, places].astype(np.float64)])


def rates(scores: Floats, positive: BoolArray, weights: Weights, *, false_alarms: float = FALSE_ALARMS) -> Weights:
    """AUROC and the share found at `false_alarms`, (rows of `weights`, 2); not a number where a row lacks a class.

    The threshold of a row is the lowest score above which lies at most that share of its negatives, so that the true rate of false alarms
    never exceeds it, with ties or without.
    """
    _, places = np.unique(scores, return_inverse=True)
    levels = int(places.max()) + 1
    result = np.full((len(weights), 2), np.nan)
    for start in range(0, len(weights), ROWS_AT_ONCE):
        part = weights[start : start + ROWS_AT_ONCE]
        rows = np.arange(len(part))[:, None] * levels
        bins = rows + places[None, :]
        bad, good = (
            np.bincount(bins[:, which].ravel(), weights=part[:, which].ravel(), minlength=len(part) * levels).reshape(len(part), levels)
            for which in (positive, ~positive)
        )
        all_bad, all_good = bad.sum(axis=1), good.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            below = np.cumsum(good, axis=1) - 0.5 * good
            result[start : start + len(part), 0] = (bad * below).sum(axis=1) / (all_bad * all_good)
            above = all_good[:, None] - np.cumsum(good, axis=1)
            limit = np.argmax(above <= false_alarms * all_good[:, None] + 1e-9, axis=1)
            caught = all_bad - np.cumsum(bad, axis=1)[np.arange(len(part)), limit]
            result[start : start + len(part), 1] = np.where(all_good > 0, caught / all_bad, np.nan)
    return result


def rates_by_stratum(scores: Floats, positive: BoolArray, weights: Weights, strata: Sequence[str]) -> Weights:
    """`rates` within each stratum, each with its own threshold, weighed by its positives; strata that lack a class are left out."""
    names = np.asarray(strata, dtype=str)
    total, share = np.zeros((len(weights), 2)), np.zeros((len(weights), 1))
    for name in np.unique(names):
        chosen = names == name
        if not positive[chosen].any() or positive[chosen].all():
            continue
        part = weights[:, chosen]
        found, heavy = rates(scores[chosen], positive[chosen], part), part[:, positive[chosen]].sum(axis=1, keepdims=True)
        known = np.isfinite(found).all(axis=1, keepdims=True)
        total += np.where(known, found * heavy, 0.0)
        share += np.where(known, heavy, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / share


def means(values: Floats, weights: Weights) -> Weights:
    """Weighed mean of `values` for each row of `weights`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Weights = (weights @ np.asarray(values, np.float64)) / weights.sum(axis=1)
    return result


def interval(drawn: Weights, n: int) -> dict[str, Any]:
    """`{"mean", "lo", "hi", "n"}`: the measurement (the first of `drawn`) and the middle 95 % of the draws; None where there is none."""
    if n == 0 or not np.isfinite(drawn[0]):
        return dict(NOTHING)
    known = drawn[1:][np.isfinite(drawn[1:])]
    low, high = np.percentile(known, (2.5, 97.5)).tolist() if known.size else (None, None)
    return {"mean": float(drawn[0]), "lo": low, "hi": high, "n": n}
