"""Physical channels from transmission: attenuation per energy, material index, and the fixed inputs of the model.

`A = −ln T`. For equal HE attenuation an organic thing attenuates LE least and steel most; the material index says where
between the two curves a spot lies: about 0 for organic, 0.3–0.5 for glass and aluminium, 1 for steel. The curves are those of
a step wedge of water and of steel in the station's beam at 160 kV, so that hardening is calibrated out. At low attenuation
noise would make the index wild; there it is drawn to 0 by the noise's own size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.screening.correction import CorrectedScan
from station.screening.image import box_mean, gaussian, resample
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits

FloatArray = npt.NDArray[np.float32]

HE_KNOTS = np.asarray((0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 0.95, 1.7, 2.6, 4.7, 8.3), dtype=np.float32)
"""HE attenuation of the wedge steps."""
ORGANIC_LE = np.asarray((0.0, 0.0268, 0.067, 0.1335, 0.266, 0.462, 0.78, 1.205, 2.1, 3.2, 5.75, 10.1), dtype=np.float32)
"""LE attenuation of the water steps at `HE_KNOTS`."""
STEEL_LE = np.asarray((0.0, 0.085, 0.204, 0.355, 0.615, 0.95, 1.42, 2.07, 3.17, 4.28, 6.62, 10.9), dtype=np.float32)
"""LE attenuation of the steel steps at `HE_KNOTS`."""
MATERIAL_NOISE = 0.02
"""LE attenuation that noise and drift may fake; keeps the index near 0 below it."""
CHANNELS = ("attenuation", "material", "darkness", "dense_material")
"""The model's inputs in their order."""

_FINE = np.linspace(0.0, 8.3, 1024, dtype=np.float32)
_ORGANIC_FINE = np.interp(_FINE, HE_KNOTS, ORGANIC_LE).astype(np.float32)
_SPAN_FINE = np.interp(_FINE, HE_KNOTS, STEEL_LE - ORGANIC_LE).astype(np.float32)
_WEIGHT_FINE = (_SPAN_FINE / (_SPAN_FINE * _SPAN_FINE + np.float32(MATERIAL_NOISE**2))).astype(np.float32)
_STEP = np.float32(1023 / 8.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridScan:
    """A corrected scan on the standard grid: LE and HE transmission (rows, columns) with `cell_mm` per cell.

    `scale_y`, `scale_x` are pixels of the corrected image per cell.
    """

    le: FloatArray
    he: FloatArray
    cell_mm: float
    scale_y: float
    scale_x: float


def to_grid(scan: CorrectedScan, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> GridScan:
    """Bring a scan to the standard grid by area means (transmission averages as the beam does) and level its air to 1."""
    rows = max(1, round(scan.le.shape[0] * scan.line_mm / limits.grid_mm))
    columns = max(1, round(scan.le.shape[1] * scan.pixel_mm / limits.grid_mm))
    le = resample(scan.le, height=rows, width=columns)
    he = resample(scan.he, height=rows, width=columns)
    return GridScan(
        le=_levelled(le),
        he=_levelled(he),
        cell_mm=limits.grid_mm,
        scale_y=scan.le.shape[0] / rows,
        scale_x=scan.le.shape[1] / columns,
    )


def _levelled(transmission: FloatArray) -> FloatArray:
    """Divide by the air level seen along the image's frame, so that slow drift since the air calibration goes."""
    frame = np.concatenate(
        [transmission[:6].ravel(), transmission[-6:].ravel(), transmission[:, :6].ravel(), transmission[:, -6:].ravel()],
    )
    air = frame[np.abs(frame - 1.0) < 0.04]  # noqa: PLR2004 - nothing but air and a sheet of paper is that clear
    if air.size < max(32, frame.size // 10):
        return transmission
    level = np.median(air)
    result: FloatArray = transmission / np.float32(level)
    return result


def attenuation(transmission: FloatArray, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> FloatArray:
    """`−ln T`, float32; never above the detector's floor."""
    result: FloatArray = -np.log(np.maximum(transmission, np.float32(limits.min_transmission)))
    return result


def material_index(a_le: FloatArray, a_he: FloatArray) -> FloatArray:
    """Material index in [−0.5, 1.5]: 0 organic, 1 steel; near 0 where there is hardly anything."""
    place = np.clip(a_he * _STEP, 0, 1023).astype(np.int16)
    result: FloatArray = (a_le - _ORGANIC_FINE[place]) * _WEIGHT_FINE[place]
    np.clip(result, -0.5, 1.5, out=result)
    return result


def model_input(grid_le: FloatArray, grid_he: FloatArray, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> FloatArray:
    """The model's channels (4, rows, columns) float32 from LE and HE transmission on the standard grid.

    0 attenuation: ln(1 + 20·A_LE) / 5; 1 material index from a 3 × 3 mean; 2 darkness: A_HE / 3, at most 2; 3 dense material: A_HE
    times material over about 6 mm. The last two are the plain scores that need no learning; the model gets them as they are.
    """
    a_le = attenuation(grid_le, limits=limits)
    a_he = attenuation(grid_he, limits=limits)
    material = material_index(box_mean(a_le, 3), box_mean(a_he, 3))
    channels = np.empty((4, *a_le.shape), dtype=np.float32)
    channels[0] = np.log1p(np.maximum(a_le, 0) * np.float32(20.0)) * np.float32(0.2)
    channels[1] = material
    channels[2] = np.clip(a_he * np.float32(1 / 3), 0, 2)
    channels[3] = gaussian(np.clip(a_he, 0, 6) * np.clip(material, 0, 1.5), 3.0)
    return channels
