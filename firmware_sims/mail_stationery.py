"""Paper and what holds it: stacks with texture, folded letters, clips, binders, spirals, seals, bands, stamps, cards, discs."""

import math

from firmware_sims.body import Part
from firmware_sims.mail_covers import SHEET_MM, optical_disc
from firmware_sims.mail_household import rough
from firmware_sims.mail_layout import Place, Rng, between, chance, coil, pick, wander, whole

GRAMMAGE = (0.7, 0.8, 0.8, 1.0, 1.2, 1.6, 2.5)
"""g/m² of a sheet over 100: thin copies, office paper, letterheads, glossy sheets, card."""


def stack(rng: Rng, at: Place, length: float, width: float, sheets: int) -> list[Part]:
    """`sheets` of paper as one to several stacks, each with its own grammage, formation and slight turn."""
    parts: list[Part] = []
    left = sheets
    while left > 0:
        take = min(left, max(1, round(left * between(rng, 0.4, 1.0))))
        local = at.sub(between(rng, -3, 3), between(rng, -3, 3), float(rng.normal()) * 0.012)
        sheet = local.slab("paper", 0, 0, length - between(rng, 0, 6), width - between(rng, 0, 6), take * SHEET_MM)
        # formation adds up at random over the sheets
        amount = between(rng, 0.02, 0.07) / math.sqrt(take)
        parts.append(rough(rng, sheet, amount, between(rng, 2.0, 9.0), GRAMMAGE[int(rng.integers(len(GRAMMAGE)))] / 0.8))
        left -= take
    if chance(rng, 0.35):
        rows, depth = whole(rng, 3, 12), 0.006 * min(sheets, 20)
        for row in range(rows):
            v = width * (0.38 - 0.76 * row / rows)
            parts.append(at.slab("toner", between(rng, -5, 5), v, length * between(rng, 0.3, 0.8), between(rng, 1.5, 4), depth))
    if chance(rng, 0.15):
        parts.append(at.slab("toner", between(rng, -0.2, 0.2) * length, between(rng, -0.2, 0.2) * width, length * 0.4, width * 0.35, 0.01))
    return parts


def folded_letter(rng: Rng, at: Place, length: float, width: float, sheets: int) -> list[Part]:
    """Sheets folded to fit: panels that do not quite meet, and a ridge at each fold."""
    panels = whole(rng, 2, 3)
    parts = []
    for _ in range(panels):
        local = at.sub(between(rng, -2, 2), between(rng, -2.5, 2.5), float(rng.normal()) * 0.006)
        parts += stack(rng, local, length, width - between(rng, 0, 9), sheets)
    for side in (-1.0, 1.0)[: panels - 1]:
        ridge = [(-length / 2 + 2, side * (width / 2 - 2)), (0, side * (width / 2 - 1.4)), (length / 2 - 2, side * (width / 2 - 2))]
        parts.append(at.wire("paper", ridge, 0.06 * sheets * panels + 0.25))
    return parts


def fasteners(rng: Rng, at: Place, length: float, width: float, *, thick: bool) -> list[Part]:
    """Staples, clips of wire and plastic, bulldog clips, treasury tags, rubber bands."""
    parts: list[Part] = []
    half_u, half_v = length / 2, width / 2
    for _ in range(whole(rng, 0, 4)):
        local = at.sub(half_u - between(rng, 5, 18), between(rng, -half_v + 8, half_v - 8), between(rng, 0, 3.1))
        parts.append(local.wire("steel", [(-6, 2.4), (-6, 0), (6, 0), (6, 2.4)], between(rng, 0.2, 0.4)))
    for _ in range(whole(rng, 0, 3)):
        local = at.sub(half_u - 15, between(rng, -half_v + 14, half_v - 14), between(rng, -0.2, 0.2))
        size = between(rng, 0.8, 1.7)
        loop = [(12, -3.5), (-10, -3.5), (-13, 0), (-10, 3.5), (13, 3.5), (16, 0.5), (13, -2), (-6, -2), (-8, 0), (-6, 2), (8, 2)]
        plastic = chance(rng, 0.2)
        parts.append(
            local.wire(
                "nylon" if plastic else "steel", [(u * size, v * size) for u, v in loop], 1.2 if plastic else between(rng, 0.35, 0.65)
            )
        )
    if chance(rng, 0.15):
        v = between(rng, -0.3, 0.3) * width
        parts += [
            at.wire("rubber", wander(rng, (-half_u, v), (half_u, v + 4), 2, 6), between(rng, 0.6, 1.3)) for _ in range(whole(rng, 1, 2))
        ]
    if not thick:
        return parts
    for _ in range(whole(rng, 0, 2) if chance(rng, 0.4) else 0):
        local = at.sub(half_u - 12, between(rng, -half_v / 1.5, half_v / 1.5))
        broad = between(rng, 15, 51)
        parts += [local.slab("steel", 0, 0, 17, broad, between(rng, 0.6, 1.1)), local.rod("steel", 8, 0, broad, 3, 2.2, math.pi / 2)]
        parts.append(local.wire("steel", [(-4, -broad / 3), (-24, -8), (-24, 8), (-4, broad / 3)], between(rng, 0.8, 1.3)))
    return parts


