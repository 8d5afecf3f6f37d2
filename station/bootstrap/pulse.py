"""Whether what must never hang still answers: the lanes' event loop, and the writer of the store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from station.bootstrap.service_manager import ServiceManager
from station.ports.clock import Clock

SHARE_OF_WATCHDOG = 4.0
"""How many times the manager hears of a station that is alive before it would lose patience."""
LANES_LIMIT_S = 10.0
"""A turn of the lanes' loop takes milliseconds; the devices' own watchdogs made the lane safe long before."""
WRITER_LIMIT_S = 60.0
"""A disk that hangs for a while has stopped the lanes and is told on their pages; after this only a new start can help."""
log = structlog.get_logger()


class Answer(Protocol):
    """Something that was asked, and may have been answered."""

    def done(self) -> bool:
        """True when there is an answer, whatever it is: a failure is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How to ask a part of the station, and how long it may take to answer."""

    ask: Callable[[], Answer]
    limit_s: float


class Pulse:
    """Asks each part again and again, one question at a time, and never waits.

    Args:
        parts: by name.
        clock: station time. Questions are the wall's concern, so one that runs at speed 1.
    """

    def __init__(self, parts: Mapping[str, Asked], clock: Clock) -> None:
        self._parts = parts
        self._clock = clock
        self._waiting = {name: part.ask() for name, part in parts.items()}
        self._answered_s = dict.fromkeys(parts, clock.monotonic_s())

    def hanging(self) -> list[str]:
        """The parts that have not answered for longer than they may; the others are asked anew."""
        now_s = self._clock.monotonic_s()
        for name, part in self._parts.items():
            if self._waiting[name].done():
                self._answered_s[name] = now_s
                self._waiting[name] = part.ask()
        return [name for name, part in self._parts.items() if now_s - self._answered_s[name] > part.limit_s]


class Stop(Protocol):
    """Told to stop, by and by."""

    def wait(self, timeout: float) -> bool:
        """True when it was told, at the latest after that many seconds False."""
        ...


def watch_over(pulse: Pulse, manager: ServiceManager, stop: Stop) -> None:
    """Tell the service manager that the station is alive for as long as it is, until it is told to stop."""
    told: list[str] = []
    manager.alive()
    while not stop.wait(manager.watchdog_s / SHARE_OF_WATCHDOG):
        hanging = pulse.hanging()
        if not hanging:
            manager.alive()
        elif hanging != told:
            log.critical("a part of the station hangs: the service manager ends it and starts it anew", parts=hanging)
        told = hanging
