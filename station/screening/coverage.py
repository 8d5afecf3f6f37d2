"""Does the threshold keep its promise? Calibrations are drawn, and the share of benign pieces held is set against what must come out.

With n calibration scores and the k-th smallest as the last that passes, k = ⌈(n+1)(1−α)⌉, the number of m further exchangeable scores
without ties that are held has the beta-binomial distribution BB(m; n + 1 − k, k) (Vovk, "Conditional validity of inductive conformal
predictors", 2012). Its mean is m(n + 1 − k) / (n + 1) ≤ mα; ties can only lower it.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.domain.clearance import MIN_CALIBRATION
from station.screening.conformal import rank, threshold

FloatArray = npt.NDArray[np.float64]
Source = Callable[[np.random.Generator, int], FloatArray]
"""`count` exchangeable scores."""

SECOND_HUMP = 0.07
ALPHAS = (0.01, 0.05, 0.10)
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInterval:
    """Least and greatest number of held pieces out of m, and the probability of lying between them, both ends included."""

    low: int
    high: int
    probability: float


def held_interval(n: int, alpha: float, m: int, *, confidence: float = CONFIDENCE) -> HeldInterval:
    """The equal-tailed interval of the beta-binomial distribution; being discrete, it holds at least `confidence`.

    Raises:
        ScreeningError: `n` scores cannot support `alpha`.
    """
    k = rank(n, alpha)
    first, second = n + 1 - k, k
    whole = math.lgamma(first) + math.lgamma(second) - math.lgamma(n + 1)
    density = [
        math.exp(
            math.lgamma(m + 1)
            - math.lgamma(held + 1)
            - math.lgamma(m - held + 1)
            + math.lgamma(held + first)
            + math.lgamma(m - held + second)
            - math.lgamma(m + n + 1)
            - whole
        )
        for held in range(m + 1)
    ]
    below = np.cumsum(density)
    tail = (1 - confidence) / 2
    low, high = int(np.searchsorted(below, tail, side="right")), int(np.searchsorted(below, 1 - tail))
    return HeldInterval(low=low, high=high, probability=float(sum(density[low : high + 1])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What came of `draws` calibrations of `n` scores, each measured on `m` others.

    `held` is the mean share held, `held_must` what it must be without ties, `inside` the share of draws within the interval, which must be
    `interval.probability` but for chance.
    """

    source: str
    n: int
    m: int
    alpha: float
    draws: int
    held: float
    held_must: float
    inside: float
    interval: HeldInterval


def measure_coverage(name: str, source: Source, *, n: int, m: int, alpha: float, draws: int, seed: int) -> Coverage:
    """Draw calibrations and measure each with the station's own threshold."""
    interval = held_interval(n, alpha, m)
    rng = np.random.default_rng((seed, n, m, round(alpha * 1e6), zlib.crc32(name.encode())))
    held = np.empty(draws, np.int64)
    for number in range(draws):
        scores = source(rng, n + m)
        limit = threshold(scores[:n].tolist(), alpha)
        held[number] = int((~(scores[n:] < limit)).sum())
    return Coverage(
        source=name,
        n=n,
        m=m,
        alpha=alpha,
        draws=draws,
        held=float(held.mean()) / m,
        held_must=(n + 1 - rank(n, alpha)) / (n + 1),
        inside=float(((held >= interval.low) & (held <= interval.high)).mean()),
        interval=interval,
    )


def simulated_sources() -> dict[str, Source]:
    """Populations of unlike shape; `ties` has few distinct scores."""
    return {
        "skewed": lambda rng, count: rng.lognormal(0.0, 1.0, count),
        "two humps": lambda rng, count: rng.normal(0.0, 1.0, count) + 6.0 * (rng.random(count) < SECOND_HUMP),
        "ties": lambda rng, count: np.round(rng.exponential(1.0, count), 1),
    }


def split_source(scores: Sequence[float]) -> Source:
    """Real scores in random order: exchangeable as they are, since they came from one population."""
    pool = np.asarray(scores, np.float64)
    return lambda rng, count: rng.permutation(pool)[:count]


def coverage_table(calibration: Mapping[str, Sequence[float]], *, draws: int, seed: int = 5) -> list[Coverage]:
    """Simulated populations at several sizes, then random splits of the model's own calibration scores (500 against the rest)."""
    sizes = ((MIN_CALIBRATION, 500), (2000, 1000))
    rows = [
        measure_coverage(name, source, n=n, m=m, alpha=alpha, draws=draws, seed=seed)
        for name, source in simulated_sources().items()
        for n, m in sizes
        for alpha in ALPHAS
    ]
    for kind, scores in sorted(calibration.items()):
        rest = len(scores) - MIN_CALIBRATION
        if rest > 0:
            rows += [
                measure_coverage(f"own {kind}", split_source(scores), n=MIN_CALIBRATION, m=rest, alpha=alpha, draws=draws, seed=seed)
                for alpha in ALPHAS
            ]
    return rows


def coverage_lines(rows: Sequence[Coverage]) -> list[str]:
    """The table, a line each."""
    head = ("population", "n", "m", "alpha", "draws", "held", "must", "interval of m", "inside", "must")
    lines = ["{:20s} {:>5s} {:>5s} {:>6s} {:>6s} {:>8s} {:>8s} {:>14s} {:>8s} {:>8s}".format(*head)]
    for row in rows:
        between = f"{row.interval.low}…{row.interval.high}"
        lines.append(
            f"{row.source:20s} {row.n:5d} {row.m:5d} {row.alpha:6.2f} {row.draws:6d} {row.held:8.3%} {row.held_must:8.3%} {between:>14s} "
            f"{row.inside:8.2%} {row.interval.probability:8.2%}"
        )
    return lines
