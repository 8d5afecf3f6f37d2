"""What the scanner itself is like, seen in every scan: noise of air, dark level, gain; and whether they leave what they were.

These figures wander with temperature and age, so no game of chance fits them; they are held against fixed limits instead. The reference is
the mean of the first scans after a calibration of the model: what its threshold was set on. The newest state is an exponential mean, so
one odd scan says nothing and a lasting change shows after some tens of pieces.
"""

import math
from dataclasses import dataclass

import numpy as np

from station.ports.screening import RawScan

REFERENCE_SCANS = 50
SMOOTHING = 0.05
"""Weight of the newest scan: a lasting step shows to 63 % after 20 scans."""
_AIR_LINES = 8
_NORMAL_FROM_MEDIAN = 1.4826

LIMITS = {"air-noise": (0.6, 1.6), "gain": (0.75, 1.3), "dark-level": (-0.01, 0.01)}
"""Least and greatest: noise and gain as a share of the reference, the dark level as a change in parts of full scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuality:
    """Figures of one scan, means of both energies.

    `air_noise`: standard deviation of transmission in air, per pixel and line; `dark_level`, `gain` (air less dark): parts of full scale.
    """

    air_noise: float
    dark_level: float
    gain: float


def quality_of(scan: RawScan) -> ImageQuality:
    """Measure a scan; its first lines show nothing but air. Never raises: what cannot be measured is not a number."""
    noises = []
    with np.errstate(all="ignore"):
        for raw, dark, air in ((scan.le, scan.dark_le, scan.air_le), (scan.he, scan.dark_he, scan.air_he)):
            lines = raw[:_AIR_LINES].astype(np.float32)
            # successive lines show the same air, whatever the pixels' gains are
            steps = np.abs(np.diff(lines, axis=0)) / (air - dark)
            steps = steps[np.isfinite(steps)]
            noises.append(float(np.median(steps)) * _NORMAL_FROM_MEDIAN / math.sqrt(2) if steps.size else math.nan)
        full = np.float64(scan.info.full_scale)
        return ImageQuality(
            air_noise=sum(noises) / 2,
            dark_level=float(np.mean([scan.dark_le.mean(), scan.dark_he.mean()]) / full),
            gain=float(np.mean([(scan.air_le - scan.dark_le).mean(), (scan.air_he - scan.dark_he).mean()]) / full),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityTrend:
    """`reference`, `newest`: (air noise, dark level, gain). The reference is a running mean until `scans` reaches `REFERENCE_SCANS`."""

    scans: int = 0
    reference: tuple[float, float, float] = (0.0, 0.0, 0.0)
    newest: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def step(self, quality: ImageQuality) -> "QualityTrend":
        """Take one scan into account."""
        now = (quality.air_noise, quality.dark_level, quality.gain)
        if self.scans < REFERENCE_SCANS:
            weight = 1.0 / (self.scans + 1)
            reference = _towards(self.reference, now, weight)
            return QualityTrend(scans=self.scans + 1, reference=reference, newest=reference)
        return QualityTrend(scans=self.scans + 1, reference=self.reference, newest=_towards(self.newest, now, SMOOTHING))

    def figures(self) -> dict[str, float]:
        """The newest state against the reference, as in `LIMITS`."""
        noise, dark, gain = self.reference
        return {
            "air-noise": self.newest[0] / noise if noise else math.nan,
            "gain": self.newest[2] / gain if gain else math.nan,
            "dark-level": self.newest[1] - dark,
        }

    @property
    def out_of_limits(self) -> tuple[str, ...]:
        """Names of the figures that left their limits, or are no numbers; none while the reference is being taken."""
        if self.scans < REFERENCE_SCANS:
            return ()
        return tuple(name for name, value in self.figures().items() if not LIMITS[name][0] <= value <= LIMITS[name][1])

    def restarted(self) -> "QualityTrend":
        """The same reference with the newest state set back to it: after a repair that made a new calibration unnecessary."""
        return QualityTrend(scans=self.scans, reference=self.reference, newest=self.reference)


def _towards(old: tuple[float, float, float], new: tuple[float, float, float], weight: float) -> tuple[float, float, float]:
    return (
        old[0] + weight * (new[0] - old[0]),
        old[1] + weight * (new[1] - old[1]),
        old[2] + weight * (new[2] - old[2]),
    )
