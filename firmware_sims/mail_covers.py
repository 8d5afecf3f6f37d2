"""Covers and papers: envelopes, document packets, document parcels, small parcels, and what is packed into them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from firmware_sims.body import Part, ThingBody
from firmware_sims.mail_items import EVERYDAY
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, pick, wander, whole
from firmware_sims.mail_threats import THREATS

SHEET_MM = 0.1
BELT_WIDTH_MM = 380.0
LONGEST_MM = 450.0
SHORTEST_MM = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A body, its height and what it is."""

    kind: str
    body: ThingBody
    height_mm: float
    threat_kind: str | None


def laid_frame(rng: Rng, length_mm: float, width_mm: float) -> tuple[Place, float, float]:
    """A frame for a cover laid slightly askew, and the extent that it then takes on the belt."""
    skew = float(rng.normal()) * math.radians(1.0)
    skew = max(-math.radians(2.5), min(math.radians(2.5), skew))
    extent_x = length_mm * math.cos(skew) + width_mm * abs(math.sin(skew))
    extent_y = width_mm * math.cos(skew) + length_mm * abs(math.sin(skew))
    return Place(x_mm=extent_x / 2, y_mm=extent_y / 2, angle_rad=skew), extent_x, extent_y


def closed(
    rng: Rng,
    kind: str,
    extent: tuple[float, float],
    parts: list[Part],
    height_mm: float,
    threat_kind: str | None,
) -> Packed:
    """The piece, its paper as uneven as paper is."""
    return Packed(
        kind=kind,
        body=ThingBody(
            length_mm=extent[0],
            width_mm=extent[1],
            parts=tuple(parts),
            grain=between(rng, 0.01, 0.035),
            grain_seed=int(rng.integers(2**31)),
        ),
        height_mm=height_mm,
        threat_kind=threat_kind,
    )


def _forbidden(parts: list[Part]) -> list[Part]:
    return [replace(part, threat=True) for part in parts]


def spot_within(rng: Rng, at: Place, half: tuple[float, float], reach_mm: float, turn: float) -> Place:
    """A place within `half` extents that leaves `reach_mm` to the rim where there is room for it."""
    room_u, room_v = max(half[0] - reach_mm, 4.0), max(half[1] - reach_mm, 4.0)
    return at.sub(between(rng, -room_u, room_u), between(rng, -room_v, room_v), turn)


def _sheets(rng: Rng, at: Place, length: float, width: float, sheets: int) -> list[Part]:
    """A stack of paper, sometimes as a few offset stacks, sometimes with glossy or heavy inserts."""
    parts = []
    left = sheets
    while left > 0:
        take = min(left, max(1, round(left * between(rng, 0.5, 1.0))))
        parts.append(
            at.slab(
                "paper",
                between(rng, -2, 2),
                between(rng, -2, 2),
                length - between(rng, 0, 4),
                width - between(rng, 0, 4),
                take * SHEET_MM,
            )
        )
        left -= take
    if chance(rng, 0.3):
        for row in range(whole(rng, 3, 9)):
            v = -width * 0.35 + row * width * 0.08
            parts.append(at.slab("toner", between(rng, -5, 5), v, length * between(rng, 0.3, 0.8), 3.0, 0.006 * min(sheets, 20)))
    return parts


def _fasteners(rng: Rng, at: Place, length: float, width: float, *, thick: bool) -> list[Part]:
    """Staples, paper clips, bulldog clips, a lever-arch or comb binding."""
    parts: list[Part] = []
    half_u, half_v = length / 2, width / 2
    for _ in range(whole(rng, 0, 4)):
        local = at.sub(half_u - between(rng, 6, 16), between(rng, -half_v + 8, half_v - 8), between(rng, 0, 3.1))
        parts.append(local.wire("steel", [(-6, 2.2), (-6, 0), (6, 0), (6, 2.2)], 0.26))
    for _ in range(whole(rng, 0, 2)):
        local = at.sub(half_u - 15, between(rng, -half_v + 14, half_v - 14), between(rng, -0.1, 0.1))
        loop = [(12, -3.5), (-10, -3.5), (-13, 0), (-10, 3.5), (13, 3.5), (16, 0.5), (13, -2), (-6, -2), (-8, 0), (-6, 2), (8, 2)]
        parts.append(local.wire("steel", loop, between(rng, 0.4, 0.6)))
    if thick and chance(rng, 0.3):
        local = at.sub(half_u - 12, between(rng, -half_v / 2, half_v / 2))
        parts += [
            local.slab("steel", 0, 0, 17, between(rng, 19, 51), 0.8),
            local.wire("steel", [(-4, -12), (-22, -8), (-22, 8), (-4, 12)], 1.0),
        ]
    if thick and chance(rng, 0.2):
        parts += [
            at.slab("steel", 0, half_v - 14, min(length * 0.75, 180), between(rng, 14, 24), between(rng, 0.8, 1.4), 3),
            *[at.wire("steel", coil((offset * length, half_v - 16), 2.0, 17, 1.0), 1.3) for offset in (-0.2, 0.2)],
            at.slab("steel", between(rng, -20, 20), half_v - 30, 30, 7, 1.2),
        ]
    elif thick and chance(rng, 0.15):
        parts += [at.wire("pvc", coil((length * (index / 22 - 0.5), half_v - 4), 1.8, 6, 1.0), 1.0) for index in range(1, 22)]
    return parts


