"""What stands in the exit eye, or was taken from it, when the gate's ring is read: nothing is released or escapes by mistake."""

import asyncio

import pytest

from station.domain.alarm import AlarmCode
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.ports.lane_plc import Eye
from station.workflow import says
from station.workflow.says import Says, say
from station.workflow.views import LaneCommand, LaneState
from tests.support.moody_model import CalmModel
from tests.support.scripted_people import OPERATOR, ZONE_GATE
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import Scene, play

HALF_OUT_MM = 5990.0
EXIT_MM = 5960.0


def held_in_the_bin(scene: Scene, piece_id: str) -> None:
    """It is inside, and nobody says that it left."""
    assert scene.where(piece_id)["place"] == "hold_bin"
    assert scene.states(piece_id)[-1] is PieceState.HELD
    assert Reason.TRACK_LOST in scene.reasons(piece_id)
    assert PieceState.RELEASED not in scene.states(piece_id)


def escapes(scene: Scene) -> list[str]:
    alarms = scene.station.store.read(lambda view: view.alarms(active_only=False))
    return [alarm.subject for alarm in alarms if alarm.code is AlarmCode.ESCAPED]


def test_an_exit_eye_that_is_blocked_at_a_start_makes_no_escape_of_what_left_before():
    async def scene(scene: Scene) -> None:
        first, second = await scene.feed(), await scene.feed()
        for piece_id in (first, second):
            await scene.until_state(piece_id, PieceState.RELEASED)
        scene.people.starts_lane = False
        await scene.station.handlers.lane_command(LANE_ID, LaneCommand.STOP, person=OPERATOR, once=scene.station.once())
        await scene.until_stopped()
        scene.station.fault("world", "eye_stuck", eye=int(Eye.EXIT), blocked=True)
        scene.people.starts_lane = True
        await scene.settle(20.0)
        assert not scene.running
        scene.station.clear_fault("world", "eye_stuck", eye=int(Eye.EXIT))
        await scene.until_running()
        assert escapes(scene) == []

    play(scene)


def test_of_what_leaves_while_the_exit_eye_is_blind_the_track_is_lost():
    """Whoever looks for a piece that is held because its track was lost looks outside the gate too (residual risk)."""

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        scene.station.fault("world", "eye_stuck", eye=int(Eye.EXIT), blocked=False)
        piece_id = await scene.feed(kind="small_parcel")
        await scene.until_known(lambda: scene.where(piece_id)["place"] == "outside")
        await scene.until_stopped()
        # Its tail had not come far enough when B5 stopped: the gate stands open, and nothing is there to be lifted out.
        await scene.until_running(timeout_s=120.0)
        scene.station.clear_fault("world", "eye_stuck", eye=int(Eye.EXIT))
        assert scene.where(piece_id)["place"] == "outside"
        assert scene.states(piece_id)[-1] is PieceState.HELD
        assert scene.reasons(piece_id) == {Reason.TRACK_LOST}
        assert escapes(scene) == []

    play(scene, screening=CalmModel())


def test_what_a_hand_takes_out_of_the_exit_was_not_released():
    """The ring says that its head came to the exit eye, which is free again; but B5 had not carried it far enough."""

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        for station_is_dead in (True, False):
            piece_id = await scene.feed(kind="packet")
            if station_is_dead:
                await scene.until_at(piece_id, 5840.0)
                asyncio.get_running_loop().call_later(3.0, lambda: scene.station.do(do="lift_from_gate"))
                await scene.restart_station(kill=True, dead_s=6.0)
            else:
                await scene.until_at(piece_id, HALF_OUT_MM)
                scene.station.do(do="lift", zone=ZONE_GATE, stealth=True)
                await scene.until_stopped(timeout_s=3.0)
            await scene.until_running()
            held_in_the_bin(scene, piece_id)
            assert escapes(scene) == []

    play(scene)


def test_what_a_hand_takes_a_moment_before_the_chute_would_was_not_released():
    """Its middle is nearer to the eye than its length is known: what tells is that B5 still ran when the eye became free."""

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        for stealth in (True, False):
            piece_id = await scene.feed(kind="packet")
            await scene.until_at(piece_id, EXIT_MM + scene.pieces[piece_id]["length_mm"] / 2.0 - 8.0)
            scene.station.do(do="lift", zone=ZONE_GATE, stealth=stealth)
            await scene.until_stopped(timeout_s=3.0)
            await scene.until_running()
            held_in_the_bin(scene, piece_id)
        assert escapes(scene) == []

    play(scene)


