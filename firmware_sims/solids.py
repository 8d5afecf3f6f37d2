"""Solid things in any orientation: how long the beam's way through each of them is.

A solid has a frame of its own (u, v, w) that `Pose` turns into the piece's; the beam runs along the piece's z. The way through a convex
solid is one interval; through a prism over any outline it is the sum of the intervals inside. Each pixel is the mean of a few rays, more
for small solids, so that a plate seen on edge weighs what it should.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_sims.shapes import FloatArray, Grid

Rows = tuple[tuple[float, float, float], ...]
LEAST_SLOPE = 1e-3
"""A ray within a plane is taken as leaning this little, so that nothing is divided by zero."""
RAYS = ((3_000, 3), (20_000, 2))
"""Rays per pixel and direction for solids that cover at most so many pixels; one beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """A centre and the three rows of the rotation from the solid's frame to the piece's (x along, y across, z along the beam)."""

    x_mm: float
    y_mm: float
    rows: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

    def bounds_mm(self, half_u: float, half_v: float, half_w: float) -> tuple[float, float, float, float]:
        """Extent of a block of these half sides."""
        reach_x, reach_y = (abs(row[0]) * half_u + abs(row[1]) * half_v + abs(row[2]) * half_w for row in self.rows[:2])
        return self.x_mm - reach_x, self.y_mm - reach_y, self.x_mm + reach_x, self.y_mm + reach_y


def turned_rows(angle_rad: float, tilt_rad: float, about_rad: float, own_rad: float = 0.0) -> Rows:
    """Rotation of a thing turned by `own_rad` in its own plane, tilted about the flat axis at `about_rad`, then turned by `angle_rad`."""

    def about_z(angle: float) -> np.ndarray:
        cosine, sine = math.cos(angle), math.sin(angle)
        return np.asarray(((cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0)))

    cosine, sine = math.cos(tilt_rad), math.sin(tilt_rad)
    about_x = np.asarray(((1.0, 0.0, 0.0), (0.0, cosine, -sine), (0.0, sine, cosine)))
    total = about_z(angle_rad + about_rad) @ about_x @ about_z(own_rad - about_rad)
    return tuple((float(row[0]), float(row[1]), float(row[2])) for row in total)


@dataclass(frozen=True, slots=True)
class _Rays:
    """Rays in a solid's frame: where each starts (arrays), and the direction that all share."""

    start: tuple[FloatArray, FloatArray, FloatArray]
    slope: tuple[float, float, float]
    pixels: tuple[int, int]
    per_side: int

    def mean(self, ways: FloatArray) -> FloatArray:
        """Mean over the rays of each pixel."""
        lines, pixels = self.pixels
        if self.per_side == 1:
            return ways
        result: FloatArray = ways.reshape(lines, self.per_side, pixels, self.per_side).mean(axis=(1, 3), dtype=np.float32)
        return result


def _rays(pose: Pose, grid: Grid) -> _Rays:
    lines, pixels = grid.x_mm.shape[0], grid.y_mm.shape[1]
    per_side = next((rays for most, rays in RAYS if lines * pixels <= most), 1)
    steps = ((np.arange(per_side) + 0.5) / per_side - 0.5).astype(np.float32)
    dx = (grid.x_mm.reshape(-1, 1) + steps * np.float32(grid.line_mm) - np.float32(pose.x_mm)).reshape(-1, 1)
    dy = (grid.y_mm.reshape(-1, 1) + steps * np.float32(grid.pixel_mm) - np.float32(pose.y_mm)).reshape(1, -1)
    x_row, y_row, z_row = pose.rows
    u, v, w = (np.float32(x_row[axis]) * dx + np.float32(y_row[axis]) * dy for axis in range(3))
    return _Rays((u, v, w), z_row, (lines, pixels), per_side)


def _leaning(slope: float) -> np.float32:
    return np.float32(math.copysign(max(abs(slope), LEAST_SLOPE), slope))


def _between_planes(start: FloatArray, slope: float, half: float) -> tuple[FloatArray, FloatArray]:
    """Where rays enter and leave |coordinate| ≤ half."""
    lean = _leaning(slope)
    middle = start / -lean
    reach = np.float32(half) / abs(lean)
    return middle - reach, middle + reach


