"""Makes a lane ready: proves every device, settles what the gate's ring says, empties the belts, calibrates, warms the lamps.

Every zone counts as occupied until the purge has proved it empty. Nothing is taken over from before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import DeviceError, DeviceRefusedError
from station.domain.reasons import Reason
from station.ports.lane_plc import Command, CommandResult, Eye, LaneStatus
from station.ports.xray import DetectorInfo, LineBlock
from station.workflow.beam import at_set_point, switch_beam_on
from station.workflow.equipment import Equipment, FreezeLatched, LaneTrouble
from station.workflow.geometry import encoder_delta_mm
from station.workflow.journey import Journey
from station.workflow.scanner import MIN_AIR_LINES, MIN_DARK_LINES, Calibration, LineStore

STOPPED, IDLE, EXECUTE, ABORTED, HELD, SUSPENDED, COMPLETE = 2, 4, 6, 9, 11, 5, 17
"""PackML state numbers (ISA-TR88.00.02)."""

TAILGATE_FAULT = 1 << 7

READY, EXPOSING = 2, 3
"""Phases of the UV tunnel in which its lamps burn steadily."""

GREEN, RED = 1, 4
"""Patterns of the stack light: pieces may be laid on the infeed, or not."""

BOTH_CHAINS = 0b11
"""Both e-stop chains closed; both interlocks closed and in agreement."""

EMPTY_TRAVEL_MM = 1500.0
"""More than from any eye to the next: a belt that has run so far since an eye was covered has shown all that lay on it."""

_NEXT_COMMAND = {
    ABORTED: Command.CLEAR,
    STOPPED: Command.RESET,
    COMPLETE: Command.RESET,
    IDLE: Command.START,
    HELD: Command.UNHOLD,
    SUSPENDED: Command.UNSUSPEND,
}

CALIBRATION_LINES = 64
IN_GATE_S = 5.0
GATE_CLOSED = 0
GATE_JAMMED = 3
AT_GATE_S = 3.0
"""B5 has stood so long with something at the gate eye that it will not go away by itself."""

POLL_S = 0.1

log = structlog.get_logger()
BEAT_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A lane that is ready to run."""

    info: DetectorInfo
    calibration: Calibration
    lines: LineStore
    boot_count: int
    unit_boot_count: int


async def prepare(equipment: Equipment, journey: Journey, hold_reason: Reason, note: Callable[[str], None]) -> Prepared:
    """Bring the lane from any condition to running, empty and calibrated.

    Args:
        equipment: the lane's devices and services.
        journey: settles permits and holds what was on the belts.
        hold_reason: why whatever the store believes on the belts is held.
        note: told what is being done, language-free.

    Raises:
        DeviceError: a device is out of reach or refuses.
        FreezeLatched: the freeze latch is set.
        LaneTrouble: something must be put right by a person first.
    """
    beats: list[Callable[[], Awaitable[None]]] = []
    over = asyncio.Event()
    beating = asyncio.create_task(_keep_beating(equipment, beats, over))
    try:
        return await _prepare(equipment, journey, hold_reason, note, beats)
    finally:
        # Not cancelled: a request that is cut off would leave its link dirty.
        over.set()
        await beating


async def _keep_beating(equipment: Equipment, beats: list[Callable[[], Awaitable[None]]], over: asyncio.Event) -> None:
    """Feed the watchdogs of the units that are connected, whatever else takes its time meanwhile."""
    while not over.is_set():
        for beat in beats:
            try:
                await beat()
            except DeviceError:
                # Whoever needs the unit next meets the same error and says so.
                return
        await equipment.clock.sleep(BEAT_S)