def test_what_a_hand_takes_out_of_the_exit_of_a_plc_that_started_anew_was_not_released():
    """The ring is retained and the edges are not: it is seen that the eye becomes free, and not how far B5 had run."""

    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed(kind="packet")
        scene.people.refeeds_pieces = scene.people.reviews = False
        await scene.until_at(piece_id, HALF_OUT_MM)
        scene.station.fault("lane_plc", "reboot")
        await scene.settle(2.0)
        scene.station.do(do="lift", zone=ZONE_GATE)
        await scene.until_running()
        held_in_the_bin(scene, piece_id)
        assert escapes(scene) == []

    play(scene)


def test_what_left_while_the_lane_started_is_released_though_the_exit_is_blocked_after_the_purge():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed(kind="packet")
        # The next station stops the belts as soon as it comes; from its middle on a piece leaves without them.
        await scene.until_at(piece_id, EXIT_MM + 0.55 * scene.pieces[piece_id]["length_mm"])
        await scene.restart_station(kill=True)
        purge = scene.station.simulated.plc.purge
        await scene.station.until(lambda: purge.running, timeout_s=60.0, look_every_s=0.01)
        await scene.station.until(lambda: not purge.running, timeout_s=60.0, look_every_s=0.005)
        await scene.settle(0.15)
        scene.station.fault("world", "eye_stuck", eye=int(Eye.EXIT), blocked=True)
        await scene.settle(0.5)
        assert scene.station.lane.view().devices[0].detail == say(Says.TOO_EARLY, eyes=says.eyes(1 << Eye.EXIT))
        await scene.settle(10.0)
        scene.station.clear_fault("world", "eye_stuck", eye=int(Eye.EXIT))
        await scene.until_running()
        assert scene.where(piece_id)["place"] == "outside"
        assert scene.states(piece_id)[-1] is PieceState.RELEASED
        assert escapes(scene) == []

    play(scene)


@pytest.mark.parametrize("kill", [False, True])
def test_a_suspect_that_slides_down_the_chute_while_its_lane_is_frozen_escaped(kill: bool):
    """It had its permit and its middle had come to the exit eye; then somebody named it in a freeze."""

    async def slide_down(scene: Scene, share: float) -> str:
        people = scene.people
        people.unfreezes = people.reviews = people.refeeds_pieces = False
        piece_id = await scene.feed(kind="packet")
        await scene.until_at(piece_id, EXIT_MM + share * scene.pieces[piece_id]["length_mm"])
        await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR), piece_id=piece_id)
        await scene.settle(3.0)
        assert scene.where(piece_id)["place"] == "outside"
        if kill:
            await scene.restart_station(kill=True)
            await scene.until_state(piece_id, PieceState.ESCAPED, timeout_s=5.0)
            assert scene.station.lane.view().state is LaneState.FROZEN
        people.unfreezes = True
        await scene.until_running()
        assert scene.states(piece_id)[-1] is PieceState.ESCAPED
        return piece_id

    async def scene(scene: Scene) -> None:
        escaped = [await slide_down(scene, share) for share in (0.5, 0.55)]
        assert sorted(escapes(scene)) == sorted(escaped)

    play(scene)


@pytest.mark.parametrize("kill", [False, True])
def test_a_suspect_that_people_take_out_of_the_exit_is_no_escape(kill: bool):
    async def take_out(scene: Scene, *, handed_over: bool) -> None:
        people = scene.people
        people.unfreezes = people.reviews = people.refeeds_pieces = False
        piece_id = await scene.feed(kind="packet")
        await scene.until_at(piece_id, HALF_OUT_MM)
        await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR), piece_id=piece_id)
        await scene.settle(3.0)
        assert scene.where(piece_id)["place"] == "lane"
        if kill:
            await scene.restart_station(kill=True)
            await scene.settle(3.0)
        assert scene.states(piece_id)[-1] is PieceState.FROZEN
        people.hands_over_frozen = handed_over
        people.unfreezes = True
        await scene.until_running()
        assert scene.states(piece_id)[-1] is (PieceState.HANDED_OVER if handed_over else PieceState.HELD)
        assert escapes(scene) == []

    async def scene(scene: Scene) -> None:
        for handed_over in (False, True):
            await take_out(scene, handed_over=handed_over)

    play(scene)
