"""How well threats are found, by people and by the model alike: rates, d_a, their intervals, and who may be ranked. Pure.

Threats are projected ones, and so their truth is known; false alarms are threat calls on pieces into which nothing was projected.
Sources: d_a = √(2 / (1 + s²)) · (z(H) − s·z(F)) with s the slope of the ROC in z-coordinates (Macmillan and Creelman, "Detection Theory",
2nd ed., ch. 3); s = 0.6 for X-ray images of baggage (Sterchi, Hättenschwiler and Schwaninger, "Detection measures for visual inspection of
X-ray images of passenger baggage", 2019); log-linear correction of rates (Hautus 1995); variance of z by the delta method (Gourevitch and
Galanter 1967); interval of a rate (Wilson 1927).
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

SLOPE = 0.6
"""Slope of the ROC in z-coordinates."""
RANKED_FROM = 100
"""Answered projections from which a reader's d_a may stand in a ranking (design: threat image projection)."""
RELIABLE_FROM = 0.7
"""Share of the spread between readers that must be more than chance before they are ranked."""
CONFIDENCE = 0.95
_NORMAL = NormalDist()
_LEAST_COMPARED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one reader did: `hits` of `projections` called, `false_alarms` of `plain` (pieces without a projection) called."""

    projections: int
    hits: int
    plain: int
    false_alarms: int

    def __post_init__(self) -> None:
        """Raises `ValueError` for counts that cannot be."""
        if not (0 <= self.hits <= self.projections and 0 <= self.false_alarms <= self.plain):
            raise ValueError(f"{self} counts more calls than there were images, or less than none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """d_a with its standard error and 95 % interval. Chance is 0."""

    d_a: float
    standard_error: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Everything that is said of one reader. A rate without images, and d_a without both kinds of them, are None."""

    tally: Tally
    hit_rate: float | None
    hit_interval: Interval | None
    false_alarm_rate: float | None
    false_alarm_interval: Interval | None
    sensitivity: Sensitivity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """`order`: readers with enough projections, best first; empty when they cannot be told apart. `too_few`: all others, by name.

    `reliability` is the share of the spread of d_a between the readers in question that their standard errors do not explain; None when
    fewer than two readers have enough.
    """

    order: tuple[str, ...]
    too_few: tuple[str, ...]
    reliability: float | None


def wilson(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval of a rate. Raises `ValueError` without trials, or with more successes than trials."""
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no rate")
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    share, spread = successes / trials, z * z / trials
    middle = share + spread / 2
    reach = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # rounding must not push an end beyond what it is in exact arithmetic
    low = 0.0 if successes == 0 else (middle - reach) / (1 + spread)
    high = 1.0 if successes == trials else (middle + reach) / (1 + spread)
    return Interval(low=max(0.0, low), high=min(1.0, high))


def _corrected(called: int, images: int) -> tuple[float, float]:
    """The log-linear rate's z, which is finite for every count, and its variance."""
    rate = (called + 0.5) / (images + 1)
    z = _NORMAL.inv_cdf(rate)
    return z, rate * (1 - rate) / ((images + 1) * _NORMAL.pdf(z) ** 2)


def sensitivity(tally: Tally, *, slope: float = SLOPE, confidence: float = CONFIDENCE) -> Sensitivity | None:
    """d_a of one reader; None while there is no projection or no plain piece."""
    if not (tally.projections and tally.plain):
        return None
    hit_z, hit_variance = _corrected(tally.hits, tally.projections)
    alarm_z, alarm_variance = _corrected(tally.false_alarms, tally.plain)
    scale = math.sqrt(2 / (1 + slope * slope))
    d_a = scale * (hit_z - slope * alarm_z)
    error = scale * math.sqrt(hit_variance + slope * slope * alarm_variance)
    reach = _NORMAL.inv_cdf((1 + confidence) / 2) * error
    return Sensitivity(d_a=d_a, standard_error=error, interval=Interval(low=d_a - reach, high=d_a + reach))


def performance(tally: Tally) -> Performance:
    """Rates and d_a of one reader, each with its interval."""
    return Performance(
        tally=tally,
        hit_rate=tally.hits / tally.projections if tally.projections else None,
        hit_interval=wilson(tally.hits, tally.projections) if tally.projections else None,
        false_alarm_rate=tally.false_alarms / tally.plain if tally.plain else None,
        false_alarm_interval=wilson(tally.false_alarms, tally.plain) if tally.plain else None,
        sensitivity=sensitivity(tally),
    )


def reliability(measured: Mapping[str, Sensitivity]) -> float | None:
    """1 − (mean squared standard error) / (variance of d_a between readers), not below 0; None for fewer than two readers."""
    if len(measured) < _LEAST_COMPARED:
        return None
    spread = statistics.variance(one.d_a for one in measured.values())
    chance = statistics.fmean(one.standard_error**2 for one in measured.values())
    return max(0.0, 1 - chance / spread) if spread > 0 else 0.0


def rank_readers(tallies: Mapping[str, Tally]) -> Ranking:
    """Rank readers by d_a, as far as that is fair.

    Nobody under `RANKED_FROM` projections is ranked, and nobody at all while chance alone explains so much of what lies between the
    readers that the reliability stays under `RELIABLE_FROM`: such an order would turn around with the next hundred projections.
    """
    measured = {
        name: found for name, tally in tallies.items() if tally.projections >= RANKED_FROM and (found := sensitivity(tally)) is not None
    }
    too_few = tuple(sorted(tallies.keys() - measured.keys()))
    found_reliability = reliability(measured)
    order: tuple[str, ...] = ()
    if found_reliability is not None and found_reliability >= RELIABLE_FROM:
        order = tuple(sorted(measured, key=lambda name: (-measured[name].d_a, name)))
    return Ranking(order=order, too_few=too_few, reliability=found_reliability)
