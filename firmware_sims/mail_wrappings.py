"""Covers of the second generation: envelopes, document packets, document parcels, small parcels, and what is packed into them."""

import math
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from firmware_sims.body import Part
from firmware_sims.mail_baggage import baggage_like
from firmware_sims.mail_catalogue import FLAT_THINGS, MENACES, OFFICE_THINGS, THINGS
from firmware_sims.mail_covers import BELT_WIDTH_MM, LONGEST_MM, SHEET_MM, SHORTEST_MM, Packed, box_walls, closed, laid_frame
from firmware_sims.mail_household import rough
from firmware_sims.mail_layout import Place, Rng, between, chance, pick, wander, whole
from firmware_sims.mail_packing import FLAT_ROOM_MM, Room, hidden, named, things
from firmware_sims.mail_stationery import binding, card, compact_disc, fasteners, folded_letter, seal, stack, tape
from firmware_sims.textures import Uneven

SIZES_MM = (
    (220, 110),
    (229, 162),
    (324, 229),
    (162, 114),
    (235, 120),
    (250, 176),
    (353, 250),
    (114, 162),
    (110, 220),
    (162, 229),
    (229, 324),
    (176, 250),
    (240, 330),
)
"""DL, C5, C4, C6, window, B5, B4 envelopes, along and across."""
SIZE_SHARES = (3, 3, 2, 1.5, 1, 1, 0.7, 1, 1.5, 1.5, 1, 0.7, 0.7)
FITTING_SHARE = 0.62
"""Part of a forbidden thing's reach that the envelope must hold on each side of its middle."""
ENVELOPE_THINGS = 0.4
"""Share of ordinary envelopes with a thing beside paper, more than most post rooms see: not every dense thing is to be a threat."""
THICK_LETTER = 15
FLUTES_MM = (3.2, 4.7, 6.5, 8.0)


def _format(rng: Rng, least_half_mm: float) -> tuple[int, int]:
    """The size of an envelope whose shorter side is at least twice `least_half_mm`."""
    fitting = [index for index, size in enumerate(SIZES_MM) if min(size) >= 2.0 * least_half_mm]
    shares = np.asarray([SIZE_SHARES[index] for index in fitting])
    return SIZES_MM[fitting[int(rng.choice(len(fitting), p=shares / shares.sum()))]]


def envelope(rng: Rng, threat_kind: str | None) -> Packed:
    """An envelope of one sheet to a thick letter: flaps, window, seal, folded or flat letter, card, disc, sometimes a flat thing."""
    length, width = _format(rng, 0.0 if threat_kind is None else FITTING_SHARE * MENACES[threat_kind].reach_mm)
    at, extent_x, extent_y = laid_frame(rng, length, width)
    sheets = max(1, round(math.exp(between(rng, 0.0, 4.0))))
    skin = 2 * between(rng, 0.08, 0.16)
    parts = [rough(rng, at.slab("paper", 0, 0, length, width, skin), between(rng, 0.01, 0.04), between(rng, 2, 8))]
    parts += [at.slab("paper", side * (length / 2 - 7), 0, 14, width, 0.1) for side in (-1.0, 1.0)]
    flap = between(rng, 24, 62)
    parts.append(at.slab("paper", 0, width * 0.5 - flap / 2, length, flap, 0.1))
    if chance(rng, 0.3):
        u, v = between(rng, -0.15, 0.15) * length, -width * 0.18
        cut = replace(at.slab("paper", u, v, 90, 35, 0.1), sign=-1)
        parts += [cut, at.slab(pick(rng, ("pe", "pet", "paper")), u, v, 94, 39, 0.03)]
    if chance(rng, 0.12):
        parts += _bubbles(rng, at, length, width)
    fill_u, fill_v = length - between(rng, 5, 16), width - between(rng, 5, 16)
    folded = sheets <= 12 and chance(rng, 0.5)
    parts += folded_letter(rng, at, fill_u, fill_v, sheets) if folded else stack(rng, at, fill_u, fill_v, sheets)
    if chance(rng, 0.4):
        parts += fasteners(rng, at, fill_u, fill_v, thick=sheets > THICK_LETTER)
    room = Room(at=at, half_mm=(length / 2 - 4, width / 2 - 4), height_mm=7.0)
    for draw, share, reach in ((seal, 0.35, 25.0), (card, 0.16, 45.0)):
        if chance(rng, share):
            parts += draw(rng, room.spot(rng, reach))
    if chance(rng, 0.08) and min(length, width) > 130:
        parts += compact_disc(rng, room.spot(rng, 64))
    height = max(0.6, sheets * SHEET_MM + 0.5)
    for _ in range(whole(rng, 1, 2) if chance(rng, ENVELOPE_THINGS if threat_kind is None else ENVELOPE_THINGS / 2) else 0):
        name = pick(rng, FLAT_THINGS)
        item = THINGS[name]
        parts += named(name, item.draw(rng, room.spot(rng, item.reach_mm * 0.9)))
        height = max(height, min(item.height_mm, 12.0))
    if threat_kind is not None:
        parts += hidden(rng, room, threat_kind, ())
        height = max(height, 7.0)
    return closed(rng, "envelope", (extent_x, extent_y), parts, height, threat_kind)


