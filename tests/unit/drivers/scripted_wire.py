"""A wire inside the process whose answers a test writes."""

import asyncio
from collections.abc import Callable
from typing import Any


class ScriptedWire(asyncio.Transport):
    """Each write is answered by `answer(request)`; `sent` keeps the requests, `opened` counts connections."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self.answer = answer
        self.sent: list[bytes] = []
        self.opened = 0
        self._reader = asyncio.StreamReader()
        self._closing = False

    async def __call__(self, _endpoint: str, /) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connector."""
        self.opened += 1
        self._reader, self._closing = asyncio.StreamReader(), False
        self._protocol = asyncio.StreamReaderProtocol(self._reader)
        self._protocol.connection_made(self)
        return self._reader, asyncio.StreamWriter(self, self._protocol, self._reader, asyncio.get_running_loop())

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))
        if reply := self.answer(bytes(data)):
            self._reader.feed_data(reply)

    def push(self, data: bytes) -> None:
        self._reader.feed_data(data)

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
