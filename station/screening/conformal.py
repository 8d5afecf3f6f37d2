"""Thresholds with a guarantee: split-conformal prediction.

Source: Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, chapter 2 (conformal and smoothed conformal p-values).
Whether the assumption behind it still holds is watched by `drift`.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction

from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ScreeningError


def rank(n: int, alpha: float) -> int:
    """⌈(n + 1)(1 − α)⌉, computed exactly on the decimal `alpha` as it is written.

    Raises:
        ScreeningError: `alpha` is not between 0 and 1, or the rank lies beyond `n` (the threshold would be infinite).
    """
    if not 0 < alpha < 1:
        raise ScreeningError(f"A false-alarm rate of {alpha} means nothing", remedy="Give a rate between 0 and 1")
    found = math.ceil((n + 1) * (1 - Fraction(str(alpha))))
    if found > n:
        raise ScreeningError(
            f"{n} benign pieces cannot support a false-alarm rate of {alpha}",
            consequence="There is no finite threshold, so the model decides nothing",
            remedy=f"Collect at least {math.ceil(1 / Fraction(str(alpha))) - 1} benign pieces or allow a higher rate",
        )
    return found


def _checked(scores: Iterable[float], least: int) -> list[float]:
    ordered = sorted(scores)
    if len(ordered) < least:
        raise ScreeningError(
            f"{len(ordered)} benign pieces are too few to calibrate on",
            consequence="The model may not clear anything",
            remedy=f"Collect at least {least} pieces that people read blind",
        )
    if not all(math.isfinite(score) for score in ordered):
        raise ScreeningError("A calibration score is not a finite number", remedy="Run the calibration again")
    return ordered


def threshold(scores: Iterable[float], alpha: float, *, least: int = MIN_CALIBRATION) -> float:
    """The score at which the model alarms: an exchangeable benign piece reaches it with probability at most `alpha`.

    The ⌈(n+1)(1−α)⌉-th smallest calibration score may still pass, so the threshold is the next number above it: `score < threshold`
    means exactly `score <= that calibration score`, and tied scores keep the guarantee. Fewer than 500 scores are taken only where `least`
    says so, for a threshold that shows people where to look and clears nothing.

    Raises:
        ScreeningError: fewer than `least` scores, a score that is not finite, or a rank beyond n.
    """
    ordered = _checked(scores, least)
    return math.nextafter(ordered[rank(len(ordered), alpha) - 1], math.inf)


def p_value(ordered_scores: Sequence[float], score: float, *, tie_share: float = 1.0) -> float:
    """Share of benign pieces, this one among them, that look at least as odd as `score`; in (0, 1].

    Args:
        ordered_scores: calibration scores in rising order.
        score: the score in question.
        tie_share: part of the ties that count; 1 is the cautious value, a uniform random number makes p-values exactly uniform.

    Raises:
        ScreeningError: `score` is not finite or `tie_share` is not in (0, 1].
    """
    if not math.isfinite(score) or not 0 < tie_share <= 1:
        raise ScreeningError(f"No p-value for score {score} with {tie_share} of the ties", remedy="Run the reading again")
    above = len(ordered_scores) - bisect_right(ordered_scores, score)
    ties = len(ordered_scores) - above - bisect_left(ordered_scores, score)
    return (above + tie_share * (ties + 1)) / (len(ordered_scores) + 1)
