"""Makes a lane ready: proves every device, settles what the gate's ring says, empties the belts, warms tube and lamps, calibrates.

Every zone counts as occupied until the purge has proved it empty. Nothing is taken over from before.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import DeviceError
from station.domain.reasons import Reason
from station.ports.lane_plc import STACK_RED, Command, CommandResult, Eye, LaneStatus, PassedPiece
from station.ports.xray import DetectorInfo, LineBlock, LineDetector
from station.workflow import says
from station.workflow.beam import at_set_point, switch_beam_on
from station.workflow.demands import (
    EXECUTE,
    demand_empty,
    demand_no_unit_fault,
    demand_nothing,
    demand_safe,
    demand_unit_shut,
    demand_unlatched,
    faults_of,
    state_of,
)
from station.workflow.equipment import Equipment, FreezeLatched, LaneTrouble
from station.workflow.exit_eye import ExitEye, exit_eye
from station.workflow.geometry import encoder_delta_mm
from station.workflow.journey import Journey
from station.workflow.says import Says, say
from station.workflow.scanner import MIN_AIR_LINES, MIN_DARK_LINES, Calibration, LineStore
from station.workflow.start_watch import StartWatch

STOPPED, IDLE, ABORTED, HELD, SUSPENDED, COMPLETE = 2, 4, 9, 11, 5, 17
"""PackML state numbers (ISA-TR88.00.02)."""

READY, EXPOSING = 2, 3
"""Phases of the UV tunnel in which its lamps burn steadily."""

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
CALIBRATION_LINES_S = 10.0
"""Many times what so many lines take: a detector that needs longer is silent, and the lane is live meanwhile."""

IN_GATE_S = 5.0
GATE_CLOSED = 0
GATE_OPEN = 1
GATE_JAMMED = 3
AT_GATE_S = 3.0
"""B5 has stood so long with something at the gate eye that it will not go away by itself."""

POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A lane that is ready to run."""

    info: DetectorInfo
    calibration: Calibration
    lines: LineStore
    ring: tuple[PassedPiece, ...]
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
    watch = StartWatch(equipment)
    preparing = asyncio.create_task(_prepare(equipment, journey, hold_reason, note, watch))
    watching = asyncio.create_task(watch.run())
    try:
        await asyncio.wait({preparing, watching}, return_when=asyncio.FIRST_COMPLETED)
        ended_by_itself = preparing.done()
    finally:
        preparing.cancel()
        watch.end()
        await asyncio.gather(preparing, watching, return_exceptions=True)
    if not ended_by_itself:
        watching.result()
    try:
        prepared = preparing.result()
    except DeviceError:
        # What the lane shows explains what a device met: an e-stop takes the high voltage away.
        if isinstance(watching.exception(), LaneTrouble | FreezeLatched):
            watching.result()
        raise
    watching.result()
    return prepared


async def _prepare(equipment: Equipment, journey: Journey, hold_reason: Reason, note: Callable[[str], None], watch: StartWatch) -> Prepared:
    devices, settings = equipment.devices, equipment.settings
    note(say(Says.CONNECT))
    status = await devices.plc.connect()
    watch.lane_must(demand_nothing)
    await devices.plc.set_stack_light(STACK_RED)
    await _settle_what_left(equipment, journey)
    if status.freeze_latch or journey.must_stay_frozen():
        raise FreezeLatched
    watch.lane_must(demand_unlatched)
    beam = await devices.generator.connect()
    if beam.fault_names:
        # Latched faults are forgotten where a lane starts, and nowhere else.
        await devices.generator.reset_faults()
    info = await devices.detector.connect()
    await devices.infeed_reader.connect()
    await devices.gate_reader.connect()
    unit = await devices.unit.connect()
    watch.unit_must(demand_nothing)
    await journey.hold_everything(hold_reason, ring_was_read=False)
    demand_safe(status)
    watch.lane_must(demand_safe)
    watch.unit_must(demand_unit_shut)
    await _demand_clear_gate(equipment, journey)
    # The exit is free and the gate is shut: what stood under it with a permit of before has left, or never will on that permit.
    ring = await _settle_what_left(equipment, journey)
    await journey.hold_everything(hold_reason, ring_was_read=True)
    await devices.plc.set_belts((0, 0, 0, 0, 0))
    await devices.plc.set_diverter_1(through=False)
    await devices.plc.set_diverter_2(through=False)
    note(say(Says.EXECUTE))
    await _bring_to_execute(equipment, journey)
    note(say(Says.PURGE))
    await _purge(equipment, journey)
    watch.lane_must(demand_empty)
    await _bring_unit_to_execute(equipment)
    watch.unit_must(demand_no_unit_fault)
    await devices.unit.set_dose_target(settings.recipe.target_mj_per_cm2)
    note(say(Says.CALIBRATE))
    # Before anything is lit or runs: a disk that hangs makes nobody wait beside lamps and belts.
    numbers = [await journey.next_number("acquisition") for _ in range(3)]
    dark = await _lines(equipment, info, numbers[0], MIN_DARK_LINES)
    dark_at_s = equipment.clock.monotonic_s()
    # A cold tube may be warmed for half a minute, or seasoned for hours. The PLC permits the beam over a running B2 only.
    speed = settings.geometry.belt_speed_mm_s
    await devices.plc.set_belts((0, speed, 0, 0, 0))
    await switch_beam_on(equipment)
    await devices.unit.set_lamps(on=True)
    await devices.plc.set_belts((speed,) * 5)
    await _until_beam_stands(equipment)
    air = await _lines(equipment, info, numbers[1], MIN_AIR_LINES)
    calibration = _calibrated(dark, air, dark_at_s=dark_at_s, air_at_s=equipment.clock.monotonic_s())
    await devices.detector.start(numbers[2], by_encoder=True)
    note(say(Says.LAMPS))
    await _until_unit_ready(equipment)
    return Prepared(
        info=info,
        calibration=calibration,
        lines=LineStore(info, numbers[2]),
        ring=ring,
        boot_count=status.boot_count,
        unit_boot_count=unit.boot_count,
    )


