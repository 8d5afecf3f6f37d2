"""Metal things that are allowed: tools without an edge, cutlery, locks, magnets, jewellery, fittings, blunt scissors."""

import math

from firmware_sims.body import Part
from firmware_sims.mail_items import Item
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, pick, whole


def spanner(rng: Rng, at: Place) -> list[Part]:
    """Open-ended or ring spanners, one or a set."""
    parts = []
    for index in range(whole(rng, 1, 4)):
        local = at.sub(between(rng, -4, 4), index * 22 - 26, between(rng, -0.12, 0.12))
        length, head = between(rng, 85, 190), between(rng, 9, 16)
        thick = between(rng, 3.5, 6.5)
        jaw = [(0, -head), (head * 1.7, -head * 0.9), (head * 1.8, -head * 0.4), (head * 0.6, -head * 0.4)]
        jaw += [(head * 0.6, head * 0.4), (head * 1.8, head * 0.4), (head * 1.7, head * 0.9), (0, head)]
        parts += [
            local.slab("steel", 0, 0, length * 0.8, head * 0.9, thick * 0.7),
            local.sub(length * 0.4, 0, 0.25).plate("steel", jaw, thick),
            local.disc("steel", -length * 0.45, 0, head, thick * 1.2, 0.55),
        ]
    return parts


def screwdriver(rng: Rng, at: Place) -> list[Part]:
    """Screwdrivers: steel shaft in a plastic handle."""
    parts = []
    for index in range(whole(rng, 1, 5)):
        local = at.sub(between(rng, -5, 5), index * 24 - 34, between(rng, -0.1, 0.1) + (math.pi if chance(rng, 0.4) else 0))
        shaft, radius, grip = between(rng, 60, 120), between(rng, 1.8, 3.6), between(rng, 7, 14)
        parts += [
            local.rod("steel", 20, 0, shaft + 40, radius),
            local.rod(pick(rng, ("abs", "wood", "nylon")), -shaft / 2 - 20, 0, between(rng, 70, 100), grip, radius),
            local.slab("steel", shaft / 2 + 42, 0, 8, radius * 2.4, 1.0),
        ]
    return parts


def pliers(rng: Rng, at: Place) -> list[Part]:
    """Pliers with plastic sleeves."""
    parts: list[Part] = []
    thick = between(rng, 7, 10)
    for side in (-1.0, 1.0):
        jaw = [(0, side * 2), (45, side * 0.5), (48, side * 6), (18, side * 14), (0, side * 12), (-14, side * 9), (-14, 0)]
        grip = [
            (-10, side * 4),
            (-106, side * 20),
            (-114, side * 25),
            (-116, side * 31),
            (-110, side * 36),
            (-100, side * 35),
            (-12, side * 14),
        ]
        parts += [at.plate("steel", jaw, thick), at.plate("steel", grip, thick * 0.6), at.plate("pvc", grip[1:], thick * 1.2)]
    return [*parts, at.disc("steel", -2, 0, 8, thick + 3)]


def blunt_scissors(rng: Rng, at: Place) -> list[Part]:
    """School scissors with round tips: two plates on a pivot, plastic rings."""
    length, opened = between(rng, 55, 85), between(rng, 0.0, 0.25)
    parts = []
    for side in (-1.0, 1.0):
        local = at.sub(0, 0, side * opened)
        parts += [
            local.slab("stainless", length / 2, 0, length, between(rng, 9, 13), between(rng, 0.9, 1.3), 5),
            local.slab("stainless", -18, -side * 6, 36, 8, 1.3),
            local.oval("abs", -52, -side * 17, 26, 15, 7, 0.62),
        ]
    return [*parts, at.disc("steel", 0, 0, 4, 4)]


def tape_measure(rng: Rng, at: Place) -> list[Part]:
    """A steel tape rolled in a plastic case, with its spring and hook."""
    radius = between(rng, 21, 33)
    return [
        at.slab("abs", 0, 0, radius * 2.3, radius * 2.2, between(rng, 4, 6), 10),
        at.disc("steel", 0, 0, radius * 0.95, between(rng, 12, 22), 0.62),
        at.disc("steel", 0, 0, radius * 0.5, between(rng, 5, 9), 0.25),
        at.slab("steel", radius * 1.2, radius, 6, 18, 1.2),
    ]


def cutlery(rng: Rng, at: Place) -> list[Part]:
    """Spoons, forks and round-ended table knives, in a bundle."""
    parts = []
    for index in range(whole(rng, 2, 7)):
        local = at.sub(between(rng, -8, 8), index * 11 - 32, between(rng, -0.12, 0.12))
        thick = between(rng, 1.4, 2.6)
        parts.append(local.slab("stainless", -35, 0, between(rng, 100, 130), between(rng, 6, 11), thick, 3))
        form = pick(rng, ("spoon", "fork", "table knife"))
        if form == "spoon":
            parts.append(local.oval("stainless", 48, 0, between(rng, 22, 33), between(rng, 13, 20), thick))
        elif form == "fork":
            parts.append(local.slab("stainless", 30, 0, 22, 22, thick, 5))
            parts += [local.slab("stainless", 58, tine * 6.3 - 9.5, 42, 2.8, thick) for tine in range(4)]
        else:
            parts.append(local.slab("stainless", 62, 0, 90, 17, 1.2, 8))
    return parts