async def _prepare(
    equipment: Equipment, journey: Journey, hold_reason: Reason, note: Callable[[str], None], beats: list[Callable[[], Awaitable[None]]]
) -> Prepared:
    devices, settings = equipment.devices, equipment.settings
    note("connect")
    status = await devices.plc.connect()
    beats.append(devices.plc.heartbeat)
    await devices.plc.set_stack_light(RED)
    events = await devices.plc.read_events()
    await journey.settle_permits(events.passed)
    if not status.freeze_latch and journey.must_stay_frozen():
        await devices.plc.freeze()
        raise FreezeLatched
    if status.freeze_latch:
        raise FreezeLatched
    beam = await devices.generator.connect()
    if beam.fault_names:
        # A person asked for the start, so latched faults are forgotten here and nowhere else.
        await devices.generator.reset_faults()
    info = await devices.detector.connect()
    await devices.infeed_reader.connect()
    await devices.gate_reader.connect()
    unit = await devices.unit.connect()
    beats.append(devices.unit.heartbeat)
    await journey.hold_everything(hold_reason, ring_was_read=False)
    _demand_safe(status)
    await _demand_clear_gate(equipment, journey)
    await devices.plc.set_belts((0, 0, 0, 0, 0))
    await devices.plc.set_diverter_1(through=False)
    await devices.plc.set_diverter_2(through=False)
    note("execute")
    await _bring_to_execute(equipment, journey)
    note("purge")
    await _purge(equipment, journey)
    # What stood under the gate with a permit of before has left by now, or never will on that permit.
    events = await devices.plc.read_events()
    await journey.settle_permits(events.passed)
    await journey.hold_everything(hold_reason, ring_was_read=True)
    await _bring_unit_to_execute(equipment)
    await devices.unit.set_dose_target(settings.recipe.target_mj_per_cm2)
    await devices.unit.set_lamps(on=True)
    speed = settings.geometry.belt_speed_mm_s
    await devices.plc.set_belts((speed,) * 5)
    note("calibrate")
    calibration, lines = await _calibrate(equipment, journey, info)
    note("lamps")
    await _until_unit_ready(equipment)
    return Prepared(info=info, calibration=calibration, lines=lines, boot_count=status.boot_count, unit_boot_count=unit.boot_count)


def safety_problem(status: LaneStatus) -> str | None:
    """What of the lane's own safety circuit speaks against moving anything; None when nothing does."""
    if status.estop_bits != BOTH_CHAINS:
        return f"e-stop chains {status.estop_bits:#x}"
    if status.interlock_bits != BOTH_CHAINS:
        return f"interlock {status.interlock_bits:#x}"
    return None


def demand_running(status: LaneStatus) -> None:
    """Raise the `LaneTrouble` that the status of a running lane shows, if any."""
    if status.access_bits:
        raise LaneTrouble(Reason.ZONE_ACCESSED, f"zones {status.access_bits:#x}")
    if status.faults & TAILGATE_FAULT:
        raise LaneTrouble(Reason.TAILGATE, f"faults {status.faults:#x}")
    if status.faults or status.state != EXECUTE:
        raise LaneTrouble(Reason.DEVICE_LOST, f"lane PLC in state {status.state}, faults {status.faults:#x}, first {status.first_fault}")
    problem = safety_problem(status)
    if problem is not None:
        raise LaneTrouble(Reason.DEVICE_LOST, problem)


def _demand_safe(status: LaneStatus) -> None:
    if status.access_bits:
        raise LaneTrouble(Reason.ZONE_ACCESSED, f"zones {status.access_bits:#x} were reached into")
    # That the interlocks disagreed stays latched until the reset that follows here; the session demands that it is gone.
    problem = safety_problem(replace(status, interlock_bits=status.interlock_bits & BOTH_CHAINS))
    if problem is not None:
        raise LaneTrouble(Reason.DEVICE_LOST, problem)


async def _demand_clear_gate(equipment: Equipment, journey: Journey) -> None:
    """A piece at or in the gate is lifted out by hand before anything runs: the purge would push it through a gate that stands open."""
    deadline_s = equipment.clock.monotonic_s() + IN_GATE_S
    while True:
        status = await _pause(equipment)
        if status.gate == GATE_CLOSED and not status.eye(Eye.GATE) and not status.eye(Eye.EXIT):
            return
        if equipment.clock.monotonic_s() > deadline_s:
            await journey.raise_alarm(AlarmCode.PIECE_AT_GATE, AlarmPriority.HIGH, equipment.settings.lane_id, "start")
            raise LaneTrouble(Reason.PURGED, "a piece stands at the gate; lift it into the hold bin")


async def _pause(equipment: Equipment) -> LaneStatus:
    """Let a moment pass, and look whether the lane is still safe."""
    await equipment.clock.sleep(POLL_S)
    status = await equipment.devices.plc.read_status()
    if status.freeze_latch:
        raise FreezeLatched
    _demand_safe(status)
    return status


