"""An event loop on which hardly any time passes while the machine keeps the process waiting.

Where both ends of a wire live in one process, what keeps one of them from its work is no silence of the other: a deadline that
passed meanwhile would tell of the machine alone.
"""

import asyncio
import selectors
import time

LOOK_S = 0.005
"""So often at least the loop looks whether something came."""

MOST_S = 0.01
"""More than this never passes between two looks, however long they are apart."""


class _Looking(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(LOOK_S if timeout is None else min(timeout, LOOK_S))


class UnhurriedLoop(asyncio.SelectorEventLoop):
    """On a machine that is not busy its time is real time."""

    def __init__(self) -> None:
        self._now_s = self._looked_s = time.monotonic()  # noqa: TID251 - what the loop itself would take
        super().__init__(_Looking())

    def time(self) -> float:
        looked_s = super().time()
        self._now_s += min(looked_s - self._looked_s, MOST_S)
        self._looked_s = looked_s
        return self._now_s
