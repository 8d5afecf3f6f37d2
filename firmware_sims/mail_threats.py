"""Forbidden things, drawn with varied shape, make and size. What is drawn here is marked `threat` by the caller."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, jagged, pick, wander, whole
from firmware_sims.shapes import Heap


def blade(rng: Rng, at: Place) -> list[Part]:
    """A razor or cutter blade, a kitchen knife, a folding knife, a dagger."""
    form = pick(rng, ("razor", "cutter", "knife", "folding", "dagger"), (1, 1.5, 2.5, 2, 1.5))
    if form == "razor":
        return [
            at.slab("steel", 0, 0, 43, 22, between(rng, 0.15, 0.4), 2),
            *([at.slab("steel", 0, 11, 43, 4, 1.2)] if chance(rng, 0.6) else []),
        ]
    if form == "cutter":
        length = between(rng, 60, 110)
        outline = [(-length / 2, -9), (length / 2 - 8, -9), (length / 2, 9), (-length / 2, 9)]
        handle = [] if chance(rng, 0.4) else [at.slab("abs", -length * 0.6, 0, length, 22, 6, 5)]
        return [at.plate("steel", outline, between(rng, 0.4, 0.7)), *handle]
    length, width, thick = between(rng, 85, 190), between(rng, 16, 38), between(rng, 1.2, 3.2)
    edge = [(0.0, -width / 2), (length * 0.6, -width / 2), (length * 0.86, -width * 0.3), (length, width * 0.1)]
    if form == "dagger":
        edge = [(0.0, -width / 2), (length * 0.7, -width * 0.42), (length, 0), (length * 0.7, width * 0.42), (0, width / 2)]
    else:
        edge += [(length * 0.7, width * 0.42), (0.0, width / 2)]
    grip = between(rng, 80, 120)
    parts = [at.plate("steel", jagged(rng, edge, 0.6), thick)]
    if form == "folding":
        parts += [
            at.slab(pick(rng, ("abs", "steel", "wood")), length * 0.45, width * 0.75, length * 1.1, width, 5, 5),
            at.disc("steel", 0, width * 0.6, 4, 9),
        ]
    elif chance(rng, 0.8):
        parts += [
            at.slab(pick(rng, ("abs", "wood")), -grip / 2, 0, grip, width * 0.85, between(rng, 10, 17), 6),
            at.slab("steel", -grip / 2, 0, grip * 0.9, width * 0.5, thick),
        ]
        parts += [at.disc("steel", -grip * share, 0, 3, 10) for share in (0.25, 0.55, 0.85)]
    return parts


def handgun(rng: Rng, at: Place) -> list[Part]:
    """Parts of a handgun: some of slide, barrel, frame, magazine, cartridges, or a whole small pistol."""
    scale = between(rng, 0.75, 1.1)
    choice = [name for name in ("slide", "barrel", "frame", "magazine", "rounds") if chance(rng, 0.62)]
    if not set(choice) & {"slide", "barrel", "frame"}:
        choice.append(pick(rng, ("slide", "barrel", "frame")))
    scattered = chance(rng, 0.5)
    parts: list[Part] = []
    for name in choice:
        local = at.sub(between(rng, -35, 35), between(rng, -32, 32), between(rng, 0, math.pi)) if scattered else at
        if name == "slide":
            length = 165 * scale
            parts += [
                local.slab("steel", 0, 20 * scale, length, 24 * scale, between(rng, 5, 10), 2),
                local.slab("steel", 10, 29 * scale, length * 0.9, 5 * scale, between(rng, 6, 12)),
            ]
        elif name == "barrel":
            parts += [
                local.rod("steel", 22 * scale, 18 * scale, 105 * scale, 7.5 * scale, 4.6 * scale),
                local.slab("steel", -30 * scale, 18 * scale, 26 * scale, 20 * scale, 11),
                local.wire("steel", [(22 + 2.4 * i, 6 * scale + (3 if i % 2 else -3)) for i in range(24)], 0.6),
            ]
        elif name == "frame":
            material = pick(rng, ("steel", "aluminium", "abs"))
            grip = [(-70, 8), (75, 8), (75, -3), (20, -6), (12, -26), (-12, -28), (-22, -8), (-32, -14), (-44, -88), (-82, -84), (-66, -10)]
            parts += [
                local.plate(material, [(u * scale, v * scale) for u, v in grip], between(rng, 7, 14)),
                local.plate(material, [(u * scale, v * scale) for u, v in ((18, -7), (10, -23), (-10, -25), (-18, -8))], 1.5),
                local.slab("steel", -4 * scale, -12 * scale, 5, 20 * scale, 5),
                local.slab("steel", 0, 4 * scale, 120 * scale, 5, 4),
            ]
        elif name == "magazine":
            spot = local.sub(-58 * scale, -42 * scale, 1.4)
            parts += [
                spot.slab("steel", 0, 0, 112 * scale, 24 * scale, between(rng, 1.6, 3)),
                spot.slab("steel", -50 * scale, 0, 7, 30 * scale, 4),
            ]
            for index in range(whole(rng, 0, 8)):
                parts += _cartridge(spot.sub((index * 11 - 38) * scale, 0, 1.5))
        else:
            for _ in range(whole(rng, 2, 9)):
                parts += _cartridge(local.sub(between(rng, -60, 60), between(rng, -60, 20), between(rng, 0, 6)))
    return parts


def _cartridge(at: Place) -> list[Part]:
    return [
        at.rod("brass", -4, 0, 19, 4.9, 4.4),
        at.rod("lead", 10, 0, 12, 4.3),
        at.rod("black_powder", -3, 0, 14, 4.4),
        at.disc("brass", -13, 0, 4.8, 2),
    ]


def bomb(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """Power source, wires, switch, detonator tube and a charge."""
    parts: list[Part] = []
    charge = at.sub(between(rng, -30, 30), between(rng, -14, 22), between(rng, -0.5, 0.5))
    length, width = between(rng, 55, 120), between(rng, 35, 75)
    thick = between(rng, 3, 7) if flat else between(rng, 9, 28)
    explosive = pick(rng, ("plastic_explosive", "petn", "tnt", "anfo", "flash_powder", "black_powder"))
    if chance(rng, 0.25) and not flat:
        radius = between(rng, 10, 19)
        parts += [
            charge.rod("steel", 0, 0, length, radius, radius - between(rng, 1.8, 3.5)),
            charge.rod(explosive, 0, 0, length - 8, radius - 3),
            charge.rod("steel", length / 2, 0, 12, radius + 3),
            charge.rod("steel", -length / 2, 0, 12, radius + 3),
        ]
    elif explosive in {"anfo", "flash_powder", "black_powder"}:
        parts += [_heap(rng, explosive, charge, length, width, thick), charge.slab("pe", 0, 0, length + 8, width + 8, 0.2)]
    else:
        parts.append(charge.slab(explosive, 0, 0, length, width, thick, between(rng, 1, 8)))
    detonator = charge.sub(length * between(rng, -0.2, 0.4), between(rng, -8, 8), between(rng, -0.8, 0.8))
    tube = between(rng, 38, 65)
    parts += [
        detonator.rod(pick(rng, ("aluminium", "copper")), 0, 0, tube, 3.4, 2.7),
        detonator.rod("petn", tube * 0.2, 0, tube * 0.35, 2.7),
        detonator.rod("primer", -tube * 0.02, 0, 5, 2.7),
    ]
    power = at.sub(between(rng, -45, 45), between(rng, -62, -42), between(rng, -0.6, 0.6))
    kind = pick(rng, ("flat", "block", "round", "button"), (2, 0.1, 0.5, 1) if flat else (1, 1.5, 2, 0.4))
    if kind == "flat":
        parts.append(power.slab("lithium_cell", 0, 0, between(rng, 30, 55), between(rng, 20, 36), between(rng, 2.5, 5), 2))
    elif kind == "block":
        parts += [power.slab("alkaline_cell", 0, 0, 46, 25, 13, 2), power.slab("steel", 0, 0, 48, 26, 0.6, 2)]
    elif kind == "round":
        for index in range(whole(rng, 1, 4)):
            parts += [power.rod("alkaline_cell", 0, index * 15, 49, 6.6), power.rod("steel", 0, index * 15, 50, 7, 6.7)]
    else:
        parts += [power.disc("alkaline_cell", index * 9, 0, 10, 3) for index in range(whole(rng, 1, 3))]
    lead_out = (detonator.x_mm - 26 * math.cos(detonator.angle_rad), detonator.y_mm - 26 * math.sin(detonator.angle_rad))
    outer = Place(x_mm=0.0, y_mm=0.0)
    switch = at.sub(between(rng, 25, 60), between(rng, -50, -20), between(rng, 0, 3))
    ends = [
        ((power.x_mm, power.y_mm), lead_out),
        ((power.x_mm, power.y_mm), (switch.x_mm, switch.y_mm)),
        ((switch.x_mm, switch.y_mm), lead_out),
    ]
    gauge = between(rng, 0.2, 0.42)
    for start, end in ends:
        path = wander(rng, start, end, between(rng, 5, 20), 10)
        parts += [outer.wire("copper", path, gauge), outer.wire("pvc", path, gauge + 0.5)]
    if chance(rng, 0.7):
        parts += [
            switch.slab("circuit_board", 0, 0, between(rng, 18, 48), between(rng, 14, 30), 1.5),
            switch.slab(pick(rng, ("silicon", "copper", "steel")), 2, 2, between(rng, 5, 12), between(rng, 4, 10), 1.4),
        ]
    else:
        parts.append(switch.slab("steel", 0, 0, 12, 7, 1.5))
    return parts


def _heap(rng: Rng, material: str, at: Place, length: float, width: float, thick: float) -> Part:
    waves = tuple((between(rng, -2.4, 2.4), between(rng, -2.4, 2.4), between(rng, 0, 6.3), between(rng, 0.05, 0.22)) for _ in range(7))
    return Part(
        material=material,
        shape=Heap(
            x_mm=at.x_mm,
            y_mm=at.y_mm,
            length_mm=length,
            width_mm=width,
            thick_mm=thick,
            angle_rad=at.angle_rad,
            waves=waves,
        ),
    )


def powder(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """A sachet of powder."""
    length, width = between(rng, 42, 115), between(rng, 32, 80)
    thick = between(rng, 2.5, 7) if flat else between(rng, 8, 24)
    material = pick(rng, ("white_powder", "talc_powder", "anfo", "flash_powder", "black_powder", "salt"))
    parts = [_heap(rng, material, at, length, width, thick), at.slab("pe", 0, 0, length + between(rng, 6, 22), width + 10, 0.15)]
    if chance(rng, 0.3):
        parts.append(at.slab("aluminium", 0, 0, length + 16, width + 10, 0.06))
    return parts


def dense_liquid(rng: Rng, at: Place) -> list[Part]:
    """A vial or bottle of acid, peroxide or another dense liquid."""
    radius, length = between(rng, 11, 32), between(rng, 48, 150)
    wall = pick(rng, ("glass", "pe", "pet"), (0.6, 0.3, 0.1))
    shell = between(rng, 1.2, 3.0) if wall == "glass" else between(rng, 0.6, 1.4)
    liquid = pick(rng, ("acid", "peroxide", "nitric_acid", "bromine_mix", "nitromethane"), (2, 1, 1.5, 1, 0.7))
    neck = radius * between(rng, 0.35, 0.6)
    return [
        at.rod(wall, 0, 0, length, radius, radius - shell),
        at.rod(liquid, -2, 0, length - 6, radius - shell),
        at.rod(wall, length / 2 + 7, 0, 14, neck, max(neck - shell, 0.5)),
        at.rod("pe", length / 2 + 12, 0, 13, neck + 2, neck),
    ]


def shield(rng: Rng, at: Place, *, flat: bool = False) -> list[Part]:
    """A sheet or box of lead or thick steel that hides what lies under it."""
    length, width = between(rng, 48, 130), between(rng, 42, 100)
    thick = between(rng, 1.4, 3) if flat else between(rng, 2.5, 6)
    if chance(rng, 0.3) and not flat:
        return [at.slab("steel", 0, 0, length, width, between(rng, 22, 40))]
    outline = [(-length / 2, -width / 2), (length / 2, -width / 2), (length / 2, width / 2), (-length / 2, width / 2)]
    parts = [at.plate("lead", jagged(rng, outline, 4), thick)]
    if chance(rng, 0.35):
        parts.append(at.slab("lead", 0, 0, length * 0.7, width * 0.8, thick))
    if chance(rng, 0.3):
        parts.append(at.wire("copper", coil((0, 0), length * 0.6, width * 0.5, 1.4), 0.4))
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """How one forbidden thing is drawn, the room it needs, its height; `flat` draws it for a letter, if it can."""

    draw: Callable[[Rng, Place], list[Part]]
    reach_mm: float
    height_mm: float
    flat: Callable[[Rng, Place], list[Part]] | None = None


THREATS = {
    "blade": Threat(draw=blade, flat=blade, reach_mm=80, height_mm=15),
    "handgun": Threat(draw=handgun, reach_mm=100, height_mm=28),
    "bomb": Threat(draw=bomb, flat=lambda rng, at: bomb(rng, at, flat=True), reach_mm=80, height_mm=30),
    "powder": Threat(draw=powder, flat=lambda rng, at: powder(rng, at, flat=True), reach_mm=60, height_mm=22),
    "dense_liquid": Threat(draw=dense_liquid, reach_mm=85, height_mm=60),
    "shield": Threat(draw=shield, flat=lambda rng, at: shield(rng, at, flat=True), reach_mm=70, height_mm=25),
}
"""Every forbidden thing by name."""
