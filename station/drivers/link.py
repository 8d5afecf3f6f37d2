"""Byte links to devices, named by an endpoint: `serial:/dev/ttyUSB0?baudrate=9600` or `tcp:127.0.0.1:502`.

The only home of pyserial. Everything above it sees a `Link`: bytes in, bytes out, and a dirty flag. All waiting is in the time of the
running event loop, so the same drivers run over in-process streams on a loop with virtual time.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

import serial
import serial_asyncio_fast

from station.domain.errors import ConfigurationError, DeviceUnreachableError

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

BUFFER_BYTES = 1 << 20
"""What a link buffers before it stops reading: a flood fills no memory."""

READ_BYTES = 1 << 18
CLOSE_WAIT_S = 1.0
DEFAULT_BAUDRATE = 9600
MAX_PORT = 65535

LINK_ERRORS = (OSError, EOFError, serial.SerialException)
"""What a dead link raises: pyserial raises `SerialException` on a hang-up, but some of its calls a bare `OSError`."""

CONSEQUENCE = "Nothing of it is used; the device counts as lost until it is connected again"
REMEDY = "Check the device's power, its cable and its endpoint in the configuration"


class Connector(Protocol):
    """Opens an endpoint. Raises `OSError` (or `SerialException`, which is one) when it cannot."""

    async def __call__(self, endpoint: str, /) -> Streams:
        """Open the endpoint and return its two streams."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A parsed endpoint. `serial` is True for a serial line; `port` and `baudrate` belong to one kind each."""

    serial: bool
    address: str
    port: int
    baudrate: int
    parity: str
    stopbits: int

    @property
    def bits_per_character(self) -> int:
        """Bits on the wire per byte: start, 8 data, parity if any, stop."""
        return 9 + self.stopbits + (self.parity != "N")


def parse_endpoint(endpoint: str) -> Endpoint:
    """Parse `serial:PATH[?baudrate=N&parity=N|E|O&stopbits=1|2]` or `tcp:HOST:PORT`; raises `ConfigurationError`."""
    scheme, _, rest = endpoint.partition(":")
    if scheme == "serial" and rest:
        path, _, query = rest.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        unknown = sorted(set(options) - {"baudrate", "parity", "stopbits"})
        baudrate, parity, stopbits = (
            options.get("baudrate", str(DEFAULT_BAUDRATE)),
            options.get("parity", "N"),
            options.get("stopbits", "1"),
        )
        if path and not unknown and baudrate.isdecimal() and int(baudrate) and parity in {"N", "E", "O"} and stopbits in {"1", "2"}:
            return Endpoint(serial=True, address=path, port=0, baudrate=int(baudrate), parity=parity, stopbits=int(stopbits))
    elif scheme == "tcp":
        host, _, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if host and port.isdecimal() and 0 < int(port) <= MAX_PORT:
            return Endpoint(serial=False, address=host, port=int(port), baudrate=0, parity="N", stopbits=1)
    raise ConfigurationError(
        f"{endpoint!r} names no device",
        consequence="The device cannot be reached",
        remedy="Write serial:PATH?baudrate=N (parity=N|E|O, stopbits=1|2) or tcp:HOST:PORT",
    )


async def open_endpoint(endpoint: str, /) -> Streams:
    """Open a serial line or a TCP connection. Raises `OSError` when it cannot be opened, `ConfigurationError` when it is malformed."""
    at = parse_endpoint(endpoint)
    if at.serial:
        # An exclusive lock keeps a second station off the line; 8 data bits is all that the devices here speak.
        reader, writer = await serial_asyncio_fast.open_serial_connection(
            url=at.address, baudrate=at.baudrate, parity=at.parity, stopbits=at.stopbits, exclusive=True, limit=BUFFER_BYTES
        )
        return reader, writer
    return await asyncio.open_connection(at.address, at.port, limit=BUFFER_BYTES)