def _within_round(first: FloatArray, second: FloatArray, slopes: tuple[float, float], radius: float) -> tuple[FloatArray, FloatArray]:
    """Where rays enter and leave an endless round cylinder about the third axis; equal where they miss it."""
    one, two = np.float32(slopes[0]), np.float32(slopes[1])
    square = max(float(one * one + two * two), LEAST_SLOPE**2)
    half_b = first * one + second * two
    depth = half_b * half_b - np.float32(square) * (first * first + second * second - np.float32(radius * radius))
    reach = np.sqrt(np.maximum(depth, 0.0)) / np.float32(square)
    middle = half_b / np.float32(-square)
    return middle - reach, middle + reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A rectangular block."""

    pose: Pose
    length_mm: float
    width_mm: float
    thick_mm: float

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return self.pose.bounds_mm(self.length_mm / 2, self.width_mm / 2, self.thick_mm / 2)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        rays = _rays(self.pose, grid)
        near, far = _between_planes(rays.start[0], rays.slope[0], self.length_mm / 2)
        for axis, side in ((1, self.width_mm), (2, self.thick_mm)):
            enters, leaves = _between_planes(rays.start[axis], rays.slope[axis], side / 2)
            near, far = np.maximum(near, enters), np.minimum(far, leaves)
        return rays.mean(np.maximum(far - near, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drum:
    """An upright round or oval cylinder (axis w); `hole` (0..1, share of the radius) makes it a tube."""

    pose: Pose
    radius_u_mm: float
    radius_v_mm: float
    thick_mm: float
    hole: float = 0.0

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return self.pose.bounds_mm(self.radius_u_mm, self.radius_v_mm, self.thick_mm / 2)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        rays = _rays(self.pose, grid)
        squeeze = np.float32(self.radius_u_mm / self.radius_v_mm)
        first, second = rays.start[0], rays.start[1] * squeeze
        slopes = (rays.slope[0], rays.slope[1] * float(squeeze))
        below, above = _between_planes(rays.start[2], rays.slope[2], self.thick_mm / 2)

        def way(radius: float) -> FloatArray:
            enters, leaves = _within_round(first, second, slopes, radius)
            result: FloatArray = np.maximum(np.minimum(leaves, above) - np.maximum(enters, below), 0.0)
            return result

        total = way(self.radius_u_mm)
        if self.hole > 0:
            total = total - way(self.radius_u_mm * self.hole)
        return rays.mean(total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid; `hole` (0..1) leaves a shell between it and the same ellipsoid so many times smaller."""

    pose: Pose
    radius_u_mm: float
    radius_v_mm: float
    radius_w_mm: float
    hole: float = 0.0

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return self.pose.bounds_mm(self.radius_u_mm, self.radius_v_mm, self.radius_w_mm)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        rays = _rays(self.pose, grid)
        radii = (self.radius_u_mm, self.radius_v_mm, self.radius_w_mm)
        square = sum((slope / radius) ** 2 for slope, radius in zip(rays.slope, radii, strict=True))
        pairs = list(zip(rays.start, rays.slope, radii, strict=True))
        half_b = sum(start * np.float32(slope / radius**2) for start, slope, radius in pairs)
        rest = sum(start * start * np.float32(1 / radius**2) for start, _, radius in pairs)

        def way(share: float) -> FloatArray:
            depth = half_b * half_b - np.float32(square) * (rest - np.float32(share * share))
            result: FloatArray = np.sqrt(np.maximum(depth, 0.0)) * np.float32(2.0 / square)
            return result

        total = way(1.0)
        if self.hole > 0:
            total = total - way(self.hole)
        return rays.mean(total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prism:
    """A plate of any outline (points u, v) and one thickness along w."""

    pose: Pose
    points_mm: tuple[tuple[float, float], ...]
    thick_mm: float

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        half_u, half_v = (max(abs(point[axis]) for point in self.points_mm) for axis in (0, 1))
        return self.pose.bounds_mm(half_u, half_v, self.thick_mm / 2)

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`: each edge that a ray crosses within the plate opens or closes an interval."""
        rays = _rays(self.pose, grid)
        u, v, w = rays.start
        slope_u, slope_v = rays.slope[0], rays.slope[1]
        if math.hypot(slope_u, slope_v) < LEAST_SLOPE:
            slope_u = LEAST_SLOPE
        below, above = _between_planes(w, rays.slope[2], self.thick_mm / 2)
        total = np.zeros_like(below)
        along_ray = u * np.float32(slope_v) - v * np.float32(slope_u)
        for (au, av), (bu, bv) in _edges(self.points_mm):
            side_a, side_b = au * slope_v - av * slope_u, bu * slope_v - bv * slope_u
            turn = (bu - au) * slope_v - (bv - av) * slope_u
            if abs(turn) < 1e-9:
                continue
            low, high = min(side_a, side_b), max(side_a, side_b)
            crosses = (along_ray >= np.float32(low)) & (along_ray < np.float32(high))
            place = ((bu - au) * (np.float32(av) - v) - (bv - av) * (np.float32(au) - u)) * np.float32(1.0 / -turn)
            np.clip(-place, below, above, out=place)
            total += np.where(crosses, place, 0.0) * np.float32(math.copysign(1.0, turn))
        return rays.mean(np.abs(total))


def _edges(points: Sequence[tuple[float, float]]) -> Sequence[tuple[tuple[float, float], tuple[float, float]]]:
    return list(zip(points, (*points[1:], points[0]), strict=True))
