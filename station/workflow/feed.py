"""What happened lately, for everybody who watches: a bounded ring of events, written and read by any thread."""

import threading
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One event. `number` rises by one without gaps while the station runs; `data` is a JSON object as text, without line breaks."""

    number: int
    type: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBatch:
    """What a reader got, up to the event of number `last`.

    `missed`: events before the first of these are lost to this reader; it must look at the whole state again.
    """

    events: tuple[FeedEvent, ...]
    last: int
    missed: bool
    closed: bool


class EventFeed:
    """Events since the start of the station, the newest `capacity` of them.

    Events only tell that something changed; the store keeps the facts. A reader that falls behind the ring is told so. Readers come and
    look: a writer, who may be a lane, does the same work however many there are.

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
        """Append an event.

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

    def since(self, after: int) -> FeedBatch:
        """Every event after the one of that number."""
        with self._lock:
            behind = self._last - after
            # Counted from the newest: a writer waits for as long as this takes.
            events = tuple(self._ring[-back] for back in range(min(behind, len(self._ring)), 0, -1))
            return FeedBatch(events=events, last=self._last, missed=behind > len(self._ring), closed=self._closed)

    def close(self) -> None:
        """Tell every reader that there is no more to come."""
        with self._lock:
            self._closed = True
