"""Spellman's STX framing, without any input or output: `STX CMD , [ARG ,]* CS ETX`.

CS = ((-sum of the bytes after STX up to and including the last comma) & 0x7F) | 0x40; it has 64 values and is blind to order, so it
proves little: every write is read back. Over TCP the frame has no CS (protocol facts, "Spellman STX family").
"""

import re
from dataclasses import dataclass

STX, ETX, COMMA = b"\x02", b"\x03", 0x2C
_MARKS = re.compile(b"(" + STX + b"|" + ETX + b")")
COMMAND_DIGITS = 2
MAX_COMMAND = 99
CAP_BYTES = 256
"""Longer than any answer of the family (26 arguments of five characters)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StxFrame:
    """One proved frame: the command's number and its arguments as they stood."""

    command: int
    arguments: tuple[str, ...]


def checksum(body: bytes) -> int:
    """CS of the bytes between STX and CS."""
    return (-sum(body) & 0x7F) | 0x40


def encode(command: int, *arguments: int, with_checksum: bool = True) -> bytes:
    """A frame to send; raises `ValueError` for a command that has not two digits."""
    if not 0 <= command <= MAX_COMMAND:
        raise ValueError(f"STX commands have two digits, {command} has not")
    body = ",".join([f"{command:02d}", *map(str, arguments)]).encode("ascii") + b","
    return STX + body + (bytes([checksum(body)]) if with_checksum else b"") + ETX


class StxDecoder:
    """Finds frames in a stream. `rejected` counts the frames that were broken, `noise` the bytes that stood outside any frame."""

    def __init__(self, *, with_checksum: bool = True) -> None:
        self._with_checksum = with_checksum
        self._frame: bytes | None = None
        self.rejected = 0
        self.noise = 0

    def reset(self) -> None:
        """Forget a frame that has begun, and the counts."""
        self._frame = None
        self.rejected = self.noise = 0

    def feed(self, data: bytes) -> list[StxFrame]:
        """Bytes in, whole frames out; never buffers more than `CAP_BYTES`."""
        frames = []
        for part in _MARKS.split(data):
            if part == STX:
                self.rejected += self._frame is not None
                self._frame = b""
            elif self._frame is None:
                self.noise += len(part)
            elif part == ETX:
                frame = self._parse(self._frame)
                self._frame = None
                if frame is None:
                    self.rejected += 1
                else:
                    frames.append(frame)
            elif (over := len(self._frame) + len(part) - CAP_BYTES) > 0:
                self._frame = None
                self.rejected += 1
                self.noise += over - 1
            else:
                self._frame += part
        return frames

    def _parse(self, content: bytes) -> StxFrame | None:
        body = content
        if self._with_checksum:
            body = content[:-1]
            if not body or content[-1] != checksum(body):
                return None
        if len(body) <= COMMAND_DIGITS or body[-1] != COMMA or not (body.isascii() and body.decode("ascii").isprintable()):
            return None
        command, *arguments = body[:-1].decode("ascii").split(",")
        if len(command) != COMMAND_DIGITS or not command.isdigit():
            return None
        return StxFrame(command=int(command), arguments=tuple(arguments))
