"""Electric and electronic things that people send: drives, motors, lamps, cells, cameras, chargers, bare boards."""

import math

from firmware_sims.body import Part
from firmware_sims.mail_items import Item, cable, charger
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, pick, wander, whole


def chips(rng: Rng, at: Place, length: float, width: float, count: int) -> list[Part]:
    """Components scattered over a board of `length` × `width`."""
    parts = []
    for _ in range(count):
        u, v = between(rng, -0.44, 0.44) * length, between(rng, -0.42, 0.42) * width
        if chance(rng, 0.25):
            parts.append(at.disc("aluminium", u, v, between(rng, 1.5, 4), between(rng, 2, 8)))
        else:
            material = pick(rng, ("silicon", "copper", "solder", "abs"))
            parts.append(at.slab(material, u, v, between(rng, 2, 12), between(rng, 2, 9), between(rng, 0.3, 1.4)))
    return parts


def hard_disk(rng: Rng, at: Place) -> list[Part]:
    """A hard disk: cast case, platters, spindle motor, arm with its magnets, board."""
    length, width, thick = (147.0, 101.0, 8.0) if chance(rng, 0.5) else (100.0, 70.0, 4.0)
    return [
        at.slab("aluminium", 0, 0, length, width, between(rng, 0.6, 1.0) * thick, 3),
        at.slab("stainless", 0, 0, length - 4, width - 4, 0.7, 3),
        *[at.disc("aluminium", length * 0.12, 0, width * 0.46, 1.3, 0.27) for _ in range(whole(rng, 1, 3))],
        at.disc("steel", length * 0.12, 0, width * 0.13, 6),
        at.plate(
            "aluminium",
            [(-length * 0.3, width * 0.3), (-length * 0.1, width * 0.2), (length * 0.05, width * 0.05), (-length * 0.2, width * 0.16)],
            4,
        ),
        at.slab("magnet", -length * 0.36, width * 0.32, width * 0.28, width * 0.2, 5, 3),
        at.slab("circuit_board", -length * 0.2, -width * 0.1, length * 0.5, width * 0.7, 1.4),
        *chips(rng, at.sub(-length * 0.2, -width * 0.1), length * 0.5, width * 0.6, 6),
    ]


def motor(rng: Rng, at: Place) -> list[Part]:
    """A small electric motor: steel can, magnets, wound armature, shaft."""
    radius, length = between(rng, 8, 17), between(rng, 20, 38)
    return [
        at.rod("steel", 0, 0, length, radius, radius - 1.2),
        at.rod("magnet", 0, 0, length * 0.6, radius - 1.2, radius * 0.62),
        at.rod("copper", 0, 0, length * 0.5, radius * 0.55, radius * 0.3),
        at.rod("steel", 4, 0, length + 16, 1.6),
    ]


def motor_toy(rng: Rng, at: Place) -> list[Part]:
    """A toy car or robot: plastic body, wheels, gears, motor, battery box with wires and switch."""
    length, width = between(rng, 90, 160), between(rng, 48, 80)
    parts = [
        at.slab("abs", 0, 0, length, width, between(rng, 3, 5), 10),
        at.slab("abs", -length * 0.05, 0, length * 0.5, width * 0.8, 4, 8),
    ]
    for u in (-0.32, 0.32):
        parts.append(at.rod("steel", length * u, 0, width + 8, 1.5, turn=math.pi / 2))
        tyre = between(rng, 11, 16)
        parts += [at.rod("rubber", length * u, side * width * 0.5, 12, tyre, 7, math.pi / 2) for side in (-1.0, 1.0)]
    parts += motor(rng, at.sub(-length * 0.28, 6, between(rng, 0, 1.5)))
    parts += [at.disc("nylon", -length * 0.18 + 9 * step, -8, between(rng, 5, 9), 3, 0.25) for step in range(3)]
    box = at.sub(length * 0.12, 0)
    for index in range(whole(rng, 2, 4)):
        v = index * 15 - 22
        parts += [box.rod("alkaline_cell", 0, v, 48, 6.4), box.rod("steel", 0, v, 50, 7, 6.6)]
    for _ in range(2):
        path = wander(rng, (length * 0.1, 0), (-length * 0.26, 6), 8, 8)
        parts += [at.wire("copper", path, 0.3), at.wire("pvc", path, 0.8)]
    return parts


