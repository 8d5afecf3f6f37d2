"""The disinfection unit."""

from dataclasses import dataclass
from typing import Protocol

from station.ports.lane_plc import Command, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSlot:
    """One of the unit's piece slots. `verdict`: 0 running, 1 passed, 2 failed; times in ms of the unit's uptime."""

    tag: int
    nonce: int
    dose_mj_per_cm2: float
    entered_ms: int
    left_ms: int
    verdict: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStatus:
    """One untorn, echoed reading of the disinfection unit (input registers 0-124).

    `samples_uw_per_cm2` are the least sensor's readings, oldest first; the last one has number `sample_seq` (u16, wraps), and sample n
    was taken at uptime n x 100 ms (modulo the wraps of both).
    """

    read_at_s: float
    uptime_ms: int
    boot_count: int
    state: int
    faults: int
    phase: int
    door_bits: int
    temperature_c: float
    humidity_percent: float
    lamp_bits: int
    lamp_hours: float
    ozone_ppb: int
    slots: tuple[UnitSlot, ...]
    sample_seq: int
    samples_uw_per_cm2: tuple[int, ...]


class DisinfectionUnit(Protocol):
    """A disinfection unit, here the UV-C tunnel over B4."""

    async def connect(self) -> UnitStatus:
        """(Re)open the link, prove identity, switch lamps off with read-back, and return a first status."""
        ...

    async def close(self) -> None:
        """Drop the link."""
        ...

    async def heartbeat(self) -> None:
        """Write the next heartbeat value."""
        ...

    async def read_status(self) -> UnitStatus:
        """Read the whole block as evidence."""
        ...

    async def command(self, command: Command, argument: int = 0) -> CommandResult:
        """Select, operate, and return the unit's result."""
        ...

    async def set_lamps(self, *, on: bool) -> None:
        """Lamps on or off, read back."""
        ...

    async def set_dose_target(self, dose_mj_per_cm2: float) -> None:
        """Set the unit's own target, read back."""
        ...

    async def announce_next(self, *, tag: int, nonce: int) -> None:
        """Bind tag and nonce to the next piece that enters, in one write, read back."""
        ...
