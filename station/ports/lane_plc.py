"""The lane's programmable controller, and the commands common to both Modbus units."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Command(IntEnum):
    """Codes for select-before-operate, common to both Modbus units (contract: device codes)."""

    RESET = 1
    START = 2
    STOP = 3
    HOLD = 4
    UNHOLD = 5
    SUSPEND = 6
    UNSUSPEND = 7
    ABORT = 8
    CLEAR = 9
    CLEAR_ACCESS = 20
    CLEAR_FREEZE = 21
    PURGE = 22
    JOG = 23


class CommandResult(IntEnum):
    """What the unit said of a command (contract: device codes)."""

    NONE = 0
    ACCEPTED = 1
    NOT_SELECTED = 2
    WRONG_STATE = 3
    WRONG_TAG = 4
    STALE_CHALLENGE = 5
    STALE_HEARTBEAT = 6
    FROZEN = 7
    ACCESS = 8
    ZONE_OCCUPIED = 9
    OUT_OF_RANGE = 10
    MAINTENANCE = 11


STACK_GREEN, STACK_RED = 1, 4
"""Patterns of the stack light: pieces may be laid on the infeed, or none may."""


class Eye(IntEnum):
    """Photo-eyes of the lane."""

    INFEED = 0
    XRAY_IN = 1
    XRAY_OUT = 2
    DIVERT = 3
    UV_IN = 4
    UV_OUT = 5
    GATE = 6
    EXIT = 7
    HOLD_BIN = 8
    RETURN_BIN = 9


class Zone(IntEnum):
    """Zones in which the PLC follows tags."""

    INFEED = 0
    XRAY = 1
    DECISION_A = 2
    DECISION_B = 3
    UV_A = 4
    UV_B = 5
    GATE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatus:
    """One untorn, echoed reading of the lane PLC's status block (input registers 0-66).

    `read_at_s` is the station's monotonic time in the middle of the reading; `uptime_ms` the device's own. Encoders are raw
    u32 counts of 0.1 mm that wrap. Tuples of five are B1..B5, `zone_tags` is by `Zone` (0: empty). `faults` are bits, `first_fault` is
    the bit's number + 1 (0: none).
    """

    read_at_s: float
    uptime_ms: int
    boot_count: int
    state: int
    status_bits: int
    faults: int
    first_fault: int
    estop_bits: int
    interlock_bits: int
    access_bits: int
    beam_bits: int
    photo_eyes: int
    belt_speeds_mm_s: tuple[int, int, int, int, int]
    encoders: tuple[int, int, int, int, int]
    diverter_1: int
    diverter_2: int
    gate: int
    gate_challenge: int
    freeze_latch: bool
    radiation_nsv_per_h: int
    weight_g: int
    zone_tags: tuple[int, int, int, int, int, int, int]

    def eye(self, eye: Eye) -> bool:
        """True when the photo-eye is blocked."""
        return bool(self.photo_eyes >> eye & 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeEdge:
    """One photo-eye edge from the PLC's ring; `seq` is u16 and wraps; `encoder` is the belt's that the map names for the eye."""

    seq: int
    eye: int
    leading: bool
    encoder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedPiece:
    """One entry of the retained ring of pieces that passed the gate."""

    seq: int
    tag: int
    challenge: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneEvents:
    """One untorn, echoed reading of the event block (input registers 200-309); rings oldest first, empty entries left out."""

    read_at_s: float
    uptime_ms: int
    boot_count: int
    edges: tuple[EyeEdge, ...]
    passed: tuple[PassedPiece, ...]


class LanePlc(Protocol):
    """The lane's programmable controller. Writes are read back where the map allows it; refusals raise `DeviceRefusedError`."""

    async def connect(self, *, frozen: bool = False) -> LaneStatus:
        """(Re)open the link, drop the beam request, stop the belts, show red, prove who answers, and return a first status.

        Proved are magic, version and test value; the stack light is not read back. `frozen`: the lane is to be frozen. The freeze latch
        is set first of all, so that it reaches also a PLC that takes writes and cannot prove itself; where it does, it must be seen set.
        """
        ...

    async def close(self) -> None:
        """Drop the link."""
        ...

    async def read_status(self) -> LaneStatus:
        """Read the status block as evidence."""
        ...

    async def read_events(self) -> LaneEvents:
        """Read the event block as evidence."""
        ...

    async def read_lane(self) -> tuple[LaneStatus, LaneEvents]:
        """Read both blocks as evidence, each in a transaction of its own; the events are not older than the status."""
        ...

    async def command(self, command: Command, argument: int = 0) -> CommandResult:
        """Select, operate, and return the unit's result (never raises for a refusal)."""
        ...

    async def set_belts(self, speeds_mm_s: Sequence[int]) -> None:
        """Set the five belt speeds in one write."""
        ...

    async def set_diverter_1(self, *, through: bool) -> None:
        """Through, or the hold bin."""
        ...

    async def set_diverter_2(self, *, through: bool) -> None:
        """Through, or the return bin."""
        ...

    async def request_beam(self, *, on: bool) -> None:
        """Request the beam; the hardware grants it or not."""
        ...

    async def set_stack_light(self, pattern: int) -> None:
        """Set the stack light."""
        ...

    async def freeze(self) -> None:
        """Set the retained freeze latch."""
        ...

    async def tag_infeed(self, tag: int) -> None:
        """Give the newest untagged piece on B1 its tag, in one write."""
        ...

    async def permit(self, *, tag: int, challenge: int, valid_ms: int) -> CommandResult:
        """Answer the gate's challenge for a tag, in one write; returns the unit's result (ACCEPTED or why not)."""
        ...
