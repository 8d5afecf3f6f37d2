"""From raw counts to transmission: dark and air correction per pixel, dead pixels, LE/HE registration.

Source: `LSP/1` (docs/reference/lsp1.md): T = (raw − dark) / (air − dark); the HE pixels that belong to the LE pixels of line
n are in line n + lag.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.ports.screening import RawScan
from station.ports.xray import Counts
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits

FloatArray = npt.NDArray[np.float32]

MAX_TRANSMISSION = 1.25
"""Noise and gain drift read a little above air; more than this is no transmission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedScan:
    """LE and HE transmission of the same spots, each (lines − lag, pixels) float32 in [min_transmission, 1.25]."""

    le: FloatArray
    he: FloatArray
    line_mm: float
    pixel_mm: float


def correct(raw: Counts, dark: FloatArray, air: FloatArray, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> FloatArray:
    """Transmission (lines, pixels) float32 of one energy.

    Dead pixels (no answer to the beam, or no number) are filled from their neighbours in the line.

    Raises:
        ScreeningError: shapes differ, or too many or too wide groups of pixels are dead.
    """
    if raw.ndim != 2 or dark.shape != (raw.shape[1],) or air.shape != dark.shape:  # noqa: PLR2004 - lines and pixels
        raise ScreeningError(
            f"screening: raw counts {raw.shape}, dark {dark.shape} and air {air.shape} do not belong together",
            consequence="the piece is held",
            remedy="calibrate the detector again",
        )
    alive = answering(dark, air, limits=limits)
    if not alive.any():
        raise ScreeningError(
            "screening: the air calibration is not brighter than the dark one",
            consequence="the piece is held",
            remedy="check the beam and calibrate again",
        )
    gain = (air - dark).astype(np.float32)
    safe_gain = np.where(alive, gain, np.float32(1.0))
    safe_dark = np.where(alive, dark, np.float32(0.0)).astype(np.float32)
    transmission: FloatArray = raw.astype(np.float32)
    transmission -= safe_dark
    transmission *= np.float32(1.0) / safe_gain
    if not alive.all():
        _fill_dead(transmission, alive, limits)
    np.clip(transmission, np.float32(limits.min_transmission), np.float32(MAX_TRANSMISSION), out=transmission)
    return transmission


def answering(dark: FloatArray, air: FloatArray, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> npt.NDArray[np.bool_]:
    """Which pixels, of a dark and an air line (pixels,), answer to the beam; none where air is not brighter than dark."""
    gain = (air - dark).astype(np.float32)
    finite = np.isfinite(gain) & np.isfinite(dark)
    typical = float(np.median(gain[finite])) if finite.any() else 0.0
    alive: npt.NDArray[np.bool_] = finite & (gain > limits.dead_gain_share * typical) & (typical > 0.0)
    return alive


def can_stand_in(alive: npt.NDArray[np.bool_], *, limits: ScreeningLimits = DEFAULT_LIMITS) -> bool:
    """True when the pixels that answer can stand in for the few and scattered ones that do not."""
    dead = int(np.count_nonzero(~alive))
    return dead <= limits.max_dead_share * len(alive) and _widest_dead_run(alive) <= limits.max_dead_run


def _widest_dead_run(alive: npt.NDArray[np.bool_]) -> int:
    dead = np.flatnonzero(~alive)
    return max(len(run) for run in np.split(dead, np.flatnonzero(np.diff(dead) > 1) + 1))


def _fill_dead(transmission: FloatArray, alive: npt.NDArray[np.bool_], limits: ScreeningLimits) -> None:
    dead = np.flatnonzero(~alive)
    if not can_stand_in(alive, limits=limits):
        raise ScreeningError(
            f"screening: {len(dead)} of {len(alive)} detector pixels do not answer to the beam ({_widest_dead_run(alive)} side by side)",
            consequence="the piece is held",
            remedy="have the detector serviced",
        )
    good = np.flatnonzero(alive)
    for column in dead:
        after = int(np.searchsorted(good, column))
        left = good[max(after - 1, 0)]
        right = good[min(after, len(good) - 1)]
        share = np.float32(0.0 if left == right else (column - left) / (right - left))
        transmission[:, column] = transmission[:, left] * (1 - share) + transmission[:, right] * share


def correct_scan(scan: RawScan, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> CorrectedScan:
    """Both energies corrected and registered.

    Raises:
        ScreeningError: see `correct` and `register`; pitches that are no positive numbers.
    """
    info = scan.info
    if not (0 < info.pixel_pitch_mm < np.inf and 0 < info.line_pitch_mm < np.inf):
        raise ScreeningError(
            f"screening: detector pitches {info.pixel_pitch_mm} × {info.line_pitch_mm} mm are not possible",
            consequence="the piece is held",
            remedy="check the detector's identity",
        )
    raw_le, raw_he = register(scan.le, scan.he, lag_lines=info.he_lag_lines)
    return CorrectedScan(
        le=correct(raw_le, scan.dark_le, scan.air_le, limits=limits),
        he=correct(raw_he, scan.dark_he, scan.air_he, limits=limits),
        line_mm=info.line_pitch_mm,
        pixel_mm=info.pixel_pitch_mm,
    )


def register(le: Counts, he: Counts, *, lag_lines: int) -> tuple[Counts, Counts]:
    """The parts of both energies that saw the same spots, (lines − |lag|, pixels) each; on raw counts, where it costs nothing.

    Raises:
        ScreeningError: shapes differ, or the scan is not longer than the lag.
    """
    if le.ndim != 2 or le.shape != he.shape or le.shape[0] <= abs(lag_lines) or le.shape[1] < 1:  # noqa: PLR2004 - lines and pixels
        raise ScreeningError(
            f"screening: LE {le.shape} and HE {he.shape} cannot be registered over a lag of {lag_lines} lines",
            consequence="the piece is held",
            remedy="feed the piece again",
        )
    lines = le.shape[0] - abs(lag_lines)
    if lag_lines >= 0:
        return le[:lines], he[lag_lines:]
    return le[-lag_lines:], he[:lines]