async def _settle_what_left(equipment: Equipment, journey: Journey) -> tuple[PassedPiece, ...]:
    """Settle what the gate's ring says, and return it; a piece whose tail is still in the exit eye has not left yet."""
    plc = equipment.devices.plc
    passed = (await plc.read_events()).passed
    # After the ring, or a head that comes between the two would look like a tail that has gone.
    status, events = await plc.read_lane()
    at_exit = exit_eye(covered=status.eye(Eye.EXIT), edges=events.edges, b5_encoder=status.encoders[4])
    await journey.settle_permits(passed, at_exit)
    return passed


async def _demand_clear_gate(equipment: Equipment, journey: Journey) -> None:
    """A piece at or in the gate is lifted out by hand before anything runs: the purge would push it through a gate that stands open."""
    deadline_s = equipment.clock.monotonic_s() + IN_GATE_S
    permit_ended = False
    while True:
        status = await _pause(equipment)
        standing = status.eye(Eye.GATE) or status.eye(Eye.EXIT)
        if status.gate == GATE_CLOSED and not standing:
            return
        if equipment.clock.monotonic_s() <= deadline_s:
            continue
        if standing or status.gate != GATE_OPEN or permit_ended:
            raise await _lift_out(equipment, journey, status, say(Says.AT_START), say(Says.AT_GATE))
        # B5 stopped before the encoder could tell that the tail was through, and the piece slid out unseen: the gate waits for it for ever.
        await equipment.devices.plc.command(Command.STOP)
        permit_ended = True
        deadline_s = equipment.clock.monotonic_s() + IN_GATE_S


async def _lift_out(equipment: Equipment, journey: Journey, status: LaneStatus, alarm: str, trouble: str) -> LaneTrouble:
    """Ask for somebody to lift out what stands in the gate; what its ring says of that piece is not believed. The trouble to raise."""
    if status.eye(Eye.EXIT):
        passed = (await equipment.devices.plc.read_events()).passed
        journey.disbelieve(passed[-1:])
        await journey.settle_permits(passed, ExitEye(covered=True))
    await journey.raise_alarm(AlarmCode.PIECE_AT_GATE, AlarmPriority.HIGH, equipment.settings.lane_id, alarm)
    return LaneTrouble(Reason.PURGED, trouble)


