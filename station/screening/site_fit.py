"""Fit the model's linear head on a site's own pieces, with NumPy alone, and put it into the proved file.

The network stays as it was trained; only the last step, from the features of a cell to its logit, is fitted: logistic regression over
cells of the site's benign scans, with and without projected threats, drawn towards the head that the model came with. So a few hundred
pieces suffice, and where they say nothing the shipped head stays. The last features are the plain scores (darkness, dense material);
their weights stay at or above 0, as in training (decision 0066).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.screening.onnx_file import check_onnx, float_weights

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]

HEAD_WEIGHTS, HEAD_BIAS = "head.w", "head.b"
"""Names of the head's weights in the model file."""
PLAIN_FEATURES = 4
"""How many of the last features are plain scores."""
PULL = 1e-3
MOST_STEPS = 60
ENOUGH = 1e-7
LEAST_SPREAD = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The logit of a cell is `weights` (n,) · features + `bias`; float32, as the runtime computes with them."""

    weights: FloatArray
    bias: np.float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Cells to fit on: `features` (cells, n), `threat` (cells,), and how much each counts, `weights` (cells,)."""

    features: FloatArray
    threat: BoolArray
    weights: FloatArray


def _refuse(why: str) -> ScreeningError:
    return ScreeningError(
        f"model fit: {why}",
        consequence="the model stays as it is",
        remedy="check the pieces that it is fitted on and the model's folder",
    )


def head_of(model: bytes) -> Head:
    """The head in a proved file.

    Raises:
        ScreeningError: the model has no such head.
    """
    whole = memoryview(model)
    weights, bias = (np.frombuffer(float_weights(whole, name), "<f4").copy() for name in (HEAD_WEIGHTS, HEAD_BIAS))
    if len(weights) <= PLAIN_FEATURES or len(bias) != 1:
        raise _refuse(f"its head has {len(weights)} weights and {len(bias)} biases")
    return Head(weights=weights, bias=np.float32(bias[0]))


def with_head(model: bytes, head: Head) -> bytes:
    """The same file with another head; no other byte changes.

    Raises:
        ScreeningError: the head has another size or is no number, or the model is none that may be loaded.
    """
    numbers = np.append(head.weights, head.bias).astype("<f4")
    if not np.isfinite(numbers).all():
        raise _refuse("the new head is no number")
    buffer = bytearray(model)
    for name, values in ((HEAD_WEIGHTS, numbers[:-1]), (HEAD_BIAS, numbers[-1:])):
        place = float_weights(memoryview(buffer), name)
        if len(place) != values.nbytes:
            raise _refuse(f"{name} has room for {len(place)} bytes, not {values.nbytes}")
        place[:] = values.tobytes()
    result = bytes(buffer)
    check_onnx(result)
    return result


def picked(features: FloatArray, threat: BoolArray, head: Head, *, most: int, rng: np.random.Generator) -> Cells:
    """Cells of one scan: all of the threat, and of the rest the hottest under `head` and some by chance, `most` in all of these.

    Those drawn by chance count for all that were left out. `features` is (n, rows, columns), `threat` (rows, columns).
    """
    flat, there = features.reshape(len(features), -1).T, threat.ravel()
    cold = np.flatnonzero(~there)
    order = cold[np.argsort(-(flat[cold] @ head.weights), kind="stable")]
    hot, rest = order[: most // 2], order[most // 2 :]
    drawn = rng.choice(rest, min(most - most // 2, len(rest)), replace=False) if len(rest) else rest
    chosen = np.concatenate([np.flatnonzero(there), hot, drawn])
    weights = np.ones(len(chosen), np.float32)
    if len(drawn):
        weights[-len(drawn) :] = len(rest) / len(drawn)
    return Cells(features=np.ascontiguousarray(flat[chosen]), threat=there[chosen], weights=weights)


def _loss(logits: Numbers, labels: Numbers, weights: Numbers) -> float:
    return float(weights @ (np.logaddexp(0.0, logits) - labels * logits))


def fit_head(cells: Sequence[Cells], shipped: Head, *, pull: float = PULL) -> Head:
    """The head that tells threat cells from others, near the shipped one.

    Minimises the mean loss, threat cells and others counting half each, plus `pull` / 2 times the summed squares of what the change of
    each weight does to a cell's logit (its change times the feature's spread). The bias is free. Newton's steps over the weights that
    are not held at 0.

    Raises:
        ScreeningError: nothing to tell apart, or features that do not belong to this head or are no numbers.
    """
    features = np.concatenate([one.features for one in cells]).astype(np.float64)
    threat = np.concatenate([one.threat for one in cells])
    weights = np.concatenate([one.weights for one in cells]).astype(np.float64)
    count = len(shipped.weights)
    if features.shape[1] != count or not np.isfinite(features).all():
        raise _refuse(f"features of {features.shape[1]} finite numbers were expected to be {count}")
    if not threat.any() or threat.all():
        raise _refuse("it needs cells with a projected threat and cells without one")
    for chosen in (threat, ~threat):
        weights[chosen] *= 0.5 / weights[chosen].sum()
    spread = np.maximum(np.sqrt(weights @ np.square(features - weights @ features)), LEAST_SPREAD)
    design = np.column_stack([features / spread, np.ones(len(features))])
    start = np.append(shipped.weights.astype(np.float64) * spread, float(shipped.bias))
    penalty = np.append(np.full(count, pull), 0.0)
    bounded = np.zeros(count + 1, dtype=bool)
    bounded[count - PLAIN_FEATURES : count] = True
    found = _minimised(design, threat.astype(np.float64), weights, start=start, penalty=penalty, bounded=bounded)
    return Head(weights=(found[:-1] / spread).astype(np.float32), bias=np.float32(found[-1]))


def _minimised(design: Numbers, labels: Numbers, weights: Numbers, *, start: Numbers, penalty: Numbers, bounded: BoolArray) -> Numbers:
    """Projected Newton: the weights of `bounded` stay at or above 0."""

    def value(at: Numbers) -> float:
        return _loss(design @ at, labels, weights) + 0.5 * float(penalty @ np.square(at - start))

    now = np.where(bounded, np.maximum(start, 0.0), start)
    best = value(now)
    for _ in range(MOST_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(design @ now, -40, 40)))
        slope = design.T @ (weights * (chances - labels)) + penalty * (now - start)
        free = ~(bounded & (now <= 0) & (slope > 0))
        curve = (design.T * (weights * chances * (1 - chances))) @ design + np.diag(penalty + 1e-9)
        step = np.zeros_like(now)
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        share = 1.0
        while True:
            tried = np.where(bounded, np.maximum(now - share * step, 0.0), now - share * step)
            new = value(tried)
            if new <= best or share < ENOUGH:
                break
            share *= 0.5
        if best - new <= ENOUGH * max(1.0, best):
            return tried if new <= best else now
        now, best = tried, new
    return now