def torch(rng: Rng, at: Place) -> list[Part]:
    """A torch: metal or plastic tube, cells in a row, head with reflector and lens."""
    radius, cells = pick(rng, ("9.5", "14.5", "17.5")), whole(rng, 2, 3)
    inner = float(radius)
    length = 50.0 * cells + 20
    parts = [
        at.rod(pick(rng, ("aluminium", "abs", "aluminium")), 0, 0, length, inner + 2.2, inner),
        at.rod("aluminium", length / 2 + 14, 0, 30, inner + 9, inner + 6.5),
        at.rod("polycarbonate", length / 2 + 28, 0, 3, inner + 8),
        at.disc("circuit_board", length / 2 + 6, 0, 8, 1.6),
        at.wire("steel", [(-length / 2 + 3 + 2 * step, 5 if step % 2 else -5) for step in range(8)], 0.7),
    ]
    for index in range(cells):
        u = (index - (cells - 1) / 2) * 50
        parts += [
            at.rod("alkaline_cell", u, 0, 47, inner - 1),
            at.rod("steel", u, 0, 49, inner - 0.4, inner - 0.9),
            at.rod("brass", u + 25, 0, 2, 3),
        ]
    return parts


def cells(rng: Rng, at: Place) -> list[Part]:
    """A card of household cells, side by side; button cells in a blister."""
    if chance(rng, 0.3):
        parts = [at.slab("cardboard", 0, 0, 95, 60, 1.6)]
        parts += [at.disc("alkaline_cell", (index % 5) * 17 - 34, (index // 5) * 24 - 12, between(rng, 5, 10), 3) for index in range(10)]
        return parts
    radius, length, count = (7.0, 50.0, whole(rng, 2, 6)) if chance(rng, 0.7) else (16.5, 60.0, 2)
    parts = [at.slab("cardboard", 0, 0, length + 30, count * radius * 2.1 + 10, 0.6)]
    for index in range(count):
        v = (index - (count - 1) / 2) * radius * 2.1
        parts += [at.rod("alkaline_cell", 0, v, length - 2, radius - 0.4), at.rod("steel", 0, v, length, radius, radius - 0.3)]
        parts.append(at.rod("graphite", 0, v, length * 0.8, 1.2))
    return parts


def mouse(rng: Rng, at: Place) -> list[Part]:
    """A computer mouse with its cable or cell, or a remote key."""
    parts = [
        at.oval("abs", 0, 0, 56, 30, between(rng, 4, 6)),
        at.slab("circuit_board", 6, 0, 60, 36, 1.6),
        *chips(rng, at.sub(6, 0), 60, 36, 7),
        at.rod("rubber", 34, 0, 7, 11, 5, math.pi / 2),
    ]
    if chance(rng, 0.5):
        path = coil((-60, 0), 24, 20, between(rng, 1.2, 2.4), 0.3)
        return [*parts, at.wire("pvc", path, 1.6), at.wire("copper", path, 0.5), at.sub(*path[-1]).slab("steel", 0, 0, 16, 12, 0.9)]
    return [*parts, at.rod("alkaline_cell", -22, 0, 49, 7), at.rod("steel", -22, 0, 50, 7.2, 6.9)]


def shaver(rng: Rng, at: Place) -> list[Part]:
    """An electric shaver or toothbrush: cell, motor, board, steel head."""
    length, radius = between(rng, 120, 165), between(rng, 13, 24)
    return [
        at.rod("abs", 0, 0, length, radius, radius - 2.2),
        at.rod("lithium_cell", -length * 0.18, 0, 50, 8.5),
        at.rod("steel", -length * 0.18, 0, 50, 8.9, 8.5),
        *motor(rng, at.sub(length * 0.22, 0)),
        at.slab("circuit_board", 0, radius * 0.5, length * 0.5, radius * 0.7, 1.4),
        at.disc("stainless", length / 2, 0, radius * 0.9, between(rng, 2, 5)),
    ]


def camera(rng: Rng, at: Place) -> list[Part]:
    """A camera or binocular: metal body, glass lenses in rings, cell, board."""
    length, width = between(rng, 95, 135), between(rng, 60, 85)
    radius = between(rng, 20, 31)
    parts = [at.slab(pick(rng, ("aluminium", "abs")), 0, 0, length, width, between(rng, 4, 8), 6)]
    parts += [at.disc("aluminium", -length * 0.1, 0, radius, between(rng, 18, 34), 0.86)]
    parts += [at.oval("glass", -length * 0.1, 0, radius * share, radius * share, between(rng, 4, 9), dome=True) for share in (0.8, 0.6)]
    parts += [at.slab("lithium_cell", length * 0.33, 0, 18, 40, 12, 2), at.slab("circuit_board", 6, 0, length * 0.8, width * 0.8, 1.6)]
    return [*parts, *chips(rng, at, length * 0.8, width * 0.7, 14)]


def board(rng: Rng, at: Place) -> list[Part]:
    """A bare circuit board, a router or a set-top box: components, transformer, heat sink, sockets."""
    length, width = between(rng, 80, 170), between(rng, 55, 120)
    parts = [at.slab("circuit_board", 0, 0, length, width, 1.6), *chips(rng, at, length, width, whole(rng, 15, 40))]
    if chance(rng, 0.6):
        parts += [at.slab("abs", 0, 0, length + 14, width + 14, 4, 6)]
    parts += [
        at.slab("steel", length * 0.45, (index - 1.5) * width * 0.22, 16, 15, between(rng, 0.6, 1.6)) for index in range(whole(rng, 1, 4))
    ]
    if chance(rng, 0.6):
        core = between(rng, 14, 26)
        parts += [
            at.slab("ferrite", -length * 0.25, 0, core, core, core * 0.5),
            at.slab("copper", -length * 0.25, 0, core * 0.6, core * 0.6, 4),
        ]
    if chance(rng, 0.5):
        parts += [at.slab("aluminium", 8, 5 + 3.0 * fin, 30, 1.0, 18) for fin in range(7)]
    return parts


def adapter(rng: Rng, at: Place) -> list[Part]:
    """A power brick with its rolled cable."""
    return [*charger(rng, at.sub(-30, 0)), *cable(rng, at.sub(40, 10))]


def loudspeaker(rng: Rng, at: Place) -> list[Part]:
    """A small loudspeaker: magnet, basket, cell, board."""
    radius = between(rng, 26, 42)
    return [
        at.disc("abs", 0, 0, radius + 4, between(rng, 40, 60), 0.93),
        at.disc("steel", 0, 0, radius * 0.9, 1.0, 0.5),
        at.disc("ferrite", 0, 0, radius * 0.5, between(rng, 8, 14), 0.3),
        at.disc("steel", 0, 0, radius * 0.52, 3),
        at.rod("lithium_cell", radius * 0.5, radius * 0.4, 50, 8.8),
        at.slab("circuit_board", -radius * 0.4, radius * 0.4, 34, 22, 1.5),
    ]


ELECTRONICS = {
    "hard disk": Item(draw=hard_disk, reach_mm=90, height_mm=26),
    "motor toy": Item(draw=motor_toy, reach_mm=100, height_mm=40),
    "torch": Item(draw=torch, reach_mm=125, height_mm=50),
    "cells": Item(draw=cells, reach_mm=62, height_mm=30),
    "mouse": Item(draw=mouse, reach_mm=80, height_mm=36),
    "shaver": Item(draw=shaver, reach_mm=88, height_mm=44),
    "camera": Item(draw=camera, reach_mm=85, height_mm=45),
    "board": Item(draw=board, reach_mm=110, height_mm=32),
    "adapter": Item(draw=adapter, reach_mm=100, height_mm=32),
    "loudspeaker": Item(draw=loudspeaker, reach_mm=60, height_mm=60),
}
"""Electric things by name."""
