"""Blades in many makes, of steel and of ceramic: kitchen and flick knives, box cutters, razors, hooked, thrown and broad ones."""

import math
from collections.abc import Callable

from firmware_sims.body import Part
from firmware_sims.mail_layout import Place, Rng, between, jagged, pick, whole
from firmware_sims.mail_threats import blade as plain_blade


def blade(rng: Rng, at: Place) -> list[Part]:
    """Any of many blades: those of the first generation, and more."""
    form = pick(rng, tuple(FORMS), tuple(share for share, _ in FORMS.values()))
    return FORMS[form][1](rng, at)


def flat_blade(rng: Rng, at: Place) -> list[Part]:
    """A blade that goes into a letter: without a handle, or thin."""
    form = pick(rng, FLAT_FORMS, (3, 1.5, 1, 1, 0.6, 0.6))
    return _bare(rng, at) if form == "bare" else FORMS[form][1](rng, at)


def _bare(rng: Rng, at: Place) -> list[Part]:
    """A knife's or cutter's blade alone."""
    length, width = between(rng, 55, 150), between(rng, 9, 30)
    metal = pick(rng, ("steel", "stainless", "zirconia", "titanium"), (2, 2, 1, 0.5))
    tip = between(rng, 0.55, 0.95)
    edge = [(-length / 2, -width / 2), (length * (tip - 0.5), -width / 2), (length / 2, between(rng, -0.4, 0.4) * width)]
    edge += [(length * (tip - 0.5), width / 2), (-length / 2, width / 2)]
    return [at.plate(metal, jagged(rng, edge, 0.3), between(rng, 0.4, 2.2))]


def _razors(rng: Rng, at: Place) -> list[Part]:
    thick = between(rng, 0.1, 0.2)
    places = [at.sub(between(rng, -4, 4) + 3 * index, between(rng, -14, 14), between(rng, -0.3, 0.3)) for index in range(whole(rng, 1, 6))]
    return [place.slab("steel", 0, 0, 43, 22, thick, 2) for place in places]


def _splinter(rng: Rng, at: Place) -> list[Part]:
    """A piece snapped off a blade."""
    outline = [(-between(rng, 6, 14), -6.0), (between(rng, 6, 14), -5.0), (between(rng, 4, 12), 6.0), (-5.0, 5.0)]
    return [at.plate("steel", outline, between(rng, 0.1, 0.5))]


def _thrown(rng: Rng, at: Place) -> list[Part]:
    points = [(-95, 0), (-70, -7), (-40, -4), (0, -13), (60, -9), (92, 0), (60, 9), (0, 13), (-40, 4), (-70, 7)]
    scale = between(rng, 0.7, 1.1)
    return [at.plate("stainless", [(u * scale, v * scale) for u, v in points], between(rng, 2.5, 4.5))]


def _knife(rng: Rng, at: Place, metal: str, *, switch: bool, cleaver: bool) -> list[Part]:
    length, width = between(rng, 75, 185), between(rng, 18, 42)
    if cleaver:
        length, width = between(rng, 120, 180), between(rng, 60, 85)
    if switch:
        length, width = between(rng, 70, 105), between(rng, 13, 20)
    thick = between(rng, 1.6, 2.4) if metal == "zirconia" else between(rng, 1.2, 3.4)
    edge = [(0, -width / 2), (length * (0.98 if cleaver else 0.6), -width / 2), (length, -width * (0.4 if cleaver else 0.0))]
    edge += [(length * 0.9, width * 0.36), (length * 0.5, width * 0.5), (0, width * 0.5)]
    grip = between(rng, 85, 125)
    handle = pick(rng, ("abs", "wood", "filled_nylon", "stainless"), (2, 2, 2, 0.7))
    parts = [at.plate(metal, jagged(rng, edge, 0.4), thick)]
    # the cut is ground thin
    parts.append(
        at.plate(metal, [(0, -width / 2 + 1), (length * 0.6, -width / 2 + 1), (length * 0.6, width * 0.1), (0, width * 0.1)], thick * 0.25)
    )
    if switch:
        parts += [
            at.slab("aluminium", -grip / 2, 0, grip, width + 6, between(rng, 5, 9), 4),
            at.wire("steel", [(-grip + 8 + 4 * step, 4 if step % 2 else -4) for step in range(9)], 0.6),
        ]
        return [*parts, at.disc("brass", -4, 0, 4, 8)]
    tang = grip * between(rng, 0.4, 1.0)
    parts += [
        at.slab(handle, -grip / 2, 0, grip, min(width, 30) * 0.9, between(rng, 10, 18), 6),
        at.slab(metal, -tang / 2, 0, tang, width * 0.4, thick),
    ]
    return [*parts, *[at.disc("brass", -grip * share, 0, 2.6, 12) for share in (0.25, 0.55, 0.85)[: whole(rng, 0, 3)]]]


def _box_cutter(rng: Rng, at: Place) -> list[Part]:
    width = pick(rng, ("9", "18", "25"))
    wide, out = float(width), between(rng, 0, 55)
    length = between(rng, 110, 160)
    parts = [
        at.slab(pick(rng, ("abs", "zinc_alloy")), 0, 0, length, wide + 12, between(rng, 4, 9), 5),
        at.slab("stainless", 4, 0, length * 0.86, wide + 5, 0.8),
        at.plate(
            "steel",
            [
                (-length * 0.2, -wide / 2),
                (length / 2 + out, -wide / 2),
                (length / 2 + out - wide * 0.6, wide / 2),
                (-length * 0.2, wide / 2),
            ],
            0.7,
        ),
    ]
    for step in range(int((length * 0.7 + out) / 6)):
        u = -length * 0.2 + 6 * step
        notch = at.wire("steel", [(u, -wide / 2), (u - wide * 0.35, wide / 2)], 0.2)
        parts.append(Part(material=notch.material, shape=notch.shape, sign=-1))
    return parts


def _hooked(rng: Rng, at: Place) -> list[Part]:
    outer, inner = between(rng, 48, 65), between(rng, 30, 40)
    arc = [(outer * math.cos(0.25 * step), outer * math.sin(0.25 * step)) for step in range(7)]
    back = [(inner * math.cos(0.25 * step) - 4, inner * math.sin(0.25 * step)) for step in range(5, -1, -1)]
    ring = at.sub(45, -75)
    return [
        at.plate("stainless", [*arc, *back], between(rng, 2, 4)),
        at.slab("stainless", 45, -38, 20, 76, 3),
        at.slab("filled_nylon", 45, -36, 24, 60, 9, 5),
        ring.disc("stainless", 0, -6, 15, 4, 0.7),
    ]


FORMS: dict[str, tuple[float, Callable[[Rng, Place], list[Part]]]] = {
    "plain": (3.0, plain_blade),
    "kitchen": (2.0, lambda rng, at: _knife(rng, at, "stainless", switch=False, cleaver=False)),
    "ceramic": (1.2, lambda rng, at: _knife(rng, at, "zirconia", switch=False, cleaver=False)),
    "flick": (1.2, lambda rng, at: _knife(rng, at, "stainless", switch=True, cleaver=False)),
    "cleaver": (0.6, lambda rng, at: _knife(rng, at, "stainless", switch=False, cleaver=True)),
    "box cutter": (1.2, _box_cutter),
    "razors": (0.8, _razors),
    "splinter": (0.4, _splinter),
    "hooked": (0.8, _hooked),
    "thrown": (0.8, _thrown),
}
"""Share and builder of each form."""
FLAT_FORMS = ("bare", "razors", "splinter", "box cutter", "hooked", "thrown")
