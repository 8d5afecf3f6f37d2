"""One running session of a lane, from prepared to trouble: polls the devices, follows the pieces, steers the belts.

The control loop alone steers. Each piece's way is one task (`passage`), woken after every poll. The session ends by an exception:
trouble, a lost device, or a freeze; what is on the belts is then held by whoever runs the session.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from station.domain.piece import ON_LANE_STATES, PieceState
from station.domain.reasons import Reason
from station.ports.disinfection_unit import UnitStatus
from station.ports.lane_plc import STACK_GREEN, STACK_RED, Eye, LaneEvents, LaneStatus, PassedPiece
from station.workflow import says
from station.workflow.beam import at_set_point, switch_beam_off, switch_beam_on
from station.workflow.code_reading import READER_REACH_MM, read_gate_codes, read_infeed_codes
from station.workflow.deciding import Decisions
from station.workflow.demands import demand_no_unit_fault, demand_running
from station.workflow.equipment import Equipment, FreezeLatched, LaneTrouble, RecalibrationDue
from station.workflow.exercises import Exercises
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.passage import Passage
from station.workflow.preparation import (
    EXPOSING,
    GATE_CLOSED,
    READY,
    Prepared,
)
from station.workflow.running_calls import RunningCalls
from station.workflow.says import Says, say
from station.workflow.scanner import Calibration
from station.workflow.steering import Steering
from station.workflow.tracker import Entered, Lost, Passed, Tracker
from station.workflow.traffic import Drive, LaneCondition
from station.workflow.uv_watch import UvWatch

NEAR_BEAM_MM = 150.0

DRAIN_S = 240.0
"""Belts that have not run empty in this time, with no more mail let in, are emptied into the bins: a scan with an older calibration
would be held anyhow."""

STRANGER_S = 2.0
TUBE_NOTE_S = 1.0
CALL_S = 0.5

STANDSTILL_S = 60.0
"""Pieces that have stood for so long, with nobody asked to do anything about it, will not go on by themselves."""


class LaneSession:
    """Everything that lives from one preparation to the next trouble. Runs in the lane's own event loop."""

    def __init__(
        self,
        equipment: Equipment,
        journey: Journey,
        prepared: Prepared,
        exercises: Exercises,
        *,
        check: Callable[[], None],
        on_poll: Callable[[], None],
        on_end: Callable[[LanePiece], None],
        on_decision: Callable[[LanePiece, float], None],
    ) -> None:
        self.equipment = equipment
        self.journey = journey
        self.settings = equipment.settings
        self.geometry = equipment.settings.geometry
        self.prepared = prepared
        self.lines = prepared.lines
        self.calibration: Calibration = prepared.calibration
        self.tracker = Tracker(self.geometry)
        self.uv = UvWatch(self.geometry, self.settings.recipe, self.settings.unit_id, clock_jump_ms=self.settings.clock_jump_ms)
        self.pieces: list[LanePiece] = []
        self._calls = RunningCalls(journey, self.settings.lane_id)
        self.decisions = Decisions(journey, equipment.clock, self.wake, exercises)
        self.status: LaneStatus | None = None
        self.unit: UnitStatus | None = None
        self.ring = prepared.ring
        self.drive: Drive | None = None
        self.beam_on = True
        self.beam_ready = True
        self.permits: set[tuple[int, int]] = set()
        self.announced_nonces: set[int] = set()
        self.newest: LanePiece | None = None
        self.scans_fail = False
        self._check_asked = check
        self._on_poll = on_poll
        self._on_end = on_end
        self.note_decision = on_decision
        self._open = False
        self._gate_stayed_shut = False
        self._strangers_ms: set[int] | None = None
        self._ticked = asyncio.Event()
        self._steering = Steering(equipment.devices.plc, self.geometry)
        self._last_due_s = equipment.clock.monotonic_s()
        self._places_mm: tuple[float, ...] = ()
        self._moved_s = equipment.clock.monotonic_s()
        self._gate_free_s = self._moved_s
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Run until something ends the session.

        Raises:
            ExceptionGroup: of `LaneTrouble`, `FreezeLatched` or a `StationError`.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            for loop in (
                self._control,
                self._watch_unit,
                self._watch_generator,
                self._watch_detector,
                self._note_tube_use,
                self._call_people,
                self._collect_lines,
            ):
                group.create_task(loop())
            group.create_task(read_infeed_codes(self))
            group.create_task(read_gate_codes(self))

    async def until(self, condition: Callable[[], bool], *, timeout_s: float | None = None) -> bool:
        """Wait until the condition holds after some poll; False when station time ran out first."""
        deadline_s = None if timeout_s is None else self.equipment.clock.monotonic_s() + timeout_s
        while not condition():
            if deadline_s is not None and self.equipment.clock.monotonic_s() >= deadline_s:
                return False
            await self._ticked.wait()
        return True

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the loops; its failure ends the session."""
        if self._group is None:
            raise RuntimeError("the session is not running")
        self._group.create_task(work)

    def wake(self) -> None:
        """Let every waiting task look again."""
        self._ticked.set()
        self._ticked = asyncio.Event()

    def remove(self, piece: LanePiece) -> None:
        """The piece left the belts."""
        self.tracker.drop(piece.track)
        if piece in self.pieces:
            self.pieces.remove(piece)
            self._on_end(piece)

    async def _control(self) -> None:
        plc, clock = self.equipment.devices.plc, self.equipment.clock
        due_s = clock.monotonic_s()
        while True:
            status, events = await plc.read_lane()
            # Behind a gate that was shut before and is shut now, the exit eye sees something else than a piece that left.
            self._gate_stayed_shut = self.status is not None and self.status.gate == status.gate == GATE_CLOSED
            self.status = status
            self._calls.note(status, clock.monotonic_s())
            if status.freeze_latch:
                raise FreezeLatched
            if status.boot_count != self.prepared.boot_count:
                raise LaneTrouble(Reason.DEVICE_LOST, say(Says.PLC_RESTARTED))
            # What passed the gate is recorded first, also when the same reading shows a fault.
            trouble = await self._record(status, events)
            self._check(status)
            if trouble is not None:
                raise trouble
            self.uv.note_lane(status, clock.utc_now())
            for piece in self.pieces:
                if self._under_beam(piece):
                    piece.watch.note_speed(status.belt_speeds_mm_s[1], self.geometry.belt_speed_mm_s)
            await self._steer(status)
            self._watch_gate(status)
            self._watch_progress()
            await self._mind_calibration()
            self.wake()
            self._on_poll()
            due_s = max(due_s + self.settings.poll_s, clock.monotonic_s() - self.settings.poll_s)
            await clock.sleep(max(0.0, due_s - clock.monotonic_s()))

    async def _mind_calibration(self) -> None:
        """Green from when every new piece at the infeed is noticed, until the belts are to run empty for a new calibration.

        Raises:
            RecalibrationDue: they are empty, or will not get so. A person who is deciding is waited for.
        """
        wanted = not self.drains
        if wanted is not self._open:
            await self.equipment.devices.plc.set_stack_light(STACK_GREEN if wanted else STACK_RED)
            self._open = wanted
        will_not = self._dark_age_s() > self.settings.dark_max_age_s + DRAIN_S and not self.decisions.pending
        if self.drains and (not self.pieces or will_not):
            raise RecalibrationDue

    @property
    def drains(self) -> bool:
        """True when no more mail is taken in, so that the belts run empty and the lane can calibrate."""
        return self._dark_age_s() > self.settings.dark_max_age_s or self.calibration.doubtful

    def _dark_age_s(self) -> float:
        return self.equipment.clock.monotonic_s() - self.calibration.dark_at_s

    async def _record(self, status: LaneStatus, events: LaneEvents) -> LaneTrouble | None:
        """Follow every edge and every passage of the gate; the first trouble that they show is returned."""
        first = None
        for happening in self.tracker.poll(status, events):
            try:
                await self._happened(happening, events.passed)
            except LaneTrouble as trouble:
                first = first or trouble
        try:
            await self._check_ring(events.passed)
        except LaneTrouble as trouble:
            first = first or trouble
        return first

    def _check(self, status: LaneStatus) -> None:
        self._check_asked()
        self.decisions.check()
        demand_running(status)

    def _watch_gate(self, status: LaneStatus) -> None:
        """Something that nobody follows stands at the gate: it came there unseen, and only a person can take it away."""
        now_s = self.equipment.clock.monotonic_s()
        near_mm = self.geometry.gate_mm - self.geometry.longest_piece_mm
        if not status.eye(Eye.GATE) or any(piece.track.head_mm >= near_mm for piece in self.pieces):
            self._gate_free_s = now_s
        elif now_s - self._gate_free_s > STRANGER_S:
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.STRANGER_AT_GATE))

    def _watch_progress(self) -> None:
        now_s = self.equipment.clock.monotonic_s()
        places_mm = tuple(piece.track.head_mm for piece in self.pieces)
        asked = bool(self.decisions.pending) or any(piece.refused for piece in self.pieces)
        if not places_mm or asked or places_mm != self._places_mm:
            self._places_mm, self._moved_s = places_mm, now_s
        elif now_s - self._moved_s > STANDSTILL_S:
            raise LaneTrouble(Reason.PLC_FAULT, say(Says.STANDSTILL, places=",".join(f"{mm:.0f}" for mm in places_mm)))

    async def _happened(self, happening: Entered | Passed | Lost, ring: tuple[PassedPiece, ...]) -> None:
        if isinstance(happening, Entered):
            entered = LanePiece(track=happening.track)
            self.pieces.append(entered)
            self.spawn(Passage(self, entered).run())
            return
        if isinstance(happening, Lost):
            lost = next((p for p in self.pieces if p.track is happening.track), None)
            if happening.eye is Eye.EXIT and happening.seen:
                await self._seen_at_exit(happening, lost, ring)
            raise LaneTrouble(happening.reason, happening.detail)
        piece = next((p for p in self.pieces if p.track is happening.track), None)
        if piece is None:
            # Its tail's edge came in the same reading as its fall into the bin.
            return
        if happening.leading and happening.eye in (Eye.HOLD_BIN, Eye.RETURN_BIN):
            piece.in_bin = True
            self.remove(piece)
            if piece.state in ON_LANE_STATES:
                await self.journey.hold(piece, Reason.DIVERTED)
        elif happening.leading and happening.eye is Eye.UV_IN and piece.state is not PieceState.DISINFECTING:
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.NOT_TO_BE_LIT))
        elif happening.leading and happening.eye is Eye.EXIT and piece.permit is None:
            if self._gate_stayed_shut:
                raise LaneTrouble(Reason.TRACK_LOST, say(Says.STRANGER, eye=says.eye(Eye.EXIT)))
            await self.journey.escaped(piece.piece_id, say(Says.PASSED_WITHOUT_PERMIT))
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.PASSED_WITHOUT_PERMIT))

    async def _seen_at_exit(self, happening: Lost, lost: LanePiece | None, ring: tuple[PassedPiece, ...]) -> None:
        """Something was seen at the exit that is no followed piece in its place."""
        if lost is not None and lost.permit is not None:
            # One that came late left under its permit. One that could not be there yet may still stand at the gate.
            if happening.early:
                await self.journey.exit_disbelieved(lost, ring)
        elif not self._gate_stayed_shut:
            await self.journey.escaped(lost.piece_id if lost is not None else None, happening.detail)

    async def _check_ring(self, ring: tuple[PassedPiece, ...]) -> None:
        before = {entry.seq for entry in self.ring}
        self.ring = ring
        for entry in ring:
            if entry.seq in before or (entry.tag, entry.challenge) in self.permits:
                continue
            suspect = next((p.piece_id for p in self.pieces if p.tag == entry.tag and p.piece_id), None)
            await self.journey.escaped(suspect, say(Says.TAG_PASSED, tag=entry.tag), ring_seq=entry.seq)
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.GATE_WITHOUT_PERMIT))

    def _under_beam(self, piece: LanePiece) -> bool:
        beam_mm = self.geometry.beam_mm
        return piece.track.tail_mm(self.geometry.longest_piece_mm) <= beam_mm <= piece.track.head_mm

    def _nears_beam(self, piece: LanePiece) -> bool:
        return self.beam_ready and 0.0 < self.geometry.beam_mm - piece.track.head_mm < NEAR_BEAM_MM

    async def _steer(self, status: LaneStatus) -> None:
        condition = LaneCondition(
            xray_ready=self.beam_ready,
            uv_ready=self._uv_ready(),
            diverter_1=status.diverter_1,
            diverter_2=status.diverter_2,
            gate=status.gate,
        )
        self.drive = await self._steering.steer(self.pieces, condition, stand_still=self.decisions.stops)

    def _uv_ready(self) -> bool:
        return self.unit is not None and self.unit.phase in (READY, EXPOSING) and self.unit.faults == 0

    async def _watch_unit(self) -> None:
        unit, clock = self.equipment.devices.unit, self.equipment.clock
        lamps_dark = False
        while True:
            status = await unit.read_status()
            if status.boot_count != self.prepared.unit_boot_count:
                raise LaneTrouble(Reason.DEVICE_LOST, say(Says.UNIT_RESTARTED))
            demand_no_unit_fault(status)
            self.unit = status
            self._demand_no_stranger_lit(status)
            self.uv.note_unit(status)
            b4_runs = self.status is not None and self.status.belt_speeds_mm_s[3] > 0
            if status.phase == 0 and b4_runs and lamps_dark:
                await unit.set_lamps(on=True)
            lamps_dark = status.phase == 0 and b4_runs
            self.wake()
            await clock.sleep(self.settings.unit_poll_s)

    def _demand_no_stranger_lit(self, status: UnitStatus) -> None:
        """What the unit saw come into its light without this session having told it of it was not cleared."""
        strangers = {slot.entered_ms for slot in status.slots if slot.entered_ms and slot.nonce not in self.announced_nonces}
        known, self._strangers_ms = self._strangers_ms, strangers
        if known is not None and strangers - known:
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.STRANGER_IN_LIGHT))

    async def _note_tube_use(self) -> None:
        """Apart from what watches the generator: a commit may take longer than its watchdog waits."""
        while True:
            if self.beam_ready:
                await self.journey.tube_is_on()
            await self.equipment.clock.sleep(TUBE_NOTE_S)

    async def _call_people(self) -> None:
        while True:
            await self._calls.call()
            await self.equipment.clock.sleep(CALL_S)

    async def _watch_generator(self) -> None:
        generator, clock, settings = self.equipment.devices.generator, self.equipment.clock, self.settings
        while True:
            status = await generator.read_status()
            now_s = clock.monotonic_s()
            for piece in self.pieces:
                # A short piece may lie under the beam between two readings: the last one before it counts too.
                if self._under_beam(piece) or self._nears_beam(piece):
                    piece.watch.note_beam(on=status.high_voltage_on, kv=status.kv, kv_set=settings.kv, ma=status.ma, ma_set=settings.ma)
            due = any(p.track.tail_mm(self.geometry.longest_piece_mm) < self.geometry.beam_mm + READER_REACH_MM for p in self.pieces)
            self._last_due_s = now_s if due else self._last_due_s
            self.beam_ready = status.high_voltage_on and at_set_point(status.kv, settings.kv) and at_set_point(status.ma, settings.ma)
            b2_runs = self.status is not None and self.status.belt_speeds_mm_s[1] > 0
            if due and not status.high_voltage_on and b2_runs:
                if status.fault_names:
                    raise LaneTrouble(Reason.BEAM_OFF_SET_POINT, say(Says.GENERATOR_FAULTS, faults=says.names(status.fault_names)))
                await switch_beam_on(self.equipment)
                self.beam_on = True
            elif self.beam_on and not due and now_s - self._last_due_s > settings.beam_idle_s:
                await switch_beam_off(self.equipment)
                self.beam_on = False
            await clock.sleep(settings.generator_poll_s)

    async def _watch_detector(self) -> None:
        """Nothing else asks its command port while the lane runs: a dead one is noticed here, as the loss of any other device."""
        while True:
            await self.equipment.devices.detector.temperature_c()
            await self.equipment.clock.sleep(self.settings.detector_poll_s)

    async def _collect_lines(self) -> None:
        detector = self.equipment.devices.detector
        while True:
            block = await detector.next_lines()
            self.lines.add(block)
            if any(piece.waits_for_lines for piece in self.pieces):
                self.wake()
