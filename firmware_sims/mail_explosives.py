"""Forbidden charges and what fires them: initiators in many layouts, sheets and blocks, grenade-like bodies, pipes, powders.

A charge's density is drawn apart from its composition: what the beam sees goes by density times way.
"""

import math

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, jagged, pick, wander, whole
from firmware_sims.mail_threats import bomb as plain_bomb
from firmware_sims.shapes import Heap
from firmware_sims.textures import Uneven

CHARGES = (
    "plastic_explosive",
    "petn",
    "tnt",
    "tatp",
    "dynamite",
    "emulsion",
    "anfo",
    "aluminised",
    "chlorate",
    "black_powder",
    "flash_powder",
)
"""By effective atomic number from about 6.7 (tatp) to about 13 (chlorate, flash powder)."""
DENSITY_G_CM3 = (1.1, 1.8)
NOMINAL_G_CM3 = {
    "plastic_explosive": 1.60,
    "petn": 1.45,
    "tnt": 1.60,
    "tatp": 1.18,
    "dynamite": 1.45,
    "emulsion": 1.20,
    "anfo": 0.95,
    "aluminised": 1.15,
    "chlorate": 1.50,
    "black_powder": 1.05,
    "flash_powder": 1.25,
}
POWDERS = ("white_powder", "talc_powder", "anfo", "flash_powder", "black_powder", "salt", "tatp", "chlorate", "petn")
ORIGIN = Place(x_mm=0.0, y_mm=0.0)


def packed(rng: Rng, part: Part, *, amount: float = 0.03, grain_mm: float = 5.0) -> Part:
    """A charge pressed to any density within `DENSITY_G_CM3`."""
    density = between(rng, *DENSITY_G_CM3) / NOMINAL_G_CM3[part.material]
    shape = Uneven(shape=part.shape, density=density, amount=amount, grain_mm=grain_mm, seed=int(rng.integers(2**31)))
    return Part(material=part.material, shape=shape)


def battery(rng: Rng, at: Place, *, flat: bool) -> list[Part]:
    """A power source: flat cell, block, round cells, button cells, a cell of a telephone."""
    form = pick(rng, ("pouch", "block", "round", "button"), (2, 0, 0.3, 1.2) if flat else (1, 1.5, 2, 0.5))
    if form == "pouch":
        return [at.slab("lithium_cell", 0, 0, between(rng, 26, 60), between(rng, 18, 38), between(rng, 2.2, 4.5 if flat else 7), 2)]
    if form == "block":
        return [
            at.slab("alkaline_cell", 0, 0, 44, 24, 14, 2),
            at.slab("steel", 0, 0, 48, 26, 0.8, 2),
            *[at.disc("brass", 25, v, 3.4, 3) for v in (-6, 6)],
        ]
    if form == "button":
        return [at.disc("alkaline_cell", index * 8.0, 0, between(rng, 5, 10), between(rng, 2.5, 4)) for index in range(whole(rng, 1, 3))]
    radius, length = (7.0, 50.0) if chance(rng, 0.6) else (5.1, 44.0)
    parts = []
    for index in range(whole(rng, 1, 4)):
        v = index * radius * 2.1
        parts += [at.rod("alkaline_cell", 0, v, length - 2, radius - 0.4), at.rod("steel", 0, v, length, radius, radius - 0.3)]
    return parts


def detonator(rng: Rng, at: Place) -> list[Part]:
    """A thin metal tube with base charge, primer, bridge and plug."""
    length, radius = between(rng, 36, 72), between(rng, 2.8, 3.9)
    return [
        at.rod(pick(rng, ("aluminium", "copper", "aluminium")), 0, 0, length, radius, radius - between(rng, 0.4, 0.8)),
        at.rod("petn", length * 0.28, 0, length * 0.38, radius - 0.7),
        at.rod("primer", length * 0.03, 0, between(rng, 4, 9), radius - 0.7),
        at.rod("rubber", -length * 0.4, 0, length * 0.18, radius - 0.6),
    ]


