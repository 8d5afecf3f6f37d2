"""A detector that is unwell just while the lane calibrates: no lane goes on for long by what it measured then."""

from station.domain.alarm import AlarmCode
from station.domain.piece import PieceState
from station.workflow.says import Says, say
from station.workflow.views import LaneCommand, LaneState
from tests.support.moody_model import CalmModel
from tests.support.scripted_people import OPERATOR
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import START_S, Scene, play

PIXELS = 128
SICK = {"dead_pixels": 5, "dead_energy": PIXELS}
"""What is wrong with the detector, and how many of its pixels do not answer; one of them never does."""
PIECES = 5


def standing(scene: Scene) -> list[AlarmCode]:
    """What people are called for and is not over."""
    return [alarm.code for alarm in scene.station.store.read(lambda view: view.alarms()) if alarm.cleared_at is None]


async def stop_and_start(scene: Scene, fault: str) -> None:
    """Stop the lane, make its detector unwell, and start it once."""
    scene.people.starts_lane = False
    for command in (LaneCommand.STOP, LaneCommand.START):
        await scene.station.handlers.lane_command(LANE_ID, command, person=OPERATOR, once=scene.station.once())
        if command is LaneCommand.STOP:
            await scene.until_stopped()
            scene.station.fault("line_detector", fault)
            await scene.settle(3.0)


def test_no_lane_starts_by_a_calibration_by_which_no_scan_can_be_corrected():
    async def scene(scene: Scene) -> None:
        lane = scene.station.lane
        for fault, dead in SICK.items():
            await stop_and_start(scene, fault)
            await scene.until(lambda: lane.view().state is LaneState.STARTING)
            await scene.until(lambda: lane.view().state is LaneState.STOPPED, timeout_s=START_S)
            assert lane.view().devices[0].detail == say(Says.CALIBRATION_DEAD_PIXELS, dead=dead, pixels=PIXELS), fault
            await scene.until_known(lambda: standing(scene) == [AlarmCode.CALIBRATION], timeout_s=5.0)
            world = scene.station.simulated.world
            assert not world.beam_on, fault
            assert not any(belt.target_mm_s for belt in world.belts), fault
            scene.station.clear_fault("line_detector", fault)
            scene.people.starts_lane = True
            await scene.until_running()

    play(scene)


def test_a_lane_whose_air_looks_otherwise_than_when_it_calibrated_calibrates_anew_by_itself():
    async def scene(scene: Scene) -> None:
        await stop_and_start(scene, "gain_drift")
        await scene.until_running()
        scene.station.clear_fault("line_detector", "gain_drift")
        pieces = [await scene.feed() for _ in range(PIECES)]
        await scene.until(lambda: scene.station.lane.view().state is LaneState.STARTING, timeout_s=120.0)
        await scene.until_running()
        assert not scene.station.store.read(lambda view: view.alarms(active_only=True))
        await scene.still_releases()
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)

    play(scene, screening=CalmModel())
