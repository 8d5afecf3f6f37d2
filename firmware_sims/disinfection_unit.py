"""Firmware of the UV-C tunnel: lamps, sensors, samples and the dose of each piece in the light.

The unit has a sensor per lamp at the least-exposed place of the belt, so that the least sensor's irradiance is what a piece's
least-exposed point gets at least, and the spatial factor is 1. It samples every 100 ms of its uptime; a slot's dose is integrated over
those samples (see `unit_slots`).

Lamps are taken in every PackML state except the stopping, holding and aborting ones. They go out on a stale heartbeat, 1 s after
B4 stops, at the freeze relay and at each own fault, and never come on again by themselves. A verdict is passed only for a piece
that carried a tag, reached the dose target, and met no fault on its way. An open door cuts the lamps' supply and is a fault; that
only its lock has given way is no fault of the unit's: it shows in the door bits alone.
"""

import random
from typing import Any

from firmware_sims import packml
from firmware_sims.contact import ACCEPTED, FROZEN, OUT_OF_RANGE, STALE_HEARTBEAT, WRONG_STATE
from firmware_sims.firmware import COMMON_FAULTS, Firmware
from firmware_sims.unit_slots import Slots
from firmware_sims.uv_field import LAMPS
from firmware_sims.world import World

WATCHDOG, POWER_DIP, LAMP_FAILED, SENSOR, OVER_TEMPERATURE = 8, 9, 10, 11, 12
DOOR_FORCED = 14
DOOR_CLOSED, DOOR_LOCKED = 1 << 0, 1 << 1
OFF, WARMING, READY, EXPOSING = range(4)
SAMPLE_MS = 100.0
SAMPLES = 20
READY_UW_PER_CM2 = 8000
B4_STILL_MS = 1000.0
LAMP_START_MS = 500.0
HOTTEST_C = 60.0
ROOM_C = 25.0
HEATING_C = 12.0
HEAT_S = 300.0
WORD = 0xFFFF
DARK_STATES = frozenset({packml.STOPPING, packml.HOLDING, packml.HELD, packml.ABORTING, packml.ABORTED, packml.CLEARING})