async def _pause(equipment: Equipment, demand: Callable[[LaneStatus], None] = demand_safe) -> LaneStatus:
    """Let a moment pass, and look whether the lane is still what it must be."""
    await equipment.clock.sleep(POLL_S)
    status = await equipment.devices.plc.read_status()
    demand(status)
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
            raise await _lift_out(equipment, journey, status, say(Says.IN_GATE), say(Says.IN_GATE))
        if waited_s > equipment.settings.start_timeout_s:
            raise LaneTrouble(Reason.PLC_FAULT, state_of(status))


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
            stays = say(Says.UNIT_STATE, state=says.state(unit.state), faults=says.faults(unit.faults))
            raise LaneTrouble(Reason.UNIT_NOT_READY, stays)


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
            raise LaneTrouble(Reason.PLC_FAULT, faults_of(status))
        travel_mm = [encoder_delta_mm(now, before) for now, before in zip(status.encoders, from_encoders, strict=True)]
        at_gate_since_s = (at_gate_since_s or now_s) if status.eye(Eye.GATE) and not status.belt_speeds_mm_s[4] else None
        if at_gate_since_s is not None and now_s - at_gate_since_s > AT_GATE_S:
            raise await _lift_out(equipment, journey, status, say(Says.AT_GATE), say(Says.AT_GATE))
        stand = not any(status.belt_speeds_mm_s)
        if stand and min(travel_mm) >= EMPTY_TRAVEL_MM:
            await journey.clear_alarm(AlarmCode.PIECE_AT_GATE, lane_id)
            break
        if now_s - started_s > settings.start_timeout_s:
            raise LaneTrouble(Reason.PLC_FAULT, say(Says.NOT_EMPTY, eyes=says.eyes(status.photo_eyes)))
        if stand:
            result = await plc.command(Command.PURGE)
            if result is not CommandResult.ACCEPTED:
                raise LaneTrouble(Reason.PLC_FAULT, say(Says.PLC_REFUSES_PURGE, result=says.result(result)))
    await _bring_to_execute(equipment, journey)


async def _until_beam_stands(equipment: Equipment) -> None:
    settings, clock = equipment.settings, equipment.clock
    deadline_s = clock.monotonic_s() + settings.start_timeout_s
    while True:
        await _pause(equipment, demand_empty)
        beam = await equipment.devices.generator.read_status()
        if beam.high_voltage_on and at_set_point(beam.kv, settings.kv) and at_set_point(beam.ma, settings.ma):
            return
        if clock.monotonic_s() > deadline_s:
            off = say(Says.GENERATOR_OFF_SET_POINT, kv=f"{beam.kv:.1f}", ma=f"{beam.ma:.2f}", faults=says.names(beam.fault_names))
            raise LaneTrouble(Reason.BEAM_OFF_SET_POINT, off)


async def _lines(equipment: Equipment, info: DetectorInfo, acquisition: int, least: int) -> LineBlock:
    """Take a short calibration acquisition by the detector's own timer: dark lines, or air with nothing on the belts."""
    detector = equipment.devices.detector
    store = LineStore(info, acquisition)
    await detector.start(acquisition, by_encoder=False)
    deadline_s = equipment.clock.monotonic_s() + CALIBRATION_LINES_S
    taking = asyncio.create_task(_take_lines(detector, store))
    try:
        while not taking.done():
            await _pause(equipment, demand_empty)
            if equipment.clock.monotonic_s() > deadline_s:
                raise LaneTrouble(Reason.CALIBRATION_STALE, say(Says.CALIBRATION_LINES, lines=store.lines, wanted=CALIBRATION_LINES))
        await taking
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    await detector.stop()
    block = store.everything()
    if block is None or len(block.encoders) < least:
        taken = len(block.encoders) if block is not None else 0
        raise LaneTrouble(Reason.CALIBRATION_STALE, say(Says.CALIBRATION_LINES, lines=taken, wanted=least))
    return block


def _calibrated(dark: LineBlock, air: LineBlock, *, dark_at_s: float, air_at_s: float) -> Calibration:
    """What every scan is corrected by.

    Raises:
        LaneTrouble: too many pixels do not answer. Every scan would be refused until the next calibration, half an hour later.
    """
    calibration = Calibration(
        dark_le=dark.le.mean(axis=0, dtype="float32"),
        dark_he=dark.he.mean(axis=0, dtype="float32"),
        air_le=air.le.mean(axis=0, dtype="float32"),
        air_he=air.he.mean(axis=0, dtype="float32"),
        dark_at_s=dark_at_s,
        air_at_s=air_at_s,
    )
    if calibration.dead_pixels:
        what = say(Says.CALIBRATION_DEAD_PIXELS, dead=calibration.dead_pixels, pixels=len(calibration.air_le))
        raise LaneTrouble(Reason.CALIBRATION_STALE, what)
    return calibration


async def _take_lines(detector: LineDetector, store: LineStore) -> None:
    while store.lines < CALIBRATION_LINES:
        store.add(await detector.next_lines())


async def _until_unit_ready(equipment: Equipment) -> None:
    deadline_s = equipment.clock.monotonic_s() + equipment.settings.start_timeout_s
    while True:
        await _pause(equipment, demand_empty)
        unit = await equipment.devices.unit.read_status()
        if unit.phase in (READY, EXPOSING):
            return
        if equipment.clock.monotonic_s() > deadline_s:
            stays = say(Says.UNIT_PHASE, phase=says.phase(unit.phase), faults=says.faults(unit.faults))
            raise LaneTrouble(Reason.UNIT_NOT_READY, stays)
