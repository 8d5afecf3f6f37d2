"""Firmware of the lane PLC: one scan per step, from its inputs to its outputs. It never sees the truth, only its sensors.

Choices where the codes leave room: belts and beam requests are taken in PackML Execute only, and leaving Execute for any reason
zeroes them, so that nothing re-arms by itself. The PLC's own faults hold (Held; Stopped if it was only ready); e-stop and a power
dip abort. Reset, Clear and Unhold forget the latched faults whose cause has gone. `first_fault` is the bit number + 1, 0 for none.
"""

import random

from firmware_sims import packml
from firmware_sims.contact import (
    ACCEPTED,
    ACCESS,
    FROZEN,
    IN_MAINTENANCE,
    OUT_OF_RANGE,
    STALE_HEARTBEAT,
    WRONG_STATE,
)
from firmware_sims.firmware import Firmware
from firmware_sims.geometry import BELTS, EYES, ZONE_INFEED, ZONES
from firmware_sims.plc_gate import JAM_FAULT_MS, GateControl
from firmware_sims.plc_mechanics import EYE_BELT, Mechanics
from firmware_sims.plc_purge import JOG_MM_S, JOG_MS, PURGE_MM_S, Purge
from firmware_sims.plc_tracking import Tracker
from firmware_sims.world import MAINTENANCE, PRODUCTION, World

CLEAR_ACCESS, CLEAR_FREEZE, PURGE, JOG = 20, 21, 22, 23
ESTOP, INTERLOCK, BELT_JAM, DIVERTER_JAM, GATE_JAM, EYE_STUCK, ENCODER_SLIP, TAILGATE, WATCHDOG, POWER_DIP = range(10)
DOOR_FORCED = 14
BEAM_STILL_MS = 1900.0
EDGE_RING = 16
WORD = 0xFFFF
STILLING_COMMANDS = frozenset({packml.STOP, packml.HOLD, packml.ABORT})
"""Taken at any time, from whoever: they only make still."""
MOVING_COMMANDS = frozenset({packml.START, packml.UNHOLD, packml.SUSPEND, packml.UNSUSPEND, PURGE, JOG})


