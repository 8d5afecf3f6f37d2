"""All benign scores of a kind so far, as counts on a fixed grid: bounded, durable as a few kilobytes, and exact.

The grid is in ln(s / (1 − s)), fixed once and for all and not drawn from the scores; a place on it is a nonconformity score like any other,
only with more ties, and smoothed p-values are exactly uniform whatever the ties (Vovk et al., *Algorithmic Learning in a Random World*,
proposition 2.8). A new score joins the bag after it was ranked, so successive p-values are independent as well; against a calibration that
stays the same they would not be, and a long run would find the calibration's own sampling error.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping

from station.domain.errors import ScreeningError

PLACES = 512
_REACH = 14.0
"""The grid spans logits of ± this much; what lies beyond goes to its ends."""


def place_of(score: float) -> int:
    """Place of a score in 0…1 on the grid.

    Raises:
        ScreeningError: not a number in 0…1.
    """
    if not 0 <= score <= 1:
        raise ScreeningError(f"{score} is no score", remedy="Run the reading again")
    if score in (0, 1):
        return 0 if score == 0 else PLACES - 1
    logit = math.log(score) - math.log1p(-score)
    return min(PLACES - 1, max(0, int((logit + _REACH) * PLACES / (2 * _REACH))))


def tie_share(scan_sha256: str) -> float:
    """The part of the ties that counts, in (0, 1]: as good as a random number, and the same again when the record is replayed."""
    digest = hashlib.sha256(b"kt1:tie-share:v1\0" + scan_sha256.encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 1) / 2**48


class ScoreBag:
    """Counts of scores on the grid."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts = [0] * PLACES
        for place, count in (counts or {}).items():
            if not 0 <= place < PLACES or count < 0:
                raise ScreeningError(f"{count} scores at place {place} are no scores", remedy="Calibrate the model again")
            self._counts[place] = count
        self._size = sum(self._counts)

    @classmethod
    def of(cls, scores: Iterable[float]) -> "ScoreBag":
        """A bag that holds these scores."""
        counts: dict[int, int] = {}
        for score in scores:
            place = place_of(score)
            counts[place] = counts.get(place, 0) + 1
        return cls(counts)

    def __len__(self) -> int:
        return self._size

    def counts(self) -> dict[int, int]:
        """Places that hold something."""
        return {place: count for place, count in enumerate(self._counts) if count}

    def add(self, score: float, *, tie_share: float) -> float:
        """The smoothed p-value of a new score among those so far and itself, in (0, 1]; then it joins them.

        Args:
            score: in 0…1.
            tie_share: uniform random in (0, 1].

        Raises:
            ScreeningError: no score or no share; the bag stays as it was.
        """
        place = place_of(score)
        if not 0 < tie_share <= 1:
            raise ScreeningError(f"{tie_share} of the ties is no share", remedy="Run the reading again")
        above = sum(self._counts[place + 1 :])
        ties = self._counts[place] + 1
        self._counts[place] += 1
        self._size += 1
        return (above + tie_share * ties) / self._size
