"""The X-ray tube and its supply: ramps, cold-tube arcs, latched faults. Knows no wire."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

KV_RAMP_S = 0.4
MA_RAMP_S = 0.3
EMISSION_KV = 40.0
QUENCH_S = 0.05
ARCS_ALLOWED = 4
ARC_WINDOW_S = 10.0
COLD_AFTER_H = 8.0
UNSEASONED_AFTER_H = 2190.0
WARM_UP_S = 20.0
SEASONING_S = 600.0
ARCS_PER_S_WHEN_COLD = 1.0
AMBIENT_C = 28.0


class PoweredWorld(Protocol):
    """What the supply needs of the world."""

    beam_permitted: bool

    def set_beam(self, on: bool, kv: float, ma: float) -> None:  # noqa: FBT001 - the state of a tube
        """Make the beam so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Full scale of a model."""

    kv: float
    ma: float


class Tube:
    """Set-points in, beam out; `step` after the world's inputs are set."""

    def __init__(self, *, world: PoweredWorld, rng: np.random.Generator, rating: Rating, idle_hours: float = 2.0) -> None:
        self._world = world
        self._rng = rng
        self.rating = rating
        self.idle_hours = idle_hours
        self.kv_set = 0.0
        self.ma_set = 0.0
        self.kv = 0.0
        self.ma = 0.0
        self.enabled = False
        self.faults: set[str] = set()
        self.hv_hours = 812.4
        self.on_s = 0.0
        self.temperature_c = AMBIENT_C
        self.kv_error = 1.0
        self.interlock_forced_open = False
        self.arc_count = 0
        self._arcs_s: list[float] = []
        self._quench_s = 0.0
        self._clock_s = 0.0
        self._shown = (False, 0.0, 0.0)

    @property
    def interlocks_closed(self) -> bool:
        """True while the lane PLC's contact allows high voltage."""
        return self._world.beam_permitted and not self.interlock_forced_open

    @property
    def refusal(self) -> str | None:
        """Why HV cannot be switched on: interlock, fault, or None."""
        if not self.interlocks_closed:
            return "interlock"
        return "fault" if self.faults else None

    def switch_on(self) -> bool:
        """HV on; False when refused."""
        if self.refusal is not None:
            return False
        self.enabled = True
        return True

    def switch_off(self) -> None:
        """HV off at once."""
        self.enabled = False
        self.kv = self.ma = 0.0
        self._show()

    def latch(self, fault: str) -> bool:
        """Latch a fault and switch off; True when it is new."""
        new = fault not in self.faults
        self.faults.add(fault)
        self.switch_off()
        return new

    def power_up(self) -> None:
        """As after a power dip: everything forgotten but the hours."""
        self.switch_off()
        self.faults.clear()
        self.kv_set = self.ma_set = 0.0
        self.on_s = 0.0

    def arc(self) -> None:
        """One flash-over: kV collapses and comes back; too many latch a fault."""
        if not self.enabled:
            return
        self.arc_count += 1
        self._quench_s = QUENCH_S
        self.kv = self.ma = 0.0
        self._arcs_s = [at for at in self._arcs_s if self._clock_s - at < ARC_WINDOW_S] + [self._clock_s]
        if len(self._arcs_s) > ARCS_ALLOWED:
            self.latch("arc")

    def step(self, dt_s: float) -> None:
        """Advance by `dt_s`."""
        self._clock_s += dt_s
        if self.enabled and not self.interlocks_closed:
            self.switch_off()
        if not self.enabled:
            self.on_s = max(0.0, self.on_s - dt_s / 60.0)
            self.temperature_c += (AMBIENT_C - self.temperature_c) * dt_s / 900.0
            self._show()
            return
        self.hv_hours += dt_s / 3600.0
        self.on_s += dt_s
        self.temperature_c += (AMBIENT_C + 0.08 * self.kv * self.ma / 4.0 - self.temperature_c) * dt_s / 900.0
        if self.idle_hours > COLD_AFTER_H:
            self._maybe_arc(dt_s)
        if self._quench_s > 0:
            self._quench_s -= dt_s
        else:
            self._ramp(dt_s)
        self._show()

    def _ramp(self, dt_s: float) -> None:
        kv_goal = self.kv_set * self.kv_error
        if self.kv != kv_goal:
            kv_step = self.rating.kv * dt_s / KV_RAMP_S
            self.kv += max(-kv_step, min(kv_step, kv_goal - self.kv))
        ma_goal = self.ma_set if self.kv >= EMISSION_KV else 0.0
        if self.ma != ma_goal:
            ma_step = self.rating.ma * dt_s / MA_RAMP_S
            self.ma += max(-ma_step, min(ma_step, ma_goal - self.ma))

    def _maybe_arc(self, dt_s: float) -> None:
        """What a tube does that was cold when it was switched on, until it is warm."""
        share = self.kv / self.rating.kv
        cold = self.on_s < WARM_UP_S and share > 0.75
        unseasoned = self.idle_hours > UNSEASONED_AFTER_H and self.on_s < SEASONING_S * share and share > 0.5
        if (cold or unseasoned) and self._rng.random() < ARCS_PER_S_WHEN_COLD * dt_s:
            self.arc()
        elif self.on_s > WARM_UP_S and not unseasoned and share > 0.75:
            self.idle_hours = 0.0

    def _show(self) -> None:
        now = (self.enabled and self.kv > 0, self.kv, self.ma)
        if now != self._shown:
            self._shown = now
            self._world.set_beam(now[0], round(self.kv, 2), round(self.ma, 3))
