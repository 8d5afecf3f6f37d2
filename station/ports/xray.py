"""The X-ray generator and the line detector."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.uint16]
"""Detector counts, shape (lines, pixels)."""


def raw_sha256(le: Counts, he: Counts) -> str:
    """SHA-256 over the raw bytes: all LE counts, then all HE counts, each u16 little-endian, line by line."""
    digest = hashlib.sha256(np.ascontiguousarray(le, dtype="<u2").data)
    digest.update(np.ascontiguousarray(he, dtype="<u2").data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorStatus:
    """What the generator says of itself. `fault_bits` are the profile's; `fault_names` name those that are set."""

    read_at_s: float
    high_voltage_on: bool
    interlock_closed: bool
    kv: float
    ma: float
    kv_set: float
    ma_set: float
    fault_names: tuple[str, ...]


class XrayGenerator(Protocol):
    """The X-ray generator. High voltage is on only while a piece is due."""

    async def connect(self) -> GeneratorStatus:
        """(Re)open the link; the first command is OFF, with read-back."""
        ...

    async def close(self) -> None:
        """Drop the link."""
        ...

    async def set_point(self, *, kv: float, ma: float) -> None:
        """Set kV and mA, each read back."""
        ...

    async def switch_on(self) -> None:
        """High voltage on (ramps by itself), read back; raises `DeviceRefusedError` with the fault's name if it is not."""
        ...

    async def switch_off(self) -> None:
        """High voltage off, read back."""
        ...

    async def read_status(self) -> GeneratorStatus:
        """Read monitors and faults; feeds the model's watchdog where it has one."""
        ...

    async def reset_faults(self) -> None:
        """Reset latched faults."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorInfo:
    """What the line detector is. LE leads HE by `he_lag_lines` lines along the belt; pitches in mm."""

    model: str
    pixels: int
    pixel_pitch_mm: float
    line_pitch_mm: float
    he_lag_lines: int
    full_scale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBlock:
    """Consecutive lines of one acquisition, each proved by its CRC.

    `le` and `he` have shape (n, pixels); `line_numbers`, `encoders` (u32, 0.1 mm), `flags` and `lost_before` have shape (n,).
    """

    acquisition: int
    boot: int
    le: Counts
    he: Counts
    line_numbers: npt.NDArray[np.uint32]
    encoders: npt.NDArray[np.uint32]
    flags: npt.NDArray[np.uint8]
    lost_before: npt.NDArray[np.uint16]


class LineDetector(Protocol):
    """The X-ray line detector."""

    @property
    def garbage_bytes(self) -> int:
        """Bytes since `connect` that belonged to no whole line: more and more of them tell of a bad cable before pieces are held for it."""
        ...

    async def connect(self) -> DetectorInfo:
        """(Re)open both ports and stop any acquisition."""
        ...

    async def close(self) -> None:
        """Drop both links."""
        ...

    async def start(self, acquisition: int, *, by_encoder: bool) -> None:
        """Start an acquisition; lines of any other acquisition are dropped."""
        ...

    async def stop(self) -> None:
        """Stop the acquisition; lines that were sent before stay readable."""
        ...

    async def next_lines(self) -> LineBlock:
        """Wait for the next lines (one or more, as they arrived). Broken lines are dropped and show as lost.

        Raises:
            DeviceUnreachableError: the link is gone.
        """
        ...

    async def temperature_c(self) -> float:
        """Detector temperature; also proves that the command port is alive."""
        ...