async def _bring_to_execute(equipment: Equipment, journey: Journey) -> None:
    started_s = equipment.clock.monotonic_s()
    while True:
        status = await _pause(equipment)
        if status.state == EXECUTE:
            return
        command = _NEXT_COMMAND.get(status.state)
        if command is not None:
            await equipment.devices.plc.command(command)
        waited_s = equipment.clock.monotonic_s() - started_s
        if waited_s > IN_GATE_S and status.gate == GATE_JAMMED and (status.eye(Eye.GATE) or status.eye(Eye.EXIT)):
            await journey.raise_alarm(AlarmCode.PIECE_AT_GATE, AlarmPriority.HIGH, equipment.settings.lane_id, "gate")
            raise LaneTrouble(Reason.PURGED, "a piece stands in the gate; lift it into the hold bin")
        if waited_s > equipment.settings.start_timeout_s:
            raise LaneTrouble(Reason.DEVICE_LOST, f"the lane PLC stays in state {status.state}, faults {status.faults:#x}")


async def _bring_unit_to_execute(equipment: Equipment) -> None:
    deadline_s = equipment.clock.monotonic_s() + equipment.settings.start_timeout_s
    while True:
        await _pause(equipment)
        unit = await equipment.devices.unit.read_status()
        if unit.state == EXECUTE:
            return
        command = _NEXT_COMMAND.get(unit.state)
        if command is not None:
            await equipment.devices.unit.command(command)
        if equipment.clock.monotonic_s() > deadline_s:
            raise LaneTrouble(Reason.UNIT_NOT_READY, f"the disinfection unit stays in state {unit.state}, faults {unit.faults:#x}")


async def _purge(equipment: Equipment, journey: Journey) -> None:
    """Run the belts empty into the bins; a piece on B5 waits at the shut gate until a person lifts it out.

    Empty is what the encoders prove: every belt has run on far enough since an eye was covered. Time alone proves nothing.
    """
    plc, settings = equipment.devices.plc, equipment.settings
    lane_id = settings.lane_id
    started_s = equipment.clock.monotonic_s()
    at_gate_since_s = None
    from_encoders: tuple[int, ...] = ()
    while True:
        status = await _pause(equipment)
        now_s = equipment.clock.monotonic_s()
        if not from_encoders or status.photo_eyes:
            from_encoders = status.encoders
        if status.faults:
            raise LaneTrouble(Reason.DEVICE_LOST, f"faults {status.faults:#x} in the purge, first {status.first_fault}")
        travel_mm = [encoder_delta_mm(now, before) for now, before in zip(status.encoders, from_encoders, strict=True)]
        at_gate_since_s = (at_gate_since_s or now_s) if status.eye(Eye.GATE) and not status.belt_speeds_mm_s[4] else None
        if at_gate_since_s is not None and now_s - at_gate_since_s > AT_GATE_S:
            await journey.raise_alarm(AlarmCode.PIECE_AT_GATE, AlarmPriority.HIGH, lane_id, "purge")
            raise LaneTrouble(Reason.PURGED, "a piece stands at the gate; lift it into the hold bin")
        stand = not any(status.belt_speeds_mm_s)
        if stand and min(travel_mm) >= EMPTY_TRAVEL_MM:
            await journey.clear_alarm(AlarmCode.PIECE_AT_GATE, lane_id)
            break
        if now_s - started_s > settings.start_timeout_s:
            raise LaneTrouble(Reason.DEVICE_LOST, f"the belts do not run empty: eyes {status.photo_eyes:#x} stay blocked")
        if stand:
            result = await plc.command(Command.PURGE)
            if result is not CommandResult.ACCEPTED:
                raise LaneTrouble(Reason.DEVICE_LOST, f"the lane PLC refuses to purge: {result.name.lower()}")
    await _bring_to_execute(equipment, journey)


async def _calibrate(equipment: Equipment, journey: Journey, info: DetectorInfo) -> tuple[Calibration, LineStore]:
    """Dark with the beam off, air with the beam on and nothing on the belts, then start the running acquisition."""
    devices, settings, clock = equipment.devices, equipment.settings, equipment.clock
    dark = await _lines(equipment, journey, info, MIN_DARK_LINES)
    dark_at_s = clock.monotonic_s()
    await switch_beam_on(equipment)
    deadline_s = clock.monotonic_s() + settings.start_timeout_s
    while True:
        await _pause(equipment)
        beam = await devices.generator.read_status()
        if beam.high_voltage_on and at_set_point(beam.kv, settings.kv) and at_set_point(beam.ma, settings.ma):
            break
        if clock.monotonic_s() > deadline_s:
            raise LaneTrouble(Reason.BEAM_OFF_SET_POINT, f"the generator stays at {beam.kv:.1f} kV, {beam.ma:.2f} mA {beam.fault_names}")
    air = await _lines(equipment, journey, info, MIN_AIR_LINES)
    calibration = Calibration(
        dark_le=dark.le.mean(axis=0, dtype="float32"),
        dark_he=dark.he.mean(axis=0, dtype="float32"),
        air_le=air.le.mean(axis=0, dtype="float32"),
        air_he=air.he.mean(axis=0, dtype="float32"),
        dark_at_s=dark_at_s,
        air_at_s=clock.monotonic_s(),
    )
    acquisition = await journey.next_number("acquisition")
    await devices.detector.start(acquisition, by_encoder=True)
    return calibration, LineStore(info, acquisition)