class Link:
    """One open byte link.

    `dirty` is set by whoever finds that answers and requests may no longer belong together (a time-out, a cancellation, a wrong
    answer); a dirty link is only ever closed.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, device: str, write_timeout_s: float = 1.0) -> None:
        self._reader = reader
        self._writer = writer
        self._device = device
        self._write_timeout_s = write_timeout_s
        self.dirty = False
        with contextlib.suppress(NotImplementedError, AttributeError):
            # A write counts as done only when the operating system has it: an unread line must show as a write time-out.
            writer.transport.set_write_buffer_limits(high=0)

    @classmethod
    async def open(cls, endpoint: str, connector: Connector, *, device: str, timeout_s: float, write_timeout_s: float = 1.0) -> "Link":
        """Open an endpoint within `timeout_s`; raises `DeviceUnreachableError`."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await connector(endpoint)
        except (*LINK_ERRORS, ValueError) as error:
            raise unreachable(device, f"cannot be opened at {endpoint} ({describe(error)})") from error
        return cls(reader, writer, device=device, write_timeout_s=write_timeout_s)

    async def write(self, data: bytes) -> None:
        """Send; waits while the peer does not read, at most `write_timeout_s`. Raises `DeviceUnreachableError`."""
        try:
            self._writer.write(data)
            if self._writer.transport.get_write_buffer_size():
                async with asyncio.timeout(self._write_timeout_s):
                    await self._writer.drain()
        except LINK_ERRORS as error:
            self.dirty = True
            raise unreachable(self._device, f"takes no data ({describe(error)})") from error

    async def read(self, limit: int = READ_BYTES) -> bytes:
        """Wait for at least one byte. Raises `DeviceUnreachableError` when the link ends."""
        try:
            data = await self._reader.read(limit)
        except LINK_ERRORS as error:
            self.dirty = True
            raise unreachable(self._device, f"hung up ({describe(error)})") from error
        if not data:
            self.dirty = True
            raise unreachable(self._device, "closed the link")
        return data

    async def read_exactly(self, count: int) -> bytes:
        """Wait for exactly `count` bytes. Raises `DeviceUnreachableError` when the link ends first."""
        try:
            return await self._reader.readexactly(count)
        except LINK_ERRORS as error:
            self.dirty = True
            raise unreachable(self._device, f"hung up ({describe(error)})") from error

    async def take_pending(self) -> bytes:
        """Whatever has already arrived, possibly nothing; never waits for the peer."""
        await asyncio.sleep(0)
        # asyncio's reader has no other way to tell what it holds without waiting for more.
        if self._reader._buffer or self._reader.at_eof() or self._reader.exception() is not None:  # type: ignore[attr-defined]  # noqa: SLF001
            return await self.read()
        return b""

    async def drain_input(self, quiet_s: float, *, limit_s: float = 3.0) -> int:
        """Throw away input until nothing came for `quiet_s`; returns how many bytes. Raises `DeviceUnreachableError` if it never ends."""
        dropped = 0
        deadline_s = asyncio.get_running_loop().time() + limit_s
        while asyncio.get_running_loop().time() < deadline_s:
            try:
                async with asyncio.timeout(quiet_s):
                    dropped += len(await self.read())
            except TimeoutError:
                return dropped
        self.dirty = True
        raise unreachable(self._device, f"sends without end ({dropped} bytes that nobody asked for)")

    def abort(self) -> None:
        """Drop the link at once, with whatever was still to be sent. Safe to call again."""
        self.dirty = True
        transport: Any = self._writer.transport
        if transport.is_closing():
            return
        line = transport.get_extra_info("serial")
        if line is not None:
            # What a silent peer has not fetched must not reach it later, and would keep the close waiting.
            with contextlib.suppress(OSError, AttributeError, TypeError):
                line.reset_output_buffer()
        transport.abort()

    async def close(self) -> None:
        """Drop the link and wait until it is gone. Safe to call again."""
        self.abort()
        with contextlib.suppress(*LINK_ERRORS):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._writer.wait_closed()


def unreachable(device: str, what: str) -> DeviceUnreachableError:
    """The error for a device that cannot be reached."""
    return DeviceUnreachableError(f"{device} {what}", consequence=CONSEQUENCE, remedy=REMEDY)


def describe(error: BaseException) -> str:
    """An exception in a few words: its text, or its name when it has none."""
    return str(error) or type(error).__name__
