"""Connections inside one process: the same StreamReader and StreamWriter, no socket, no thread, no real time."""

import asyncio
from typing import Any

HIGH_WATER_BYTES = 1 << 16


class _MemoryTransport(asyncio.Transport):
    """One direction's sender. Bytes reach the peer's protocol at once; a paused peer makes them wait here."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._protocol: asyncio.Protocol | None = None
        self._peer: _MemoryTransport | None = None
        self._waiting = bytearray()
        self._reading_paused = False
        self._closing = False
        self._lost = False
        self._writer_paused = False

    def join(self, protocol: asyncio.Protocol, peer: "_MemoryTransport") -> None:
        self._protocol, self._peer = protocol, peer
        protocol.connection_made(self)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if self._closing or self._lost or not data:
            return
        self._waiting += data
        self._flush()
        if len(self._waiting) > HIGH_WATER_BYTES and not self._writer_paused and self._protocol is not None:
            self._writer_paused = True
            self._protocol.pause_writing()

    def _flush(self) -> None:
        peer = self._peer
        if peer is None or peer._reading_paused or peer._lost:  # noqa: SLF001 - the other half of the same wire
            return
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            if peer._protocol is not None:  # noqa: SLF001
                peer._protocol.data_received(data)  # noqa: SLF001
        if self._writer_paused and self._protocol is not None:
            self._writer_paused = False
            self._protocol.resume_writing()
        if self._closing:
            peer._end()  # noqa: SLF001
            self._end()

    def _end(self) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        if self._protocol is not None:
            self._protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        if self._peer is not None:
            self._loop.call_soon(self._peer._flush)  # noqa: SLF001

    def is_reading(self) -> bool:
        return not self._reading_paused

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._flush)
            if self._peer is not None and self._peer._reading_paused:  # noqa: SLF001
                self._loop.call_soon(self._end)

    def abort(self) -> None:
        self._waiting.clear()
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The limit is fixed."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return "in-process" if name in {"peername", "sockname"} else default


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def memory_wire(far: asyncio.Protocol) -> Ends:
    """A connection to `far` on the running loop; returns its near end."""
    loop = asyncio.get_running_loop()
    near_transport, far_transport = _MemoryTransport(loop), _MemoryTransport(loop)
    reader = asyncio.StreamReader(loop=loop)
    near = asyncio.StreamReaderProtocol(reader, loop=loop)
    near_transport.join(near, far_transport)
    far_transport.join(far, near_transport)
    return reader, asyncio.StreamWriter(near_transport, near, reader, loop)
