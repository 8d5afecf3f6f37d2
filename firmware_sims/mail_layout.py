"""Placing things inside a piece: a local frame, and a few shapes drawn in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_sims.body import Part
from firmware_sims.shapes import Ellipse, Outline, Rod, Slab, Wire

Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A frame at `x_mm`, `y_mm`, turned by `angle_rad`; things are drawn in its own u, v (mm)."""

    x_mm: float
    y_mm: float
    angle_rad: float = 0.0

    def at(self, u_mm: float, v_mm: float) -> tuple[float, float]:
        """The outer coordinates of a local point."""
        cosine, sine = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return self.x_mm + u_mm * cosine - v_mm * sine, self.y_mm + u_mm * sine + v_mm * cosine

    def sub(self, u_mm: float, v_mm: float, angle_rad: float = 0.0) -> "Place":
        """A frame inside this one."""
        x, y = self.at(u_mm, v_mm)
        return Place(x_mm=x, y_mm=y, angle_rad=self.angle_rad + angle_rad)

    def slab(self, material: str, u: float, v: float, length: float, width: float, thick: float, corner: float = 0.0) -> Part:
        """A flat rectangle centred on u, v."""
        x, y = self.at(u, v)
        return Part(
            material=material,
            shape=Slab(
                x_mm=x,
                y_mm=y,
                length_mm=length,
                width_mm=width,
                thick_mm=thick,
                angle_rad=self.angle_rad,
                corner_mm=corner,
            ),
        )

    def disc(self, material: str, u: float, v: float, radius: float, thick: float, hole: float = 0.0) -> Part:
        """A flat disc or ring centred on u, v."""
        return self.oval(material, u, v, radius, radius, thick, hole)

    def oval(
        self,
        material: str,
        u: float,
        v: float,
        radius_u: float,
        radius_v: float,
        thick: float,
        hole: float = 0.0,
        *,
        dome: bool = False,
    ) -> Part:
        """A flat oval, a ring, or (`dome`) a lens centred on u, v."""
        x, y = self.at(u, v)
        return Part(
            material=material,
            shape=Ellipse(
                x_mm=x,
                y_mm=y,
                radius_x_mm=radius_u,
                radius_y_mm=radius_v,
                thick_mm=thick,
                angle_rad=self.angle_rad,
                hole=hole,
                dome=dome,
            ),
        )

    def rod(self, material: str, u: float, v: float, length: float, radius: float, bore: float = 0.0, turn: float = 0.0) -> Part:
        """A rod or tube centred on u, v, its axis along u turned by `turn`."""
        x, y = self.at(u, v)
        return Part(
            material=material,
            shape=Rod(
                x_mm=x,
                y_mm=y,
                length_mm=length,
                radius_mm=radius,
                angle_rad=self.angle_rad + turn,
                bore_mm=bore,
            ),
        )

    def wire(self, material: str, points: Sequence[tuple[float, float]], radius: float) -> Part:
        """A wire through local points."""
        return Part(
            material=material,
            shape=Wire(points_mm=tuple(self.at(u, v) for u, v in points), radius_mm=radius),
        )

    def plate(self, material: str, points: Sequence[tuple[float, float]], thick: float) -> Part:
        """A flat plate with a polygon of local points as outline."""
        return Part(
            material=material,
            shape=Outline(points_mm=tuple(self.at(u, v) for u, v in points), thick_mm=thick),
        )


def between(rng: Rng, low: float, high: float) -> float:
    """A uniform number."""
    return float(rng.uniform(low, high))


def whole(rng: Rng, low: int, high: int) -> int:
    """A uniform whole number, both ends included."""
    return int(rng.integers(low, high + 1))


def chance(rng: Rng, share: float) -> bool:
    """True with probability `share`."""
    return bool(rng.random() < share)


def pick(rng: Rng, options: Sequence[str], weights: Sequence[float] | None = None) -> str:
    """One of `options`."""
    if weights is None:
        return options[int(rng.integers(len(options)))]
    total = sum(weights)
    return str(options[int(rng.choice(len(options), p=[weight / total for weight in weights]))])


def wander(rng: Rng, start: tuple[float, float], end: tuple[float, float], sway_mm: float, bends: int = 9) -> list[tuple[float, float]]:
    """A slack wire's way from `start` to `end`: a sum of three sines across the straight line."""
    steps = np.linspace(0.0, 1.0, bends)
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    across = np.zeros_like(steps)
    for order in (1, 2, 3):
        across += rng.normal() * sway_mm / order * np.sin(math.pi * order * steps)
    return [
        (
            float(start[0] + dx * step - dy / length * offset),
            float(start[1] + dy * step + dx / length * offset),
        )
        for step, offset in zip(steps, across, strict=True)
    ]


def coil(centre: tuple[float, float], radius_u: float, radius_v: float, turns: float, grow: float = 0.0) -> list[tuple[float, float]]:
    """A wire wound `turns` times round `centre`; `grow` is the radius' relative growth over the whole coil."""
    steps = max(8, int(turns * 14))
    result = []
    for index in range(steps + 1):
        angle = 2.0 * math.pi * turns * index / steps
        scale = 1.0 + grow * index / steps
        result.append(
            (
                centre[0] + radius_u * scale * math.cos(angle),
                centre[1] + radius_v * scale * math.sin(angle),
            )
        )
    return result


def jagged(rng: Rng, points: Sequence[tuple[float, float]], rough_mm: float) -> list[tuple[float, float]]:
    """Points moved a little each."""
    return [(u + float(rng.normal()) * rough_mm, v + float(rng.normal()) * rough_mm) for u, v in points]