def envelope(rng: Rng, threat_kind: str | None) -> Packed:
    """An envelope: one sheet to thick, with or without a window."""
    sizes = ((220.0, 110.0), (229.0, 162.0), (324.0, 229.0), (162.0, 114.0), (114.0, 162.0), (110.0, 220.0), (229.0, 324.0))
    weights = (3, 3, 2, 1, 1, 1.5, 1) if threat_kind is None else (2, 3, 2, 1, 1, 1, 1)
    length, width = sizes[int(rng.choice(len(sizes), p=[value / sum(weights) for value in weights]))]
    at, extent_x, extent_y = laid_frame(rng, length, width)
    sheets = max(1, round(math.exp(between(rng, 0.0, 4.0))))
    parts = [at.slab("paper", 0, 0, length, width, 2 * between(rng, 0.09, 0.14))]
    parts.append(at.slab("paper", length / 2 - 8, 0, 16, width, 0.1))
    parts.append(at.slab("paper", 0, width * 0.5 - 20, length, 40, 0.1))
    if chance(rng, 0.3):
        parts += [replace(at.slab("paper", 18, -width * 0.18, 90, 35, 0.1), sign=-1), at.slab("pe", 18, -width * 0.18, 92, 37, 0.03)]
    fill_u, fill_v = length - between(rng, 5, 14), width - between(rng, 5, 14)
    parts += _sheets(rng, at, fill_u, fill_v, sheets)
    if chance(rng, 0.3):
        parts += _fasteners(rng, at, fill_u, fill_v, thick=False)
    if chance(rng, 0.12) and min(length, width) > 130:
        parts += optical_disc(rng, at.sub(between(rng, -12, 12), between(rng, -5, 5)))
    if chance(rng, 0.1):
        parts.append(spot_within(rng, at, (length / 2, width / 2), 45, 0).slab("pvc", 0, 0, 85.6, 54, 0.76, 3))
    height = max(0.6, sheets * SHEET_MM + 0.5)
    if threat_kind is not None:
        threat = THREATS[threat_kind]
        spot = spot_within(rng, at, (length / 2, width / 2), threat.reach_mm * 0.8, between(rng, 0, 2 * math.pi))
        parts += _forbidden((threat.flat or threat.draw)(rng, spot))
        height = max(height, 7.0)
    return closed(rng, "envelope", (extent_x, extent_y), parts, height, threat_kind)


def optical_disc(rng: Rng, at: Place) -> list[Part]:
    """An optical disc in its sleeve or case."""
    parts = [at.disc("polycarbonate", 0, 0, 60, 1.2, 0.125), at.disc("aluminium", 0, 0, 58, 0.003, 0.38)]
    if chance(rng, 0.5):
        parts.append(at.slab("polycarbonate", 0, 0, 124, 142, between(rng, 2.0, 3.0)))
    return parts


def packet(rng: Rng, threat_kind: str | None) -> Packed:
    """A document packet: a padded or paper cover with a file in it, clips, perhaps a disc or a memory stick."""
    length, width = (between(rng, 230, 360), between(rng, 165, 260))
    if chance(rng, 0.4) and length <= BELT_WIDTH_MM:
        length, width = width, length
    at, extent_x, extent_y = laid_frame(rng, length, width)
    sheets = whole(rng, 10, 160)
    parts = [at.slab("paper", 0, 0, length, width, between(rng, 0.3, 0.5))]
    if chance(rng, 0.35):
        parts.append(at.slab("pe", 0, 0, length - 4, width - 4, between(rng, 0.2, 0.5)))
    fill_u, fill_v = min(length - 16, 300), min(width - 16, 300)
    parts += _sheets(rng, at, fill_u, fill_v, sheets)
    if chance(rng, 0.4):
        parts.append(at.slab("pvc", 0, 0, fill_u, fill_v, between(rng, 0.3, 0.9)))
    parts += _fasteners(rng, at, fill_u, fill_v, thick=True)
    half = (length / 2, width / 2)
    if chance(rng, 0.25):
        parts += optical_disc(rng, spot_within(rng, at, half, 75, between(rng, 0, 1.6)))
    for name in ("memory sticks", "pens", "keys", "earphones", "coins", "stamp"):
        if chance(rng, 0.08):
            item = EVERYDAY[name]
            parts += item.draw(rng, spot_within(rng, at, half, item.reach_mm, between(rng, 0, 6.28)))
    height = sheets * SHEET_MM + between(rng, 1, 6)
    if threat_kind is not None:
        threat = THREATS[threat_kind]
        draw = threat.flat if threat.flat is not None and chance(rng, 0.5) else threat.draw
        parts += _forbidden(draw(rng, spot_within(rng, at, half, threat.reach_mm, between(rng, 0, 6.28))))
        height = max(height, threat.height_mm)
    return closed(rng, "packet", (extent_x, extent_y), parts, height, threat_kind)


