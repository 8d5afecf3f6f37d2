"""Things that lie as they fell: drawn flat by their builders, then tilted about any axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import pairwise

import numpy as np

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place
from firmware_sims.shapes import Ellipse, Heap, Outline, Rod, Shape, Slab, Wire
from firmware_sims.solids import Block, Drum, Ellipsoid, Pose, Prism, turned_rows
from firmware_sims.textures import Uneven

THIN_MM = 6.0
WIDE_SHARE = 0.2
STEEPEST_WIRE = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """How a thing lies: its place, then its tilt (0 flat, π/2 on edge) about the flat axis at `about_rad` of its own frame."""

    at: Place
    tilt_rad: float
    about_rad: float

    def moved(self, u_mm: float, v_mm: float, w_mm: float) -> tuple[float, float]:
        """Where a point of the flat thing, `w_mm` above its middle, lies on the belt."""
        rows = turned_rows(self.at.angle_rad, self.tilt_rad, self.about_rad)
        x, y = (row[0] * u_mm + row[1] * v_mm + row[2] * w_mm for row in rows[:2])
        return self.at.x_mm + x, self.at.y_mm + y

    def pose(self, u_mm: float, v_mm: float, w_mm: float, own_rad: float) -> Pose:
        """The pose of a solid that lay at u, v, w, turned by `own_rad` in the plane."""
        x, y = self.moved(u_mm, v_mm, w_mm)
        return Pose(x_mm=x, y_mm=y, rows=turned_rows(self.at.angle_rad, self.tilt_rad, self.about_rad, own_rad))


def tumbled(parts: Sequence[Part], fall: Fall) -> list[Part]:
    """The parts of a thing that was drawn flat about the origin, as solids where `fall` says.

    Wide thin layers lie on one another in their order, as in a real casing; all else is centred. Loose powder settles flat wherever it is.
    """
    levels = _levels(parts)
    return [replace(part, shape=_solid(part.shape, fall, level)) for part, level in zip(parts, levels, strict=True)]


def _area(shape: Shape) -> float:
    x0, y0, x1, y1 = shape.bounds_mm()
    return (x1 - x0) * (y1 - y0)


def _flat(shape: Shape) -> Shape:
    return shape.shape if isinstance(shape, Uneven) else shape


def _levels(parts: Sequence[Part]) -> list[float]:
    """Height of each part's middle over the thing's middle."""
    widest = max((_area(part.shape) for part in parts), default=0.0)
    thin = []
    for part in parts:
        shape = _flat(part.shape)
        layer = isinstance(shape, Slab | Ellipse | Outline) and shape.thick_mm <= THIN_MM and _area(shape) >= WIDE_SHARE * widest
        thin.append(float(shape.thick_mm) if layer and isinstance(shape, Slab | Ellipse | Outline) else 0.0)
    below = np.cumsum([0.0, *thin[:-1]]) if thin else np.zeros(0)
    total = sum(thin)
    return [float(start + own / 2 - total / 2) if own > 0 else 0.0 for start, own in zip(below, thin, strict=True)]


@singledispatch
def _solid(shape: Shape, fall: Fall, level: float) -> Shape:
    del fall, level
    raise TypeError(f"{type(shape).__name__} is solid already and cannot be tumbled: tumble a thing once, as it was drawn")


@_solid.register
def _uneven(shape: Uneven, fall: Fall, level: float) -> Shape:
    return replace(shape, shape=_solid(shape.shape, fall, level))


@_solid.register
def _slab(shape: Slab, fall: Fall, level: float) -> Shape:
    pose = fall.pose(shape.x_mm, shape.y_mm, level, shape.angle_rad)
    return Block(pose=pose, length_mm=shape.length_mm, width_mm=shape.width_mm, thick_mm=shape.thick_mm)


@_solid.register
def _ellipse(shape: Ellipse, fall: Fall, level: float) -> Shape:
    pose = fall.pose(shape.x_mm, shape.y_mm, level, shape.angle_rad)
    radius_u, radius_v, thick = shape.radius_x_mm, shape.radius_y_mm, shape.thick_mm
    if shape.dome:
        return Ellipsoid(pose=pose, radius_u_mm=radius_u, radius_v_mm=radius_v, radius_w_mm=thick / 2)
    return Drum(pose=pose, radius_u_mm=radius_u, radius_v_mm=radius_v, thick_mm=thick, hole=shape.hole)


@_solid.register
def _outline(shape: Outline, fall: Fall, level: float) -> Shape:
    u, v = (sum(point[axis] for point in shape.points_mm) / len(shape.points_mm) for axis in (0, 1))
    points = tuple((point[0] - u, point[1] - v) for point in shape.points_mm)
    return Prism(pose=fall.pose(u, v, level, 0.0), points_mm=points, thick_mm=shape.thick_mm)


@_solid.register
def _heap(shape: Heap, fall: Fall, level: float) -> Shape:
    x, y = fall.moved(shape.x_mm, shape.y_mm, level)
    return replace(shape, x_mm=x, y_mm=y, angle_rad=shape.angle_rad + fall.at.angle_rad)


@_solid.register
def _rod(shape: Rod, fall: Fall, level: float) -> Shape:
    """A lying rod is a drum whose axis w is the rod's length."""
    del level
    pose = fall.pose(shape.x_mm, shape.y_mm, 0.0, shape.angle_rad)
    rows = tuple((row[1], row[2], row[0]) for row in pose.rows)
    standing = Pose(x_mm=pose.x_mm, y_mm=pose.y_mm, rows=(rows[0], rows[1], rows[2]))
    hole = shape.bore_mm / shape.radius_mm
    return Drum(pose=standing, radius_u_mm=shape.radius_mm, radius_v_mm=shape.radius_mm, thick_mm=shape.length_mm, hole=hole)


@_solid.register
def _wire(shape: Wire, fall: Fall, level: float) -> Shape:
    """A wire keeps its mass: where it stands up, its shorter picture is denser."""
    del level
    points = tuple(fall.moved(u, v, 0.0) for u, v in shape.points_mm)
    lengths = [sum(math.dist(a, b) for a, b in pairwise(way)) for way in (shape.points_mm, points)]
    denser = min(STEEPEST_WIRE, lengths[0] / max(lengths[1], 0.01))
    return Uneven(shape=Wire(points_mm=points, radius_mm=shape.radius_mm), density=denser)
