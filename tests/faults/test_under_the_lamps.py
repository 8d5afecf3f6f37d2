"""Something is laid under the lamps by stealth, where it covers no eye: the unit sees it come in, and nobody announced it."""

from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.workflow.says import Says, say
from tests.support.moody_model import CalmModel
from tests.support.virtual_scene import RECOVERY_S, Scene, play

UV_ZONE, FIELD_MM = 4, 3765.0
NOTICED_WITHIN_S = 1.0
LIT = {"irradiated_uncleared": 1}
"""That a hand lays something where the light is cannot be helped (docs: residual risk); that it goes no further can."""


async def lay_under_the_lamps(scene: Scene) -> str:
    """A packet whose tail lies just past the eye before the lamps."""
    station = scene.station
    cover = station.do(do="piece", kind="packet")["piece"]
    scene.pieces[cover["piece_id"]] = cover
    station.fault("world", "add", zone=UV_ZONE, stealth=True, head_mm=FIELD_MM + cover["length_mm"], piece_id=cover["piece_id"])
    return str(cover["piece_id"])


async def is_noticed(scene: Scene, stranger: str) -> None:
    await scene.until(lambda: not scene.running, timeout_s=NOTICED_WITHIN_S)
    assert scene.station.lane.view().devices[0].detail == say(Says.STRANGER_IN_LIGHT)
    stay = scene.station.simulated.world.ledger.stays_of(stranger)[-1]
    assert max(stay.dose_points_mj_per_cm2) < 10.0
    await scene.until_running(timeout_s=RECOVERY_S)
    assert scene.where(stranger)["place"] != "outside"


def test_what_nobody_announced_stops_the_lane_before_it_is_disinfected():
    async def scene(scene: Scene) -> None:
        await is_noticed(scene, await lay_under_the_lamps(scene))

    play(scene, screening=CalmModel(), unnoticed=LIT)


def test_what_was_announced_before_a_stop_is_not_expected_after_it():
    """The unit still expects it, and gives its nonce to whatever comes into the light next."""

    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until(lambda: scene.station.simulated.unit.slots.pending != (0, 0), timeout_s=60.0)
        scene.station.fault("world", "estop")
        await scene.until_stopped()
        scene.station.clear_fault("world", "estop")
        await scene.until_running(timeout_s=RECOVERY_S)
        assert Reason.PLC_FAULT in scene.reasons(piece_id)
        assert PieceState.DISINFECTED not in scene.states(piece_id)
        await is_noticed(scene, await lay_under_the_lamps(scene))

    play(scene, screening=CalmModel(), unnoticed=LIT)
