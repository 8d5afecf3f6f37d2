"""The system's clock, perhaps running faster than the wall."""

import asyncio
import time
from datetime import UTC, datetime

from station.domain.errors import ConfigurationError

MAX_SPEED = 64.0


class SystemClock:
    """Station time: the system's monotonic clock times `speed`; records carry true UTC whatever the speed.

    Raises:
        ConfigurationError: `speed` is not above 0 and at most 64.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed <= MAX_SPEED:
            raise ConfigurationError(f"The clock cannot run at speed {speed}", remedy=f"Give a speed above 0 and at most {MAX_SPEED:g}")
        self._speed = speed
        self._origin_s = time.monotonic()  # noqa: TID251 - this is the clock that is injected everywhere else

    @property
    def speed(self) -> float:
        """Station seconds per second of the wall."""
        return self._speed

    def monotonic_s(self) -> float:
        """Station seconds since the clock was made; never goes back."""
        return (time.monotonic() - self._origin_s) * self._speed  # noqa: TID251 - as above

    def utc_now(self) -> datetime:
        """Aware UTC of the wall, for records."""
        return datetime.now(UTC)  # noqa: TID251 - as above

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of station time; zero or less only yields."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)
