"""Dual-energy polychromatic transmission by Beer–Lambert, from thickness maps to what two scintillators see.

The tables (tube spectrum times detector response per energy group, attenuation per material and group) are baked by
`bake_beam`. A transmission is `T_d = Σ_g w_dg · exp(−Σ_m μ_mg t_m) / Σ_g w_dg` for d = LE (front scintillator) and
HE (behind copper), so hardening of the beam and the K-edge of lead come out by themselves.
"""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

NOMINAL_TUBE_KV = 160.0
SCATTER_FRACTION = 0.006
SCATTER_REACH_MM = 25.0
_TABLE_FILE = Path(__file__).with_name("beam_tables.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamTables:
    """`weights` (kV, 2, groups) not normalised; `attenuation_per_mm` (materials, groups); `materials` names the rows."""

    tube_kvs: tuple[int, ...]
    weights: FloatArray
    attenuation_per_mm: FloatArray
    materials: dict[str, int]


class Body(Protocol):
    """What the beam sees of a piece."""

    @property
    def length_mm(self) -> float:
        """Extent along the belt."""

    @property
    def width_mm(self) -> float:
        """Extent across the belt."""

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> FloatArray:
        """LE and HE transmission, (2, lines, pixels) in 0..1; line 0 is the leading edge. Sizes round up."""


@cache
def beam_tables() -> BeamTables:
    """The baked tables.

    Raises:
        OSError: the table file is missing; run `python -m firmware_sims.bake_beam`.
    """
    raw = json.loads(_TABLE_FILE.read_text(encoding="utf-8"))
    names = list(raw["attenuation_per_mm"])
    kvs = tuple(sorted(int(kv) for kv in raw["weights"]))
    return BeamTables(
        tube_kvs=kvs,
        weights=np.asarray([raw["weights"][str(kv)] for kv in kvs], dtype=np.float32),
        attenuation_per_mm=np.asarray(list(raw["attenuation_per_mm"].values()), dtype=np.float32),
        materials={name: row for row, name in enumerate(names)},
    )


def nearest_table_kv(tube_kv: float) -> int:
    """The baked tube voltage nearest to `tube_kv`."""
    return min(beam_tables().tube_kvs, key=lambda kv: abs(kv - tube_kv))


@lru_cache(maxsize=4096)
@lru_cache(maxsize=256)
def air_signal(tube_kv: float) -> tuple[float, float]:
    """LE and HE signal through air per mA, relative to 160 kV; interpolated, 0 below the lowest table."""
    tables = beam_tables()
    total = tables.weights.sum(axis=2)
    relative = total / total[tables.tube_kvs.index(int(NOMINAL_TUBE_KV))]
    kvs = (0, *tables.tube_kvs)
    return (
        float(np.interp(tube_kv, kvs, (0.0, *relative[:, 0]))),
        float(np.interp(tube_kv, kvs, (0.0, *relative[:, 1]))),
    )


def transmission(thickness_mm: FloatArray, rows: list[int], *, tube_kv: float) -> FloatArray:
    """Transmission (2, n) of `thickness_mm` (materials, n) whose rows are table rows `rows`; no scatter."""
    tables = beam_tables()
    weights = tables.weights[tables.tube_kvs.index(nearest_table_kv(tube_kv))]
    normalised = weights / weights.sum(axis=1, keepdims=True)
    used = normalised.sum(axis=0) > 1e-7
    depth = thickness_mm.T @ tables.attenuation_per_mm[rows][:, used]
    np.negative(depth, out=depth)
    np.exp(depth, out=depth)
    result: FloatArray = (depth @ normalised[:, used].T).T
    return result


def piece_transmission(maps_mm: dict[str, FloatArray], *, tube_kv: float) -> FloatArray:
    """Transmission (2, lines, pixels) of per-material thickness maps, each (lines, pixels) in mm.

    Raises:
        KeyError: a material that the tables do not hold.
    """
    tables = beam_tables()
    names = list(maps_mm)
    rows = [tables.materials[name] for name in names]
    stacked = np.stack([maps_mm[name] for name in names])
    shape = stacked.shape[1:]
    flat = transmission(stacked.reshape(len(names), -1), rows, tube_kv=tube_kv)
    return flat.reshape(2, *shape)


def _box_mean(values: FloatArray, reach: int, axis: int) -> FloatArray:
    """Running mean over 2·reach + 1 samples along `axis`, the border counted as air (1.0)."""
    padding = [(0, 0)] * values.ndim
    padding[axis] = (reach + 1, reach)
    summed = np.cumsum(np.pad(values, padding, constant_values=1.0), axis=axis, dtype=np.float32)
    width = 2 * reach + 1
    length = values.shape[axis]
    upper = np.take(summed, np.arange(width, width + length), axis=axis)
    lower = np.take(summed, np.arange(length), axis=axis)
    result: FloatArray = (upper - lower) / np.float32(width)
    return result


def with_scatter(direct: FloatArray, *, line_mm: float, pixel_mm: float, fraction: float = SCATTER_FRACTION) -> FloatArray:
    """Add the smooth scattered part: `fraction` of the neighbourhood's mean transmission.

    The usual share is a typical value for a collimated fan beam; the shape is two box means, not a transport model.
    """
    pixels = max(1, round(SCATTER_REACH_MM / pixel_mm))
    lines = max(1, round(SCATTER_REACH_MM / 4 / line_mm))
    smooth = _box_mean(_box_mean(direct, pixels, 2), lines, 1)
    return direct * np.float32(1.0 - fraction) + smooth * np.float32(fraction)
