"""How grainy a scan is: the variance of its counts as a straight line over its signal, told from the scan itself."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.ports.xray import Counts

FloatArray = npt.NDArray[np.float32]

_LEAST_LINES = 4
_NORMAL_FROM_MEDIAN = 1.4826
_ELECTRONIC_SHARE = 1e-4
"""Electronic noise in parts of full scale. No scan is dark enough to show it; it matters only where next to nothing comes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountNoise:
    """Variance of one energy's counts is `per_count` · signal + `floor`, with the signal in counts above dark."""

    per_count: float
    floor: float

    def variance(self, signal: FloatArray) -> FloatArray:
        """Variance in counts² where `signal` counts above dark are expected."""
        result: FloatArray = np.maximum(signal, np.float32(0)) * np.float32(self.per_count) + np.float32(self.floor)
        return result


def noise_of(raw: Counts, dark: FloatArray, air: FloatArray, *, empty_lines: npt.NDArray[np.bool_], full_scale: int) -> CountNoise:
    """Measure the noise of one energy where nothing lies on the belt.

    Successive lines of air differ by noise alone, whatever the pixels' gains are.

    Raises:
        ScreeningError: fewer than four pairs of empty lines, or no noise in them.
    """
    pairs = np.flatnonzero(empty_lines[1:] & empty_lines[:-1])
    steps = raw[pairs + 1].astype(np.float32) - raw[pairs].astype(np.float32)
    gain = air - dark
    seen = np.isfinite(gain) & (gain > 0.5 * np.median(gain))
    floor = (_ELECTRONIC_SHARE * full_scale) ** 2
    if pairs.size >= _LEAST_LINES and seen.any():
        spread = _NORMAL_FROM_MEDIAN * float(np.median(np.abs(steps[:, seen] / np.sqrt(2 * gain[seen]))))
        per_count = spread**2 - floor / float(gain[seen].mean())
        if per_count > 0:
            return CountNoise(per_count=per_count, floor=floor)
    raise ScreeningError(
        f"threat projection: {pairs.size} pairs of empty lines do not show the scan's noise",
        consequence="no threat is projected",
        remedy="nothing needs to be done; the next piece may serve",
    )
