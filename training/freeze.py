"""The score from which a piece stops the lane, and how often harmless mail reaches it, which is a bound and no measurement.

How many of the sample may lie at or above the score is fixed by the sample's size, before any score is known; the score is then one of the
sample's own, and the bound is that of its rank (an order statistic, one-sided): with `CONFIDENCE` no more than that share of all pieces
that come as the sample did reach it. A piece's kind does not matter there: of one kind alone more may reach it. The bound is spent by its
first use. Whoever makes several models and keeps the one whose freeze score pleases most has no bound for it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

PIECES = 20_000
"""As few as a freeze score may stand on."""
WANTED = 1 / 5_000
"""The share of harmless pieces that may reach it."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeScore:
    """At most `above` of the sample's `pieces` reached `score`; with 95 % confidence no more than `upper_95` of all such pieces do."""

    score: float
    pieces: int
    above: int
    upper_95: float

    def said(self, kind_shares: Mapping[str, float]) -> dict[str, Any]:
        """For the manifest: the bound for mail as it comes, and what follows from it for each kind, given how often kinds come."""
        return {
            "pieces": self.pieces,
            "above": self.above,
            "confidence": CONFIDENCE,
            "upper": self.upper_95,
            "upper_by_kind": {kind: min(1.0, self.upper_95 / share) for kind, share in kind_shares.items()},
        }


def upper_bound(count: int, pieces: int) -> float:
    """The share of all pieces that, with `CONFIDENCE`, is not exceeded where `count` of `pieces` were seen (Clopper and Pearson)."""
    return float(stats.beta.ppf(CONFIDENCE, count + 1, pieces - count))


def most_above(pieces: int) -> int | None:
    """How many of the sample may reach the score for the bound to be `WANTED` or less; None where the sample is too small for any."""
    count = 0
    while stats.binom.cdf(count, pieces, WANTED) <= 1 - CONFIDENCE:
        count += 1
    return count - 1 if count else None


def freeze_score(scores: Sequence[float]) -> FreezeScore | None:
    """The lowest score that harmless pieces surely do not reach oftener than `WANTED`; None where fewer than `PIECES` were scored."""
    above = most_above(len(scores)) if len(scores) >= PIECES else None
    if above is None:
        return None
    score = math.nextafter(sorted(scores)[-1 - above], math.inf)
    return FreezeScore(score=score, pieces=len(scores), above=above, upper_95=upper_bound(above, len(scores)))
