"""The station's clock, as tests need it."""

import asyncio
from datetime import UTC, datetime, timedelta


class SetClock:
    """A clock that a test sets; each look at its date is `step_s` later than the one before."""

    def __init__(self, start: datetime, *, step_s: float = 0.0) -> None:
        self.now = self._start = start
        self._step_s = step_s

    def monotonic_s(self) -> float:
        return (self.now - self._start).total_seconds()

    def utc_now(self) -> datetime:
        self.forward(self._step_s)
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)
        await asyncio.sleep(0)

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class LoopClock:
    """The loop's own time, on a day that stands still."""

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def utc_now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