class LanePlc(Firmware):
    """The PLC. `PlcRegisters` puts it on the wire; `world.panel` things (key, mode) are read from the world."""

    def __init__(self, *, world: World, rng: random.Random) -> None:
        self.world = world
        self.gate = GateControl(world=world, rng=rng)
        self.freeze_latch = False
        super().__init__()
        self.boot()

    def boot(self) -> None:
        """Come up with nothing but the freeze latch, the passed ring and the boot count."""
        super().boot()
        self.tracker = Tracker(self.world.geometry)
        self.gate.boot()
        self.purge = Purge()
        self.jog_belt = 0
        self.jog_left_ms = 0.0
        self.latched = 0
        self.first_fault = 0
        self.access = 0
        self.discrepancy = False
        self.speed_set = [0] * BELTS
        self.diverter_set = [0, 0]
        self.beam_request = False
        self.stack_light = 0
        self.infeed_tag = 0
        self.permit_words = [0] * 5
        self.edges: list[tuple[int, int, int]] = [(0, 0, 0)] * EDGE_RING
        self.edge_seq = 0
        self.eyes = self.world.eyes()
        self._encoder_mm = [belt.encoder_mm for belt in self.world.belts]
        self._moved_mm = [0.0] * BELTS
        self._was_running = self._was_fresh = False
        self._was_permitted = False
        self._b2_still_ms = BEAM_STILL_MS
        self.mechanics = Mechanics(self.world.geometry)
        self._mode = self.world.mode
        self._disagree_scans = 0
        self.release_outputs()

    def release_outputs(self) -> None:
        """Power off the drives: belts brake, high voltage off, diverters to their bins, the gate falls shut."""
        world = self.world
        for belt in range(BELTS):
            world.set_belt_speed(belt, 0.0)
        world.set_beam_permit(False)
        world.set_diverter(1, through=False)
        world.set_diverter(2, through=False)
        world.set_gate(is_open=False)
        world.set_frozen(self.freeze_latch)

    def brown_out(self) -> None:
        """A dip that the CPU survives and the drives do not."""
        self._trip(POWER_DIP)
        self.diverter_set = [0, 0]

    # The scan.

    @property
    def executing(self) -> bool:
        """True in Execute with nothing that forbids movement."""
        return self.packml.state == packml.EXECUTE and not self.freeze_latch and self.contact.fresh

    @property
    def gate_armed(self) -> bool:
        """True where a permit may live."""
        return self.executing and not self.access and self._mode == PRODUCTION and not self.purge.running

    def step(self, dt_s: float) -> None:
        """One scan."""
        if not self.running(dt_s):
            return
        dt_ms = dt_s * 1000.0
        self._read_encoders()
        self._check_safety()
        self._follow_pieces(dt_ms)
        self._check_mechanics(dt_ms)
        self._drive(dt_ms)

    def _read_encoders(self) -> None:
        last, moved = self._encoder_mm, self._moved_mm
        for belt, drive in enumerate(self.world.belts):
            place = drive.encoder_mm
            moved[belt] = place - last[belt]
            last[belt] = place

    def _check_safety(self) -> None:
        world = self.world
        fresh = self.contact.fresh
        if self._was_fresh and not fresh:
            self._trip(WATCHDOG)
            self.diverter_set = [0, 0]
        self._was_fresh = fresh
        if world.estop_pressed:
            self._trip(ESTOP)
            self.diverter_set = [0, 0]
        if world.interlock_a != world.interlock_b:
            self._disagree_scans += 1
            if self._disagree_scans > 1:
                self.discrepancy = True
                self._trip(INTERLOCK)
        else:
            self._disagree_scans = 0
        self.access |= world.access
        if world.mode != self._mode:
            self._mode = world.mode
            self.packml.command(packml.STOP)
            self._stop_motion()
            if world.mode == MAINTENANCE:
                self.tracker.void_from(0)
        running = self.packml.state == packml.EXECUTE
        if self._was_running and not running:
            self._stop_motion()
        self._was_running = running

    def _stop_motion(self) -> None:
        self.speed_set = [0] * BELTS
        self.beam_request = False
        self.purge.running = False
        self.jog_left_ms = 0.0
        self.gate.permit = None

    def _trip(self, fault: int) -> None:
        """Latch a fault of the PLC's own and stop: hold, or abort after e-stop and power dip."""
        if not self.first_fault:
            self.first_fault = fault + 1
        self.latched |= 1 << fault
        self._stop_motion()
        if fault in (ESTOP, POWER_DIP):
            self.packml.command(packml.ABORT)
        else:
            self.packml.fail()

    def _follow_pieces(self, dt_ms: float) -> None:
        eyes = self.world.eyes()
        tracker, gate = self.tracker, self.gate
        if tracker.tracks:
            tracker.advance(self._moved_mm, self._way)
        rising, falling = eyes & ~self.eyes, self.eyes & ~eyes
        if rising or falling:
            self._take_edges(rising, falling)
        self.eyes = eyes
        gate.step(
            dt_ms,
            eyes=eyes,
            rising=rising,
            falling=falling,
            moved_mm=self._moved_mm[4],
            front=tracker.gate_track() if tracker.tracks else None,
            armed=self.gate_armed,
        )

    def _way(self, which: int) -> bool | None:
        flap = self.world.diverters[which]
        return True if flap.open_fully else False if flap.shut_fully else None

    def _take_edges(self, rising: int, falling: int) -> None:
        for eye in range(EYES):
            bit = 1 << eye
            if not (rising | falling) & bit:
                continue
            direction = 0 if rising & bit else 1
            self.edge_seq = self.edge_seq % WORD + 1
            encoder = self.world.encoder(EYE_BELT[eye])
            self.edges[self.edge_seq % EDGE_RING] = (self.edge_seq, eye | direction << 8, encoder)
            if direction:
                self.tracker.trailing(eye)
            else:
                self.tracker.leading(eye)
                self.mechanics.covered(eye, self._encoder_mm[EYE_BELT[eye]])

    def _check_mechanics(self, dt_ms: float) -> None:
        gate, world, mechanics, now = self.gate, self.world, self.mechanics, 0
        jammed, slips = mechanics.watch_drives(world.belts, self._moved_mm, dt_ms)
        now |= int(jammed) << BELT_JAM | int(slips) << ENCODER_SLIP
        if self.tracker.blind_eye:
            self.tracker.blind_eye = False
            now |= 1 << EYE_STUCK
        if gate.tailgate:
            gate.tailgate = False
            now |= 1 << TAILGATE
        now |= int(gate.forced) << DOOR_FORCED | int(gate.off_target_ms > JAM_FAULT_MS) << GATE_JAM
        if self.eyes and mechanics.blocked_too_long(self.eyes, self._encoder_mm):
            now |= 1 << BELT_JAM
        now |= int(mechanics.diverter_jammed(world.diverters, self.tracker, self.eyes, dt_ms)) << DIVERTER_JAM
        new = now & ~self.latched
        if new:
            for fault in range(new.bit_length()):
                if new >> fault & 1:
                    self._trip(fault)

    def _drive(self, dt_ms: float) -> None:
        world = self.world
        speeds = self._own_speeds(dt_ms) if self.purge.running or self.jog_left_ms > 0.0 else self.speed_set
        if self.freeze_latch or world.estop_pressed:
            speeds = [0] * BELTS
        for belt, speed in zip(world.belts, speeds, strict=True):
            belt.target_mm_s = speed
        if self.gate.b5_inhibited:
            world.belts[4].target_mm_s = 0
        if not self.freeze_latch:
            world.set_diverter(1, through=bool(self.diverter_set[0]))
            world.set_diverter(2, through=bool(self.diverter_set[1]))
        self._b2_still_ms = 0.0 if world.belts[1].speed_mm_s else self._b2_still_ms + dt_ms
        closed = world.interlock_a and world.interlock_b and not world.estop_pressed
        if not closed:
            self.beam_request = False
        permitted = self.beam_request and self.executing and self._b2_still_ms < BEAM_STILL_MS
        if self._was_permitted and not permitted:
            # What the hardware has taken away the station must ask for again.
            self.beam_request = False
        if permitted != self._was_permitted:
            world.set_beam_permit(permitted)
        self._was_permitted = permitted

    def _own_speeds(self, dt_ms: float) -> list[int]:
        """What the belts do while the PLC purges or jogs."""
        if self.purge.running:
            self.purge.step(dt_ms, eyes=self.eyes, moved_mm=self._moved_mm)
            if self.purge.stuck:
                self._trip(BELT_JAM)
            return [PURGE_MM_S] * BELTS
        self.jog_left_ms -= dt_ms
        return [JOG_MM_S if belt == self.jog_belt else 0 for belt in range(BELTS)]

    # Commands.

    def set_freeze(self) -> None:
        """Set the retained freeze latch: belts, diverters, high voltage and lamps are inhibited over a reboot."""
        self.freeze_latch = True
        self._stop_motion()
        self.packml.fail()
        self.world.set_frozen(True)
        self.world.set_beam_permit(False)
        self._was_permitted = False

    def operate(self, code: int, argument: int) -> int:
        """Do a selected command and give its result."""
        if code in STILLING_COMMANDS:
            self._stop_motion()
            return ACCEPTED if self.packml.command(code) else WRONG_STATE
        if not self.contact.fresh:
            return STALE_HEARTBEAT
        if code in MOVING_COMMANDS:
            return FROZEN if self.freeze_latch else self._move(code, argument)
        if code in (packml.RESET, packml.CLEAR):
            return self._acknowledge(code)
        if code == CLEAR_ACCESS:
            return self._clear_access(argument)
        return self._clear_freeze() if code == CLEAR_FREEZE else OUT_OF_RANGE

    def _clear_freeze(self) -> int:
        if not (self.freeze_latch and self.world.key_switch):
            return WRONG_STATE
        self.freeze_latch = False
        self.world.set_frozen(False)
        return ACCEPTED

    def _clear_access(self, zone: int) -> int:
        if zone >= ZONES:
            return OUT_OF_RANGE
        if self.world.access >> zone & 1:
            return ACCESS
        self.access &= ~(1 << zone)
        self.tracker.void_from(zone)
        return ACCEPTED

    def _forget_faults(self) -> None:
        world = self.world
        self.discrepancy = world.interlock_a != world.interlock_b
        standing = int(world.estop_pressed) << ESTOP | int(self.discrepancy) << INTERLOCK
        standing |= int(self.gate.off_target_ms > JAM_FAULT_MS) << GATE_JAM | int(self.gate.forced) << DOOR_FORCED
        self.latched &= standing
        self.mechanics.forgive()
        self.first_fault = self.latched.bit_length()

    def _acknowledge(self, code: int) -> int:
        if code == packml.CLEAR and self.world.estop_pressed:
            return WRONG_STATE
        if not self.packml.command(code):
            return WRONG_STATE
        self._forget_faults()
        return ACCEPTED

    def _move(self, code: int, argument: int) -> int:
        if code == JOG:
            return self._jog(argument)
        if self._mode == MAINTENANCE and code in (packml.START, packml.UNHOLD, PURGE):
            return IN_MAINTENANCE
        if code == PURGE:
            if self.latched or self.packml.state not in (packml.STOPPED, packml.IDLE, packml.EXECUTE):
                return WRONG_STATE
            self._stop_motion()
            self.diverter_set = [0, 0]
            self.purge.start()
            return ACCEPTED
        if code == packml.UNHOLD and self.packml.state == packml.HELD:
            self._forget_faults()
        if code != packml.SUSPEND and self.latched:
            return WRONG_STATE
        return ACCEPTED if self.packml.command(code) else WRONG_STATE

    def _jog(self, belt: int) -> int:
        if self._mode != MAINTENANCE:
            return WRONG_STATE
        if not 1 <= belt <= BELTS:
            return OUT_OF_RANGE
        self.jog_belt, self.jog_left_ms = belt - 1, JOG_MS
        return ACCEPTED

    def tag_infeed(self, tag: int) -> bool:
        """Give a tag to the newest untagged piece on B1; the world notes which piece that really is."""
        track = self.tracker.tag_newest(tag)
        if track is None or self.access >> ZONE_INFEED & 1:
            return False
        self.world.note_tag(tag, track.head_mm)
        return True