async def _lines(equipment: Equipment, journey: Journey, info: DetectorInfo, least: int) -> LineBlock:
    """Take a short calibration acquisition by the detector's own timer."""
    detector = equipment.devices.detector
    acquisition = await journey.next_number("acquisition")
    store = LineStore(info, acquisition)
    await detector.start(acquisition, by_encoder=False)
    deadline_s = equipment.clock.monotonic_s() + equipment.settings.start_timeout_s
    while store.lines < CALIBRATION_LINES:
        store.add(await detector.next_lines())
        if equipment.clock.monotonic_s() > deadline_s:
            raise LaneTrouble(Reason.CALIBRATION_STALE, f"{store.lines} calibration lines instead of {CALIBRATION_LINES}")
    await detector.stop()
    block = store.everything()
    if block is None or len(block.encoders) < least:
        raise LaneTrouble(Reason.CALIBRATION_STALE, "too few calibration lines")
    return block


async def _until_unit_ready(equipment: Equipment) -> None:
    deadline_s = equipment.clock.monotonic_s() + equipment.settings.start_timeout_s
    while True:
        await _pause(equipment)
        unit = await equipment.devices.unit.read_status()
        if unit.phase in (READY, EXPOSING):
            return
        if equipment.clock.monotonic_s() > deadline_s:
            raise LaneTrouble(Reason.UNIT_NOT_READY, f"the lamps stay in phase {unit.phase}, faults {unit.faults:#x}")


class _Connectable(Protocol):
    async def connect(self) -> object: ...


async def make_safe(equipment: Equipment, *, frozen: bool) -> list[str]:
    """Stop everything that can be reached: belts, beam, lamps, diverters to their bins. Never raises; says what did not answer.

    On a freeze belts and diverters stay untouched: a frozen piece is not moved. A link that was cut off in the middle of a request is
    opened again first. A unit that cannot be reached does the same by itself when its watchdog runs out.
    """
    devices = equipment.devices
    plc = devices.plc

    async def drop_beam() -> None:
        await plc.request_beam(on=False)

    async def stand() -> None:
        await plc.set_belts((0, 0, 0, 0, 0))

    async def to_the_bins() -> None:
        await plc.set_diverter_1(through=False)
        await plc.set_diverter_2(through=False)

    async def red_light() -> None:
        await plc.set_stack_light(RED)

    async def lamps_off() -> None:
        await devices.unit.set_lamps(on=False)

    moving: tuple[tuple[str, _Connectable, Callable[[], Awaitable[None]]], ...] = (
        ("lane_plc", plc, stand),
        ("lane_plc", plc, to_the_bins),
    )
    steps: tuple[tuple[str, _Connectable, Callable[[], Awaitable[None]]], ...] = (
        ("lane_plc", plc, drop_beam),
        *(() if frozen else moving),
        ("xray_generator", devices.generator, devices.generator.switch_off),
        ("disinfection_unit", devices.unit, lamps_off),
        ("line_detector", devices.detector, devices.detector.stop),
        ("lane_plc", plc, red_light),
    )
    return list(dict.fromkeys([name for name, device, step in steps if not await _done(device, step)]))


async def _done(device: _Connectable, step: Callable[[], Awaitable[None]]) -> bool:
    """True when the device was told, or refuses because it stands already."""
    for reconnect in (False, True):
        try:
            if reconnect:
                await device.connect()
            await step()
        except DeviceRefusedError:
            return True
        except DeviceError:
            continue
        except Exception:
            # Whatever is wrong with one device, the others must still be told.
            log.exception("a device could not be made safe")
            return False
        return True
    return False
