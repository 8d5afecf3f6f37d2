"""What hands do at a random moment, as far as the station can notice it: what it cannot is left out (see `mishaps`)."""

from typing import Any

from firmware_sims.geometry import EYE_EXIT, ZONE_GATE, Geometry
from firmware_sims.lane import Load
from firmware_sims.plc_gate import LONGEST_MM
from firmware_sims.world import TAILGATE_GAP_MM
from tests.support.virtual_scene import Scene

CLEAR_MM = 60.0
"""Between what a hand lays in by stealth and everything else on the belts: two things without a gap are one thing to every eye."""

OTHER_SIZE_MM = 60.0
"""More than the eyes' tolerance and more than what may differ from the announced size."""

STOPPING_MM = 20.0
"""How far a belt runs on after the curtain has told of a hand."""

NEAR_MM = 12.0
"""So near to the exit eye the station cannot tell on which side of it the middle of a piece is, while B5 stands."""

TRIES = 8
BEAM_MM = 1600.0
XRAY_MM = 1200.0
"""A piece whose head has come this far is not swapped by stealth: its picture could be half its own."""


def by_hand(scene: Scene, name: str, **args: Any) -> list[str | None]:
    """Do it if it can be done here and now; the pieces that were touched."""
    deeds = {"lay_at_red": _lay_at_red, "add_clear": _add_clear, "swap_size": _swap_size}
    if name in deeds:
        return deeds[name](scene, **args)
    world = scene.station.simulated.world
    load = world.find(args["zone"]) if name == "swap" else None
    if load is not None and (_reaches_out(load, world.geometry) or _in_the_light(load, world.geometry)):
        return []
    first = world.find(ZONE_GATE) if name == "tailgate" else None
    if first is not None and first.head_mm - first.length_mm - TAILGATE_GAP_MM - LONGEST_MM < world.geometry.field_mm[1]:
        # What is laid behind it would reach back under the lamps.
        return []
    answer = scene.station.fault("world", name, **args)
    return [answer.get("piece_id"), answer.get("taken_out")]


def taken_as_left(scene: Scene, name: str, **args: Any) -> str | None:
    """The piece that this deed takes out of the exit where the station cannot notice it (residual risk); None where it can.

    The chute would have taken a piece whose middle is past the exit eye. Where B5 brakes or stands, what lies just before is like it.
    """
    world = scene.station.simulated.world
    load = world.find(args["zone"]) if name == "lift" else None
    if load is None:
        return None
    missing_mm = world.geometry.eye_mm[EYE_EXIT] - (load.head_mm - load.half_mm)
    return load.piece.piece_id if missing_mm <= (0.0 if world.belts[-1].target_mm_s else NEAR_MM) else None


def _reaches_out(load: Load, geometry: Geometry) -> bool:
    """Its head is beyond the last belt: whatever lies there instead is outside."""
    return load.head_mm > geometry.belt_end_mm[-1] - STOPPING_MM


def _in_the_light(load: Load, geometry: Geometry) -> bool:
    """A part of it is under the lamps: whatever lies there instead is lit before anything can put them out."""
    begin_mm, end_mm = geometry.field_mm
    return load.head_mm > begin_mm - STOPPING_MM and load.head_mm - load.length_mm < end_mm


def _lay_at_red(scene: Scene) -> list[str | None]:
    """Somebody lays mail on the infeed whatever the light says."""
    station = scene.station
    queue = station.simulated.mail_room.queue
    if queue and station.simulated.world.feed(queue[0]):
        return [queue.popleft().piece_id]
    return []


def _add_clear(scene: Scene, *, zone: int, piece: dict[str, Any]) -> list[str | None]:
    """Lay a piece by stealth where it touches nothing."""
    station = scene.station
    world = station.simulated.world
    cover = station.do(do="piece", **piece)["piece"]
    ends = world.geometry.zone_end_mm
    start_mm, length_mm = (ends[zone - 1] if zone else 0.0), cover["length_mm"]
    for head_mm in range(int(start_mm) + 50, int(ends[zone]), 50):
        if all(_apart(load, head_mm, length_mm) for load in world.loads):
            answer = station.fault("world", "add", zone=zone, stealth=True, head_mm=float(head_mm), piece_id=cover["piece_id"])
            return [answer["piece_id"]]
    return []


def _apart(load: Load, head_mm: float, length_mm: float) -> bool:
    return load.head_mm < head_mm - length_mm - CLEAR_MM or load.head_mm - load.length_mm > head_mm + CLEAR_MM


def _swap_size(scene: Scene, *, zone: int, piece: dict[str, Any]) -> list[str | None]:
    """Put a piece of another size in the place of one before the beam, by stealth."""
    station = scene.station
    load = station.simulated.world.find(zone)
    if load is None or load.head_mm > XRAY_MM:
        return []
    for _ in range(TRIES):
        cover = station.do(do="piece", **piece)["piece"]
        if abs(cover["length_mm"] - load.length_mm) > OTHER_SIZE_MM:
            answer = station.fault("world", "swap", zone=zone, stealth=True, piece_id=cover["piece_id"])
            return [answer["piece_id"], answer["taken_out"]]
    return []
