"""An event loop whose time is computed: it jumps to the next timer whenever nothing else is left to do.

A run on it repeats exactly and takes only the time that its work takes. No real input or output may be waited for on it.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
RESOLUTION_S = 1e-9
"""Timers that lie so close together are due together."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on virtual time, starting at 0 s. Timers for the same moment run in the order in which they were set."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """See asyncio."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See asyncio."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: a cancelled timer is passed over when it is due."""

    def _write_to_self(self) -> None:
        """Nothing: the loop never sleeps, so that nobody needs to wake it."""

    def _run_once(self) -> None:
        """Do what is ready, and again what that has made ready, until told to stop; when nothing is, jump to the next timer."""
        ready, timers = self._ready, self._timers
        while True:
            if not ready:
                while timers and timers[0][2].cancelled():
                    heapq.heappop(timers)
                if not timers:
                    raise RuntimeError("the virtual loop has nothing left to wait for")
                self._now_s = max(self._now_s, timers[0][0])
            due_s = self._now_s + RESOLUTION_S
            while timers and timers[0][0] < due_s:
                ready.append(heapq.heappop(timers)[2])
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
            if self._stopping:
                return


class VirtualClock:
    """The station's clock on a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic_s(self) -> float:
        """Virtual seconds."""
        return self._loop.time()

    def utc_now(self) -> datetime:
        """A fixed day plus the virtual time."""
        return EPOCH + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(max(0.0, seconds))


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on a fresh virtual loop; no task of it may end with an exception that nobody takes."""
    loop = VirtualLoop()
    nobodys: list[str] = []

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("exception") is not None:
            nobodys.append(f"{context['message']}: {context['exception']!r} in {context.get('future')}")

    loop.set_exception_handler(note)
    try:
        asyncio.set_event_loop(loop)

        async def body() -> T:
            return await main()

        result = loop.run_until_complete(body())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert not nobodys, nobodys
    return result
