"""Barcode readers that send each code by themselves: an AIM prefix, the text, CR LF. Implements `station.ports.lane_devices.BarcodeReader`.

Source of the prefixes: protocol facts "Barcode, scale" (ISO/IEC 15424 AIM symbology identifiers).
"""

import asyncio
from collections.abc import Mapping

from station.drivers.link import Connector, Link, open_endpoint, unreachable
from station.ports.clock import Clock
from station.ports.lane_devices import Barcode

OPEN_TIMEOUT_S = 2.0
DROP_QUIET_S = 0.05
CAP_BYTES = 128
"""A longer line is no code of ours (S10 has 13 characters)."""

STALE_S = 0.5
"""A line that was begun so long before its next byte is the torso of another code."""

NO_READ = "NOREAD"
SYMBOLOGIES: Mapping[str, str] = {"]C0": "code128", "]C1": "gs1-128", "]Q": "qr", "]d": "datamatrix"}
AIM_LENGTH = 3


class CodeLines:
    """Cuts a stream into codes, without any input or output.

    Each element is (text or None, symbology): None for "could not read", and for a line that is no code (control or non-ASCII characters, a
    prefix without a text, longer than `CAP_BYTES`): something was read then, but nobody knows what. Empty lines are nothing.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False
        self._fed_at_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[tuple[str | None, str]]:
        """Bytes in, whole codes out."""
        codes: list[tuple[str | None, str]] = []
        if (self._line or self._overlong) and now_s - self._fed_at_s > STALE_S:
            codes.append((None, ""))
            self._line.clear()
            self._overlong = False
        self._fed_at_s = now_s
        for byte in data:
            if byte == ord("\n"):
                line = bytes(self._line).removesuffix(b"\r")
                if self._overlong:
                    codes.append((None, ""))
                elif line:
                    codes.append(parse_code(line))
                self._line.clear()
                self._overlong = False
            elif len(self._line) < CAP_BYTES:
                self._line.append(byte)
            else:
                self._overlong = True
        return codes


def parse_code(line: bytes) -> tuple[str | None, str]:
    """One line without its end: (text, symbology), the text None when the reader could not read or the line is no code."""
    if not all(0x20 <= byte <= 0x7E for byte in line):  # noqa: PLR2004 - printable ASCII
        return None, ""
    text = line.decode("ascii")
    symbology = ""
    if text.startswith("]"):
        prefix, text = text[:AIM_LENGTH], text[AIM_LENGTH:]
        symbology = SYMBOLOGIES.get(prefix) or SYMBOLOGIES.get(prefix[:2]) or prefix
    text = text.strip()
    return (None if text in {"", NO_READ} else text), symbology


class BarcodeReaderDriver:
    """Drives one barcode reader on a serial line or TCP."""

    def __init__(self, endpoint: str, *, clock: Clock, connector: Connector = open_endpoint, name: str = "The barcode reader") -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._connector = connector
        self._name = name
        self._link: Link | None = None
        self._lines = CodeLines()
        self._codes: list[Barcode] = []

    async def connect(self) -> None:
        """(Re)open the link and drop what was waiting in it; raises `DeviceUnreachableError`."""
        await self.close()
        link = await Link.open(self._endpoint, self._connector, device=self._name, timeout_s=OPEN_TIMEOUT_S)
        try:
            await link.drain_input(DROP_QUIET_S)
        except BaseException:
            link.abort()
            raise
        self._link, self._lines = link, CodeLines()
        self._codes.clear()

    async def close(self) -> None:
        """Drop the link; whoever waits for a code gets `DeviceUnreachableError`."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def next_code(self) -> Barcode:
        """Wait for the next code; a cancelled wait loses none. Raises `DeviceUnreachableError` when the link is gone."""
        while not self._codes:
            link = self._link
            if link is None or link.dirty:
                raise unreachable(self._name, "is not connected")
            data = await link.read()
            read_at_s = self._clock.monotonic_s()
            for text, symbology in self._lines.feed(data, asyncio.get_running_loop().time()):
                self._codes.append(Barcode(text=text, symbology=symbology, read_at_s=read_at_s))
        return self._codes.pop(0)
