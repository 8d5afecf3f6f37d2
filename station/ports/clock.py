"""The station's own time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The station's own time. In the demo it may run faster than the wall; wire deadlines do not."""

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        ...

    def utc_now(self) -> datetime:
        """Aware UTC, for records."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of station time."""
        ...
