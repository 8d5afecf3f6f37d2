"""Soft and household things: food, cosmetics, medicine, toys, shoes, crockery, umbrellas, candles, textiles."""

import math

from firmware_sims.body import Part
from firmware_sims.mail_items import Item
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, pick, wander, whole
from firmware_sims.textures import Uneven


def rough(rng: Rng, part: Part, amount: float, grain_mm: float, density: float = 1.0) -> Part:
    """The part, uneven by `amount` over `grain_mm`."""
    shape = Uneven(shape=part.shape, density=density, amount=amount, grain_mm=grain_mm, seed=int(rng.integers(2**31)))
    return Part(material=part.material, shape=shape, sign=part.sign, threat=part.threat)


def tin(rng: Rng, at: Place) -> list[Part]:
    """A tin of fish, meat or fruit, lying or standing: steel wall with beads, wet food, lid with ring."""
    wall = pick(rng, ("steel", "aluminium"), (2, 1))
    filling = pick(rng, ("food", "water", "fruit", "oil"))
    radius, height = between(rng, 30, 52), between(rng, 28, 90)
    if chance(rng, 0.5):
        thick = 0.25 if wall == "steel" else 0.3
        parts = [at.disc(wall, 0, 0, radius, height, 1 - thick / radius), at.disc(wall, 0, 0, radius, 2 * thick)]
        parts += [at.disc(wall, 0, 0, radius * share, 0.5, 0.96) for share in (0.85, 0.7)]
        return [*parts, rough(rng, at.disc(filling, 0, 0, radius - 0.4, height - 6), 0.08, 9)]
    parts = [at.rod(wall, 0, 0, height, radius, radius - 0.25), rough(rng, at.rod(filling, 0, 0, height - 6, radius - 0.4), 0.06, 9)]
    return [*parts, *[at.rod(wall, side * height / 2, 0, 1.6, radius + 1, radius - 1) for side in (-1.0, 1.0)]]


def fruit(rng: Rng, at: Place) -> list[Part]:
    """Fruit or eggs: round, wet, with stones or shells."""
    parts = []
    radius = between(rng, 20, 38)
    for index in range(whole(rng, 1, 5)):
        turn = index * 1.3 + between(rng, 0, 0.6)
        u, v = (0.0, 0.0) if index == 0 else (radius * 1.8 * math.cos(turn), radius * 1.8 * math.sin(turn))
        one = radius * between(rng, 0.85, 1.1)
        parts.append(at.oval("fruit", u, v, one, one * between(rng, 0.8, 1.0), one * 1.9, dome=True))
        if chance(rng, 0.6):
            parts.append(at.oval("wood", u, v, one * 0.3, one * 0.22, one * 0.5, dome=True))
    return parts


def noodles(rng: Rng, at: Place) -> list[Part]:
    """Instant noodles: a waved block with sachets of oil and spice."""
    length, width = between(rng, 90, 130), between(rng, 80, 105)
    parts = [
        rough(rng, at.slab("noodles", 0, 0, length, width, between(rng, 22, 42), 12), 0.22, 2.6),
        at.slab("pe", 0, 0, length + 24, width + 8, 0.12),
    ]
    return [
        *parts,
        at.oval(pick(rng, ("salt", "sugar")), length * 0.2, 12, 26, 16, 4, dome=True),
        at.oval("oil", -length * 0.2, -10, 24, 15, 5, dome=True),
        at.slab("aluminium", -length * 0.2, -10, 52, 34, 0.03),
    ]