def switch(rng: Rng, at: Place) -> list[Part]:
    """What closes the circuit: a board with chips, a light cell, a clothes-peg, a tilt tube, a clock, a telephone's board, a reed."""
    form = pick(rng, ("board", "peg", "tilt", "clock", "reed", "contacts"), (3, 1, 1, 1, 1, 1.5))
    if form == "board":
        length, width = between(rng, 16, 62), between(rng, 12, 40)
        parts = [at.slab("circuit_board", 0, 0, length, width, 1.5)]
        parts += [
            at.slab(
                pick(rng, ("silicon", "copper", "steel", "solder")),
                between(rng, -0.4, 0.4) * length,
                between(rng, -0.4, 0.4) * width,
                between(rng, 3, 11),
                between(rng, 3, 9),
                1.2,
            )
            for _ in range(whole(rng, 2, 8))
        ]
        return parts
    if form == "peg":
        return [at.slab("wood", 0, side * 4, 72, 7, 9) for side in (-1.0, 1.0)] + [
            at.wire("steel", coil((0, 0), 5, 5, 3), 0.8),
            at.slab("brass", 33, 0, 8, 4, 1),
        ]
    if form == "tilt":
        return [
            at.rod("glass", 0, 0, between(rng, 14, 24), 4, 3),
            at.oval("solder", 5, 0, 3.5, 2.6, 5, dome=True),
            *[at.wire("copper", [(-18, v), (-6, v)], 0.4) for v in (-1.5, 1.5)],
        ]
    if form == "clock":
        return [
            at.slab("abs", 0, 0, 56, 56, 4, 6),
            at.disc("brass", 6, 5, 9, 2),
            at.disc("steel", -8, -6, 7, 1.5, 0.3),
            at.rod("copper", 12, -12, 16, 4, 1.5),
            at.rod("alkaline_cell", 0, 19, 44, 5),
        ]
    if form == "reed":
        return [at.rod("glass", 0, 0, 22, 2.2, 1.5), at.slab("steel", 0, 0, 34, 1.2, 0.3), at.slab("magnet", 6, 14, 18, 7, 4)]
    return [at.slab("copper", 0, v, between(rng, 20, 60), 8, 0.15) for v in (0, 5)] + [at.slab("paper", 0, 0, 40, 12, 0.4)]


def circuit(rng: Rng, at: Place, *, flat: bool, tube: Place, half_mm: float) -> list[Part]:
    """Power, switch and wires round a detonator that lies at `tube`."""
    power = at.sub(between(rng, -1, 1) * half_mm, -between(rng, 0.4, 1.0) * half_mm, between(rng, 0, 6.28))
    contact = at.sub(between(rng, -1, 1) * half_mm, between(rng, 0.2, 1.0) * half_mm, between(rng, 0, 6.28))
    parts = [*battery(rng, power, flat=flat), *switch(rng, contact), *detonator(rng, tube)]
    plug = tube.at(-30, 0)
    ends = [
        ((power.x_mm, power.y_mm), plug),
        ((power.x_mm, power.y_mm), (contact.x_mm, contact.y_mm)),
        ((contact.x_mm, contact.y_mm), plug),
    ]
    gauge, sway = between(rng, 0.16, 0.45), between(rng, 3, 26)
    insulated = chance(rng, 0.85)
    for start, end in ends:
        path = wander(rng, start, end, sway, 11)
        parts.append(ORIGIN.wire("copper", path, gauge))
        if insulated:
            parts.append(ORIGIN.wire("pvc", path, gauge + 0.45))
    if chance(rng, 0.4):
        parts.append(contact.wire("copper", coil((0, 0), between(rng, 8, 20), between(rng, 6, 16), between(rng, 1.5, 4), 0.2), gauge))
    return parts


