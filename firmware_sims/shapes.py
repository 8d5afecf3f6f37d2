"""Shapes of things and how thick they are under each pixel.

Coordinates are millimetres in the piece's own frame: x along the belt from the leading edge, y across from the left
edge. Edges are averaged over the pixel, so that a wire thinner than a pixel weighs what it should.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Pixel centres of a window: `x_mm` (lines, 1), `y_mm` (1, pixels), both with their pitch."""

    x_mm: FloatArray
    y_mm: FloatArray
    line_mm: float
    pixel_mm: float

    @property
    def blur_mm(self) -> float:
        """Width over which an edge is averaged."""
        return 0.5 * (self.line_mm + self.pixel_mm)


class Shape(Protocol):
    """Something with a thickness profile."""

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 outside of which the thickness is zero."""

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """Thickness along the beam (lines, pixels)."""


def _inside(distance_mm: FloatArray, blur_mm: float) -> FloatArray:
    """Share of a pixel inside an edge, from the signed distance (positive inside)."""
    result: FloatArray = np.clip(distance_mm / blur_mm + 0.5, 0.0, 1.0)
    return result


def _rotated(grid: Grid, x_mm: float, y_mm: float, angle_rad: float) -> tuple[FloatArray, FloatArray]:
    """Distances along and across from a point, which spread over the grid; of what is not turned one column and one row of it."""
    dx, dy = grid.x_mm - np.float32(x_mm), grid.y_mm - np.float32(y_mm)
    if not angle_rad:
        return dx, dy
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    along = dx * np.float32(cosine) + dy * np.float32(sine)
    across = dy * np.float32(cosine) - dx * np.float32(sine)
    return along, across


def _chord_integral(distance: FloatArray, radius: float) -> FloatArray:
    """Integral of the chord length 2·√(r² − s²) from 0 to `distance`."""
    clipped = np.clip(distance, -radius, radius)
    result: FloatArray = clipped * np.sqrt(np.maximum(radius * radius - clipped * clipped, 0.0)) + (radius * radius) * np.arcsin(
        clipped / radius
    )
    return result


def mean_chord(distance_mm: FloatArray, radius_mm: float, blur_mm: float) -> FloatArray:
    """Mean chord of a round rod of `radius_mm` over a pixel of `blur_mm` at `distance_mm` from its axis."""
    half = np.float32(blur_mm / 2)
    upper = _chord_integral(distance_mm + half, radius_mm)
    lower = _chord_integral(distance_mm - half, radius_mm)
    result: FloatArray = (upper - lower) / np.float32(blur_mm)
    return result


def _extent(x: float, y: float, half_x: float, half_y: float, angle: float) -> tuple[float, float, float, float]:
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    reach_x, reach_y = half_x * cosine + half_y * sine, half_x * sine + half_y * cosine
    return x - reach_x, y - reach_y, x + reach_x, y + reach_y


@dataclass(frozen=True, slots=True, kw_only=True)
class Slab:
    """A flat rectangle of one thickness, turned by `angle_rad`, corners rounded by `corner_mm`."""

    x_mm: float
    y_mm: float
    length_mm: float
    width_mm: float
    thick_mm: float
    angle_rad: float = 0.0
    corner_mm: float = 0.0

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return _extent(self.x_mm, self.y_mm, self.length_mm / 2, self.width_mm / 2, self.angle_rad)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        along, across = _rotated(grid, self.x_mm, self.y_mm, self.angle_rad)
        in_x = np.float32(self.length_mm / 2) - np.abs(along)
        in_y = np.float32(self.width_mm / 2) - np.abs(across)
        if self.corner_mm > 0:
            corner = np.float32(self.corner_mm)
            inset = np.hypot(np.minimum(in_x - corner, 0), np.minimum(in_y - corner, 0))
            inside = _inside(np.minimum(np.minimum(in_x, in_y), corner - inset), grid.blur_mm)
        else:
            inside = _inside(in_x, grid.blur_mm) * _inside(in_y, grid.blur_mm)
        return inside * np.float32(self.thick_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipse:
    """A flat disc or oval; with `hole` (0..1, share of the radius) a ring; with `dome` its thickness falls to the rim."""

    x_mm: float
    y_mm: float
    radius_x_mm: float
    radius_y_mm: float
    thick_mm: float
    angle_rad: float = 0.0
    hole: float = 0.0
    dome: bool = False

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return _extent(self.x_mm, self.y_mm, self.radius_x_mm, self.radius_y_mm, self.angle_rad)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        along, across = _rotated(grid, self.x_mm, self.y_mm, self.angle_rad)
        radius = np.hypot(along / np.float32(self.radius_x_mm), across / np.float32(self.radius_y_mm))
        scale = np.float32(min(self.radius_x_mm, self.radius_y_mm))
        if self.dome:
            lens: FloatArray = np.sqrt(np.maximum(1.0 - radius * radius, 0.0)) * np.float32(self.thick_mm)
            return lens
        inside = _inside((1.0 - radius) * scale, grid.blur_mm)
        if self.hole > 0:
            inside = inside * _inside((radius - np.float32(self.hole)) * scale, grid.blur_mm)
        return inside * np.float32(self.thick_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rod:
    """A round rod or, with `bore_mm` > 0, a tube, lying flat."""

    x_mm: float
    y_mm: float
    length_mm: float
    radius_mm: float
    angle_rad: float = 0.0
    bore_mm: float = 0.0

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return _extent(self.x_mm, self.y_mm, self.length_mm / 2, self.radius_mm, self.angle_rad)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        along, across = _rotated(grid, self.x_mm, self.y_mm, self.angle_rad)
        profile = mean_chord(across, self.radius_mm, grid.blur_mm)
        if self.bore_mm > 0:
            profile = profile - mean_chord(across, self.bore_mm, grid.blur_mm)
        return profile * _inside(np.float32(self.length_mm / 2) - np.abs(along), grid.blur_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A round wire through `points_mm` ((x, y), …)."""

    points_mm: tuple[tuple[float, float], ...]
    radius_mm: float

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        xs = [x for x, _ in self.points_mm]
        ys = [y for _, y in self.points_mm]
        reach = self.radius_mm
        return min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        shape = (grid.x_mm.shape[0], grid.y_mm.shape[1])
        nearest = np.full(shape, np.inf, dtype=np.float32)
        reach = self.radius_mm + 2 * grid.blur_mm
        x0, y0 = float(grid.x_mm[0, 0]), float(grid.y_mm[0, 0])
        for (ax, ay), (bx, by) in zip(self.points_mm, self.points_mm[1:], strict=False):
            first_x, last_x = sorted((ax, bx))
            first_y, last_y = sorted((ay, by))
            rows = slice(
                max(0, math.floor((first_x - reach - x0) / grid.line_mm)),
                max(0, math.ceil((last_x + reach - x0) / grid.line_mm) + 1),
            )
            columns = slice(
                max(0, math.floor((first_y - reach - y0) / grid.pixel_mm)),
                max(0, math.ceil((last_y + reach - y0) / grid.pixel_mm) + 1),
            )
            dx, dy = bx - ax, by - ay
            squared = dx * dx + dy * dy
            px, py = grid.x_mm[rows] - np.float32(ax), grid.y_mm[:, columns] - np.float32(ay)
            share = np.clip((px * np.float32(dx) + py * np.float32(dy)) / np.float32(squared or 1.0), 0.0, 1.0)
            distance = np.hypot(px - share * np.float32(dx), py - share * np.float32(dy))
            np.minimum(nearest[rows, columns], distance, out=nearest[rows, columns])
        close = nearest < reach
        result = np.zeros(shape, dtype=np.float32)
        result[close] = mean_chord(nearest[close], self.radius_mm, grid.blur_mm)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A flat plate with a polygon as its outline, sampled three by three within each pixel."""

    points_mm: tuple[tuple[float, float], ...]
    thick_mm: float

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        xs = [x for x, _ in self.points_mm]
        ys = [y for _, y in self.points_mm]
        return min(xs), min(ys), max(xs), max(ys)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        lines, pixels = grid.x_mm.shape[0], grid.y_mm.shape[1]
        thirds = np.asarray((-1 / 3, 0.0, 1 / 3), dtype=np.float32)
        xs = (grid.x_mm + thirds[None, :] * np.float32(grid.line_mm)).reshape(-1, 1)
        ys = (grid.y_mm.reshape(-1, 1) + thirds[None, :] * np.float32(grid.pixel_mm)).reshape(1, -1)
        inside = np.zeros((lines * 3, pixels * 3), dtype=bool)
        for (ax, ay), (bx, by) in zip(self.points_mm, (*self.points_mm[1:], self.points_mm[0]), strict=True):
            if ax == bx:
                continue
            crossing = (xs >= min(ax, bx)) & (xs < max(ax, bx))
            edge_y = np.float32(ay) + (xs - np.float32(ax)) * np.float32((by - ay) / (bx - ax))
            inside ^= crossing & (edge_y > ys)
        coverage = inside.reshape(lines, 3, pixels, 3).mean(axis=(1, 3), dtype=np.float32)
        plate: FloatArray = coverage * np.float32(self.thick_mm)
        return plate


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """Loose powder: an irregular smooth heap that fills `length_mm` × `width_mm`; `waves` shape its surface.

    Each wave is (cycles along, cycles across, phase, height share).
    """

    x_mm: float
    y_mm: float
    length_mm: float
    width_mm: float
    thick_mm: float
    angle_rad: float = 0.0
    waves: tuple[tuple[float, float, float, float], ...] = ()

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return _extent(self.x_mm, self.y_mm, self.length_mm / 2, self.width_mm / 2, self.angle_rad)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        along, across = _rotated(grid, self.x_mm, self.y_mm, self.angle_rad)
        u, v = along / np.float32(self.length_mm / 2), across / np.float32(self.width_mm / 2)
        body = np.clip(1.0 - u**4, 0.0, 1.0) * np.clip(1.0 - v**4, 0.0, 1.0)
        surface = np.ones_like(body)
        for cycles_u, cycles_v, phase, share in self.waves:
            surface += np.float32(share) * np.sin(
                np.float32(math.pi * cycles_u) * u + np.float32(math.pi * cycles_v) * v + np.float32(phase)
            )
        result: FloatArray = np.sqrt(body) * np.maximum(surface, 0.0) * np.float32(self.thick_mm)
        return result