class DisinfectionUnit(Firmware):
    """The tunnel unit. `UnitRegisters` puts it on the wire."""

    faults = (*COMMON_FAULTS, "sensor_drift", "sensor_dead", "over_temperature", "lost_samples")

    def __init__(self, *, world: World, rng: random.Random) -> None:
        self.world = world
        self._rng = rng
        self.cycle_counter = 0
        self.lamp_hours = 1200.0
        self.temperature_c = ROOM_C
        self.humidity_percent = 48.0
        self.ozone_ppb = 12
        self.sensor_factor = 1.0
        self.sensor_dead = False
        self.overheated = False
        self.samples_lost = False
        super().__init__()
        self.boot()

    def boot(self) -> None:
        """Come up dark; boot and cycle counts, lamp hours and the serial number are retained."""
        super().boot()
        self.latched = 0
        self.first_fault = 0
        self.lamps_set = False
        self.recipe = 0
        self.dose_target = 0
        self.exposure_ms = 0
        self.residual_limit_ppb = 0
        self.slots = Slots(self.world)
        self.samples = [0] * SAMPLES
        self.sample_number = 0
        self.irradiance_min = 0
        self.irradiance_mean = 0
        self.phase = OFF
        self.phase_ms = 0.0
        self._next_sample_ms = SAMPLE_MS
        self._b4_still_ms = 0.0
        self._lit_ms = 0.0
        self._was_fresh = False
        self.world.uv.lit = False

    # Power and faults.

    def release_outputs(self) -> None:
        """Lamps out."""
        self.world.uv.lit = False

    def brown_out(self) -> None:
        """A dip that the CPU survives and the lamps do not."""
        self._trip(POWER_DIP)

    def inject(self, name: str, **args: Any) -> None:
        """Make a fault happen; KeyError for an unknown name, TypeError for an argument that it has not."""
        if name == "sensor_drift":
            self._drift(**args)
        elif name in COMMON_FAULTS:
            super().inject(name, **args)
        elif args:
            raise TypeError(f"{name} has no {', '.join(sorted(args))}")
        elif not self._switch(name, on=True):
            raise KeyError(name)

    def _drift(self, *, factor: float = 1.2) -> None:
        self.sensor_factor = float(factor)

    def clear(self, name: str) -> None:
        """End a fault; nothing for one that is over by itself."""
        if name == "sensor_drift":
            self.sensor_factor = 1.0
        elif not self._switch(name, on=False):
            super().clear(name)

    def _switch(self, name: str, *, on: bool) -> bool:
        if name == "sensor_dead":
            self.sensor_dead = on
        elif name == "over_temperature":
            self.overheated = on
        elif name == "lost_samples":
            self.samples_lost = on
        else:
            return False
        return True

    def jump_clock(self, ms: float) -> None:
        """Let the unit's clock jump; samples between are missing."""
        super().jump_clock(ms)
        skipped = int(ms // SAMPLE_MS)
        self.sample_number += skipped
        self._next_sample_ms += skipped * SAMPLE_MS
        self.samples = ([0] * min(SAMPLES, skipped) + self.samples)[:SAMPLES]

    def _trip(self, fault: int) -> None:
        if not self.first_fault:
            self.first_fault = fault + 1
        self.latched |= 1 << fault
        self.lamps_set = False
        self.slots.spoil()
        if fault == POWER_DIP:
            self.packml.command(packml.ABORT)
        else:
            self.packml.fail()

    @property
    def door_bits(self) -> int:
        """What the door's contacts say."""
        if self.world.tunnel_open:
            return 0
        return DOOR_CLOSED if self.world.tunnel_unlocked else DOOR_CLOSED | DOOR_LOCKED

    # Time.

    def step(self, dt_s: float) -> None:
        """One scan."""
        if not self.running(dt_s):
            return
        dt_ms = dt_s * 1000.0
        fresh = self.contact.fresh
        if self._was_fresh and not fresh:
            self._trip(WATCHDOG)
        self._was_fresh = fresh
        if self.world.tunnel_open and not self.latched >> DOOR_FORCED & 1:
            self._trip(DOOR_FORCED)
        self._step_lamps(dt_s, dt_ms)
        self.slots.step(self.uptime_ms, dt_s, target=self.dose_target)
        if self.uptime_ms >= self._next_sample_ms:
            self._sample()
        self._set_phase(dt_ms)

    def _step_lamps(self, dt_s: float, dt_ms: float) -> None:
        world = self.world
        lit = self.lamps_set
        if not lit:
            self._lit_ms = 0.0
            world.uv.lit = False
        else:
            self._b4_still_ms = 0.0 if world.belts[3].speed_mm_s else self._b4_still_ms + dt_ms
            if self._b4_still_ms > B4_STILL_MS or world.frozen or self.packml.state in DARK_STATES:
                self.lamps_set = world.uv.lit = False
                return
            self._lit_ms += dt_ms
            self.lamp_hours += dt_s / 3600.0
            world.uv.lit = True
            if self._lit_ms > LAMP_START_MS and world.uv.burning() != (1 << LAMPS) - 1:
                self._trip(LAMP_FAILED)
        if lit or self.temperature_c > ROOM_C + 0.01 or self.overheated:
            goal = ROOM_C + (HEATING_C if lit else 0.0) + (HOTTEST_C if self.overheated else 0.0)
            # A blocked fan heats fast; lamps alone slowly.
            pace_s = 5.0 if self.overheated else HEAT_S
            self.temperature_c += (goal - self.temperature_c) * dt_s / pace_s
            if self.temperature_c > HOTTEST_C and not self.latched >> OVER_TEMPERATURE & 1:
                self._trip(OVER_TEMPERATURE)

    def _sample(self) -> None:
        """Take sample n at uptime n × 100 ms: the least and the mean sensor, uW/cm2."""
        self._next_sample_ms += SAMPLE_MS
        self.sample_number += 1
        field = self.world.uv
        if field.level_mw_per_cm2 and not self.sensor_dead:
            readings = [reading * self.sensor_factor for reading in field.irradiance_mw_per_cm2()]
            self.irradiance_min = int(min(readings) * 1000.0)
            self.irradiance_mean = int(sum(readings) / LAMPS * 1000.0)
        else:
            self.irradiance_min = self.irradiance_mean = 0
            if self.sensor_dead and field.level_mw_per_cm2 and not self.latched >> SENSOR & 1:
                self._trip(SENSOR)
        sample = 0 if self.samples_lost else self.irradiance_min
        self.samples.insert(0, sample)
        self.samples.pop()
        self.slots.sample(sample)

    def _set_phase(self, dt_ms: float) -> None:
        if not self.lamps_set:
            phase = OFF
        elif self.irradiance_min < READY_UW_PER_CM2:
            phase = WARMING
        else:
            phase = EXPOSING if self.slots.running else READY
        if phase == self.phase:
            self.phase_ms += dt_ms
            return
        if phase == EXPOSING:
            self.cycle_counter += 1
        self.phase, self.phase_ms = phase, 0.0

    # Commands.

    def operate(self, code: int) -> int:
        """Do a selected PackML command and give its result."""
        if code in (packml.STOP, packml.HOLD, packml.ABORT):
            self.lamps_set = False
            return ACCEPTED if self.packml.command(code) else WRONG_STATE
        if not packml.RESET <= code <= packml.CLEAR:
            return OUT_OF_RANGE
        if not self.contact.fresh:
            return STALE_HEARTBEAT
        if code == packml.UNHOLD and self.packml.state == packml.HELD:
            self._forget_faults()
        if self.latched and code in (packml.START, packml.UNHOLD):
            return WRONG_STATE
        if not self.packml.command(code):
            return WRONG_STATE
        if code in (packml.RESET, packml.CLEAR):
            self._forget_faults()
        return ACCEPTED

    def _forget_faults(self) -> None:
        standing = int(self.temperature_c > HOTTEST_C) << OVER_TEMPERATURE | int(self.world.tunnel_open) << DOOR_FORCED
        self.latched &= standing
        self.first_fault = self.latched.bit_length()

    def switch_lamps(self, *, on: bool) -> int:
        """Command the lamps and give the result."""
        if not on:
            self.lamps_set = False
            return ACCEPTED
        if self.world.frozen:
            return FROZEN
        if not self.contact.fresh:
            return STALE_HEARTBEAT
        if self.latched or self.packml.state in DARK_STATES:
            return WRONG_STATE
        if not self.lamps_set:
            self._b4_still_ms = 0.0
        self.lamps_set = True
        return ACCEPTED
