"""Beam and scanner of one scan, drawn from a seed, and what they make of a piece's transmission.

The beam (tube voltage, scatter) belongs to the piece's own picture and is applied while it is drawn; the scanner (focal spot, pixels, belt
slip, quanta, electronics, drift, dead and hot pixels) is applied to that picture by `detected`, as often as one likes.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Rng = np.random.Generator

GRID_MM = 0.8
TUBE_KVS = (100, 110, 120, 130, 140, 150, 160, 170, 180)
TUBE_KV_SHARES = (1, 1, 1.5, 1.5, 2.5, 2, 2.5, 1, 1)
LEAST, MOST = 0.00025, 1.25
"""What a scan can say: the detector's floor, and air with all that drift and noise add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How one scan was taken.

    `tube_kv`; `scatter`, share of the neighbourhood's signal; `blur_mm`, spread (standard deviation) by the focal spot; `pixel_mm`, side of
    a detector pixel and pitch of the lines; `slip_mm`, how far HE lies from LE along the belt; `quanta_per_mm2` of LE and HE through air;
    `electronic` noise of a pixel as a share of air; `level` of LE and HE and `column_spread`, relative drift of gain since the air
    calibration, of all and of single columns; `dead` and `hot`, numbers of columns that a calibration has not yet found.
    """

    tube_kv: int = 160
    scatter: float = 0.006
    blur_mm: float = 0.0
    pixel_mm: float = GRID_MM
    slip_mm: float = 0.0
    quanta_per_mm2: tuple[float, float] = (62_500.0, 43_750.0)
    electronic: float = 0.00014
    level: tuple[float, float] = (1.0, 1.0)
    column_spread: float = 0.0012
    dead: int = 0
    hot: int = 0

    def as_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(asdict(self))


NOMINAL = Conditions()
"""The simulated lane's detector with 512 pixels, freshly calibrated, at 160 kV."""


def from_json(text: str) -> Conditions:
    """Conditions as they were written.

    Raises:
        TypeError: a field is missing or unknown.
    """
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
    return Conditions(**said)


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_conditions(rng: Rng) -> Conditions:
    """Any scanner: mostly good ones, some coarse, noisy, blurred, slipping or with pixels out of order."""
    shares = np.asarray(TUBE_KV_SHARES) / sum(TUBE_KV_SHARES)
    pixel_mm = GRID_MM
    if rng.random() < 0.4:
        pixel_mm = float(rng.uniform(0.4, 1.6)) if rng.random() < 0.65 else _log_uniform(rng, 1.6, 3.2)
    quanta = _log_uniform(rng, 1.5e4, 6e5) / GRID_MM**2
    level = rng.normal(1.0, 0.0015, 2)
    broken = rng.random() < 0.08
    return Conditions(
        tube_kv=TUBE_KVS[int(rng.choice(len(TUBE_KVS), p=shares))],
        scatter=_log_uniform(rng, 0.002, 0.02),
        blur_mm=float(rng.uniform(0.2, 0.75)) if rng.random() < 0.4 else 0.0,
        pixel_mm=round(pixel_mm, 3),
        slip_mm=float(rng.uniform(-0.8, 0.8)) if rng.random() < 0.3 else 0.0,
        quanta_per_mm2=(quanta, quanta * float(rng.uniform(0.45, 0.9))),
        electronic=_log_uniform(rng, 0.0001, 0.0008),
        level=(float(level[0]), float(level[1])),
        column_spread=_log_uniform(rng, 0.0006, 0.0024),
        dead=int(rng.integers(0, 3)) if broken else 0,
        hot=int(rng.integers(0, 3)) if broken else 0,
    )


def projected(t: FloatArray, conditions: Conditions) -> FloatArray:
    """Expected signal (2, lines, pixels) of transmission on the grid as shares of air, in the scanner's own pixels where these are coarser.

    A detector finer than the grid is read by cells of the grid: its quanta are the same per area.
    """
    if conditions.blur_mm > 0:
        t = np.stack([cv2.GaussianBlur(plane, (0, 0), conditions.blur_mm / GRID_MM) for plane in t])
    if conditions.slip_mm:
        move = np.asarray([[1, 0, 0], [0, 1, conditions.slip_mm / GRID_MM]], np.float32)
        t = np.stack([t[0], cv2.warpAffine(t[1], move, (t.shape[2], t.shape[1]), borderMode=cv2.BORDER_REPLICATE)])
    if conditions.pixel_mm > GRID_MM:
        lines, pixels = (max(8, round(side * GRID_MM / conditions.pixel_mm)) for side in t.shape[1:])
        t = np.stack([cv2.resize(plane, (pixels, lines), interpolation=cv2.INTER_AREA) for plane in t])
    return t


def variance(signal: FloatArray, conditions: Conditions) -> FloatArray:
    """Variance of each pixel of `projected`: quanta, electronics, and gain that differs from column to column."""
    side = max(conditions.pixel_mm, GRID_MM)
    quanta = np.asarray(conditions.quanta_per_mm2, np.float32).reshape(2, 1, 1) * np.float32(side * side)
    # electronic noise is that of a pixel: a cell of finer ones holds several
    pixels = (side / conditions.pixel_mm) ** 2
    result: FloatArray = (
        signal / quanta + np.float32(conditions.electronic**2 / pixels) + np.square(signal * np.float32(conditions.column_spread))
    )
    return result


def detected(t: FloatArray, conditions: Conditions, rng: Rng) -> FloatArray:
    """One scan of transmission (2, rows, columns) on the grid: float32 within [`LEAST`, `MOST`], on the same grid."""
    signal = projected(t, conditions)
    # drift goes by whole columns here, so its part of the variance is left out of the pixels' own
    own = np.maximum(variance(signal, conditions) - np.square(signal * np.float32(conditions.column_spread)), 0.0)
    signal = signal + np.sqrt(own) * rng.standard_normal(signal.shape, dtype=np.float32)
    columns = 1.0 + rng.normal(0, conditions.column_spread, (2, 1, signal.shape[2])).astype(np.float32)
    signal = signal * columns * np.asarray(conditions.level, np.float32).reshape(2, 1, 1)
    for count, value in ((conditions.dead, 0.0), (conditions.hot, 1.15)):
        for column in rng.integers(0, signal.shape[2], count):
            signal[int(rng.integers(2)), :, column] = value
    if signal.shape != t.shape:
        signal = np.stack([cv2.resize(plane, (t.shape[2], t.shape[1]), interpolation=cv2.INTER_LINEAR) for plane in signal])
    result: FloatArray = np.clip(signal, LEAST, MOST).astype(np.float32)
    return result
