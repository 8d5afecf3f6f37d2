"""Everyday things that people put into parcels and packets, drawn with varied size and make."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, pick, wander, whole


def phone(rng: Rng, at: Place) -> list[Part]:
    """A telephone: glass, frame, cell, board with chips."""
    length, width = between(rng, 135, 168), between(rng, 64, 79)
    parts = [
        at.slab("glass", 0, 0, length, width, between(rng, 1.0, 1.8), 8),
        at.slab("aluminium", 0, 0, length, width, between(rng, 0.5, 1.2), 8),
        at.slab("lithium_cell", -length * 0.08, width * 0.12, length * 0.55, width * 0.6, between(rng, 3.5, 5.0), 2),
        at.slab("circuit_board", length * 0.36, 0, length * 0.22, width * 0.86, 1.2),
        at.slab("circuit_board", 0, -width * 0.33, length * 0.7, width * 0.18, 1.0),
    ]
    for _ in range(whole(rng, 5, 12)):
        u, v = between(rng, 0.27, 0.44) * length, between(rng, -0.36, 0.36) * width
        parts.append(at.slab(pick(rng, ("silicon", "copper", "solder")), u, v, between(rng, 3, 11), between(rng, 3, 9), 0.4))
    parts += [at.disc("steel", length * 0.38, width * 0.3, between(rng, 4, 7), 1.5, 0.5) for _ in range(1)]
    return parts


def keys(rng: Rng, at: Place) -> list[Part]:
    """A ring of keys."""
    ring = between(rng, 9, 16)
    parts = [at.wire("steel", coil((0, 0), ring, ring, 1.0), 0.9)]
    for _ in range(whole(rng, 1, 5)):
        turn = between(rng, 0, 2 * math.pi)
        local = at.sub(ring * math.cos(turn), ring * math.sin(turn), turn)
        material = pick(rng, ("brass", "steel", "cupronickel"))
        thick, bow, blade = between(rng, 1.8, 2.6), between(rng, 9, 13), between(rng, 20, 34)
        parts.append(local.disc(material, bow * 0.8, 0, bow, thick, 0.3))
        teeth = [(bow * 1.6, -3.6), (bow * 1.6 + blade, -3.2)]
        teeth += [(bow * 1.6 + blade * (1 - step / 7), between(rng, 0.8, 4.0)) for step in range(8)]
        parts.append(local.plate(material, teeth, thick))
    return parts


def charger(rng: Rng, at: Place) -> list[Part]:
    """A wall charger: plastic box, transformer, board, pins."""
    length, width = between(rng, 38, 62), between(rng, 28, 48)
    core = between(rng, 10, 16)
    return [
        at.slab("abs", 0, 0, length, width, between(rng, 4, 5), 4),
        at.slab("ferrite", -length * 0.12, 0, core, core, between(rng, 6, 11)),
        at.wire("copper", coil((-length * 0.12, 0), core * 0.4, core * 0.4, 5, 0.25), 0.5),
        at.slab("circuit_board", 0, 0, length * 0.85, width * 0.8, 1.6),
        at.rod("aluminium", length * 0.25, width * 0.2, 11, 4),
        at.rod("aluminium", length * 0.25, -width * 0.22, 9, 3),
        at.rod("brass", -length * 0.5 - 8, 6, 17, 2.0),
        at.rod("brass", -length * 0.5 - 8, -6, 17, 2.0),
    ]


def cable(rng: Rng, at: Place) -> list[Part]:
    """A rolled-up USB cable with its plugs."""
    radius = between(rng, 22, 42)
    path = coil((0, 0), radius, radius * between(rng, 0.55, 1.0), between(rng, 1.8, 4.0), between(rng, -0.3, 0.3))
    end = at.sub(*path[-1], between(rng, 0, 3))
    return [
        at.wire("pvc", path, between(rng, 1.4, 2.0)),
        at.wire("copper", path, between(rng, 0.35, 0.55)),
        end.slab("steel", 6, 0, 12, 9, between(rng, 0.8, 1.4)),
        end.slab("abs", -6, 0, 18, 11, 4),
        at.sub(*path[0], 1.0).slab("steel", 5, 0, 9, 8, 0.9),
    ]


def power_bank(rng: Rng, at: Place) -> list[Part]:
    """A power bank: pouch or round cells, board."""
    length, width = between(rng, 90, 145), between(rng, 55, 75)
    parts = [
        at.slab(pick(rng, ("abs", "aluminium")), 0, 0, length, width, between(rng, 1.8, 3.0), 6),
        at.slab("circuit_board", length * 0.42, 0, length * 0.12, width * 0.85, 1.6),
        at.slab("steel", length * 0.46, width * 0.2, 9, 13, 1.0),
    ]
    if chance(rng, 0.5):
        parts.append(at.slab("lithium_cell", -length * 0.06, 0, length * 0.78, width * 0.85, between(rng, 7, 13), 2))
    else:
        count = whole(rng, 2, 3)
        for index in range(count):
            v = (index - (count - 1) / 2) * 20
            parts += [at.rod("lithium_cell", -length * 0.06, v, 65, 8.7), at.rod("steel", -length * 0.06, v, 65, 9, 8.7)]
    return parts


def book(rng: Rng, at: Place) -> list[Part]:
    """A book or notebook, sometimes spiral-bound."""
    length, width, thick = between(rng, 130, 235), between(rng, 95, 165), between(rng, 6, 34)
    parts = [
        at.slab("paper", 0, 0, length, width, thick),
        at.slab("cardboard", 0, 0, length + 4, width + 4, between(rng, 2, 5)),
    ]
    if chance(rng, 0.25):
        parts += [at.wire("steel", coil((length * (index / 28 - 0.5), width / 2), 2.2, 4.5, 1.0), 0.45) for index in range(1, 28)]
    return parts


def bottle(rng: Rng, at: Place) -> list[Part]:
    """A bottle of something harmless, lying: water, oil, medicine, perfume."""
    radius, length = between(rng, 15, 34), between(rng, 70, 190)
    wall = pick(rng, ("pet", "pe", "glass"), (0.5, 0.25, 0.25))
    shell = between(rng, 2.0, 3.2) if wall == "glass" else between(rng, 0.4, 0.9)
    liquid = pick(rng, ("water", "oil", "ethanol", "cream"))
    neck = radius * between(rng, 0.35, 0.5)
    return [
        at.rod(wall, 0, 0, length, radius, radius - shell),
        at.rod(liquid, -2, 0, length - 6, radius - shell),
        at.rod(wall, length / 2 + 9, 0, 18, neck, neck - shell),
        at.rod(pick(rng, ("pe", "aluminium")), length / 2 + 16, 0, 14, neck + 1.5, neck),
    ]


def coins(rng: Rng, at: Place) -> list[Part]:
    """Loose coins, some stacked, or a medal."""
    parts = []
    for _ in range(whole(rng, 2, 12)):
        material = pick(rng, ("cupronickel", "brass", "steel"))
        parts.append(at.disc(material, between(rng, -26, 26), between(rng, -20, 20), between(rng, 9, 14), between(rng, 1.5, 2.2)))
    return parts


def medal(rng: Rng, at: Place) -> list[Part]:
    """A medal with its ribbon in a box."""
    radius = between(rng, 15, 24)
    star = []
    for index in range(10):
        reach = radius * (1.0 if index % 2 == 0 else 0.45)
        star.append((reach * math.sin(index * math.pi / 5), reach * math.cos(index * math.pi / 5)))
    return [
        at.slab("abs", 0, 8, 62, 96, 4, 3),
        at.plate(pick(rng, ("brass", "silver", "copper")), star, between(rng, 2, 3.2)),
        at.disc("brass", 0, 0, radius * 0.6, 1.2),
        at.slab("textile", 0, 38, 34, 44, 2),
        at.wire("steel", [(-12, 40), (12, 40)], 0.6),
    ]


def earphones(rng: Rng, at: Place) -> list[Part]:
    """Wired earphones, tangled."""
    path = wander(rng, (-38, 0), (38, between(rng, -22, 22)), 24, 22)
    other = wander(rng, path[12], (30, -28), 14, 14)
    parts = [at.wire("pvc", way, 0.9) for way in (path, other)]
    parts += [at.wire("copper", way, 0.22) for way in (path, other)]
    for u, v in (path[-1], other[-1]):
        parts += [at.disc("abs", u, v, 7.5, 8), at.disc("magnet", u, v, 4.5, 2.2)]
    parts.append(at.rod("brass", path[0][0] - 9, path[0][1], 16, 1.75))
    return parts


def pens(rng: Rng, at: Place) -> list[Part]:
    """Pens with metal clip, spring and refill."""
    parts = []
    for index in range(whole(rng, 1, 4)):
        local = at.sub(between(rng, -6, 6), index * 13 - 16, between(rng, -0.15, 0.15))
        parts += [
            local.rod(pick(rng, ("abs", "aluminium", "brass")), 0, 0, 138, 5, 4),
            local.rod("pe", 0, 0, 115, 1.6, 0.8),
            local.rod("steel", -62, 0, 18, 2.2, 1.8),
            local.slab("steel", 45, 0, 38, 3, 0.8),
            local.rod("brass", -66, 0, 11, 2.2),
        ]
    return parts


def stamp(rng: Rng, at: Place) -> list[Part]:
    """An office stamp: wooden handle, brass collar, rubber face."""
    face = between(rng, 15, 21)
    return [
        at.rod("wood", 22, 0, 62, between(rng, 9, 13)),
        at.rod("brass", -6, 0, 9, face * 0.7),
        at.rod("rubber", -16, 0, 6, face),
        at.rod("wood", -11, 0, 6, face),
    ]


def spectacles(rng: Rng, at: Place) -> list[Part]:
    """Spectacles folded in a case."""
    lens = between(rng, 21, 26)
    wire = between(rng, 0.6, 1.1)
    frame = pick(rng, ("steel", "brass", "abs"))
    parts = [at.slab("pvc", 0, 0, 162, 62, 3.2, 14)]
    for side in (-1.0, 1.0):
        parts += [
            at.oval("polycarbonate", side * (lens + 8), 0, lens, lens * 0.72, 2.0),
            at.wire(frame, coil((side * (lens + 8), 0), lens, lens * 0.72, 1.0), wire),
            at.wire(frame, [(side * 62, 8), (-side * 58, 12 + side * 4)], wire),
        ]
    parts.append(at.wire(frame, [(-8, 3), (8, 3)], wire))
    return parts


def watch(rng: Rng, at: Place) -> list[Part]:
    """A wrist watch."""
    radius = between(rng, 15, 21)
    parts = [
        at.disc("steel", 0, 0, radius, between(rng, 2, 4), 0.72),
        at.disc("brass", 0, 0, radius * 0.75, between(rng, 1.2, 2.6)),
        at.disc("alkaline_cell", radius * 0.3, radius * 0.2, 4.5, 2.0),
        at.disc("glass", 0, 0, radius * 0.85, 1.5),
    ]
    if chance(rng, 0.5):
        for side in (-1.0, 1.0):
            parts += [at.slab("steel", side * (radius + 5 + 7 * index), 0, 5.6, 18, 2.6) for index in range(8)]
    else:
        parts += [at.slab("leather", side * (radius + 35), 0, 70, 20, 3) for side in (-1.0, 1.0)]
    return parts


def food(rng: Rng, at: Place) -> list[Part]:
    """Biscuits in a tin or sachets of coffee, milk, sugar in a neat row."""
    if chance(rng, 0.45):
        radius = between(rng, 45, 62)
        parts = [
            at.disc("steel", 0, 0, radius + 1, 50, (radius - 0.2) / (radius + 1)),
            at.disc("steel", 0, 0, radius, 0.5),
        ]
        for index in range(6):
            turn = index * math.pi / 3
            parts.append(
                at.disc("food", radius * 0.58 * math.cos(turn), radius * 0.58 * math.sin(turn), radius * 0.27, between(rng, 14, 30))
            )
        return parts
    material = pick(rng, ("sugar", "milk_powder", "tea", "food"))
    count, length = whole(rng, 4, 9), between(rng, 80, 120)
    parts = []
    for index in range(count):
        v = (index - (count - 1) / 2) * 21
        parts += [
            at.oval(material, 0, v, length * 0.46, 9.2, between(rng, 5, 9), dome=True),
            at.slab("pe", 0, v, length, 19.5, 0.12),
        ]
    return parts


def clothes(rng: Rng, at: Place) -> list[Part]:
    """Folded clothes with buttons or a zip."""
    length, width = between(rng, 160, 260), between(rng, 130, 210)
    parts = [
        at.slab("textile", 0, 0, length, width, between(rng, 8, 22), 12),
        at.slab("textile", between(rng, -20, 20), between(rng, -15, 15), length * 0.7, width * 0.7, between(rng, 4, 12), 12),
    ]
    if chance(rng, 0.6):
        parts += [at.disc("abs", -length * 0.4 + index * 24, 6, 5.5, 2.2) for index in range(6)]
    else:
        parts.append(at.wire("brass", wander(rng, (-length * 0.42, 10), (length * 0.4, -8), 6), 1.5))
    return parts


def cosmetics(rng: Rng, at: Place) -> list[Part]:
    """A tube of cream and a small jar."""
    return [
        at.oval("cream", -8, -24, 52, 18, between(rng, 16, 26), dome=True),
        at.slab("pe", -8, -24, 110, 38, 0.9),
        at.rod("pe", 52, -24, 22, 12, 6),
        at.disc("glass", 0, 30, 24, between(rng, 5, 9)),
        at.disc("cream", 0, 30, 19, between(rng, 10, 18)),
        at.disc("abs", 0, 30, 25, 3),
    ]


def calculator(rng: Rng, at: Place) -> list[Part]:
    """A pocket calculator or remote control with its cells."""
    length, width = between(rng, 115, 165), between(rng, 55, 82)
    parts = [
        at.slab("abs", 0, 0, length, width, 3.6, 5),
        at.slab("circuit_board", 6, 0, length * 0.75, width * 0.85, 1.2),
        at.slab("glass", length * 0.34, 0, length * 0.16, width * 0.75, 1.6),
    ]
    parts += [at.slab("silicon", between(rng, -20, 30), between(rng, -18, 18), 9, 9, 0.8) for _ in range(2)]
    for side in (-1.0, 1.0):
        parts.append(at.rod("alkaline_cell", -length * 0.3, side * 8, 44, 5.1))
    return parts


def usb_sticks(rng: Rng, at: Place) -> list[Part]:
    """Memory sticks or a hard disk of a document set."""
    if chance(rng, 0.4):
        return [
            at.slab("aluminium", 0, 0, 112, 76, between(rng, 2.5, 5), 3),
            at.disc("aluminium", 10, 0, 33, 1.6, 0.3),
            at.disc("magnet", -36, 20, 10, 3),
            at.slab("circuit_board", -18, 0, 60, 62, 1.4),
        ]
    parts = []
    for index in range(whole(rng, 1, 3)):
        local = at.sub(between(rng, -15, 15), index * 24 - 22, between(rng, -0.6, 0.6))
        parts += [
            local.slab("abs", 0, 0, 42, 17, 3, 2),
            local.slab("circuit_board", 2, 0, 34, 13, 1.2),
            local.slab("silicon", -4, 0, 14, 11, 1),
            local.slab("steel", 27, 0, 14, 12, 0.7),
        ]
    return parts


def crystal(rng: Rng, at: Place) -> list[Part]:
    """A glass or ceramic keepsake, a cup."""
    radius = between(rng, 28, 42)
    if chance(rng, 0.5):
        return [at.disc("ceramic", 0, 0, radius, between(rng, 50, 80), 0.9), at.disc("ceramic", 0, 0, radius, 5)]
    return [
        at.oval("glass", 0, 0, radius, radius * 0.7, between(rng, 15, 36), dome=True),
        at.slab("wood", -radius, 0, 18, radius * 1.2, 22),
    ]


def padlock_and_tools(rng: Rng, at: Place) -> list[Part]:
    """A padlock, spanner or bolts: dense but ordinary."""
    if chance(rng, 0.5):
        return [
            at.slab("brass", 0, 0, 36, 40, between(rng, 9, 15), 3),
            at.wire("steel", [(14, -13), (32, -13), (39, -7), (40, 0), (39, 7), (32, 13), (14, 13)], 3.2),
        ]
    parts = [at.slab("steel", 0, 0, between(rng, 70, 120), 9, 3.5)]
    parts += [at.disc("steel", between(rng, -50, 50), between(rng, 12, 32), 5, 8) for _ in range(whole(rng, 2, 7))]
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """How one everyday thing is drawn, the room it needs (`reach_mm` about its centre) and its height."""

    draw: Callable[[Rng, Place], list[Part]]
    reach_mm: float
    height_mm: float


EVERYDAY = {
    "phone": Item(draw=phone, reach_mm=85, height_mm=10),
    "keys": Item(draw=keys, reach_mm=60, height_mm=8),
    "charger": Item(draw=charger, reach_mm=48, height_mm=28),
    "cable": Item(draw=cable, reach_mm=55, height_mm=14),
    "power bank": Item(draw=power_bank, reach_mm=74, height_mm=22),
    "book": Item(draw=book, reach_mm=120, height_mm=30),
    "bottle": Item(draw=bottle, reach_mm=110, height_mm=66),
    "coins": Item(draw=coins, reach_mm=40, height_mm=6),
    "medal": Item(draw=medal, reach_mm=60, height_mm=22),
    "earphones": Item(draw=earphones, reach_mm=55, height_mm=14),
    "pens": Item(draw=pens, reach_mm=72, height_mm=12),
    "stamp": Item(draw=stamp, reach_mm=55, height_mm=40),
    "spectacles": Item(draw=spectacles, reach_mm=85, height_mm=40),
    "watch": Item(draw=watch, reach_mm=80, height_mm=14),
    "food": Item(draw=food, reach_mm=90, height_mm=50),
    "clothes": Item(draw=clothes, reach_mm=125, height_mm=40),
    "cosmetics": Item(draw=cosmetics, reach_mm=65, height_mm=50),
    "calculator": Item(draw=calculator, reach_mm=84, height_mm=20),
    "memory sticks": Item(draw=usb_sticks, reach_mm=60, height_mm=12),
    "crystal": Item(draw=crystal, reach_mm=60, height_mm=80),
    "tools": Item(draw=padlock_and_tools, reach_mm=62, height_mm=18),
}
"""Every everyday thing by name."""
