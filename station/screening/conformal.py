"""Thresholds with a guarantee: split-conformal prediction, and a test of whether its assumption still holds.

Sources: Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, chapters 2 (conformal p-values) and 8 (exchangeability
martingales); Vovk et al., "Retrain or not retrain: conformal test martingales for change-point detection", 2021 (Simple Jumper).
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ScreeningError

TRIP_CAPITAL = 100.0
"""Capital at which drift is called: by Ville's inequality exchangeable scores reach it with probability at most 1 in 100, ever."""

JUMP_RATE = 0.01
_BETS = (-1.0, 0.0, 1.0)


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


def _checked(scores: Iterable[float]) -> list[float]:
    ordered = sorted(scores)
    if len(ordered) < MIN_CALIBRATION:
        raise ScreeningError(
            f"{len(ordered)} benign pieces are too few to calibrate on",
            consequence="The model may not clear anything",
            remedy=f"Collect at least {MIN_CALIBRATION} pieces that people read blind",
        )
    if not all(math.isfinite(score) for score in ordered):
        raise ScreeningError("A calibration score is not a finite number", remedy="Run the calibration again")
    return ordered


def threshold(scores: Iterable[float], alpha: float) -> float:
    """The score at which the model alarms: an exchangeable benign piece reaches it with probability at most `alpha`.

    The ⌈(n+1)(1−α)⌉-th smallest calibration score may still pass, so the threshold is the next number above it: `score < threshold`
    means exactly `score <= that calibration score`, and tied scores keep the guarantee.

    Raises:
        ScreeningError: fewer than 500 scores, a score that is not finite, or a rank beyond n.
    """
    ordered = _checked(scores)
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


class ScoreBag:
    """All benign scores so far. Each new one is ranked among them before it joins, so successive p-values are independent."""

    def __init__(self, scores: Iterable[float]) -> None:
        self._ordered = _checked(scores)

    def __len__(self) -> int:
        return len(self._ordered)

    def add(self, score: float, *, tie_share: float) -> float:
        """The p-value of a new score; raises `ScreeningError` and keeps the bag as it was when the score is not finite."""
        value = p_value(self._ordered, score, tie_share=tie_share)
        insort(self._ordered, score)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftMartingale:
    """The Simple Jumper: it bets that p-values are not uniform, up or down, and grows only if they are not.

    `shares` is how the capital is spread over the bets −1, 0, +1 (sums to 1); `log_capital` is the logarithm of the whole,
    `worst_log_capital` the highest it ever was. Start with the defaults, then `step` once per piece.
    """

    shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    log_capital: float = 0.0
    worst_log_capital: float = 0.0
    pieces: int = 0

    def step(self, p: float) -> "DriftMartingale":
        """Bet on one p-value.

        Raises:
            ScreeningError: `p` is not in [0, 1].
        """
        if not 0 <= p <= 1:
            raise ScreeningError(f"{p} is no p-value", remedy="Run the reading again")
        spread = [(1 - JUMP_RATE) * share + JUMP_RATE / 3 for share in self.shares]
        won = [share * (1 + bet * (p - 0.5)) for share, bet in zip(spread, _BETS, strict=True)]
        total = sum(won)
        log_capital = self.log_capital + math.log(total)
        return DriftMartingale(
            shares=(won[0] / total, won[1] / total, won[2] / total),
            log_capital=log_capital,
            worst_log_capital=max(self.worst_log_capital, log_capital),
            pieces=self.pieces + 1,
        )

    @property
    def tripped(self) -> bool:
        """True once the capital has ever reached `TRIP_CAPITAL`: the threshold's guarantee no longer stands."""
        return self.worst_log_capital >= math.log(TRIP_CAPITAL)
