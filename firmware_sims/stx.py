"""Spellman STX frames, the device's side: requests in, answers out. Sans I/O.

Source: Spellman uX, XRV and XRB digital interface manuals (framing and checksum), as collected in docs/reference/xray-generator.md.
"""

from dataclasses import dataclass

STX, ETX = 0x02, 0x03
LONGEST_FRAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole, intact request."""

    command: str
    arguments: tuple[str, ...]


def checksum(body: bytes) -> int:
    """Of the bytes after STX up to and including the last comma: two's complement, bit 7 off, bit 6 on."""
    return (-sum(body) & 0x7F) | 0x40


def encode(command: str, *arguments: object) -> bytes:
    """An answer frame."""
    body = (",".join((command, *(str(argument) for argument in arguments))) + ",").encode("ascii")
    return bytes((STX,)) + body + bytes((checksum(body), ETX))


def reseal(frame: bytes) -> bytes:
    """The same frame with a valid checksum, for damage that the checksum cannot show."""
    if len(frame) < 4 or frame[0] != STX or frame[-1] != ETX:
        return frame
    return frame[:-2] + bytes((checksum(frame[1:-2]), ETX))


class RequestReader:
    """Cuts a byte stream into requests; damaged ones vanish, as the real units stay silent."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Every whole, intact request in order."""
        requests = []
        for byte in data:
            if byte == STX:
                self._buffer = bytearray((STX,))
            elif self._buffer:
                self._buffer.append(byte)
                if byte == ETX:
                    request = self._parse(bytes(self._buffer))
                    self._buffer.clear()
                    if request is not None:
                        requests.append(request)
                elif len(self._buffer) > LONGEST_FRAME:
                    self._buffer.clear()
        return requests

    @staticmethod
    def _parse(frame: bytes) -> Request | None:
        body, given = frame[1:-2], frame[-2]
        if len(frame) < 5 or not body.endswith(b",") or checksum(body) != given or not body.isascii():
            return None
        command, *arguments = body[:-1].decode("ascii").split(",")
        return Request(command=command, arguments=tuple(arguments))
