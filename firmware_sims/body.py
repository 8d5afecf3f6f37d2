"""A piece's inside as parts, and its rasterising into per-material thickness maps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_sims.materials import MATERIALS
from firmware_sims.shapes import FloatArray, Grid, Rod, Shape, Wire
from firmware_sims.xray_physics import piece_transmission, with_scatter

_RAY_MM = 1e-3
_EVEN_MM = 0.02
"""So much thickness more or less within a pixel makes no difference to the mean of what comes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One shape of one material.

    `sign` −1 cuts a hole (a window, a drilled hole) out of the same material; `threat` marks what is forbidden, `threat_class` says what it
    is where that is not the piece's own `threat_kind`. `thing` names the everyday thing that it belongs to, where it belongs to one.

    `samples`: rays per pixel and direction. With one, a pixel sees the mean thickness that the shape gives it, each shape averaging its
    edges in a way of its own; with more it sees the mean of what comes through, as a real detector's aperture does.
    """

    material: str
    shape: Shape
    sign: int = 1
    threat: bool = False
    threat_class: str = ""
    thing: str = ""
    samples: int = 1


def _window(parts: Sequence[Part], lines: int, pixels: int, *, line_mm: float, pixel_mm: float) -> tuple[slice, slice]:
    """The lines and pixels that parts may touch; empty where they lie beside the grid."""
    bounds = [part.shape.bounds_mm() for part in parts]
    x0, y0 = min(b[0] for b in bounds), min(b[1] for b in bounds)
    x1, y1 = max(b[2] for b in bounds), max(b[3] for b in bounds)
    return (
        slice(max(0, math.floor(x0 / line_mm) - 1), min(lines, math.ceil(x1 / line_mm) + 1)),
        slice(max(0, math.floor(y0 / pixel_mm) - 1), min(pixels, math.ceil(y1 / pixel_mm) + 1)),
    )


def _maps_mm(
    parts: Sequence[Part],
    shape: tuple[int, int],
    *,
    line_mm: float,
    pixel_mm: float,
    first: tuple[int, int] = (0, 0),
    rays: bool = False,
) -> dict[str, FloatArray]:
    """Thickness of each material on a grid of `shape` that begins at line and pixel `first`; never negative.

    Averaged over each cell of the grid, as each shape does it; with `rays` that of one ray, but for round wires and rods without edges.
    """
    lines, pixels = shape
    xs = ((np.arange(first[0], first[0] + lines, dtype=np.float32) + np.float32(0.5)) * np.float32(line_mm)).reshape(-1, 1)
    ys = ((np.arange(first[1], first[1] + pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(pixel_mm)).reshape(1, -1)
    maps: dict[str, FloatArray] = {}
    for part in parts:
        rows, columns = _window([part], first[0] + lines, first[1] + pixels, line_mm=line_mm, pixel_mm=pixel_mm)
        rows, columns = (slice(max(0, one.start - at), one.stop - at) for one, at in ((rows, first[0]), (columns, first[1])))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        wide = not rays or isinstance(part.shape, Rod | Wire)
        grid = Grid(x_mm=xs[rows], y_mm=ys[:, columns], line_mm=line_mm if wide else _RAY_MM, pixel_mm=pixel_mm if wide else _RAY_MM)
        if part.material not in maps:
            maps[part.material] = np.zeros((lines, pixels), dtype=np.float32)
        thickness = part.shape.thickness_mm(grid)
        if part.sign > 0:
            maps[part.material][rows, columns] += thickness
        else:
            maps[part.material][rows, columns] -= thickness
    for values in maps.values():
        np.maximum(values, 0.0, out=values)
    return maps


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
        maps = _maps_mm(self.parts, (lines, pixels), line_mm=line_mm, pixel_mm=pixel_mm)
        if self.grain > 0 and "paper" in maps:
            maps["paper"] *= self._grain(lines, pixels)
        return maps

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> FloatArray:
        """See `xray_physics.Body`."""
        maps = self.thickness_maps_mm(line_mm=line_mm, pixel_mm=pixel_mm)
        direct = piece_transmission(maps, tube_kv=tube_kv)
        fine = [part for part in self.parts if part.samples > 1]
        if fine:
            self._look_finely(direct, maps, fine, tube_kv=tube_kv, line_mm=line_mm, pixel_mm=pixel_mm)
        return with_scatter(direct, line_mm=line_mm, pixel_mm=pixel_mm)

    def _look_finely(
        self, direct: FloatArray, maps: dict[str, FloatArray], parts: list[Part], *, tube_kv: float, line_mm: float, pixel_mm: float
    ) -> None:
        """Put into `direct` (2, lines, pixels), where `parts` lie, the mean of what the samples of each pixel see.

        `maps` are the whole body's; whatever else lies there counts as even over a pixel.
        """
        lines, pixels, n = *direct.shape[1:], max(part.samples for part in parts)
        there = _window(parts, lines, pixels, line_mm=line_mm, pixel_mm=pixel_mm)
        first, shape = (there[0].start, there[1].start), (there[0].stop - there[0].start, there[1].stop - there[1].start)
        found = _maps_mm(
            parts, (shape[0] * n, shape[1] * n), line_mm=line_mm / n, pixel_mm=pixel_mm / n, first=(first[0] * n, first[1] * n), rays=True
        )
        fine = {name: values.reshape(shape[0], n, shape[1], n).swapaxes(1, 2).reshape(*shape, n * n) for name, values in found.items()}
        others = {name: values[there] for name, values in maps.items()}
        for name, values in _maps_mm(parts, shape, line_mm=line_mm, pixel_mm=pixel_mm, first=first).items():
            others[name] = others[name] - values
        nothing = np.zeros((*shape, 1), dtype=np.float32)
        rays = {name: np.maximum(values[:, :, None] + fine.get(name, nothing), 0.0) for name, values in others.items()}
        seen = piece_transmission({name: values.mean(axis=2) for name, values in rays.items()}, tube_kv=tube_kv)
        uneven = np.any([np.ptp(values, axis=2) > _EVEN_MM for values in fine.values()], axis=0)
        if uneven.any():
            each = {name: np.broadcast_to(values[uneven], (int(uneven.sum()), n * n)) for name, values in rays.items()}
            seen[:, uneven] = piece_transmission(each, tube_kv=tube_kv).mean(axis=2)
        direct[:, there[0], there[1]] = seen

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
