"""An event loop whose time is computed: it jumps to the next timer whenever nothing else is left to do.

A run on it repeats exactly and takes only the time that its work takes. No real input or output may be waited for on it.
"""

import asyncio
import selectors
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never sleeps: what would have been waited for is added to the time instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the virtual loop has nothing left to wait for")
        # The kernel is never asked: on this loop nothing comes from outside, and asking costs more than most of what runs on it.
        if timeout > 0.0:
            self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector event loop on virtual time, starting at 0 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now_s


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