def document_parcel(rng: Rng, threat_kind: str | None) -> Packed:
    """A cardboard box of files: binders, bound volumes, much paper."""
    length, width = between(rng, 260, 440), between(rng, 220, 350)
    at, extent_x, extent_y = laid_frame(rng, length, width)
    extent_y = min(extent_y, BELT_WIDTH_MM)
    extent_x = min(extent_x, LONGEST_MM)
    parts = [at.slab("cardboard", 0, 0, length, width, between(rng, 6, 12))]
    parts += box_walls(at, length, width, between(rng, 30, 70))
    height = between(rng, 30, 80)
    filled = 0.0
    while filled < height - 18:
        sheets = whole(rng, 60, 220)
        fill_u, fill_v = between(rng, 0.7, 0.95) * min(length, 320), between(rng, 0.7, 0.95) * min(width, 300)
        spot = spot_within(rng, at, (length / 2, width / 2), max(fill_u, fill_v) / 2 - 6, 0)
        parts += _sheets(rng, spot, fill_u, fill_v, sheets)
        parts += _fasteners(rng, spot, fill_u, fill_v, thick=True)
        if chance(rng, 0.4):
            parts.append(spot.slab("cardboard", 0, 0, fill_u, fill_v, 4))
        filled += sheets * SHEET_MM + 8
    half = (length / 2, width / 2)
    if chance(rng, 0.2):
        parts += optical_disc(rng, spot_within(rng, at, half, 75, 0))
    if threat_kind is not None:
        threat = THREATS[threat_kind]
        parts += _forbidden(threat.draw(rng, spot_within(rng, at, half, threat.reach_mm, between(rng, 0, 6.28))))
    return closed(rng, "document_parcel", (extent_x, extent_y), parts, height, threat_kind)


def box_walls(at: Place, length: float, width: float, height: float) -> list[Part]:
    """The upright sides of a box, seen from above: thin and as deep as the box is high."""
    deep = height * 0.9
    return [at.slab("cardboard", side * (length / 2 - 2), 0, 4, width, deep) for side in (-1.0, 1.0)] + [
        at.slab("cardboard", 0, side * (width / 2 - 2), length, 4, deep) for side in (-1.0, 1.0)
    ]


def small_parcel(rng: Rng, threat_kind: str | None) -> Packed:
    """A box or bag with everyday things."""
    length, width = between(rng, SHORTEST_MM + 5, 380), between(rng, 110, 310)
    at, extent_x, extent_y = laid_frame(rng, length, width)
    height = between(rng, 30, 120)
    parts: list[Part] = []
    if chance(rng, 0.75):
        parts.append(at.slab("cardboard", 0, 0, length, width, between(rng, 4, 10)))
        parts += box_walls(at, length, width, height)
    else:
        parts.append(at.slab("pe", 0, 0, length, width, between(rng, 0.1, 0.4)))
    if chance(rng, 0.4):
        parts.append(at.slab("foam", 0, 0, length * 0.9, width * 0.9, height * 0.6))
    if chance(rng, 0.35):
        parts += [at.wire("pe", wander(rng, (-length * 0.48, between(rng, -40, 40)), (length * 0.48, between(rng, -40, 40)), 3), 2.4)]
    half = (length / 2, width / 2)
    fitting = [name for name, item in EVERYDAY.items() if item.reach_mm <= max(half) and item.height_mm <= height]
    count = whole(rng, 1, 5) if threat_kind is None else whole(rng, 0, 4)
    for _ in range(count if fitting else 0):
        name = pick(rng, fitting)
        item = EVERYDAY[name]
        along = 0.0 if half[0] >= half[1] else math.pi / 2
        turn = along + between(rng, -0.5, 0.5) if item.reach_mm > min(half) else between(rng, 0, 6.28)
        parts += item.draw(rng, spot_within(rng, at, half, item.reach_mm, turn))
    if chance(rng, 0.3):
        parts += _sheets(rng, at, length * 0.8, width * 0.8, whole(rng, 1, 12))
    if threat_kind is not None:
        threat = THREATS[threat_kind]
        parts += _forbidden(threat.draw(rng, spot_within(rng, at, half, threat.reach_mm, between(rng, 0, 6.28))))
        height = max(height, threat.height_mm + 5)
    return closed(rng, "small_parcel", (extent_x, extent_y), parts, height, threat_kind)


PACKERS: dict[str, Callable[[Rng, str | None], Packed]] = {
    "envelope": envelope,
    "packet": packet,
    "document_parcel": document_parcel,
    "small_parcel": small_parcel,
}
"""How each kind of piece is packed."""
