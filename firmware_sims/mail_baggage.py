"""Cluttered bags and cases up to 450 mm long: handles, frames, zips, wheels, layered clothes, shoes, electronics, dense blocks.

No mail: drawn on request alone, for training and measuring against what baggage scanners see.
"""

import math

from firmware_sims.body import Part
from firmware_sims.mail_catalogue import THINGS
from firmware_sims.mail_covers import BELT_WIDTH_MM, LONGEST_MM, Packed, closed, laid_frame
from firmware_sims.mail_household import rough
from firmware_sims.mail_layout import Place, Rng, between, chance, pick, wander, whole
from firmware_sims.mail_packing import Room, hidden, things


def _case(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """A hard case: shell with ribs, telescopic handle, wheels with axles, latches."""
    shell = pick(rng, ("polycarbonate", "abs", "aluminium"), (2, 2, 0.6))
    thick = between(rng, 2, 4) if shell != "aluminium" else between(rng, 1.4, 2.2)
    parts = [at.slab(shell, 0, 0, length, width, thick, 25)]
    parts += [at.slab(shell, 0, (index - 3) * width / 7.5, length * 0.94, 5, between(rng, 1, 2.5), 2) for index in range(7)]
    parts += [at.slab(shell, side * (length / 2 - 3), 0, 6, width * 0.92, between(rng, 14, 34)) for side in (-1.0, 1.0)]
    parts += [at.slab(shell, 0, side * (width / 2 - 3), length * 0.92, 6, between(rng, 14, 34)) for side in (-1.0, 1.0)]
    parts += _handle(rng, at, length, width)
    for side in (-1.0, 1.0):
        hub = at.sub(length / 2 - 18, side * (width / 2 - 26))
        parts += [hub.rod("rubber", 0, 0, 16, between(rng, 14, 22), 8, math.pi / 2), hub.rod("steel", 0, 0, 34, 3, turn=math.pi / 2)]
        parts += [hub.slab("abs", -6, 0, 34, 36, 6, 6), hub.rod("steel", 10, 6, 12, 2), hub.rod("steel", -10, 6, 12, 2)]
    return parts


def _handle(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """Two telescopic tubes with their cross piece, screws and springs."""
    gauge, wall = between(rng, 5, 8), between(rng, 0.8, 1.5)
    metal, apart = pick(rng, ("aluminium", "steel")), width * between(rng, 0.14, 0.24)
    parts: list[Part] = []
    for side in (-1.0, 1.0):
        parts += [
            at.rod(metal, 0, side * apart, length * 0.92, gauge, gauge - wall),
            at.rod(metal, -length * 0.1, side * apart, length * 0.7, gauge - 2, gauge - 2 - wall),
        ]
        parts += [at.rod("steel", length * share, side * apart, 9, 1.8, turn=math.pi / 2) for share in (-0.42, 0.0, 0.43)]
    return [*parts, at.rod("abs", -length * 0.46, 0, apart * 2.2, 11, 4, math.pi / 2)]


def _bag(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """A soft bag: cloth with folds, zips with teeth and pullers, straps with buckles, a wire or rod frame."""
    parts = [rough(rng, at.slab("textile", 0, 0, length, width, between(rng, 2, 6), 20), 0.2, 12)]
    if chance(rng, 0.5):
        parts.append(at.slab(pick(rng, ("pe", "foam", "cardboard")), 0, 0, length * 0.86, width * 0.86, between(rng, 2, 6), 10))
    for _ in range(whole(rng, 1, 3)):
        v = between(rng, -0.45, 0.45) * width
        path = wander(rng, (-length * 0.45, v), (length * 0.45, v + between(rng, -20, 20)), 8, 14)
        metal = pick(rng, ("brass", "nylon", "aluminium"))
        parts += [at.wire(metal, path, 1.8), at.wire("textile", path, 4.0), at.sub(*path[-2]).slab("zinc_alloy", 0, 0, 24, 8, 2.2)]
    for _ in range(whole(rng, 1, 3)):
        path = wander(rng, (-length * 0.5, between(rng, -0.4, 0.4) * width), (length * 0.5, between(rng, -0.4, 0.4) * width), 40, 14)
        parts.append(at.wire("nylon", path, between(rng, 2, 5)))
        buckle = at.sub(*path[whole(rng, 2, 11)], between(rng, 0, 3))
        metal = pick(rng, ("zinc_alloy", "steel", "nylon"))
        parts += [
            buckle.oval(metal, 0, 0, between(rng, 14, 22), between(rng, 11, 18), between(rng, 3, 5), 0.72),
            buckle.slab(metal, 0, 0, 4, 30, 3),
        ]
    if chance(rng, 0.5):
        inset = [(u * (length / 2 - 10), v * (width / 2 - 10)) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
        parts.append(at.wire(pick(rng, ("steel", "nylon")), inset, between(rng, 1.2, 2.6)))
    return parts + (_handle(rng, at, length, width) if chance(rng, 0.3) else [])


def baggage_like(rng: Rng, threat_kind: str | None) -> Packed:
    """A bag or case full of things that lie over one another in any way."""
    length, width = between(rng, 270, 445), between(rng, 200, 375)
    at, extent_x, extent_y = laid_frame(rng, length, width)
    height = between(rng, 110, 240)
    parts = _case(rng, at, length, width) if chance(rng, 0.45) else _bag(rng, at, length, width)
    room = Room(at=at, half_mm=(length / 2 - 10, width / 2 - 10), height_mm=height)
    soft, _ = things(rng, room, ("clothes", "scarf"), whole(rng, 1, 4))
    parts += soft
    names = tuple(THINGS)
    added, places = things(rng, room, names, whole(rng, 5, 12) if threat_kind is None else whole(rng, 4, 11))
    dense, dense_places = things(
        rng, room, ("weight", "hard disk", "camera", "padlock", "adapter", "board", "tin", "shoe"), whole(rng, 1, 3)
    )
    parts += [*added, *dense]
    if threat_kind is not None:
        parts += hidden(rng, room, threat_kind, [*places, *dense_places])
    extent = (min(extent_x, LONGEST_MM), min(extent_y, BELT_WIDTH_MM))
    return closed(rng, "baggage_like", extent, parts, height, threat_kind)
