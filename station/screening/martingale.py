"""A game against the assumption that p-values are uniform: its capital grows only if they are not.

A conformal test martingale (Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, chapter 8; Vovk et al., "Retrain or not
retrain: conformal test martingales for change-point detection", 2021). The capital is a mixture of fixed bets, and the mixture is begun
anew every `RESTART_EVERY` pieces out of a reserve: the k-th start gets r(k) − r(k+1) of the first capital, 1; r(k) = 1 / (1 + ln(1 + k)).
Bets that lost on ten thousand good pieces therefore do not hide a change that comes after them, and still the whole remains one martingale
that begins with 1 and is never negative. Ville's inequality holds for all time: uniform p-values ever reach capital c with probability
at most 1 / c.
"""

import math
from dataclasses import dataclass

from station.domain.errors import ScreeningError

RESTART_EVERY = 50
_MEAN_BETS = (-1.6, -0.7, -0.25, 0.25, 0.7, 1.6)
"""On 1 + b·(p − ½): scores that rise (negative b) or fall."""
_SPREAD_BETS = (-0.8, 0.8)
"""On 1 + b·(|2p − 1| − ½): scores that spread or that crowd together."""
_TAIL_BETS = (0.4, 1.0)
"""On the share of p ≤ `TAIL`: few very odd pieces among many ordinary ones."""
TAIL = 0.1
BETS = len(_MEAN_BETS) + len(_SPREAD_BETS) + len(_TAIL_BETS)


def _reserve(starts: int) -> float:
    return 1.0 / (1.0 + math.log1p(starts))


def gains(p: float) -> tuple[float, ...]:
    """By how much each bet multiplies its stake; each has the mean 1 over uniform `p`."""
    middle, spread = p - 0.5, abs(2.0 * p - 1.0) - 0.5
    tail = 1.0 if p <= TAIL else -TAIL / (1.0 - TAIL)
    return (
        *(1.0 + bet * middle for bet in _MEAN_BETS),
        *(1.0 + bet * spread for bet in _SPREAD_BETS),
        *(1.0 + bet * tail for bet in _TAIL_BETS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftMartingale:
    """The game after some pieces: `stakes` is what each bet holds, `most` the highest capital ever reached. Start with the defaults."""

    stakes: tuple[float, ...] = (0.0,) * BETS
    pieces: int = 0
    most: float = 1.0

    @property
    def capital(self) -> float:
        """Stakes and reserve together."""
        return sum(self.stakes) + _reserve(-(-self.pieces // RESTART_EVERY))

    def step(self, p: float) -> "DriftMartingale":
        """Bet on one p-value.

        Raises:
            ScreeningError: `p` is not in [0, 1].
        """
        if not 0 <= p <= 1:
            raise ScreeningError(f"{p} is no p-value", remedy="Run the reading again")
        starts, within = divmod(self.pieces, RESTART_EVERY)
        fresh = 0.0 if within else (_reserve(starts) - _reserve(starts + 1)) / BETS
        # what is far beyond any level needs no more room; this keeps the figures finite
        stakes = tuple(min(1e100, (stake + fresh) * gain) for stake, gain in zip(self.stakes, gains(p), strict=True))
        pieces = self.pieces + 1
        capital = sum(stakes) + _reserve(starts + 1)
        return DriftMartingale(stakes=stakes, pieces=pieces, most=max(self.most, capital))
