"""What the air beside the test piece tells of beam and detector: level, noise, steadiness, stripes, dead pixels."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.ports.screening import RawScan
from station.screening.correction import CorrectedScan
from station.screening.test_piece.layout import LENGTH_MM, WIDTH_MM
from station.screening.test_piece.pose import Pose

Floats = npt.NDArray[np.float32]
MARGIN_MM = 5.0
LEAST_LINES = 3
LEAST_COLUMNS = 4
STEADY_MM = 10.0
NEIGHBOURS = 15
_NORMAL_FROM_MEDIAN = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class AirFigures:
    """All but `signal` and `dark` in shares of the air level, the worse energy each; not a number where there is too little air.

    `level_off`: from the air calibration. `noise`: standard deviation per pixel and line. `unsteady`: of the beam along the scan, over
    10 mm. `stripe`: the worst column against its neighbours. `signal`, `dark`: the calibration's, of the full scale, the lesser signal.
    """

    level_off: float
    noise: float
    unsteady: float
    stripe: float
    signal: float
    dark: float


def air_figures(scan: RawScan, corrected: CorrectedScan, pose: Pose, alive: npt.NDArray[np.bool_]) -> AirFigures:
    """Measure the air around the piece at `pose`."""
    corners = pose.matrix @ np.asarray(((0.0, LENGTH_MM, LENGTH_MM, 0.0), (0.0, 0.0, WIDTH_MM, WIDTH_MM), (1.0, 1.0, 1.0, 1.0)))
    lines, pixels = corrected.le.shape
    at_mm = (np.arange(lines) + 0.5) * corrected.line_mm
    before_and_behind = (at_mm < corners[0].min() - MARGIN_MM) | (at_mm > corners[0].max() + MARGIN_MM)
    across_mm = (np.arange(pixels) + 0.5) * corrected.pixel_mm
    beside = ((across_mm < corners[1].min() - MARGIN_MM) | (across_mm > corners[1].max() + MARGIN_MM)) & alive
    level_off = noise = unsteady = stripe = 0.0
    for plane in (corrected.le, corrected.he):
        level, this_noise, this_unsteady = _sides(plane[:, beside], corrected.line_mm)
        ends = plane[before_and_behind][:, alive]
        level_off = max(level_off, abs(level - 1.0))
        noise, unsteady, stripe = max(noise, this_noise), max(unsteady, this_unsteady), max(stripe, _stripe(ends))
        if math.isnan(level + this_noise + this_unsteady):
            level_off = noise = unsteady = math.nan
            break
    full = float(scan.info.full_scale)
    signals = [float(np.median(air - dark)) / full for air, dark in ((scan.air_le, scan.dark_le), (scan.air_he, scan.dark_he))]
    darks = [float(np.median(dark)) / full for dark in (scan.dark_le, scan.dark_he)]
    return AirFigures(level_off=level_off, noise=noise, unsteady=unsteady, stripe=stripe, signal=min(signals), dark=max(darks))


def _sides(air: Floats, line_mm: float) -> tuple[float, float, float]:
    """Level, noise and unsteadiness of columns that saw nothing but air."""
    if air.shape[1] < LEAST_COLUMNS or air.shape[0] < LEAST_LINES:
        return math.nan, math.nan, math.nan
    level = float(np.median(air))
    noise = float(np.median(np.abs(np.diff(air, axis=0)))) * _NORMAL_FROM_MEDIAN / math.sqrt(2) / max(level, 1e-6)
    by_line = air.mean(axis=1) / np.float32(max(level, 1e-6))
    width = max(1, min(round(STEADY_MM / line_mm), by_line.size))
    smooth = np.convolve(by_line, np.full(width, 1.0 / width), mode="valid")
    return level, noise, float(np.abs(smooth - np.median(smooth)).max())


def _stripe(ends: Floats) -> float:
    if ends.shape[0] < LEAST_LINES or ends.shape[1] <= NEIGHBOURS:
        return math.nan
    profile = ends.mean(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(profile, NEIGHBOURS // 2, mode="reflect"), NEIGHBOURS)
    return float(np.abs(profile - np.median(windows, axis=1)).max())


def alive_columns(scan: RawScan, *, dead_gain_share: float) -> npt.NDArray[np.bool_]:
    """Columns that answer to the beam at both energies, by the calibration (pixels,)."""
    alive = np.ones(scan.le.shape[1], dtype=bool)
    for dark, air in ((scan.dark_le, scan.air_le), (scan.dark_he, scan.air_he)):
        gain = air - dark
        alive &= np.isfinite(gain) & (gain > dead_gain_share * float(np.median(gain[np.isfinite(gain)])))
    return alive