def sweets(rng: Rng, at: Place) -> list[Part]:
    """Wrapped sweets, chocolate bars, biscuits in rows."""
    if chance(rng, 0.4):
        length, width = between(rng, 120, 190), between(rng, 70, 90)
        parts = [at.slab("sugar", 0, 0, length, width, between(rng, 5, 9)), at.slab("aluminium", 0, 0, length + 6, width + 6, 0.03)]
        return [
            *parts,
            *[
                at.slab("sugar", (index % 6 - 2.5) * length / 6, (index // 6 - 1) * width / 3, length / 7.5, width / 4, 3)
                for index in range(18)
            ],
        ]
    size = between(rng, 8, 14)
    parts = []
    for _ in range(whole(rng, 10, 30)):
        u, v = between(rng, -58, 58), between(rng, -46, 46)
        parts.append(at.oval("sugar", u, v, size, size * 0.75, size * 1.3, dome=True))
    return [*parts, at.slab("pe", 0, 0, 140, 112, 0.1)]


def lipsticks(rng: Rng, at: Place) -> list[Part]:
    """Lipsticks and mascara: metal sleeve, wax core, brush wire."""
    parts = []
    for index in range(whole(rng, 1, 5)):
        local = at.sub(between(rng, -6, 6), index * 21 - 30, between(rng, -0.15, 0.15))
        length, radius = between(rng, 65, 110), between(rng, 8, 10)
        parts += [
            local.rod(pick(rng, ("abs", "aluminium", "brass")), 0, 0, length, radius, radius - 1.2),
            local.rod("paraffin" if chance(rng, 0.6) else "cream", length * 0.1, 0, length * 0.55, radius - 2.5),
            local.rod("steel", -length * 0.3, 0, 14, radius - 1.4, radius - 2.0),
        ]
        if chance(rng, 0.3):
            parts.append(local.wire("steel", [(-10 + 2.5 * step, 2.5 if step % 2 else -2.5) for step in range(12)], 0.25))
    return parts


def compact(rng: Rng, at: Place) -> list[Part]:
    """Compact powder with its mirror; an eye-shadow palette."""
    if chance(rng, 0.5):
        radius = between(rng, 28, 38)
        return [
            at.disc("abs", 0, 0, radius, between(rng, 4, 7)),
            at.disc("aluminium", 0, 0, radius * 0.8, 0.4),
            at.disc("make_up", 0, 0, radius * 0.78, between(rng, 2, 4)),
            at.disc("glass", 0, 0, radius * 0.82, 1.2),
        ]
    parts = [at.slab("abs", 0, 0, 120, 66, 5, 4), at.slab("glass", 0, 0, 104, 54, 1.2)]
    for index in range(8):
        u, v = (index % 4 - 1.5) * 27, (index // 4 - 0.5) * 27
        parts += [at.disc("aluminium", u, v, 12, 0.4), at.disc("make_up", u, v, 11.5, between(rng, 1.5, 3.5))]
    return parts


def cream_tube(rng: Rng, at: Place) -> list[Part]:
    """Tubes of cream or toothpaste, some of aluminium."""
    parts = []
    for index in range(whole(rng, 1, 3)):
        local = at.sub(0, index * 42 - 42, between(rng, -0.15, 0.15))
        length, width, thick = between(rng, 90, 150), between(rng, 15, 22), between(rng, 14, 28)
        skin = pick(rng, ("pe", "aluminium"))
        parts += [
            local.oval("cream", 0, 0, length / 2, width, thick, dome=True),
            local.slab(skin, 0, 0, length, width * 2, 0.8 if skin == "pe" else 0.24),
            local.rod("pe", length / 2 + 10, 0, 20, width * 0.7, width * 0.4),
        ]
    return parts


def spray(rng: Rng, at: Place) -> list[Part]:
    """A harmless spray: thin aluminium can, light liquid, dip tube, valve, cap."""
    radius, length = between(rng, 12, 19), between(rng, 90, 150)
    return [
        at.rod("aluminium", 0, 0, length, radius, radius - 0.4),
        at.rod(pick(rng, ("water", "ethanol")), -length * 0.12, 0, length * 0.66, radius - 0.5),
        at.rod("pe", 4, 0, length * 0.86, 2, 1.2),
        at.rod("steel", length / 2, 0, 6, 6, 2),
        at.rod("pe", length / 2 + 14, 0, 30, radius * 0.9, radius * 0.9 - 1.4),
    ]


def blisters(rng: Rng, at: Place) -> list[Part]:
    """Blisters of tablets, a glass of pills."""
    parts: list[Part] = []
    for layer in range(whole(rng, 1, 4)):
        local = at.sub(between(rng, -8, 8), between(rng, -8, 8), 0.06 * layer + (1.57 if chance(rng, 0.3) else 0))
        size = between(rng, 3.2, 5.5)
        parts += [local.slab("pvc", 0, 0, 96, 40, 0.25, 3), local.slab("aluminium", 0, 0, 96, 40, 0.025, 3)]
        for index in range(whole(rng, 10, 14)):
            u, v = (index % 5 - 2) * 18, (index // 5 - 0.5) * 15
            parts.append(local.oval("tablet", u, v, size * 1.3, size, between(rng, 3, 5)))
    return parts


def soft_toy(rng: Rng, at: Place) -> list[Part]:
    """A stuffed toy with eyes and perhaps a squeaker or voice box."""
    size = between(rng, 40, 62)
    parts = [rough(rng, at.oval("textile", 0, 0, size, size * 0.8, size * 0.6, dome=True), 0.15, 8, 0.4)]
    parts.append(rough(rng, at.oval("textile", size * 1.1, 0, size * 0.55, size * 0.55, size * 0.5, dome=True), 0.15, 8, 0.4))
    for side in (-1.0, 1.0):
        parts += [
            at.disc("abs", size * 1.3, side * 12, 5, 5),
            at.oval("textile", -size * 0.5, side * size * 0.7, size * 0.5, 16, 20, dome=True),
        ]
    if chance(rng, 0.4):
        parts += [at.disc("abs", 0, 0, 18, 5), at.disc("magnet", 0, 0, 7, 3), *[at.disc("alkaline_cell", 10, v, 5.5, 3) for v in (-6, 6)]]
    return parts


def shoe(rng: Rng, at: Place) -> list[Part]:
    """A pair of shoes: soles, shanks, eyelets, heel nails."""
    parts = []
    shank, nails = chance(rng, 0.6), chance(rng, 0.5)
    length, width = between(rng, 215, 265), between(rng, 36, 44)
    for side in (-1.0, 1.0):
        local = at.sub(0, side * 52, 0.0 if side > 0 else math.pi)
        sole = [
            (-0.5, 0.4),
            (-0.42, 0.6),
            (-0.2, 0.6),
            (0.05, 0.8),
            (0.2, 0.95),
            (0.36, 0.85),
            (0.46, 0.5),
            (0.5, 0.05),
            (0.48, -0.35),
            (0.4, -0.65),
            (0.26, -0.85),
            (0.05, -0.75),
            (-0.2, -0.55),
            (-0.42, -0.6),
            (-0.5, -0.4),
        ]
        outline = [(u * length, v * width) for u, v in sole]
        parts += [
            local.plate(pick(rng, ("rubber", "pvc")), outline, between(rng, 7, 14)),
            local.plate("leather", [(u * 0.97, v * 0.95) for u, v in outline], between(rng, 3, 7)),
            local.slab("rubber", -length * 0.38, 0, length * 0.22, width * 1.1, between(rng, 8, 24), 8),
        ]
        if shank:
            parts.append(local.slab("steel", -length * 0.1, 0, length * 0.42, 12, 1.1, 3))
        if nails:
            parts += [local.disc("steel", -length * 0.38 + 9 * (index % 4), 8 if index // 4 else -8, 1.6, 10) for index in range(8)]
        parts += [local.disc("brass", length * 0.05 + index * 9, side_v, 3.2, 1.0, 0.5) for index in range(5) for side_v in (-9, 9)]
    return parts


def cup(rng: Rng, at: Place) -> list[Part]:
    """A cup, bowl or vase on its side, or plates on edge and flat."""
    radius, length = between(rng, 30, 45), between(rng, 60, 105)
    material = pick(rng, ("ceramic", "ceramic", "glass"))
    if chance(rng, 0.35):
        plates = whole(rng, 1, 4)
        parts = [at.disc(material, 0, 0, radius * 2, 4.5 * plates), at.disc(material, 0, 0, radius * 2, 3.0 * plates, 0.82)]
        return [*parts, at.disc(material, 0, 0, radius * 1.1, 4, 0.9)]
    wall = between(rng, 2.5, 4.5)
    parts = [at.rod(material, 0, 0, length, radius, radius - wall), at.rod(material, -length / 2 + 3, 0, 6, radius)]
    if chance(rng, 0.7):
        parts.append(
            at.wire(
                material,
                [(-length * 0.25, radius), (-length * 0.2, radius + 20), (length * 0.2, radius + 20), (length * 0.25, radius)],
                4.5,
            )
        )
    return parts


def thermos(rng: Rng, at: Place) -> list[Part]:
    """A steel vacuum flask."""
    radius, length = between(rng, 30, 38), between(rng, 150, 210)
    parts = [at.rod("stainless", 0, 0, length, radius, radius - 0.6), at.rod("stainless", -4, 0, length - 14, radius - 6, radius - 6.6)]
    parts += [
        at.rod("nylon", length / 2 + 8, 0, 30, radius * 0.8, radius * 0.45),
        at.rod("silicone", length / 2 - 6, 0, 5, radius * 0.7, radius * 0.5),
    ]
    return [*parts, at.rod("water", -6, 0, length - 40, radius - 7)] if chance(rng, 0.4) else parts


def umbrella(rng: Rng, at: Place) -> list[Part]:
    """A folding umbrella: shaft, ribs, folded cloth, handle."""
    length = between(rng, 190, 250)
    parts = [
        at.rod("steel", 0, 0, length, 5, 4.2),
        at.rod("steel", -20, 0, length * 0.7, 3.6, 2.8),
        at.rod("textile", 10, 0, length * 0.8, 22, 6),
    ]
    for index in range(8):
        v = (index - 3.5) * 4.2
        parts.append(at.wire("steel", [(-length * 0.35, v), (length * 0.1, v * 1.25), (length * 0.42, v * 0.6)], between(rng, 0.8, 1.2)))
    return [*parts, at.rod(pick(rng, ("abs", "wood")), -length / 2 - 24, 0, 56, 14, 5)]


def candle(rng: Rng, at: Place) -> list[Part]:
    """Candles or bars of soap: plain organic blocks."""
    if chance(rng, 0.5):
        length, count = between(rng, 60, 180), whole(rng, 1, 5)
        radius = between(rng, 9, 14) if count > 1 else between(rng, 14, 34)
        rows = [(index - (count - 1) / 2) * radius * 2.1 for index in range(count)]
        return [
            part
            for v in rows
            for part in (at.rod("paraffin", 0, v, length, radius), at.wire("textile", [(-length / 2, v), (length / 2 + 8, v)], 1.0))
        ]
    parts = []
    for index in range(whole(rng, 1, 4)):
        parts.append(at.slab("soap", 0, (index - 1) * 58, between(rng, 78, 95), 52, between(rng, 18, 27), 12))
        parts.append(at.slab("paper", 0, (index - 1) * 58, 97, 56, 0.4))
    return parts


def scarf(rng: Rng, at: Place) -> list[Part]:
    """Layered textiles with folds, perhaps a belt with its buckle."""
    length, width = between(rng, 120, 240), between(rng, 95, 180)
    parts = []
    for _ in range(whole(rng, 2, 5)):
        layer = at.sub(between(rng, -10, 10), between(rng, -10, 10), between(rng, -0.1, 0.1))
        parts.append(
            rough(
                rng,
                layer.slab("textile", 0, 0, length * between(rng, 0.6, 1), width * between(rng, 0.6, 1), between(rng, 3, 12), 14),
                0.12,
                between(rng, 3, 14),
            )
        )
    for _ in range(whole(rng, 1, 4)):
        path = wander(rng, (-length * 0.45, between(rng, -0.4, 0.4) * width), (length * 0.45, between(rng, -0.4, 0.4) * width), 10)
        parts.append(at.wire("textile", path, between(rng, 2, 5)))
    if chance(rng, 0.4):
        parts += [
            at.wire("leather", coil((0, 0), 42, 38, 2.2, 0.25), 3.0),
            at.slab("zinc_alloy", 46, 0, 42, 5, 4),
            at.wire("zinc_alloy", coil((46, 0), 22, 17, 1.0), 2.4),
        ]
    return parts


def perfume(rng: Rng, at: Place) -> list[Part]:
    """A heavy glass flask with a metal spray head, in its box."""
    length, width, deep = between(rng, 50, 85), between(rng, 38, 62), between(rng, 18, 30)
    wall = between(rng, 5, 9)
    return [
        at.slab("cardboard", 0, 0, length + 50, width + 12, 2.4),
        at.slab("glass", 0, 0, length, width, wall, 5),
        at.slab("glass", -length * 0.4, 0, 12, width, deep - wall, 2),
        *[at.slab("glass", 0, side * (width / 2 - 3), length, 6, deep - wall) for side in (-1.0, 1.0)],
        at.slab("ethanol", 4, 0, length - 16, width - 13, deep - wall, 3),
        at.rod(pick(rng, ("aluminium", "zinc_alloy")), length / 2 + 12, 0, 24, 10, 6),
        at.rod("pe", 2, 0, length * 0.8, 1.6, 0.9),
    ]


def plaster_figure(rng: Rng, at: Place) -> list[Part]:
    """A figure or relief of plaster, stone or porcelain."""
    material = pick(rng, ("plaster", "stone", "ceramic"))
    size = between(rng, 26, 44)
    return [
        rough(rng, at.oval(material, 0, 0, size * 1.4, size, size * 0.9, dome=True), 0.1, 7),
        at.oval(material, size * 1.4, 0, size * 0.5, size * 0.45, size * 0.7, dome=True),
        at.slab(material, -size * 1.2, 0, size * 0.5, size * 1.7, size * 0.8, 3),
    ]


HOUSEHOLD = {
    "tin": Item(draw=tin, reach_mm=58, height_mm=70),
    "fruit": Item(draw=fruit, reach_mm=108, height_mm=60),
    "noodles": Item(draw=noodles, reach_mm=82, height_mm=40),
    "sweets": Item(draw=sweets, reach_mm=100, height_mm=18),
    "lipsticks": Item(draw=lipsticks, reach_mm=75, height_mm=20),
    "compact": Item(draw=compact, reach_mm=64, height_mm=14),
    "cream tube": Item(draw=cream_tube, reach_mm=105, height_mm=30),
    "spray": Item(draw=spray, reach_mm=102, height_mm=38),
    "blisters": Item(draw=blisters, reach_mm=60, height_mm=14),
    "soft toy": Item(draw=soft_toy, reach_mm=108, height_mm=60),
    "shoe": Item(draw=shoe, reach_mm=145, height_mm=70),
    "cup": Item(draw=cup, reach_mm=85, height_mm=70),
    "thermos": Item(draw=thermos, reach_mm=130, height_mm=76),
    "umbrella": Item(draw=umbrella, reach_mm=180, height_mm=48),
    "candle": Item(draw=candle, reach_mm=108, height_mm=40),
    "scarf": Item(draw=scarf, reach_mm=140, height_mm=40),
    "perfume": Item(draw=perfume, reach_mm=72, height_mm=34),
    "figure": Item(draw=plaster_figure, reach_mm=85, height_mm=44),
}
"""Household things by name."""
