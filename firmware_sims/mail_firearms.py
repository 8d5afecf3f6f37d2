"""Handguns of several makes, whole, as imitations of common makes or taken apart, and what they fire."""

import math
from collections.abc import Callable

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place, Rng, between, chance, pick, whole

ORIGIN = Place(x_mm=0.0, y_mm=0.0)


def _round(rng: Rng, at: Place, calibre: float, case: float) -> list[Part]:
    """A cartridge along u: case, powder, bullet, rim; `calibre` and `case` length in mm."""
    radius = calibre / 2
    metal = pick(rng, ("brass", "steel"), (4, 1))
    return [
        at.rod(metal, -case / 2, 0, case, radius + 0.5, radius - 0.1),
        at.rod("gun_powder", -case / 2, 0, case * 0.75, radius - 0.2),
        at.rod("lead", calibre * 0.5, 0, calibre * 1.1, radius),
        at.rod("lead", calibre * 1.25, 0, calibre * 0.4, radius * 0.6),
        at.rod(metal, -case, 0, 2, radius + 1.0),
    ]


def ammunition(rng: Rng, at: Place) -> list[Part]:
    """Cartridges in a box, in rows, nose to tail, or a strip of shotgun shells."""
    form = pick(rng, ("box", "row", "shells", "heap"), (2, 1.5, 1, 2))
    calibre, case = (between(rng, 5.6, 11.5), between(rng, 15, 26)) if chance(rng, 0.7) else (between(rng, 5.5, 7.9), between(rng, 39, 54))
    if form == "shells":
        parts = []
        for index in range(whole(rng, 1, 6)):
            local = at.sub(0, index * 22 - 44)
            parts += [
                local.rod("pe", 4, 0, 60, 10.2, 9.2),
                local.rod("brass", -26, 0, 14, 10.6, 9.6),
                local.rod("gun_powder", -16, 0, 16, 9),
            ]
            parts += [local.disc("lead", 6 + 7 * (shot % 4), (shot // 4 - 1) * 6, 2.8, 4.0) for shot in range(12)]
        return parts
    if form == "box":
        rows, columns, pitch = whole(rng, 2, 5), whole(rng, 4, 8), calibre + 2.5
        parts = [at.slab("cardboard", 0, 0, columns * pitch + 8, rows * pitch + 8, 3)]
        # standing in the box, seen end on
        for index in range(rows * columns):
            u, v = (index % columns - (columns - 1) / 2) * pitch, (index // columns - (rows - 1) / 2) * pitch
            parts += [
                at.disc("brass", u, v, calibre / 2 + 0.5, case, 0.9),
                at.disc("lead", u, v, calibre / 2, calibre * 1.2),
                at.disc("brass", u, v, calibre / 2 + 1, 3),
            ]
        return parts
    parts = []
    for index in range(whole(rng, 3, 12)):
        if form == "row":
            local = at.sub(0, (index - 5) * (calibre + 2.2), math.pi if chance(rng, 0.3) else 0)
        else:
            local = at.sub(between(rng, -36, 36), between(rng, -30, 30), between(rng, 0, 6.28))
        parts += _round(rng, local, calibre, case)
    return parts


def loose_rounds(rng: Rng) -> list[list[Part]]:
    """Single cartridges, to be hidden here and there."""
    calibre, case = between(rng, 5.6, 11.5), between(rng, 15, 40)
    return [_round(rng, ORIGIN, calibre, case) for _ in range(whole(rng, 1, 8))]


def _slide(rng: Rng, at: Place, scale: float) -> list[Part]:
    length = 172 * scale
    parts = [
        at.slab("steel", 0, 6 * scale, length, 15 * scale, between(rng, 8, 13), 2),
        at.slab("steel", 0, -4 * scale, length, 4, between(rng, 4, 8)),
    ]
    port = at.slab("steel", 18 * scale, 8 * scale, 32 * scale, 9 * scale, 7)
    parts.append(Part(material="steel", shape=port.shape, sign=-1))
    return [*parts, *[at.slab("steel", length / 2 - 6, 15 * scale, 4, 3, 3), at.slab("steel", -length / 2 + 6, 15 * scale, 5, 4, 6)]]


def _barrel(rng: Rng, at: Place, scale: float) -> list[Part]:
    length = between(rng, 90, 120) * scale
    return [
        at.rod("steel", 0, 0, length, 7 * scale, 4.6 * scale),
        at.slab("steel", -length * 0.42, -3, 24 * scale, 17 * scale, 12),
        at.slab("steel", -length * 0.42, -14 * scale, 14, 8, 6),
    ]


def _recoil_spring(rng: Rng, at: Place, scale: float) -> list[Part]:
    length = between(rng, 70, 95) * scale
    turns = whole(rng, 16, 24)
    path = [(length * (step / turns - 0.5), (4.5 if step % 2 else -4.5)) for step in range(turns + 1)]
    return [at.wire("steel", path, 0.65), at.rod("steel", 0, 0, length * 0.95, 2.2)]


def _frame(rng: Rng, at: Place, scale: float) -> list[Part]:
    material = pick(rng, ("steel", "aluminium", "filled_nylon"), (2, 1.5, 2))
    grip = [
        (-78, 10),
        (80, 10),
        (82, 0),
        (28, -5),
        (22, -30),
        (-10, -32),
        (-20, -8),
        (-26, -14),
        (-42, -96),
        (-84, -90),
        (-70, -14),
        (-84, 2),
    ]
    guard = [(22, -7), (15, -26), (-8, -27), (-16, -8)]
    thick = between(rng, 7, 13) if material != "filled_nylon" else between(rng, 12, 22)
    hole = at.plate(material, [(u * scale, v * scale) for u, v in guard], thick)
    plate = at.plate(material, [(u * scale, v * scale) for u, v in grip], thick)
    parts = [plate, Part(material=material, shape=hole.shape, sign=-1)]
    trigger = [(2, -8), (7, -8), (3, -22), (-2, -24)]
    parts += [
        at.plate("steel", [(u * scale, v * scale) for u, v in trigger], 6),
        at.slab("steel", 5, 6 * scale, 150 * scale, 4, between(rng, 3, 6)),
        at.slab("steel", -62 * scale, 2, 22, 12, 7),
        at.disc("steel", -70 * scale, 10 * scale, 6, 6),
    ]
    return parts


def _magazine(rng: Rng, at: Place, scale: float) -> list[Part]:
    length = 105 * scale
    parts = [at.slab("steel", 0, 0, length, 23 * scale, 2.2), at.slab("abs", -length / 2, 0, 7, 30 * scale, 12)]
    parts += [at.slab("steel", 0, side * 11 * scale, length, 1.2, 12) for side in (-1.0, 1.0)]
    for index in range(whole(rng, 0, 8)):
        parts += _round(rng, at.sub(length * 0.4 - index * 10.5, -2, 1.4), 9, 19)
    spring = [(-length * 0.45 + 5 * step, (8 if step % 2 else -8) * scale) for step in range(9)]
    return [*parts, at.wire("steel", spring, 0.6)]


def _pistol(rng: Rng, at: Place, scale: float) -> list[Part]:
    """A whole self-loading pistol, seen from its side; with or without its magazine."""
    parts = [*_frame(rng, at.sub(0, -10 * scale), scale), *_slide(rng, at.sub(2, 6 * scale), scale)]
    parts += [*_barrel(rng, at.sub(26 * scale, 8 * scale), scale), *_recoil_spring(rng, at.sub(32 * scale, -6 * scale), scale)]
    return [*parts, *_magazine(rng, at.sub(-58 * scale, -58 * scale, 1.38), scale)] if chance(rng, 0.75) else parts


def _revolver(rng: Rng, at: Place, scale: float) -> list[Part]:
    """A revolver: barrel, drum with chambers, frame, grip, hammer."""
    length, metal = between(rng, 50, 130) * scale, pick(rng, ("steel", "stainless", "aluminium"), (2, 2, 0.7))
    frame = [(-52, 14), (22, 14), (24, -18), (-18, -20), (-34, -20), (-52, -86), (-84, -80), (-70, -10)]
    thick = between(rng, 9, 14)
    window = at.slab(metal, 0, -2 * scale, 36 * scale, 26 * scale, thick)
    parts = [
        at.plate(metal, [(u * scale, v * scale) for u, v in frame], thick),
        Part(material=metal, shape=window.shape, sign=-1),
    ]
    parts += [
        at.rod(metal, 22 * scale + length / 2, 8 * scale, length, 8.5 * scale, 4.6 * scale),
        at.rod(metal, 22 * scale + length * 0.4, -6, length * 0.8, 3.5),
    ]
    parts += [
        at.rod(metal, 0, -2 * scale, 34 * scale, 18 * scale, 5 * scale),
        *[at.rod("lead", 6, v * scale - 2, 14, 4.2) for v in (-11, 0, 11)],
    ]
    for v in (-11, 0, 11):
        bore = at.rod(metal, 0, v * scale - 2, 34 * scale, 4.6 * scale)
        parts.append(Part(material=metal, shape=bore.shape, sign=-1))
    parts += [
        at.plate("steel", [(-46, 12), (-40, 26), (-54, 30), (-58, 18)], 6),
        at.wire("steel", [(18, -20), (10, -40), (-12, -42), (-22, -22)], 2.0),
    ]
    return [*parts, at.sub(-62 * scale, -52 * scale, 1.25).slab(pick(rng, ("wood", "nylon")), 0, 0, 80 * scale, 30 * scale, 16, 8)]


def _pocket_gun(rng: Rng, at: Place, scale: float) -> list[Part]:
    """A very small or home-made gun: tube, block, spring, striker."""
    length, metal = between(rng, 60, 105) * scale, pick(rng, ("steel", "brass", "zinc_alloy"))
    return [
        at.rod(metal, 20, 0, length, between(rng, 7, 11), between(rng, 3, 5)),
        at.slab(metal, -length * 0.4, -4, 34, 26, between(rng, 8, 14), 2),
        at.sub(-length * 0.5, -34, 1.2).slab(pick(rng, ("wood", "abs")), 0, 0, 62, 24, 14, 5),
        at.wire("steel", [(-length * 0.62 + 2.5 * step, 4 if step % 2 else -4) for step in range(12)], 0.7),
        at.rod("steel", -length * 0.6, 0, 26, 2),
        at.wire("steel", [(-14, -16), (-20, -30), (-34, -28)], 1.6),
    ]


def handgun(rng: Rng, at: Place) -> list[Part]:
    """A whole handgun of some make."""
    scale = between(rng, 0.78, 1.12)
    make = pick(rng, ("pistol", "revolver", "pocket"), (3, 1.5, 1))
    mirror = at.sub(0, 0, math.pi) if chance(rng, 0.5) else at
    return {"pistol": _pistol, "revolver": _revolver, "pocket": _pocket_gun}[make](rng, mirror, scale)


def gun_parts(rng: Rng) -> list[list[Part]]:
    """Some parts of a pistol, to be spread over a piece; never less than slide, barrel or frame."""
    scale = between(rng, 0.78, 1.12)
    makers: dict[str, Callable[[Rng, Place, float], list[Part]]] = {
        "slide": _slide,
        "barrel": _barrel,
        "spring": _recoil_spring,
        "frame": _frame,
        "magazine": _magazine,
    }
    chosen = [name for name in makers if chance(rng, 0.6)]
    if not set(chosen) & {"slide", "barrel", "frame"}:
        chosen.append(pick(rng, ("slide", "barrel", "frame")))
    return [makers[name](rng, ORIGIN, scale) for name in chosen]
