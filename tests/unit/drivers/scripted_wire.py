"""A wire inside the process whose answers a test writes."""

import asyncio
from collections.abc import Callable
from typing import Any


class _Carrier(asyncio.Transport):
    """One connection."""

    def __init__(self, wire: "ScriptedWire", protocol: asyncio.StreamReaderProtocol, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._wire = wire
        self._protocol = protocol
        self.reader = reader
        self._closing = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self._wire.sent.append(bytes(data))
        if reply := self._wire.answer(bytes(data)):
            self.reader.feed_data(reply)

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(None)

    def close(self) -> None:
        self.abort()


class ScriptedWire:
    """A connector; each write is answered by `answer(request)`. `sent` keeps the requests, `opened` counts connections."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.sent: list[bytes] = []
        self.opened = 0
        self._carrier: _Carrier | None = None

    async def __call__(self, _endpoint: str, /) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.opened += 1
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        self._carrier = _Carrier(self, protocol, reader)
        return reader, asyncio.StreamWriter(self._carrier, protocol, reader, asyncio.get_running_loop())

    def push(self, data: bytes) -> None:
        """Send something that nobody asked for."""
        assert self._carrier is not None
        self._carrier.reader.feed_data(data)

    def abort(self) -> None:
        """Hang up."""
        assert self._carrier is not None
        self._carrier.abort()