def padlock(rng: Rng, at: Place) -> list[Part]:
    """A padlock with keys, or a door lock with its cylinder."""
    width, height = between(rng, 28, 62), between(rng, 28, 55)
    body = pick(rng, ("brass", "steel", "zinc_alloy"))
    bow = [(height / 2, -width * 0.32), (height, -width * 0.32), (height * 1.25, 0), (height, width * 0.32), (height / 2, width * 0.32)]
    parts = [at.slab(body, 0, 0, height, width, between(rng, 9, 20), 3), at.wire("steel", bow, between(rng, 2.2, 4.5))]
    parts += [at.rod("brass", -height * 0.1, 0, height * 0.7, between(rng, 5, 8))]
    for index in range(whole(rng, 0, 3)):
        local = at.sub(-height - 14, index * 10 - 10, between(rng, -0.4, 0.4))
        parts += [local.disc("brass", -12, 0, 10, 2.2, 0.3), local.slab("brass", 8, 0, 28, 7, 2.2)]
    return parts


def magnets(rng: Rng, at: Place) -> list[Part]:
    """Refrigerator magnets or a stack of strong ones."""
    if chance(rng, 0.5):
        radius = between(rng, 6, 16)
        return [at.rod("magnet", 0, 0, between(rng, 12, 46), radius), at.disc("steel", between(rng, 20, 34), 12, radius, 2)]
    parts = []
    for _ in range(whole(rng, 2, 6)):
        local = at.sub(between(rng, -38, 38), between(rng, -30, 30), between(rng, 0, 3))
        parts += [
            local.slab(pick(rng, ("plaster", "abs", "ceramic")), 0, 0, between(rng, 26, 52), between(rng, 20, 40), between(rng, 3, 7), 5),
            local.disc("magnet", 0, 0, between(rng, 4, 9), 3),
        ]
    return parts


def jewellery(rng: Rng, at: Place) -> list[Part]:
    """A chain, rings and a bracelet in a box."""
    metal = pick(rng, ("gold", "silver", "brass", "silver"))
    radius = between(rng, 14, 30)
    path = coil((0, 4), radius, radius * between(rng, 0.5, 0.9), between(rng, 1.5, 3), between(rng, -0.4, 0.2))
    parts = [at.slab("cardboard", 0, 0, 92, 78, 3, 3), at.slab("foam", 0, 0, 80, 66, 14), at.wire(metal, path, between(rng, 0.4, 1.1))]
    for _ in range(whole(rng, 0, 4)):
        u, v, ring = between(rng, -28, 28), between(rng, -22, 22), between(rng, 8, 11)
        parts.append(at.disc(metal, u, v, ring, between(rng, 1.5, 4), 0.82))
        if chance(rng, 0.5):
            parts.append(at.oval("glass", u + ring, v, 3.2, 3.2, 5, dome=True))
    return parts


def fittings(rng: Rng, at: Place) -> list[Part]:
    """Screws, nuts, hinges, a tap or pipe fitting: a bag of dense small things."""
    parts = []
    for _ in range(whole(rng, 4, 16)):
        local = at.sub(between(rng, -38, 38), between(rng, -34, 34), between(rng, 0, 6.28))
        radius = between(rng, 1.6, 4.0)
        form = pick(rng, ("screw", "nut", "hinge"), (3, 2, 0.6))
        metal = pick(rng, ("steel", "brass", "stainless"))
        if form == "screw":
            parts += [local.rod(metal, 0, 0, between(rng, 16, 48), radius), local.rod(metal, -between(rng, 10, 25), 0, 3, radius * 2)]
        elif form == "nut":
            parts.append(local.disc(metal, 0, 0, radius * 2.4, radius * 1.8, 0.52))
        else:
            parts += [local.slab(metal, 0, 0, 60, 36, 1.8), local.rod(metal, 0, 0, 60, 3.6)]
    if chance(rng, 0.4):
        parts += [at.rod("brass", 0, 0, between(rng, 40, 75), between(rng, 10, 14), 7), at.rod("zinc_alloy", 0, 0, 24, 17, 9, math.pi / 2)]
    return parts


def dumb_bell(rng: Rng, at: Place) -> list[Part]:
    """A weight, a bearing, a counter-weight, a metal figure: one compact dense block."""
    metal = pick(rng, ("steel", "zinc_alloy", "brass", "stone"))
    form = pick(rng, ("disc", "figure", "block"))
    if form == "disc":
        return [at.disc(metal, 0, 0, between(rng, 22, 44), between(rng, 12, 28), between(rng, 0.2, 0.5))]
    if form == "block":
        return [at.slab(metal, 0, 0, between(rng, 34, 80), between(rng, 28, 52), between(rng, 12, 34), 4)]
    return [
        at.slab(metal, -34, 0, 16, 52, 30, 3),
        at.oval(metal, 0, 0, 34, between(rng, 13, 22), between(rng, 18, 34), dome=True),
        at.oval(metal, 40, 0, between(rng, 10, 15), 12, 22, dome=True),
    ]


TOOLS = {
    "spanner": Item(draw=spanner, reach_mm=110, height_mm=20),
    "screwdriver": Item(draw=screwdriver, reach_mm=125, height_mm=30),
    "pliers": Item(draw=pliers, reach_mm=122, height_mm=14),
    "blunt scissors": Item(draw=blunt_scissors, reach_mm=92, height_mm=10),
    "tape measure": Item(draw=tape_measure, reach_mm=52, height_mm=32),
    "cutlery": Item(draw=cutlery, reach_mm=112, height_mm=20),
    "padlock": Item(draw=padlock, reach_mm=75, height_mm=22),
    "magnets": Item(draw=magnets, reach_mm=60, height_mm=30),
    "jewellery": Item(draw=jewellery, reach_mm=56, height_mm=24),
    "fittings": Item(draw=fittings, reach_mm=68, height_mm=34),
    "weight": Item(draw=dumb_bell, reach_mm=58, height_mm=34),
}
"""Metal things by name."""
