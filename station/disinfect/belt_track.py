"""When the points of a piece crossed the lit field, from the belt's encoder. Pure.

The lane PLC stamps with its own uptime; the answer is in that uptime too (see `clock_pairing` for the unit's).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from station.domain.reasons import Reason

_U32 = 0x1_0000_0000
_U31 = 0x8000_0000
_BACKLASH_MM = 0.5
MAX_GAP_MS = 1_500
"""Longest time without a reading that a steady belt may be interpolated over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeltReading:
    """Belt B4 in one reading of the lane PLC. `encoder` is the raw u32 of 0.1 mm, which wraps."""

    uptime_ms: int
    boot_count: int
    encoder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LitField:
    """Where the light falls, along the belt from the `uv_in` eye."""

    start_mm: float
    length_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """When a point came under the light and left it, in ms of the lane PLC's uptime."""

    entered_ms: float
    left_ms: float


def _travelled_mm(encoder: int, edge_encoder: int) -> float:
    delta = (encoder - edge_encoder) % _U32
    return (delta - _U32 if delta >= _U31 else delta) / 10


def _interpolate(before: tuple[float, float], after: tuple[float, float], at_mm: float) -> float:
    (t0, x0), (t1, x1) = before, after
    return t0 + (t1 - t0) * (at_mm - x0) / (x1 - x0)


def _last_time_before(way: Sequence[tuple[float, float]], at_mm: float) -> float | None:
    """The last moment at which the belt had not passed `at_mm`: a stop exactly there counts as not yet under the light."""
    for before, after in reversed(list(pairwise(way))):
        if before[1] <= at_mm < after[1]:
            return _interpolate(before, after, at_mm)
    return None


def _first_time_at(way: Sequence[tuple[float, float]], at_mm: float) -> float | None:
    """The first moment at which the belt had reached `at_mm`."""
    for before, after in pairwise(way):
        if before[1] < at_mm <= after[1]:
            return _interpolate(before, after, at_mm)
    return None


def points_along(length_mm: float, spacing_mm: float) -> tuple[float, ...]:
    """Distances behind the head at which the dose is looked at: head, tail, and evenly between, at most `spacing_mm` apart."""
    steps = max(1, math.ceil(length_mm / spacing_mm))
    return tuple(length_mm * step / steps for step in range(steps + 1))


def crossings(
    readings: Sequence[BeltReading],
    *,
    edge_encoder: int,
    field: LitField,
    piece_length_mm: float,
    spacing_mm: float = 50.0,
) -> tuple[Crossing, ...] | Reason:
    """Follow several points of a piece, head first, through the lit field.

    Args:
        readings: successive readings of B4, oldest first, from before the head reached the field to after the tail left it.
        edge_encoder: B4's encoder at the piece's leading edge on the `uv_in` eye.
        field: where the light falls.
        piece_length_mm: measured in the scan or between the edges, whichever is greater.
        spacing_mm: at most this far apart.

    Returns:
        One crossing per point, or the reason why the track is void: time or belt going back, a reboot, a gap, or not covered.
    """
    if not (math.isfinite(piece_length_mm) and piece_length_mm > 0):
        return Reason.TRACK_LOST
    way = [(float(one.uptime_ms), _travelled_mm(one.encoder, edge_encoder)) for one in readings]
    if any(one.boot_count != readings[0].boot_count for one in readings):
        return Reason.DEVICE_LOST
    found = []
    for behind_mm in points_along(piece_length_mm, spacing_mm):
        entered = _last_time_before(way, field.start_mm + behind_mm)
        left = _first_time_at(way, field.start_mm + field.length_mm + behind_mm)
        if entered is None or left is None:
            return Reason.TRACK_LOST
        found.append(Crossing(entered_ms=entered, left_ms=left))
    span = [point for point in pairwise(way) if point[1][0] > found[0].entered_ms and point[0][0] < found[-1].left_ms]
    if any(after[0] <= before[0] or after[1] < before[1] - _BACKLASH_MM for before, after in span):
        return Reason.TRACK_LOST
    if any(after[0] - before[0] > MAX_GAP_MS for before, after in span):
        return Reason.DEVICE_LOST
    return tuple(found)
