"""What people ask, and what fails, while the lane is starting: a start that was stopped stays stopped, and nothing starts by itself.

Somebody looks at the lane for as long as it takes: whatever would stop a running lane ends a start as fast.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from station.domain.alarm import AlarmCode
from station.domain.errors import DeviceUnreachableError, StoreError
from station.domain.reasons import Reason
from station.ports.lane_plc import Eye
from station.workflow import says
from station.workflow.equipment import LaneTrouble, RecalibrationDue
from station.workflow.says import Says, say
from station.workflow.session import LaneSession
from station.workflow.tube_use import note_tube_on
from station.workflow.views import LaneCommand, LaneState
from tests.support.hanging_disk import HangingDisk
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


def nothing_runs(scene: Scene) -> bool:
    """No belt, beam or lamp has power any more; lamps that went out just now still glow."""
    world = scene.station.simulated.world
    return not any(belt.speed_mm_s for belt in world.belts) and not world.beam_on and not world.uv.lit


def rests(scene: Scene) -> bool:
    """Nothing on the lane moves or shines."""
    return nothing_runs(scene) and scene.station.simulated.world.uv.level_mw_per_cm2 == 0.0


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


SEEN_S = 0.5
WATCHDOG_S = 1.0
B2 = 1
WARM_UP_S = 20.0


def detail(scene: Scene) -> str:
    """What the lane says of itself."""
    return scene.station.lane.view().devices[0].detail


async def come_to_a_cold_tube(scene: Scene) -> None:
    """Start the station with a tube that was off for a night, and wait until it is being warmed."""
    last_night = scene.station.clock.utc_now() - timedelta(hours=10)
    scene.people.starts_lane = scene.people.unfreezes = False
    await scene.station.store.write(lambda uow: note_tube_on(uow, LANE_ID, last_night))
    await scene.restart_station(kill=False)
    world = scene.station.simulated.world
    await scene.until(lambda: world.beam_on, timeout_s=START_S)
    await scene.settle(2.0)
    assert world.beam_on, "the tube is not being warmed"


def hand_in(zone: int) -> Callable[[Scene], None]:
    return lambda scene: scene.station.fault("world", "access", zone=zone) and None


def tunnel(name: str) -> Callable[[Scene], None]:
    return lambda scene: scene.station.fault("world", f"tunnel_{name}") and None


def estop(scene: Scene) -> None:
    scene.station.fault("world", "estop")


def freeze_key(scene: Scene) -> None:
    scene.station.do(do="press_freeze_key")


TROUBLES = {
    "a hand on B3": (hand_in(3), LaneState.STOPPED, say(Says.ZONES_REACHED, zones=says.zones(1 << 3))),
    "a hand under the lamps": (hand_in(4), LaneState.STOPPED, say(Says.ZONES_REACHED, zones=says.zones(1 << 4))),
    "an open door at the lamps": (tunnel("open"), LaneState.STOPPED, say(Says.UNIT_DOOR)),
    "an unlocked door at the lamps": (tunnel("unlocked"), LaneState.STOPPED, say(Says.UNIT_DOOR)),
    "the e-stop": (estop, LaneState.STOPPED, "estop "),
    "the freeze key": (freeze_key, LaneState.FROZEN, say(Says.FREEZE_LATCH)),
}


def end_trouble(scene: Scene) -> None:
    for zone in (3, 4):
        scene.station.clear_fault("world", "access", zone=zone)
    for name in ("tunnel_open", "tunnel_unlocked", "estop"):
        scene.station.clear_fault("world", name)


@pytest.mark.parametrize("troubles", [list(TROUBLES)[:3], list(TROUBLES)[3:]], ids=", ".join)
def test_trouble_while_the_tube_is_warmed_ends_the_start(troubles: list[str]):
    """Until the tube is warm only B2 runs, which the PLC wants under the beam, and no lamp burns."""

    async def meet(scene: Scene, trouble: str) -> None:
        cause, state, why = TROUBLES[trouble]
        world = scene.station.simulated.world
        await come_to_a_cold_tube(scene)
        assert not world.uv.lit
        assert [number for number, belt in enumerate(world.belts) if belt.speed_mm_s] == [B2]
        cause(scene)
        await scene.settle(SEEN_S + WATCHDOG_S)
        assert rests(scene)
        assert scene.station.lane.view().state is state
        assert why in detail(scene)
        await stays(scene, (trouble, 0.0), state)
        end_trouble(scene)
        await start_again(scene)

    async def scene(scene: Scene) -> None:
        for trouble in troubles:
            await meet(scene, trouble)

    play(scene)


def test_no_lane_starts_while_the_door_at_the_lamps_is_not_shut():
    async def leave_door(scene: Scene, name: str) -> None:
        scene.people.starts = 0
        tunnel(name)(scene)
        await scene.until_stopped()
        for _ in range(int(STANDS_S)):
            # People go on trying to start it.
            await scene.settle(1.0)
            assert not scene.running
            assert not scene.station.simulated.world.uv.lit
        assert scene.people.starts
        (alarm,) = (alarm for alarm in scene.station.store.read(lambda view: view.alarms()) if alarm.cleared_at is None)
        assert (alarm.code, alarm.detail) == (AlarmCode.UNIT_FAULT, say(Says.UNIT_DOOR))
        end_trouble(scene)
        await scene.until_running()

    async def scene(scene: Scene) -> None:
        for name in ("open", "unlocked"):
            await leave_door(scene, name)

    play(scene)


def test_a_hand_in_the_lane_ends_a_start():
    async def scene(scene: Scene) -> None:
        for moment in (("purge", 0.5), ("calibrate", 0.0), ("calibrate", 0.7), ("lamps", 0.0), ("lamps", 1.0)):
            await come_to(scene, *moment)
            hand_in(4)(scene)
            await scene.settle(SEEN_S + WATCHDOG_S)
            assert nothing_runs(scene), moment
            assert scene.station.lane.view().state is LaneState.STOPPED, moment
            await stays(scene, moment, LaneState.STOPPED)
            end_trouble(scene)
            await start_again(scene)

    play(scene)


def test_a_piece_that_is_laid_on_while_the_tube_is_warmed_goes_nowhere():
    """Its belt stands; when the belts run at last, the first eye that it comes to ends the start."""

    async def scene(scene: Scene) -> None:
        await come_to_a_cold_tube(scene)
        world, places_mm = scene.station.simulated.world, set()
        scene.station.fault("world", "add", zone=0, stealth=True, piece={"kind": "packet"})
        while world.beam_on and not world.uv.lit:
            places_mm |= {load.head_mm for load in world.loads}
            await scene.settle(0.1)
        assert len(places_mm) == 1
        await scene.until(lambda: scene.station.lane.view().state is LaneState.STOPPED, timeout_s=SEEN_S + WATCHDOG_S + 5.0)
        await scene.settle(SEEN_S)
        assert nothing_runs(scene)
        assert say(Says.TOO_EARLY, eyes=says.eyes(1 << Eye.INFEED)) == detail(scene)
        await start_again(scene)

    play(scene)


def test_a_stop_while_the_tube_is_warmed_is_a_stop():
    async def scene(scene: Scene) -> None:
        for into_s in (0.0, 0.13, 0.26):
            await come_to_a_cold_tube(scene)
            await scene.settle(into_s)
            await command(scene, LaneCommand.STOP)
            await scene.settle(SEEN_S + WATCHDOG_S)
            assert rests(scene)
            assert scene.station.lane.view().state is LaneState.STOPPED
            assert detail(scene) == say(Says.STOPPED_BY_PERSON)
        await start_again(scene)

    play(scene)


def test_a_start_that_waits_for_the_disk_lets_nothing_run_and_sees_a_hand():
    async def scene(scene: Scene) -> None:
        world = scene.station.simulated.world
        await come_to(scene, "purge", 1.0)
        await scene.until(lambda: not any(belt.speed_mm_s for belt in world.belts))
        await scene.settle(0.2)
        disk = HangingDisk(scene.station.store)
        await scene.settle(3.0)
        assert step_of(scene) == "calibrate"
        assert rests(scene)
        hand_in(4)(scene)
        await scene.settle(SEEN_S + WATCHDOG_S)
        assert scene.station.lane.view().state is LaneState.STOPPED
        assert say(Says.ZONES_REACHED, zones=says.zones(1 << 4)) in detail(scene)
        end_trouble(scene)
        disk.answer()
        await start_again(scene)

    play(scene)


def test_a_tube_that_was_on_today_is_not_warmed_after_a_restart():
    """And one whose warming was cut off is warmed again."""

    async def scene(scene: Scene) -> None:
        world, clock = scene.station.simulated.world, scene.station.clock

        async def beam_s() -> float:
            """How long the beam is on before the lamps are lit."""
            await scene.until(lambda: world.beam_on, timeout_s=START_S)
            since_s = clock.monotonic_s()
            await scene.until(lambda: world.uv.lit, timeout_s=START_S)
            return clock.monotonic_s() - since_s

        await scene.restart_station(kill=True, dead_s=20.0)
        assert await beam_s() < 1.0
        await scene.until_running()
        await come_to_a_cold_tube(scene)
        await command(scene, LaneCommand.STOP)
        await scene.until(lambda: scene.station.lane.view().state is LaneState.STOPPED)
        await scene.settle(SEEN_S + WATCHDOG_S)
        await command(scene, LaneCommand.START)
        assert await beam_s() > WARM_UP_S
        await start_again(scene)

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
