"""Lines of `LSP/1`, port B, without any input or output (docs/reference/lsp1.md, "Port B: lines")."""

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"XLIN"
VERSION, ENERGIES, BITS = 1, 2, 16
HEADER_BYTES, CRC_OFFSET = 40, 36
U16_MAX = 0xFFFF
_PROOF = struct.Struct(">4sBxBB 20x H 6x I")
"""What every header must say: magic, version, energies, bits and pixels; and its CRC."""


@lru_cache(maxsize=8)
def line_layout(pixels: int) -> np.dtype[Any]:
    """One message of `pixels` per energy: 40 + 4 x pixels bytes; the header big-endian, the pixels little-endian."""
    return np.dtype(
        [
            ("magic", "S4"), ("version", "u1"), ("flags", "u1"), ("energies", "u1"), ("bits", "u1"), ("acquisition", ">u4"),
            ("number", ">u4"), ("encoder", ">u4"), ("time_us", ">u8"), ("pixels", ">u2"), ("lost", ">u2"), ("boot", ">u2"),
            ("reserved", ">u2"), ("crc", ">u4"), ("le", "<u2", (pixels,)), ("he", "<u2", (pixels,)),
        ]
    )  # fmt: skip


@dataclass(slots=True)
class LineDecoder:
    """Cuts a stream into lines, each proved by its CRC.

    After garbage it goes on at the next magic from which a whole line is right; `garbage_bytes` counts what was thrown away. Buffers
    at most what `push` brought since the last `take`, and one line.
    """

    pixels: int
    garbage_bytes: int = 0
    _buffer: bytes = b""

    @property
    def line_bytes(self) -> int:
        """Bytes of one message."""
        return HEADER_BYTES + 4 * self.pixels

    @property
    def has_line(self) -> bool:
        """True when enough came for a line."""
        return len(self._buffer) >= self.line_bytes

    def push(self, data: bytes) -> None:
        """Take bytes in."""
        self._buffer = self._buffer + data if self._buffer else data

    def take(self) -> npt.NDArray[np.void]:
        """All whole lines so far, in order, as records of `line_layout`."""
        layout = line_layout(self.pixels)
        buffer, size = self._buffer, self.line_bytes
        runs, at = [], 0
        while at + size <= len(buffer):
            whole = (len(buffer) - at) // size
            good = self._leading_good(memoryview(buffer)[at : at + whole * size])
            if good:
                runs.append(np.frombuffer(buffer, layout, count=good, offset=at))
                at += good * size
            if good < whole:
                found = buffer.find(MAGIC, at + 1)
                step = (found if found >= 0 else max(at + 1, len(buffer) - len(MAGIC) + 1)) - at
                self.garbage_bytes += step
                at += step
        self._buffer = buffer[at:]
        if len(runs) == 1:
            return runs[0]
        return np.concatenate(runs) if runs else np.empty(0, layout)

    def _leading_good(self, lines: memoryview) -> int:
        size = self.line_bytes
        for start in range(0, len(lines), size):
            crc = zlib.crc32(lines[start + HEADER_BYTES : start + size], zlib.crc32(lines[start : start + CRC_OFFSET]))
            if _PROOF.unpack_from(lines, start) != (MAGIC, VERSION, ENERGIES, BITS, self.pixels, crc):
                return start // size
        return len(lines) // size


def number_gaps(
    numbers: npt.NDArray[np.int64], reported: npt.NDArray[np.uint16], last: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint16]]:
    """Which lines are new, and how many are missing directly before each of those.

    `numbers` are line numbers as they came, `last` the number before them (-1 at the start). A number that does not rise repeats an
    old line and is dropped. Missing are the numbers left out, or what the detector reported if that is more; at most 65535.
    """
    before = np.maximum.accumulate(np.concatenate(([last], numbers)))[:-1]
    new = numbers > before
    missing = np.maximum(numbers[new] - before[new] - 1, reported[new])
    return new, np.minimum(missing, U16_MAX).astype(np.uint16)
