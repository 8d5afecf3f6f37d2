"""What people ask, and what fails, while the lane is starting: a start that was stopped stays stopped, and nothing starts by itself."""

import pytest

from station.domain.alarm import AlarmCode
from station.domain.errors import DeviceUnreachableError, StoreError
from station.domain.reasons import Reason
from station.workflow.equipment import LaneTrouble, RecalibrationDue
from station.workflow.session import LaneSession
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


async def stays(scene: Scene, moment: tuple[str, float], *states: LaneState) -> None:
    """For longer than a start takes the lane stands still, in one of these states."""
    for _ in range(int(STANDS_S)):
        await scene.settle(1.0)
        assert scene.station.lane.view().state in states, moment
    assert rests(scene), moment


async def start_again(scene: Scene) -> None:
    """People start and free the lane again, until it runs."""
    scene.people.starts_lane = scene.people.unfreezes = True
    await scene.until_running()


def test_a_stop_ends_a_start():
    async def scene(scene: Scene) -> None:
        for moment in MOMENTS:
            await come_to(scene, *moment)
            await command(scene, LaneCommand.STOP)
            await scene.until(lambda: scene.station.lane.view().state is LaneState.STOPPED, timeout_s=START_TIMEOUT_S)
            await stays(scene, moment, LaneState.STOPPED)
            await start_again(scene)

    play(scene)


def test_a_purge_during_a_start_leaves_no_start_behind():
    """It may start the lane once, as a purge does; after the next trouble the lane waits for a person."""

    async def scene(scene: Scene) -> None:
        for moment in MOMENTS:
            await come_to(scene, *moment)
            await command(scene, LaneCommand.PURGE)
            await scene.settle(STANDS_S)
            if not scene.running:
                await command(scene, LaneCommand.START)
            await scene.until_running()
            await scene.settle(5.0)
            assert scene.running, moment
            scene.station.fault("world", "estop")
            await scene.until_stopped()
            scene.station.clear_fault("world", "estop")
            await stays(scene, moment, LaneState.STOPPED, LaneState.OFFLINE)
            await start_again(scene)

    play(scene)


def test_a_freeze_during_a_start_starts_nothing_later():
    async def scene(scene: Scene) -> None:
        for moment in MOMENTS:
            await come_to(scene, *moment)
            await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR))
            assert scene.station.simulated.plc.freeze_latch, moment
            await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=START_TIMEOUT_S)
            await scene.settle(1.0)
            assert rests(scene), moment
            await scene.people.unfreeze()
            assert not scene.station.simulated.plc.freeze_latch, moment
            await scene.settle(1.0)
            await stays(scene, moment, LaneState.STOPPED)
            await start_again(scene)

    play(scene)


SILENT = (
    ("line_detector", "mute_lines"),
    ("wire:line_detector.lines", "mute"),
    ("line_detector", "mute_commands"),
    ("xray_generator", "mute"),
)


def test_a_silent_device_ends_the_start_with_a_name():
    async def scene(scene: Scene) -> None:
        for device, name in SILENT:
            await come_to(scene, "purge", 0.0)
            scene.station.fault(device, name)
            await scene.until(lambda: scene.station.lane.view().state is not LaneState.STARTING, timeout_s=START_TIMEOUT_S + 10.0)
            await scene.settle(3.0)
            view = scene.station.lane.view()
            assert view.state in {LaneState.STOPPED, LaneState.OFFLINE}, (device, name)
            assert rests(scene), (device, name)
            assert view.devices[0].detail, (device, name)
            alarms = scene.station.store.read(lambda view: view.alarms())
            named = {alarm.code for alarm in alarms if alarm.cleared_at is None} & {AlarmCode.DEVICE_LOST, AlarmCode.CALIBRATION}
            assert named, (device, name)
            scene.station.clear_fault(device, name)
            await start_again(scene)
            assert not any(alarm.cleared_at is None for alarm in scene.station.store.read(lambda view: view.alarms())), (device, name)

    play(scene)


@pytest.mark.parametrize(
    ("others", "starts"),
    [([], True), ([LaneTrouble(Reason.TRACK_LOST, "")], False), ([DeviceUnreachableError("silent")], False), ([StoreError("full")], False)],
    ids=["alone", "trouble", "device", "store"],
)
def test_a_lane_that_is_to_calibrate_starts_by_itself_only_if_nothing_else_was_wrong(
    monkeypatch: pytest.MonkeyPatch, others: list[Exception], starts: bool
):
    run, ends = LaneSession.run, iter([ExceptionGroup("the session", [RecalibrationDue(), *others])])

    async def ended(session: LaneSession) -> None:
        end = next(ends, None)
        if end is not None:
            raise end
        await run(session)

    async def scene(scene: Scene) -> None:
        await come_to(scene, "lamps", 0.0)
        with monkeypatch.context() as changed:
            changed.setattr(LaneSession, "run", ended)
            await scene.until(lambda: step_of(scene) == "", timeout_s=START_S)
            await scene.settle(STANDS_S)
            assert scene.running is starts
        scene.people.starts_lane = True

    play(scene)
