"""Forbidden liquids, pressurised cans, lithium packs and opaque shields."""

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place, Rng, between, chance, pick, wander, whole
from firmware_sims.mail_threats import dense_liquid as plain_liquid
from firmware_sims.mail_threats import shield as plain_shield

LIQUIDS = ("acid", "peroxide", "nitric_acid", "bromine_mix", "nitromethane")


def dense_liquid(rng: Rng, at: Place) -> list[Part]:
    """A bottle, vials, a pouch or a flat canister of a dense liquid."""
    form = pick(rng, ("plain", "vials", "pouch", "canister"), (3, 1.2, 1, 1.3))
    if form == "plain":
        return plain_liquid(rng, at)
    liquid = pick(rng, LIQUIDS, (2, 1.2, 1.5, 1, 0.8))
    if form == "vials":
        parts = []
        radius, length = between(rng, 6, 11), between(rng, 40, 80)
        for index in range(whole(rng, 2, 6)):
            local = at.sub(0, index * radius * 2.3 - 28)
            parts += [local.rod("glass", 0, 0, length, radius, radius - 1.1), local.rod(liquid, -2, 0, length - 8, radius - 1.1)]
            parts.append(local.rod(pick(rng, ("rubber", "aluminium")), length / 2 + 3, 0, 8, radius * 0.9))
        return parts
    length, width = between(rng, 70, 140), between(rng, 50, 90)
    if form == "pouch":
        return [
            at.oval(liquid, 0, 0, length / 2, width / 2, between(rng, 12, 28), dome=True),
            at.slab("pe", 0, 0, length + 14, width + 12, 0.25, 4),
        ]
    deep = between(rng, 24, 46)
    metal = pick(rng, ("steel", "stainless", "aluminium", "pe"), (1, 1, 1, 1.5))
    wall = 0.6 if metal in {"steel", "stainless"} else 1.4
    return [
        at.slab(metal, 0, 0, length, width, 2 * wall, 4),
        *[at.slab(metal, 0, side * (width / 2 - wall), length, wall, deep) for side in (-1.0, 1.0)],
        at.slab(liquid, -4, 0, length - 12, width - 3, deep - 2, 3),
        at.rod(metal, length / 2 + 7, width * 0.2, 18, 11, 9),
    ]


def aerosol(rng: Rng, at: Place) -> list[Part]:
    """A pressurised can with a dangerous fill: steel with domed bottom and seam, dense or liquefied content, valve; gas cartridges."""
    if chance(rng, 0.3):
        radius, length = between(rng, 9, 20), between(rng, 62, 100)
        return [
            at.rod("steel", 0, 0, length, radius, radius - between(rng, 1.2, 2.0)),
            at.oval("steel", -length / 2, 0, radius * 0.8, radius, radius * 1.1, dome=True),
            at.rod(pick(rng, ("butane", "fuel", "acid")), -4, 0, length * 0.8, radius - 2),
            at.rod("steel", length / 2 + 7, 0, 16, radius * 0.4, 1.5),
        ]
    radius, length = between(rng, 22, 34), between(rng, 120, 210)
    fill = pick(rng, ("butane", "fuel", "phosphorus", "nitric_acid", "acid", "peroxide"))
    parts = [
        at.rod("steel", 0, 0, length, radius, radius - between(rng, 0.3, 0.6)),
        at.rod(fill, -length * 0.5 + length * 0.36, 0, length * between(rng, 0.5, 0.72), radius - 0.6),
        at.rod("steel", -length / 2, 0, 3, radius + 1, radius - 1),
        at.oval("steel", -length / 2 + 5, 0, 5, radius - 1, 2.4, dome=True),
        at.rod("steel", length / 2 - 1, 0, 4, radius + 0.8, radius - 2),
        at.rod("steel", length / 2 + 6, 0, 9, 12, 8),
        at.rod("steel", length / 2 - 2, 0, 18, 4, 1.2),
        at.wire("pe", wander(rng, (length / 2 - 8, 0), (-length * 0.46, -radius * 0.6), 3), 2.0),
    ]
    if chance(rng, 0.6):
        parts.append(at.disc("steel", -length * 0.1, radius * 0.3, between(rng, 3, 6), between(rng, 6, 10)))
    return [*parts, at.rod("pe", length / 2 + 16, 0, 26, radius * 0.8, radius * 0.8 - 1.6)] if chance(rng, 0.5) else parts


