"""What the second generation of mail is made of: everyday things, forbidden things, and how often each comes in each kind of piece."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from firmware_sims.body import Part
from firmware_sims.mail_blades import blade, flat_blade
from firmware_sims.mail_electronics import ELECTRONICS
from firmware_sims.mail_explosives import (
    bomb,
    bulk_explosive,
    device_parts,
    initiator,
    initiator_parts,
    powder,
    sheet_explosive,
)
from firmware_sims.mail_firearms import ammunition, gun_parts, handgun, loose_rounds
from firmware_sims.mail_hazards import aerosol, dense_liquid, lithium_pack, shield
from firmware_sims.mail_household import HOUSEHOLD
from firmware_sims.mail_items import EVERYDAY
from firmware_sims.mail_layout import Place, Rng
from firmware_sims.mail_threats import Threat
from firmware_sims.mail_tools import TOOLS

KIND_SHARES = MappingProxyType({"envelope": 0.45, "packet": 0.25, "document_parcel": 0.12, "small_parcel": 0.18})
"""How mail comes. `baggage_like` is drawn on request alone."""

THINGS = MappingProxyType({**EVERYDAY, **ELECTRONICS, **TOOLS, **HOUSEHOLD})
"""Every everyday thing by name."""

FLAT_THINGS = (
    "keys",
    "coins",
    "memory sticks",
    "pens",
    "jewellery",
    "fittings",
    "compact",
    "blisters",
    "magnets",
    "earphones",
    "watch",
    "cells",
    "padlock",
)
"""What is put into envelopes beside paper."""

OFFICE_THINGS = (
    *FLAT_THINGS,
    "stamp",
    "medal",
    "calculator",
    "hard disk",
    "phone",
    "tape measure",
    "blunt scissors",
    "mouse",
    "power bank",
    "cable",
    "spectacles",
    "weight",
    "cutlery",
    "board",
    "charger",
    "lipsticks",
    "spanner",
    "pliers",
    "screwdriver",
    "torch",
    "camera",
    "loudspeaker",
    "shaver",
)
"""What goes along with documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Menace(Threat):
    """A forbidden thing that may also come in parts: `scattered` draws them apart, each about the origin."""

    scattered: Callable[[Rng], list[list[Part]]] | None = None


def _flat(draw: Callable[..., list[Part]]) -> Callable[[Rng, Place], list[Part]]:
    return lambda rng, at: draw(rng, at, flat=True)


MENACES = MappingProxyType(
    {
        "blade": Menace(draw=blade, flat=flat_blade, reach_mm=90, height_mm=15),
        "handgun": Menace(draw=handgun, scattered=gun_parts, reach_mm=100, height_mm=30),
        "bomb": Menace(draw=bomb, flat=_flat(bomb), scattered=device_parts, reach_mm=85, height_mm=36),
        "powder": Menace(draw=powder, flat=_flat(powder), reach_mm=68, height_mm=20),
        "dense_liquid": Menace(draw=dense_liquid, reach_mm=85, height_mm=60),
        "shield": Menace(draw=shield, flat=_flat(shield), reach_mm=75, height_mm=30),
        "ammunition": Menace(draw=ammunition, scattered=loose_rounds, reach_mm=60, height_mm=26),
        "initiator": Menace(draw=initiator, flat=_flat(initiator), scattered=initiator_parts, reach_mm=75, height_mm=20),
        "sheet_explosive": Menace(draw=sheet_explosive, flat=sheet_explosive, reach_mm=80, height_mm=10),
        "bulk_explosive": Menace(draw=bulk_explosive, reach_mm=80, height_mm=40),
        "aerosol": Menace(draw=aerosol, reach_mm=110, height_mm=66),
        "lithium_pack": Menace(draw=lithium_pack, flat=_flat(lithium_pack), reach_mm=95, height_mm=28),
    }
)
"""Every forbidden thing by name; a class of its own each, in this order."""

CLASSES = tuple(MENACES)
"""Names of the classes; masks carry the place here plus one, 0 for nothing forbidden."""

LABELS = (*CLASSES, *THINGS)
"""Whatever a cell may be told to hold, forbidden things first; labels carry the place here plus one, 0 for none of them."""

_ANYWHERE = {
    "blade": 1.5,
    "handgun": 1.6,
    "bomb": 1.5,
    "powder": 1.0,
    "dense_liquid": 1.3,
    "shield": 0.9,
    "ammunition": 1.1,
    "initiator": 1.1,
    "sheet_explosive": 1.0,
    "bulk_explosive": 1.2,
    "aerosol": 1.0,
    "lithium_pack": 1.0,
}

THREAT_SHARES = MappingProxyType(
    {
        "envelope": {
            "blade": 2.0,
            "powder": 2.0,
            "bomb": 1.2,
            "shield": 0.8,
            "initiator": 1.2,
            "sheet_explosive": 1.2,
            "lithium_pack": 0.7,
            "ammunition": 0.5,
        },
        "packet": {
            "blade": 2.0,
            "powder": 1.5,
            "bomb": 1.5,
            "handgun": 0.8,
            "shield": 1.0,
            "dense_liquid": 0.5,
            "ammunition": 1.0,
            "initiator": 1.2,
            "sheet_explosive": 1.2,
            "bulk_explosive": 0.8,
            "lithium_pack": 0.9,
        },
        "document_parcel": {**_ANYWHERE, "dense_liquid": 0.6, "aerosol": 0.5},
        "small_parcel": _ANYWHERE,
        "baggage_like": _ANYWHERE,
    }
)
"""Weights of forbidden things in each kind of piece that may hold them."""