def initiator(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """Battery, switch, wires and a detonator tube, without a main charge."""
    half = between(rng, 22, 62)
    tube = at.sub(between(rng, -0.8, 0.8) * half, between(rng, -0.3, 0.3) * half, between(rng, 0, 6.28))
    return circuit(rng, at, flat=flat, tube=tube, half_mm=half)


def bomb(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """A whole device: the first generation's, a pipe, a grenade, or any charge with any circuit."""
    form = pick(rng, ("plain", "pipe", "grenade", "charge"), (1.5, 0, 0, 3) if flat else (1.5, 1.2, 1, 3))
    if form == "plain":
        return plain_bomb(rng, at, flat=flat)
    if form == "grenade":
        return grenade(rng, at)
    if form == "pipe":
        return pipe(rng, at)
    main = at.sub(between(rng, -20, 20), between(rng, -14, 14), between(rng, 0, 3.14))
    charge = sheet_explosive(rng, main) if flat or chance(rng, 0.3) else bulk_explosive(rng, main)
    tube = main.sub(between(rng, -20, 20), between(rng, -10, 10), between(rng, 0, 6.28))
    return [*charge, *circuit(rng, at, flat=flat, tube=tube, half_mm=between(rng, 34, 66))]


def grenade(rng: Rng, at: Place) -> list[Part]:
    """An egg- or stick-shaped body with a fuze, lever and ring."""
    radius, length = between(rng, 24, 31), between(rng, 29, 40)
    wall = between(rng, 0.72, 0.92)
    body = at.oval("steel", 0, 0, length, radius, radius * 2, dome=True)
    inner = at.oval("steel", 0, 0, length * wall, radius * wall, radius * 2 * wall, dome=True)
    filling = at.oval(pick(rng, ("tnt", "plastic_explosive")), 0, 0, length * wall, radius * wall, radius * 2 * wall, dome=True)
    return [
        body,
        Part(material="steel", shape=inner.shape, sign=-1),
        filling,
        at.rod("zinc_alloy", length + 6, 0, 24, 9, 4),
        at.rod("aluminium", length * 0.5, 0, 44, 3.4, 2.6),
        at.rod("primer", length * 0.3, 0, 6, 2.6),
        at.plate(
            "steel",
            [(length + 14, -8), (length + 16, 8), (length, 14), (-length * 0.5, radius + 6), (-length * 0.5, radius + 2), (length - 2, 8)],
            2.4,
        ),
        at.wire("steel", coil((length + 8, -20), 11, 11, 1.05), 1.1),
    ]


def pipe(rng: Rng, at: Place) -> list[Part]:
    """A capped tube of steel or plastic, filled, with a fuse or wires."""
    radius, length = between(rng, 11, 23), between(rng, 80, 170)
    metal = pick(rng, ("steel", "pvc", "brass", "aluminium"), (2, 1, 0.5, 0.7))
    wall = between(rng, 1.6, 3.4)
    fill = pick(rng, ("black_powder", "flash_powder", "chlorate", "gun_powder", "anfo"))
    parts = [at.rod(metal, 0, 0, length, radius, radius - wall), at.rod(fill, 0, 0, length - 10, radius - wall)]
    parts += [at.rod(metal, side * (length / 2 - 4), 0, 20, radius + 3.4, radius) for side in (-1.0, 1.0)]
    parts += [at.rod(metal, side * (length / 2 + 4), 0, 5, radius + 3) for side in (-1.0, 1.0)]
    if chance(rng, 0.35):
        parts += [
            at.rod(
                "solder",
                between(rng, -0.4, 0.4) * length,
                between(rng, -0.5, 0.5) * radius,
                between(rng, 14, 30),
                1.3,
                turn=between(rng, 0, 3),
            )
            for _ in range(14)
        ]
    if chance(rng, 0.5):
        return [*parts, *circuit(rng, at, flat=False, tube=at.sub(length * 0.3, 0, 3.14), half_mm=between(rng, 40, 60))]
    return [*parts, at.wire("black_powder", wander(rng, (length / 2, 0), (length / 2 + 46, 22), 9), 1.6)]


def sheet_explosive(rng: Rng, at: Place) -> list[Part]:
    """A rolled-out sheet, whole, cut or in two layers; thin and wide."""
    length, width, thick = between(rng, 70, 150), between(rng, 45, 95), math.exp(between(rng, math.log(0.8), math.log(6.5)))
    material = pick(rng, ("plastic_explosive", "petn", "tatp", "dynamite"), (3, 2, 1, 1))
    outline = jagged(
        rng,
        [
            (-length / 2, -width / 2),
            (0, -width / 2),
            (length / 2, -width / 2),
            (length / 2, width / 2),
            (0, width / 2),
            (-length / 2, width / 2),
        ],
        3,
    )
    parts = [packed(rng, at.plate(material, outline, thick), amount=0.05, grain_mm=between(rng, 6, 20))]
    if chance(rng, 0.4):
        layer = at.sub(between(rng, -12, 12), between(rng, -10, 10), between(rng, -0.3, 0.3))
        parts.append(packed(rng, layer.slab(material, 0, 0, length * 0.6, width * 0.7, thick * 0.7, 3)))
    return [*parts, at.slab("pe", 0, 0, length + 12, width + 12, 0.15)] if chance(rng, 0.6) else parts


def bulk_explosive(rng: Rng, at: Place) -> list[Part]:
    """A block, a cast cylinder, sticks, a kneaded lump, or a bag of a charge without anything that fires it."""
    material = pick(rng, CHARGES)
    form = pick(rng, ("block", "cylinder", "sticks", "lump", "bag"), (2, 1, 1, 1.2, 1.2))
    if form == "block":
        length, width, thick = between(rng, 55, 135), between(rng, 35, 72), between(rng, 14, 42)
        wrap = at.slab(pick(rng, ("paper", "pe")), 0, 0, length + 3, width + 3, 0.3)
        return [packed(rng, at.slab(material, 0, 0, length, width, thick, between(rng, 0, 6))), wrap]
    if form == "cylinder":
        return [packed(rng, at.rod(material, 0, 0, between(rng, 50, 120), between(rng, 14, 29)))]
    if form == "sticks":
        radius, length = between(rng, 9, 17), between(rng, 95, 170)
        rows = [(index - 1) * radius * 2.1 for index in range(whole(rng, 1, 3))]
        return [packed(rng, at.rod(material, between(rng, -5, 5), v, length, radius), amount=0.05) for v in rows] + [
            at.rod("paper", 0, v, length + 5, radius + 0.4, radius) for v in rows
        ]
    length, width, thick = between(rng, 35, 75), between(rng, 26, 50), between(rng, 18, 44)
    if form == "lump":
        return [packed(rng, at.oval(material, 0, 0, length, width, thick, dome=True), amount=0.14, grain_mm=11)]
    return [
        packed(rng, heap(rng, material, at, length * 1.6, width * 1.6, thick * 0.7), amount=0.05, grain_mm=3),
        at.slab("pe", 0, 0, length * 1.6 + 14, width * 1.6 + 12, 0.2),
    ]


def heap(rng: Rng, material: str, at: Place, length: float, width: float, thick: float) -> Part:
    """Loose powder."""
    waves = tuple((between(rng, -2.4, 2.4), between(rng, -2.4, 2.4), between(rng, 0, 6.3), between(rng, 0.03, 0.2)) for _ in range(7))
    shape = Heap(x_mm=at.x_mm, y_mm=at.y_mm, length_mm=length, width_mm=width, thick_mm=thick, angle_rad=at.angle_rad, waves=waves)
    return Part(material=material, shape=shape)


def powder(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """Powder in a sachet, in several small ones, or spread loose between sheets."""
    material = pick(rng, POWDERS)
    form = pick(rng, ("sachet", "several", "spread"), (2, 1, 1.6 if flat else 0.5))
    grain = between(rng, 1.6, 5.0)

    def loose(part: Part) -> Part:
        shape = Uneven(
            shape=part.shape, density=between(rng, 0.75, 1.2), amount=between(rng, 0.03, 0.1), grain_mm=grain, seed=int(rng.integers(2**31))
        )
        return Part(material=part.material, shape=shape)

    if form == "spread":
        length, width = between(rng, 50, 140), between(rng, 36, 90)
        parts = [loose(heap(rng, material, at, length, width, math.exp(between(rng, math.log(0.08), math.log(1.8)))))]
        for _ in range(whole(rng, 1, 4)):
            spot = at.sub(between(rng, -0.4, 0.4) * length, between(rng, -0.4, 0.4) * width, between(rng, 0, 3))
            parts.append(loose(heap(rng, material, spot, between(rng, 14, 40), between(rng, 10, 28), between(rng, 0.1, 1.6))))
        return parts
    count = 1 if form == "sachet" else whole(rng, 2, 5)
    parts = []
    for index in range(count):
        local = at.sub(between(rng, -6, 6), (index - (count - 1) / 2) * 26, between(rng, -0.3, 0.3))
        length, width = (between(rng, 46, 120), between(rng, 36, 84)) if count == 1 else (between(rng, 32, 60), between(rng, 20, 28))
        thick = between(rng, 1.6, 5.5) if flat else between(rng, 4, 24)
        parts.append(loose(heap(rng, material, local, length, width, thick)))
        parts.append(
            local.slab(pick(rng, ("pe", "pe", "paper", "aluminium"), (3, 2, 2, 1)), 0, 0, length + between(rng, 4, 18), width + 8, 0.12)
        )
    return parts


def device_parts(rng: Rng) -> list[list[Part]]:
    """Power, switch, detonator and charge apart from each other, to be spread over a piece and joined by no wire."""
    groups = [battery(rng, ORIGIN, flat=False), switch(rng, ORIGIN), detonator(rng, ORIGIN)]
    wire = [
        ORIGIN.wire(
            "copper", coil((0, 0), between(rng, 12, 26), between(rng, 8, 18), between(rng, 1.5, 4), math.copysign(0.2, rng.normal())), 0.35
        )
    ]
    return [*groups, wire, bulk_explosive(rng, ORIGIN)]


def initiator_parts(rng: Rng) -> list[list[Part]]:
    """An initiator taken apart."""
    return device_parts(rng)[:-1]
