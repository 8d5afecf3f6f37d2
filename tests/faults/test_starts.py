"""What people ask, and what fails, while the lane is starting: a start that was stopped stays stopped, and nothing starts by itself."""

import pytest

from station.domain.alarm import AlarmCode
from station.workflow.views import LaneCommand, LaneState
from tests.support.scripted_people import OPERATOR
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import START_S, Scene, play

MOMENTS = (("connect", 0.0), ("execute", 0.3), ("purge", 0.3), ("calibrate", 0.0), ("calibrate", 2.0), ("lamps", 0.0))
"""A step of the start, and how long after its beginning somebody asks."""
START_TIMEOUT_S = 120.0
STANDS_S = 40.0
"""Longer than a start takes."""


def step_of(scene: Scene) -> str:
    """What the lane does to start; empty when it is not starting."""
    view = scene.station.lane.view()
    return view.devices[0].detail if view.state is LaneState.STARTING else ""


async def command(scene: Scene, what: LaneCommand) -> None:
    await scene.station.handlers.lane_command(LANE_ID, what, person=OPERATOR, once=scene.station.once())


async def come_to(scene: Scene, step: str, into_step_s: float) -> None:
    """Stop the lane, start it once, and wait until its start has come to that step; nobody starts it again."""
    scene.people.starts_lane = scene.people.unfreezes = False
    await command(scene, LaneCommand.STOP)
    await scene.until_stopped()
    await scene.settle(3.0)
    await command(scene, LaneCommand.START)
    await scene.station.until(lambda: step_of(scene) == step, timeout_s=START_S, look_every_s=0.01)
    await scene.settle(into_step_s)


def rests(scene: Scene) -> bool:
    """Nothing on the lane moves or shines."""
    world = scene.station.simulated.world
    return not any(belt.speed_mm_s for belt in world.belts) and not world.beam_on and world.uv.level_mw_per_cm2 == 0.0


@pytest.mark.parametrize(("step", "into_step_s"), MOMENTS)
def test_a_stop_ends_a_start(step: str, into_step_s: float):
    async def scene(scene: Scene) -> None:
        await come_to(scene, step, into_step_s)
        await command(scene, LaneCommand.STOP)
        await scene.until(lambda: scene.station.lane.view().state is LaneState.STOPPED, timeout_s=START_TIMEOUT_S)
        for _ in range(int(STANDS_S)):
            await scene.settle(1.0)
            assert scene.station.lane.view().state is LaneState.STOPPED
        assert rests(scene)
        scene.people.starts_lane = True

    play(scene)


@pytest.mark.parametrize(("step", "into_step_s"), MOMENTS)
def test_a_purge_during_a_start_leaves_no_start_behind(step: str, into_step_s: float):
    """It may start the lane once, as a purge does; after the next trouble the lane waits for a person."""

    async def scene(scene: Scene) -> None:
        await come_to(scene, step, into_step_s)
        await command(scene, LaneCommand.PURGE)
        await scene.settle(STANDS_S)
        if not scene.running:
            await command(scene, LaneCommand.START)
        await scene.until_running()
        await scene.settle(5.0)
        assert scene.running
        scene.station.fault("world", "estop")
        await scene.until_stopped()
        scene.station.clear_fault("world", "estop")
        for _ in range(int(STANDS_S)):
            await scene.settle(1.0)
            assert scene.station.lane.view().state in {LaneState.STOPPED, LaneState.OFFLINE}
        assert rests(scene)
        scene.people.starts_lane = True

    play(scene)


@pytest.mark.parametrize(("step", "into_step_s"), MOMENTS)
def test_a_freeze_during_a_start_starts_nothing_later(step: str, into_step_s: float):
    async def scene(scene: Scene) -> None:
        await come_to(scene, step, into_step_s)
        await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR))
        assert scene.station.simulated.plc.freeze_latch
        await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=START_TIMEOUT_S)
        await scene.settle(1.0)
        assert rests(scene)
        await scene.people.unfreeze()
        assert not scene.station.simulated.plc.freeze_latch
        await scene.settle(1.0)
        for _ in range(int(STANDS_S)):
            await scene.settle(1.0)
            assert scene.station.lane.view().state is LaneState.STOPPED
        assert rests(scene)
        scene.people.starts_lane = scene.people.unfreezes = True

    play(scene)


@pytest.mark.parametrize(
    ("device", "name"),
    [("line_detector", "mute_lines"), ("wire:line_detector.lines", "mute"), ("line_detector", "mute_commands"), ("xray_generator", "mute")],
)
def test_a_silent_device_ends_the_start_with_a_name(device: str, name: str):
    async def scene(scene: Scene) -> None:
        await come_to(scene, "purge", 0.0)
        scene.station.fault(device, name)
        await scene.until(lambda: scene.station.lane.view().state is not LaneState.STARTING, timeout_s=START_TIMEOUT_S + 10.0)
        await scene.settle(3.0)
        view = scene.station.lane.view()
        assert view.state in {LaneState.STOPPED, LaneState.OFFLINE}
        assert rests(scene)
        assert view.devices[0].detail
        alarms = scene.station.store.read(lambda view: view.alarms())
        assert {alarm.code for alarm in alarms if alarm.cleared_at is None} & {AlarmCode.DEVICE_LOST, AlarmCode.CALIBRATION}
        scene.station.clear_fault(device, name)
        scene.people.starts_lane = True

    play(scene)
