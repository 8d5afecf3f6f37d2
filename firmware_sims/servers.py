"""Where devices meet wires: endpoints with sessions, carried by ptys, TCP connections or in-process streams.

An endpoint is the same on every carrier; it never sleeps or reads a clock other than its event loop's, so that it runs on a
virtual clock too. Serial answers are paced: a frame arrives as late as its bits would take.
"""

import asyncio
import os
import termios
import tty
from collections.abc import Callable
from typing import Protocol, cast

from firmware_sims.faults import WireFaults

BITS_PER_BYTE = 10
READ_BYTES = 65536
LOOPBACK = "127.0.0.1"
RTU_SILENCE_S = 0.05


class Session(Protocol):
    """One conversation with a device."""

    def feed(self, data: bytes) -> list[bytes]:
        """Whole answers to what has come."""

    def idle(self) -> None:
        """The line was silent: drop a half request."""


class Wire(Protocol):
    """One connection's sending side."""

    def send(self, data: bytes) -> None:
        """Send or queue; never blocks, never raises."""

    def close(self) -> None:
        """Hang up."""

    @property
    def waiting_bytes(self) -> int:
        """How much the other side has not taken yet."""


class Endpoint:
    """A device's connector: opens sessions, sends answers through the wire faults, pushes what a device says unasked."""

    def __init__(
        self,
        *,
        name: str,
        faults: WireFaults,
        open_session: Callable[[], Session],
        is_online: Callable[[], bool],
        poll: Callable[[], list[bytes]] | None = None,
        baud: int | None = None,
        exclusive: bool = False,
        hangs_up: bool = True,
    ) -> None:
        self.name = name
        self.faults = faults
        self._open_session = open_session
        self._is_online = is_online
        self._poll = poll
        self._baud = baud
        self._exclusive = exclusive
        self._hangs_up = hangs_up
        self._wires: dict[Wire, Session] = {}
        self._free_at = 0.0
        self._heard_at = 0.0

    @property
    def acts(self) -> bool:
        """True when it must be pumped: it speaks unasked, or hangs up."""
        return self._poll is not None or self._hangs_up

    def takes(self, most_waiting_bytes: int) -> bool:
        """True while anybody is connected and less than so much waits for the newest connection."""
        return bool(self._wires) and next(reversed(self._wires)).waiting_bytes < most_waiting_bytes

    def attach(self, wire: Wire) -> None:
        """A new connection; an exclusive endpoint drops the older ones, one that is off line drops the new one."""
        if not self._is_online() and self._hangs_up:
            wire.close()
            return
        if self._exclusive:
            self.hang_up()
        self._wires[wire] = self._open_session()

    def detach(self, wire: Wire) -> None:
        """A connection is gone."""
        self._wires.pop(wire, None)

    def hang_up(self) -> None:
        """Close every connection."""
        wires, self._wires = list(self._wires), {}
        for wire in wires:
            wire.close()

    def received(self, wire: Wire, data: bytes) -> None:
        """Bytes came in on a connection."""
        session = self._wires.get(wire)
        if session is None or not self._is_online():
            return
        if self._baud is not None:
            now = asyncio.get_running_loop().time()
            if now - self._heard_at > RTU_SILENCE_S:
                session.idle()
            self._heard_at = now
        for frame in session.feed(data):
            self._send(wire, frame)

    def pump(self) -> None:
        """Push what the device says unasked; hang up when it has gone off line. Call after each step."""
        if self._hangs_up and self._wires and not self._is_online():
            self.hang_up()
        frames = self._poll() if self._poll is not None else None
        if not frames or not self._wires:
            return
        wire = next(reversed(self._wires))
        if self._baud is None and not self.faults.active:
            wire.send(b"".join(frames))
            return
        for frame in frames:
            self._send(wire, frame)

    def _send(self, wire: Wire, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for chunk in self.faults.apply(frame):
            start = max(now + chunk.delay_s, self._free_at)
            done = start + (len(chunk.data) * BITS_PER_BYTE / self._baud if self._baud is not None else 0.0)
            self._free_at = done
            if chunk.closes:
                loop.call_at(done, wire.close)
            elif done <= now:
                # An answer never comes in the same breath as its request.
                loop.call_soon(wire.send, chunk.data)
            else:
                loop.call_at(done, wire.send, chunk.data)


class Connection(asyncio.Protocol):
    """A TCP or in-process connection to an endpoint: a `Wire`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        self._endpoint.attach(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._endpoint.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a peer that resets has gone: it is an end like any other
        """See asyncio."""
        self._endpoint.detach(self)

    def send(self, data: bytes) -> None:
        """See `Wire`."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """See `Wire`."""
        self._transport.close()

    @property
    def waiting_bytes(self) -> int:
        """See `Wire`."""
        return self._transport.get_write_buffer_size()


class Pty:
    """A pseudo terminal whose far end a driver opens like a serial port.

    The simulator keeps the far end open too, so that a driver may close and open it without a hang-up; bytes that nobody reads
    are lost once the kernel's buffer is full, as on a line without flow control.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._near, self._far = os.openpty()
        tty.setraw(self._near, termios.TCSANOW)
        tty.setraw(self._far, termios.TCSANOW)
        os.set_blocking(self._near, False)
        self.path = os.ttyname(self._far)

    def start(self) -> None:
        """Begin to serve on the running loop."""
        asyncio.get_running_loop().add_reader(self._near, self._readable)
        self._endpoint.attach(self)

    def _readable(self) -> None:
        try:
            data = os.read(self._near, READ_BYTES)
        except (BlockingIOError, OSError):
            return
        self._endpoint.received(self, data)

    def send(self, data: bytes) -> None:
        """See `Wire`."""
        if self._near < 0:
            return
        try:
            os.write(self._near, data)
        except BlockingIOError:
            return

    @property
    def waiting_bytes(self) -> int:
        """See `Wire`; the kernel does not say."""
        return 0

    def close(self) -> None:
        """A serial line has no hang-up: nothing happens."""

    def stop(self) -> None:
        """Close both ends."""
        if self._near >= 0:
            asyncio.get_running_loop().remove_reader(self._near)
            os.close(self._near)
            os.close(self._far)
            self._near = -1


async def listen(endpoint: Endpoint) -> tuple[asyncio.Server, str]:
    """Serve an endpoint on a free loopback port; returns the server and its `host:port`."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(endpoint), LOOPBACK, 0)
    host, port = server.sockets[0].getsockname()[:2]
    return server, f"{host}:{port}"