def lithium_pack(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """Many cells without a casing, taped and strapped, or swollen pouches; large, bare or damaged."""
    if flat or chance(rng, 0.35):
        length, width = between(rng, 60, 140), between(rng, 38, 80)
        thick = between(rng, 3, 6) if flat else between(rng, 8, 22)
        parts = []
        for index in range(whole(rng, 1, 2 if flat else 4)):
            local = at.sub(index * between(rng, 0, 6), index * between(rng, 0, 6), between(rng, -0.06, 0.06))
            parts += [
                local.slab("lithium_cell", 0, 0, length, width, thick / (1 + index), 2),
                local.slab("aluminium", 0, 0, length + 6, width + 8, 0.2),
            ]
            parts += [
                local.slab("copper" if side > 0 else "aluminium", length / 2 + 8, side * width * 0.25, 18, 8, 0.3) for side in (-1.0, 1.0)
            ]
        if chance(rng, 0.6):
            # gas has lifted the layers in the middle
            parts.append(at.oval("lithium_cell", 0, 0, length * 0.4, width * 0.42, thick * 0.5, dome=True))
        return [*parts, *[at.wire("copper", wander(rng, (length / 2 + 10, v), (length / 2 + 50, v * 3), 6), 0.8) for v in (-8, 8)]]
    rows, columns = whole(rng, 2, 5), whole(rng, 1, 3)
    parts = []
    for index in range(rows * columns):
        u, v = (index % columns - (columns - 1) / 2) * 67, (index // columns - (rows - 1) / 2) * 18.8
        parts += [at.rod("lithium_cell", u, v, 62, 8.6), at.rod("steel", u, v, 65, 9.1, 8.7), at.rod("aluminium", u + 30, v, 3, 4)]
    span = columns * 33.5
    parts += [at.slab("cupronickel", side * span, 0, 8, rows * 18.8 - 4, 0.3) for side in (-1.0, 1.0)]
    parts += [at.slab("circuit_board", 0, rows * 9.4 + 8, span, 14, 1.6), at.slab("silicon", 6, rows * 9.4 + 8, 9, 7, 1.2)]
    for side in (-1.0, 1.0):
        path = wander(rng, (side * span, 0), (20, rows * 9.4 + 40), 12)
        parts += [at.wire("copper", path, 1.0), at.wire("silicone", path, 1.8)]
    return parts


def shield(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """Opaque foil, sheet, tube or box of lead or thick steel."""
    form = pick(rng, ("plain", "wrapped", "tube", "box"), (2, 1, 0, 0) if flat else (2, 1.2, 1, 1))
    if form == "plain":
        return plain_shield(rng, at, flat=flat)
    length, width = between(rng, 60, 150), between(rng, 48, 110)
    if form == "tube":
        radius = between(rng, 14, 26)
        return [
            at.rod("lead", 0, 0, length, radius, radius - between(rng, 2.5, 5)),
            *[at.rod("lead", side * length / 2, 0, 4, radius) for side in (-1.0, 1.0)],
        ]
    if form == "box":
        wall, deep = between(rng, 1.5, 3.0), between(rng, 18, 34)
        metal = pick(rng, ("lead", "steel"))
        thick = wall if metal == "lead" else wall * 4
        sides = [at.slab(metal, side * length / 2, 0, thick, width, deep) for side in (-1.0, 1.0)]
        return [
            at.slab(metal, 0, 0, length, width, 2 * thick),
            *sides,
            *[at.slab(metal, 0, side * width / 2, length, thick, deep) for side in (-1.0, 1.0)],
        ]
    layers = whole(rng, 2, 4)
    return [
        at.sub(between(rng, -6, 6), between(rng, -6, 6), between(rng, -0.2, 0.2)).slab(
            "lead", 0, 0, length * between(rng, 0.7, 1), width * between(rng, 0.7, 1), between(rng, 0.5, 1.0), 2
        )
        for _ in range(layers)
    ]
