"""A piece's inside as parts, and its rasterising into per-material thickness maps."""

import math
from dataclasses import dataclass

import numpy as np

from firmware_sims.materials import MATERIALS
from firmware_sims.shapes import FloatArray, Grid, Shape
from firmware_sims.xray_physics import piece_transmission, with_scatter


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One shape of one material.

    `sign` −1 cuts a hole (a window, a drilled hole) out of the same material; `threat` marks what is forbidden, `threat_class` says what it
    is where that is not the piece's own `threat_kind`.
    """

    material: str
    shape: Shape
    sign: int = 1
    threat: bool = False
    threat_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingBody:
    """A body made of parts inside `length_mm` × `width_mm`; `grain` is the relative unevenness of paper."""

    length_mm: float
    width_mm: float
    parts: tuple[Part, ...]
    grain: float = 0.0
    grain_seed: int = 0

    def thickness_maps_mm(self, *, line_mm: float, pixel_mm: float) -> dict[str, FloatArray]:
        """Thickness (lines, pixels) of each material that occurs; never negative."""
        lines, pixels = math.ceil(self.length_mm / line_mm), math.ceil(self.width_mm / pixel_mm)
        xs = ((np.arange(lines, dtype=np.float32) + np.float32(0.5)) * np.float32(line_mm)).reshape(-1, 1)
        ys = ((np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(pixel_mm)).reshape(1, -1)
        maps: dict[str, FloatArray] = {}
        for part in self.parts:
            x0, y0, x1, y1 = part.shape.bounds_mm()
            rows = slice(max(0, math.floor(x0 / line_mm) - 1), min(lines, math.ceil(x1 / line_mm) + 1))
            columns = slice(max(0, math.floor(y0 / pixel_mm) - 1), min(pixels, math.ceil(y1 / pixel_mm) + 1))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            grid = Grid(x_mm=xs[rows], y_mm=ys[:, columns], line_mm=line_mm, pixel_mm=pixel_mm)
            target = maps.setdefault(part.material, np.zeros((lines, pixels), dtype=np.float32))
            target[rows, columns] += np.float32(part.sign) * part.shape.thickness_mm(grid)
        for values in maps.values():
            np.maximum(values, 0.0, out=values)
        if self.grain > 0 and "paper" in maps:
            maps["paper"] *= self._grain(lines, pixels)
        return maps

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> FloatArray:
        """See `xray_physics.Body`."""
        maps = self.thickness_maps_mm(line_mm=line_mm, pixel_mm=pixel_mm)
        direct = piece_transmission(maps, tube_kv=tube_kv)
        return with_scatter(direct, line_mm=line_mm, pixel_mm=pixel_mm)

    def threat_thickness_mm(self, *, line_mm: float, pixel_mm: float) -> FloatArray:
        """Summed thickness (lines, pixels) of the forbidden parts alone: the truth about where they lie."""
        forbidden = tuple(part for part in self.parts if part.threat)
        alone = ThingBody(length_mm=self.length_mm, width_mm=self.width_mm, parts=forbidden)
        lines, pixels = math.ceil(self.length_mm / line_mm), math.ceil(self.width_mm / pixel_mm)
        total = np.zeros((lines, pixels), dtype=np.float32)
        for values in alone.thickness_maps_mm(line_mm=line_mm, pixel_mm=pixel_mm).values():
            total += values
        return total

    def weight_g(self, *, step_mm: float = 1.0) -> float:
        """Mass of everything inside, from maps of `step_mm`: shapes keep their volume at any."""
        maps = self.thickness_maps_mm(line_mm=step_mm, pixel_mm=step_mm)
        cubic_mm = {name: float(values.sum()) * step_mm * step_mm for name, values in maps.items()}
        return sum(volume * MATERIALS[name].density_g_cm3 / 1000.0 for name, volume in cubic_mm.items())

    def _grain(self, lines: int, pixels: int) -> FloatArray:
        """Fibre flocking of paper: fixed for the piece, a little correlated."""
        noise = np.random.default_rng(self.grain_seed).standard_normal((lines + 2, pixels + 2), dtype=np.float32)
        smooth = (noise[:-2, :-2] + noise[1:-1, 1:-1] + noise[2:, 2:] + noise[:-2, 2:] + noise[2:, :-2]) / 5**0.5
        result: FloatArray = 1.0 + np.float32(self.grain) * smooth
        return result