def _bubbles(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """Bubble film on both sides: two skins and a lattice of thin rims."""
    shape = at.slab("pe", 0, 0, length - 6, width - 6, 0.24).shape
    film = Uneven(shape=shape, amount=0.35, grain_mm=between(rng, 4.5, 6.5), seed=int(rng.integers(2**31)))
    return [Part(material="pe", shape=film)]


def _padding(rng: Rng, at: Place, length: float, width: float) -> list[Part]:
    """What the cover of a packet is lined with."""
    cover = pick(rng, ("plain", "bubble", "padded", "card"), (3, 2, 1, 1.5))
    if cover == "bubble":
        return _bubbles(rng, at, length, width)
    if cover == "padded":
        return [rough(rng, at.slab("paper", 0, 0, length - 6, width - 6, between(rng, 1, 3)), 0.2, 4, 0.3)]
    return [at.slab("cardboard", 0, 0, length - 6, width - 6, between(rng, 2, 5))] if cover == "card" else []


def packet(rng: Rng, threat_kind: str | None) -> Packed:
    """A document packet: paper, padded, bubble or card cover with one or two files, their bindings, and small things."""
    length, width = between(rng, 215, 370), between(rng, 150, 275)
    if chance(rng, 0.4) and length <= BELT_WIDTH_MM:
        length, width = width, length
    at, extent_x, extent_y = laid_frame(rng, length, width)
    parts = [rough(rng, at.slab("paper", 0, 0, length, width, between(rng, 0.25, 0.6)), 0.03, 5)]
    parts += _padding(rng, at, length, width)
    sheets_in_all = 0
    for _ in range(whole(rng, 1, 2)):
        sheets = round(math.exp(between(rng, 2.0, 5.2)))
        local = at.sub(between(rng, -5, 5), between(rng, -5, 5), 0.02 * float(rng.normal()))
        fill_u, fill_v = min(length - 16, 300) * between(rng, 0.8, 1), min(width - 16, 300) * between(rng, 0.8, 1)
        parts += [*stack(rng, local, fill_u, fill_v, sheets), *fasteners(rng, local, fill_u, fill_v, thick=True)]
        parts += binding(rng, local, fill_u, fill_v)
        if chance(rng, 0.4):
            parts.append(local.slab(pick(rng, ("pvc", "cardboard", "pet")), 0, 0, fill_u, fill_v, between(rng, 0.3, 1.2)))
        sheets_in_all += sheets
    room = Room(at=at, half_mm=(length / 2 - 6, width / 2 - 6), height_mm=between(rng, 12, 40))
    for draw, share, reach in ((seal, 0.25, 25.0), (card, 0.15, 45.0), (compact_disc, 0.18, 66.0)):
        if chance(rng, share):
            parts += draw(rng, room.spot(rng, reach))
    count = pick(rng, ("0", "1", "2", "4"), (1.2, 1.6, 1.2, 0.8) if threat_kind is None else (2.0, 1.4, 0.6, 0.3))
    added, places = things(rng, room, OFFICE_THINGS, int(count))
    parts += added
    height = sheets_in_all * SHEET_MM + between(rng, 1, 6)
    if added or threat_kind is not None:
        height = max(height, room.height_mm)
    if threat_kind is not None:
        parts += hidden(rng, room, threat_kind, places)
    return closed(rng, "packet", (extent_x, extent_y), parts, height, threat_kind)


def _box(rng: Rng, at: Place, length: float, width: float, height: float) -> list[Part]:
    """A cardboard box: fluted top and bottom, flaps that overlap, upright sides, tape."""
    board = at.slab("cardboard", 0, 0, length, width, between(rng, 4, 10))
    flute = FLUTES_MM[int(rng.integers(len(FLUTES_MM)))]
    fluted = Uneven(shape=board.shape, amount=between(rng, 0.02, 0.08), grain_mm=12, flute_mm=flute, seed=int(rng.integers(2**31)))
    flap = min(width * 0.5, between(rng, 40, 130))
    parts = [Part(material="cardboard", shape=fluted), *box_walls(at, length, width, height)]
    parts += [at.slab("cardboard", side * (length - flap) / 2, 0, flap, width, between(rng, 3, 6)) for side in (-1.0, 1.0)]
    return [*parts, *tape(rng, at, length, width)]


def document_parcel(rng: Rng, threat_kind: str | None) -> Packed:
    """A box of files: binders, bound volumes, loose paper, some office things."""
    length, width = between(rng, 240, 445), between(rng, 200, 365)
    at, extent_x, extent_y = laid_frame(rng, length, width)
    extent_x, extent_y = min(extent_x, LONGEST_MM), min(extent_y, BELT_WIDTH_MM)
    height = between(rng, 30, 100)
    parts = _box(rng, at, length, width, height)
    half = (length / 2 - 8, width / 2 - 8)
    filled, most = 0.0, height * between(rng, 0.35, 0.85)
    while filled < most:
        sheets = whole(rng, 40, 220)
        fill_u, fill_v = between(rng, 0.6, 0.95) * min(length, 320), between(rng, 0.6, 0.95) * min(width, 300)
        local = Room(at=at, half_mm=half, height_mm=height).spot(rng, max(fill_u, fill_v) / 2 - 6)
        local = replace(local, angle_rad=at.angle_rad + 0.04 * float(rng.normal()))
        parts += [*stack(rng, local, fill_u, fill_v, sheets), *fasteners(rng, local, fill_u, fill_v, thick=True)]
        parts += binding(rng, local, fill_u, fill_v)
        if chance(rng, 0.4):
            parts.append(local.slab(pick(rng, ("cardboard", "pvc")), 0, 0, fill_u, fill_v, between(rng, 1, 4)))
        filled += sheets * SHEET_MM + 8
    room = Room(at=at, half_mm=half, height_mm=max(height * 0.8, 24.0))
    if chance(rng, 0.2):
        parts += compact_disc(rng, room.spot(rng, 66))
    added, places = things(rng, room, OFFICE_THINGS, whole(rng, 0, 4) if threat_kind is None else whole(rng, 0, 3))
    parts += added
    if threat_kind is not None:
        parts += hidden(rng, room, threat_kind, places)
    return closed(rng, "document_parcel", (extent_x, extent_y), parts, height, threat_kind)


def small_parcel(rng: Rng, threat_kind: str | None) -> Packed:
    """A box, a padded or plastic bag with everyday things that lie as they fell."""
    # an ordinary parcel is as large as one that was chosen for some forbidden thing
    reach = MENACES[threat_kind or pick(rng, tuple(MENACES))].reach_mm
    length, width = max(between(rng, SHORTEST_MM + 5, 400), 1.8 * reach), max(between(rng, 105, 330), 1.4 * reach)
    at, extent_x, extent_y = laid_frame(rng, length, width)
    height = between(rng, 28, 130)
    parts: list[Part] = []
    cover = pick(rng, ("box", "bag", "bubble", "double"), (5, 1.5, 1.5, 0.8))
    if cover in {"box", "double"}:
        parts += _box(rng, at, length, width, height)
        if cover == "double":
            parts += box_walls(at, length * 0.8, width * 0.8, height * 0.8)
    elif cover == "bubble":
        parts += [*_bubbles(rng, at, length, width), rough(rng, at.slab("paper", 0, 0, length, width, 0.4), 0.03, 5)]
    else:
        parts.append(rough(rng, at.slab("pe", 0, 0, length, width, between(rng, 0.1, 0.5)), 0.15, 14))
    parts += _filling(rng, at, length, width, height)
    room = Room(at=at, half_mm=(length / 2 - 5, width / 2 - 5), height_mm=height)
    crowd = max(2, round(length * width / 14_000))
    count = whole(rng, 1, min(9, crowd + 2)) if threat_kind is None else whole(rng, 0, min(8, crowd + 1))
    added, places = things(rng, room, tuple(THINGS), count)
    parts += added
    if chance(rng, 0.3):
        parts += stack(rng, at, length * 0.8, width * 0.8, whole(rng, 1, 14))
    if threat_kind is not None:
        parts += hidden(rng, room, threat_kind, places)
        height = max(height, FLAT_ROOM_MM)
    return closed(rng, "small_parcel", (extent_x, extent_y), parts, height, threat_kind)


def _filling(rng: Rng, at: Place, length: float, width: float, height: float) -> list[Part]:
    """What keeps things from rattling: foam, crumpled paper, bubble film, string."""
    parts: list[Part] = []
    if chance(rng, 0.35):
        parts.append(at.slab("foam", 0, 0, length * 0.9, width * 0.9, height * 0.6))
    if chance(rng, 0.35):
        crumpled = at.slab("paper", 0, 0, length * 0.9, width * 0.9, between(rng, 0.3, 1.5))
        parts.append(rough(rng, crumpled, 0.4, between(rng, 6, 16)))
    if chance(rng, 0.25):
        parts += _bubbles(rng, at, length * 0.9, width * 0.9)
    if chance(rng, 0.3):
        parts.append(at.wire("pe", wander(rng, (-length * 0.48, between(rng, -30, 30)), (length * 0.48, between(rng, -30, 30)), 3), 2.2))
    return parts


PACKERS: MappingProxyType[str, Callable[[Rng, str | None], Packed]] = MappingProxyType(
    {
        "envelope": envelope,
        "packet": packet,
        "document_parcel": document_parcel,
        "small_parcel": small_parcel,
        "baggage_like": baggage_like,
    }
)
"""How each kind of piece is packed."""
