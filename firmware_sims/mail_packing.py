"""Laying things into a piece: where, how tilted, over or under what, and how forbidden things are hidden among them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from firmware_sims.body import Part
from firmware_sims.mail_catalogue import MENACES, THINGS
from firmware_sims.mail_covers import spot_within
from firmware_sims.mail_household import rough
from firmware_sims.mail_layout import Place, Rng, between, chance, pick
from firmware_sims.textures import Uneven
from firmware_sims.tumble import Fall, tumbled

ORGANIC = frozenset({"paper", "textile", "food", "sugar", "cream", "wood", "soap", "paraffin", "leather", "fruit", "milk_powder"})
ORIGIN = Place(x_mm=0.0, y_mm=0.0)
FLAT_ROOM_MM = 9.0
LEAST_TILT = 0.06
SCATTERED_SHARE = 0.4
HIDDEN_SHARE = 0.5
SHIELDED_SHARE = 0.07
LYING_FLAT_SHARE = 0.4
CORNER_SHARE = 0.75
TOWARDS = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The inside of a piece: its middle, half its length and width, and its height."""

    at: Place
    half_mm: tuple[float, float]
    height_mm: float

    def spot(self, rng: Rng, reach_mm: float, *, corners: float = 1.0) -> Place:
        """A place for a thing of this reach, turned so that what is long lies along the piece where it must.

        The reach is a circle about the thing; `corners` below 1 lets the rim cut through it where there is room, as things fill corners.
        """
        along = 0.0 if self.half_mm[0] >= self.half_mm[1] else math.pi / 2
        sway = 0.25 if self.height_mm < FLAT_ROOM_MM else 0.5
        roomy = reach_mm <= min(self.half_mm)
        turn = between(rng, 0.0, 2.0 * math.pi) if roomy else along + between(rng, -sway, sway)
        return spot_within(rng, self.at, self.half_mm, reach_mm * (corners if roomy else 1.0), turn)

    def fall(self, rng: Rng, spot: Place, reach_mm: float) -> Fall:
        """How a thing of this reach comes to lie: flat, leaning as far as the height allows, or on its long edge."""
        if self.height_mm < FLAT_ROOM_MM or chance(rng, LYING_FLAT_SHARE):
            return Fall(at=spot, tilt_rad=0.0, about_rad=0.0)
        # about its long axis a thing needs about half of the height that it needs end over end
        long_axis = chance(rng, 0.7)
        needed = 2.0 * reach_mm * (0.5 if long_axis else 1.0)
        most = math.pi / 2 if needed <= self.height_mm else math.asin(self.height_mm / needed)
        on_edge = most > 1.2 and chance(rng, 0.3)
        tilt = most * between(rng, 0.93, 1.0) if on_edge else between(rng, 0.0, most)
        return Fall(
            at=spot, tilt_rad=tilt * (1.0 if chance(rng, 0.5) else -1.0), about_rad=0.0 if long_axis else between(rng, 0.0, math.pi)
        )


def laid(rng: Rng, draw: Callable[[Rng, Place], list[Part]], fall: Fall) -> list[Part]:
    """A thing drawn where it lies, as flat shapes if it lies flat."""
    if abs(fall.tilt_rad) < LEAST_TILT:
        return draw(rng, fall.at)
    return tumbled(draw(rng, ORIGIN), fall)


def grained(rng: Rng, parts: Sequence[Part]) -> list[Part]:
    """The parts, those of organic stuff a little uneven, so that no charge is told from a bar of soap by its grain."""
    amount, grain_mm = between(rng, 0.01, 0.06), between(rng, 3.0, 14.0)
    return [
        rough(rng, part, amount, grain_mm) if part.material in ORGANIC and not isinstance(part.shape, Uneven) else part for part in parts
    ]


def named(name: str, parts: Sequence[Part]) -> list[Part]:
    """The parts, as those of the everyday thing of that name."""
    return [replace(part, thing=name) for part in parts]


def things(rng: Rng, room: Room, names: Sequence[str], count: int) -> tuple[list[Part], list[Place]]:
    """`count` everyday things of those named that fit, and where they lie."""
    fitting = [
        name for name in names if THINGS[name].reach_mm <= max(room.half_mm) * 1.1 and THINGS[name].height_mm <= room.height_mm * 1.1
    ]
    parts: list[Part] = []
    places: list[Place] = []
    for _ in range(count if fitting else 0):
        name = pick(rng, fitting)
        item = THINGS[name]
        spot = room.spot(rng, item.reach_mm, corners=CORNER_SHARE)
        parts += named(name, grained(rng, laid(rng, item.draw, room.fall(rng, spot, item.reach_mm))))
        places.append(spot)
    return parts, places


def hidden(rng: Rng, room: Room, threat_kind: str, places: Sequence[Place]) -> list[Part]:
    """A forbidden thing, whole or spread, often at one of the `places` where something else lies; marked as what it is.

    Raises:
        KeyError: an unknown threat.
    """
    menace = MENACES[threat_kind]
    parts: list[Part] = []
    if room.height_mm < FLAT_ROOM_MM or (menace.flat is not None and chance(rng, 0.2)):
        spot = room.spot(rng, menace.reach_mm * 0.8)
        parts += (menace.flat or menace.draw)(rng, spot)
    elif menace.scattered is not None and chance(rng, SCATTERED_SHARE):
        for group in menace.scattered(rng):
            spot = room.spot(rng, menace.reach_mm * 0.5)
            parts += tumbled(group, room.fall(rng, spot, menace.reach_mm * 0.5))
    else:
        spot = room.spot(rng, menace.reach_mm)
        if places and chance(rng, HIDDEN_SHARE):
            other = places[int(rng.integers(len(places)))]
            x, y = ((1.0 - TOWARDS) * own + TOWARDS * far for own, far in ((spot.x_mm, other.x_mm), (spot.y_mm, other.y_mm)))
            spot = replace(spot, x_mm=x, y_mm=y)
        parts += laid(rng, menace.draw, room.fall(rng, spot, menace.reach_mm))
    marked = [replace(part, threat=True, threat_class=threat_kind) for part in parts]
    if threat_kind != "shield" and room.height_mm >= FLAT_ROOM_MM and chance(rng, SHIELDED_SHARE):
        middle = marked[0].shape.bounds_mm()
        over = Place(x_mm=(middle[0] + middle[2]) / 2 + between(rng, -20, 20), y_mm=(middle[1] + middle[3]) / 2 + between(rng, -20, 20))
        marked += [replace(part, threat=True, threat_class="shield") for part in MENACES["shield"].draw(rng, over)]
    return marked
