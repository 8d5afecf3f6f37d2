"""`LSP/1` on the wire, the detector's side: line messages out, command lines in (docs/reference/lsp1.md)."""

import struct
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HEADER = struct.Struct(">4sBBBBIIIQHHHH")
HEADER_BYTES = 40
_PIXEL = np.dtype("<u2")
FLAG_BEAM = 1
FLAG_SATURATED = 2
MAX_COMMAND_BYTES = 80


class LineHeader(NamedTuple):
    """The fields of one line's header but the checksum; `encoder` in 0.1 mm, `time_us` of the detector's uptime."""

    flags: int
    acquisition: int
    line: int
    encoder: int
    time_us: int
    pixels: int
    lost_before: int
    boot: int


def encode_line(header: LineHeader, payload: bytes) -> bytes:
    """One whole line message: 36 bytes of header, CRC-32 of header and payload, payload."""
    head = HEADER.pack(
        b"XLIN",
        1,
        header.flags,
        2,
        16,
        header.acquisition,
        header.line,
        header.encoder,
        header.time_us,
        header.pixels,
        header.lost_before,
        header.boot,
        0,
    )
    checksum = zlib.crc32(payload, zlib.crc32(head))
    return head + checksum.to_bytes(4, "big") + payload


def payloads_of(counts: npt.NDArray[np.uint16]) -> list[bytes]:
    """Of each line LE then HE pixels as u16 little-endian, from (2, lines, pixels)."""
    size = 2 * counts.shape[2] * _PIXEL.itemsize
    together = counts.swapaxes(0, 1).astype(_PIXEL, copy=False).tobytes()
    return [together[at : at + size] for at in range(0, len(together), size)]


def reseal_line(message: bytes) -> bytes:
    """The same message with a valid CRC, for damage that the CRC cannot show."""
    head, payload = message[: HEADER.size], message[HEADER_BYTES:]
    return head + zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "big") + payload


class CommandLines:
    """Cuts a byte stream into command lines; a line that grows beyond the cap is answered with an error."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[str | None]:
        """Whole lines in order, without their ending; None stands for a line that is too long or not ASCII."""
        self._buffer += data
        lines: list[str | None] = []
        while (end := self._buffer.find(b"\n")) >= 0:
            raw = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            usable = len(raw) <= MAX_COMMAND_BYTES and raw.isascii()
            lines.append(raw.decode("ascii").strip() if usable else None)
        if len(self._buffer) > MAX_COMMAND_BYTES:
            self._buffer.clear()
            lines.append(None)
        return lines
