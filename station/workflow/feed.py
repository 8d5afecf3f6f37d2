"""What happened lately, for everybody who watches: a bounded ring of events, written by any thread and read in event loops."""

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One event. `number` rises by one without gaps while the station runs; `data` is a JSON object as text, without line breaks."""

    number: int
    type: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBatch:
    """What a reader got. `missed`: events before the first of these are lost to this reader; it must look at the whole state again."""

    events: tuple[FeedEvent, ...]
    missed: bool
    closed: bool


class EventFeed:
    """Events since the start of the station, the newest `capacity` of them.

    Events only tell that something changed; the store keeps the facts. A reader that falls behind the ring is told so and never
    slows a writer down.

    Args:
        epoch: names this run of the station, so that an id of an earlier run is recognised. Letters and digits only.
        capacity: how many events are kept for readers that resume.
    """

    def __init__(self, *, epoch: str, capacity: int = 2048) -> None:
        if not epoch.isalnum():
            raise ValueError(f"epoch must be letters and digits: {epoch!r}")
        self._epoch = epoch
        self._ring: deque[FeedEvent] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._wakers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._last = 0
        self._closed = False

    @property
    def epoch(self) -> str:
        """The name of this run."""
        return self._epoch

    @property
    def last_number(self) -> int:
        """The number of the newest event; 0 before the first."""
        with self._lock:
            return self._last

    def publish(self, event_type: str, data: str) -> FeedEvent:
        """Append an event and wake the readers. Callable from any thread; never blocks on a reader.

        Args:
            event_type: for example `piece`, `alarm`; one line.
            data: a JSON object as text.
        """
        if "\n" in event_type or "\n" in data or "\r" in data:
            raise ValueError("an event's type and data must each be one line")
        with self._lock:
            self._last += 1
            event = FeedEvent(number=self._last, type=event_type, data=data)
            self._ring.append(event)
            self._wake()
        return event

    def event_id(self, number: int) -> str:
        """The id under which a reader may resume after the event of that number."""
        return f"{self._epoch}-{number}"

    def position(self, event_id: str | None) -> int | None:
        """The number to resume after, or None when the id is not of this run (the reader must look at everything again)."""
        epoch, _, number = (event_id or "").rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:  # noqa: PLR2004
            return None
        return min(int(number), self.last_number)

    def subscribe(self, after: int) -> "Subscription":
        """A reader that gets every event after the given number; use it as a context manager in an event loop."""
        return Subscription(self, after)

    def close(self) -> None:
        """End every reader; later readers end at once."""
        with self._lock:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        for waker, loop in self._wakers.items():
            # A loop that has been closed has no readers left to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(waker.set)

    def _register(self, waker: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._wakers[waker] = loop

    def _unregister(self, waker: asyncio.Event) -> None:
        with self._lock:
            self._wakers.pop(waker, None)

    def _since(self, after: int) -> FeedBatch:
        with self._lock:
            oldest = self._last - len(self._ring) + 1
            events = tuple(event for event in self._ring if event.number > after)
            return FeedBatch(events=events, missed=after + 1 < oldest, closed=self._closed)


class Subscription:
    """One reader of the feed."""

    def __init__(self, feed: EventFeed, after: int) -> None:
        self._feed = feed
        self._after = after
        self._waker = asyncio.Event()

    def __enter__(self) -> Self:
        self._feed._register(self._waker, asyncio.get_running_loop())  # noqa: SLF001 - the two classes are one thing
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._feed._unregister(self._waker)  # noqa: SLF001

    async def next(self, timeout_s: float) -> FeedBatch:
        """Wait for events at most that long (wall time) and return what there is, perhaps nothing."""
        self._waker.clear()
        batch = self._feed._since(self._after)  # noqa: SLF001
        if not (batch.events or batch.missed or batch.closed):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waker.wait(), timeout_s)
            batch = self._feed._since(self._after)  # noqa: SLF001
        if batch.events:
            self._after = batch.events[-1].number
        return batch
