"""UV-C dose of a piece's points, integrated over the unit's own samples. Pure.

Source: design, disinfection: Σ (minimum sensor irradiance x calibration x ageing x spatial factor) x Δt between a point's entry and exit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from station.disinfect.samples import SAMPLE_MS, Sample

UW_MS_PER_MJ = 1_000_000.0
"""1 mJ/cm² is 10⁶ µW·ms/cm²."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureWindow:
    """When one point of a piece came under the light and left it, in ms of the unit's uptime."""

    entered_ms: float
    left_ms: float

    @property
    def is_valid(self) -> bool:
        """True when both are finite and the point stayed for some time."""
        return math.isfinite(self.entered_ms) and math.isfinite(self.left_ms) and 0 <= self.entered_ms < self.left_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDose:
    """What one point got, and how many of the samples that should be there were not (each counted as zero)."""

    dose_mj_per_cm2: float
    missing_samples: int


def integrate(samples: Mapping[int, int], window: ExposureWindow, factor: float) -> PointDose:
    """Dose of one point.

    A sample stands for the 100 ms around its moment; at both ends only the part within the window counts.

    Args:
        samples: µW/cm² by unit uptime in ms, 100 ms apart; the uptime's wraps shift their beat by 4 ms each. What is off the beat of the
            first one counts as missing.
        window: a valid window.
        factor: calibration x ageing x spatial factor.
    """
    reach = SAMPLE_MS / 2
    beat_ms = next(iter(samples), 0) % SAMPLE_MS
    first = math.floor((window.entered_ms - beat_ms + reach) / SAMPLE_MS)
    last = math.ceil((window.left_ms - beat_ms + reach) / SAMPLE_MS) - 1
    total_uw_ms = 0.0
    missing = 0
    for number in range(first, last + 1):
        at_ms = number * SAMPLE_MS + beat_ms
        value = samples.get(at_ms)
        if value is None:
            missing += 1
            continue
        total_uw_ms += value * (min(window.left_ms, at_ms + reach) - max(window.entered_ms, at_ms - reach))
    return PointDose(dose_mj_per_cm2=total_uw_ms * factor / UW_MS_PER_MJ, missing_samples=missing)


def least_dose(samples: Sequence[Sample], windows: Sequence[ExposureWindow], factor: float) -> PointDose:
    """Dose of the least-exposed of several points, with the most samples that any of them missed; nothing at all gives zero."""
    by_time = {sample.uptime_ms: sample.uw_per_cm2 for sample in samples}
    points = [integrate(by_time, window, factor) for window in windows if window.is_valid]
    if not points or len(points) < len(windows):
        return PointDose(dose_mj_per_cm2=0.0, missing_samples=0)
    return PointDose(
        dose_mj_per_cm2=min(point.dose_mj_per_cm2 for point in points),
        missing_samples=max(point.missing_samples for point in points),
    )