def binding(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """What binds a file: lever arch, ring binder, plastic or wire spiral, comb, filing strip, screws; or nothing."""
    half_v = width / 2
    form = pick(rng, ("none", "lever", "rings", "spiral", "wire", "comb", "strip", "screws"), (4, 1.2, 1.2, 0.8, 0.8, 0.7, 1, 0.4))
    if form == "lever":
        v = half_v - 16
        return [
            at.slab("steel", 0, v, min(length * 0.75, 180), between(rng, 14, 26), between(rng, 0.8, 1.4), 3),
            *[at.wire("steel", coil((offset * length, v - 2), 2.0, between(rng, 14, 22), 1.0), 1.5) for offset in (-0.14, 0.14)],
            at.slab("steel", between(rng, -20, 20), v - 14, 34, 8, 1.6),
            *[at.disc("stainless", side * length * 0.42, v, 9, 0.6, 0.7) for side in (-1.0, 1.0)],
        ]
    if form in {"rings", "strip", "screws"}:
        return _flat_binding(rng, at, form, length, half_v)
    if form in {"spiral", "wire"}:
        return _spiral(rng, at, form, length, half_v)
    if form == "comb":
        teeth = [at.slab("pvc", length * (index / 20 - 0.475), half_v - 7, 6, 16, 1.2) for index in range(20)]
        return [at.rod("pvc", 0, half_v - 3, length * 0.96, 7, 6.2), *teeth]
    return []


def _spiral(rng: Rng, at: Place, form: str, length: float, half_v: float) -> list[Part]:
    metal, radius = ("nylon", 1.1) if form == "spiral" else ("steel", 0.5)
    pitch = between(rng, 6, 9)
    path = []
    for index in range(int(length / pitch)):
        u = (index + 0.5) * pitch - length / 2
        path += [(u - pitch * 0.35, half_v - 10), (u, half_v + 1), (u + pitch * 0.35, half_v - 10)]
    return [at.wire(metal, path, radius)]


def _flat_binding(rng: Rng, at: Place, form: str, length: float, half_v: float) -> list[Part]:
    if form == "rings":
        v, count = half_v - 14, pick(rng, ("2", "4"))
        places = [(index / (int(count) - 1) - 0.5) * min(length * 0.7, 200) for index in range(int(count))]
        parts = [at.slab("steel", 0, v, min(length * 0.85, 250), 14, 1.0, 3)]
        return [*parts, *[at.wire("steel", coil((u, v - 2), 2.0, between(rng, 10, 18), 1.0), 1.3) for u in places]]
    if form == "strip":
        metal = pick(rng, ("steel", "nylon"))
        return [
            at.slab(metal, 0, half_v - 14, 86, 7, 0.5),
            at.slab(metal, 0, half_v - 14, 150, 5, 0.3),
            at.slab("pvc", 0, half_v - 14, 100, 12, 0.6),
        ]
    return [at.disc(pick(rng, ("brass", "aluminium")), u, half_v - 13, 7, between(rng, 6, 30)) for u in (-40, 40)]


def seal(rng: Rng, at: Place) -> list[Part]:
    """A seal of wax, or of lead on its string; an embossed foil; a postage meter's stamp."""
    form = pick(rng, ("wax", "lead", "foil", "stamp"), (2, 1, 1, 2))
    if form == "wax":
        return [rough(rng, at.disc("wax_seal", 0, 0, between(rng, 12, 20), between(rng, 1.5, 4)), 0.15, 4)]
    if form == "lead":
        string = at.wire("textile", wander(rng, (-45, 0), (45, 6), 8), 0.8)
        return [at.disc("lead", 0, 0, between(rng, 4.5, 8), between(rng, 2.5, 4.5)), string]
    if form == "foil":
        return [at.disc("aluminium", 0, 0, 20, 0.06)]
    return [at.slab("paper", 0, index * 30.0, 32, 24, 0.1) for index in range(whole(rng, 1, 3))]


def card(rng: Rng, at: Place) -> list[Part]:
    """A bank card with its chip, a badge, a laminated card, a key card on its holder."""
    form = pick(rng, ("chip", "laminated", "badge"), (3, 2, 1))
    if form == "chip":
        ring = coil((0, 0), 38, 22, 3, -0.08)
        return [at.slab("pvc", 0, 0, 85.6, 54, 0.76, 3), at.slab("copper", -27, 2, 12, 11, 0.12), at.wire("copper", ring, 0.06)]
    if form == "laminated":
        length = between(rng, 90, 150)
        return [at.slab("pet", 0, 0, length, length * 0.7, 0.3, 4), at.slab("paper", 0, 0, length - 8, length * 0.7 - 8, 0.2)]
    metal = pick(rng, ("brass", "zinc_alloy", "aluminium"))
    return [
        at.disc(metal, 0, 0, between(rng, 13, 21), between(rng, 1.2, 2.4)),
        at.slab("steel", 0, 0, 30, 3, 0.9),
        at.slab("cardboard", 0, 0, 80, 60, 1.2),
    ]


def compact_disc(rng: Rng, at: Place) -> list[Part]:
    """One or a few optical discs, bare, in sleeves or in cases."""
    parts: list[Part] = []
    for index in range(whole(rng, 1, 3)):
        parts += optical_disc(rng, at.sub(index * between(rng, 0, 8), index * between(rng, 0, 8)))
    return parts


def tape(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """Adhesive tape along the middle and the ends of a box, now and then with fibres or a metal strap."""
    strips = [at.slab("pe", 0, 0, length, 48, 0.06), *[at.slab("pe", side * length * 0.46, 0, 30, width, 0.05) for side in (-1.0, 1.0)]]
    if chance(rng, 0.12):
        metal = pick(rng, ("steel", "nylon"))
        strips += [at.slab(metal, offset * length, 0, 13, width, 0.9) for offset in (-0.25, 0.25)]
    return strips
