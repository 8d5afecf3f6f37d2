"""What every simulated X-ray generator does: STX requests over one tube (docs/reference/xray-generator.md)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from firmware_sims.stx import Request, RequestReader, encode
from firmware_sims.tube import PoweredWorld, Rating, Tube

BOOT_S = 2.0
DAC_FULL = 4095
FAULTS = frozenset(
    {
        "over_temperature_near",
        "over_voltage",
        "under_voltage",
        "over_current",
        "under_current",
        "over_temperature",
        "arc",
        "watchdog",
        "board_over_temperature",
        "over_power",
        "kv_difference",
        "ma_difference",
    }
)
"""What a supply can latch; a model shows those that it has a bit for."""
Answer = tuple[object, ...]


class RefusedError(Exception):
    """A write that is not done; `code` is the model's own."""

    def __init__(self, code: object) -> None:
        super().__init__(code)
        self.code = code


class XrayGenerator(ABC):
    """One generator. `feed` takes request bytes and returns answers; `poll` gives the unsolicited frames that wait in `outbox`."""

    faults: tuple[str, ...] = (
        "arc",
        "latch",
        "interlock",
        "kv_drift",
        "brown_out",
        "reboot",
        "mute",
        "idle",
    )
    rating: Rating

    def __init__(self, *, world: PoweredWorld, rng: np.random.Generator, idle_hours: float = 2.0) -> None:
        self.tube = Tube(world=world, rng=rng, rating=self.rating, idle_hours=idle_hours)
        self.uptime_ms = 0.0
        self.boot_count = 1
        self._reader = RequestReader()
        self.outbox: list[bytes] = []
        self._boot_left_s = 0.0
        self._muted = False
        self._known_faults: set[str] = set()
        self._commands = self._table()

    @abstractmethod
    def _table(self) -> dict[str, Callable[[tuple[str, ...]], Answer]]:
        """What the model does for each command."""

    @abstractmethod
    def _unknown(self) -> object:
        """The model's answer to a command that it does not know."""

    @property
    def online(self) -> bool:
        """False while it boots."""
        return self._boot_left_s <= 0

    def feed(self, data: bytes) -> list[bytes]:
        """One answer per intact request."""
        if not self.online:
            return []
        requests = self._reader.feed(data)
        return [] if self._muted else [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> bytes:
        command = self._commands.get(request.command)
        if command is None:
            return encode(request.command, self._unknown())
        try:
            return encode(self._head(request.command), *command(request.arguments))
        except RefusedError as refused:
            return encode(request.command, refused.code)

    def _head(self, command: str) -> str:
        return command

    def poll(self) -> list[bytes]:
        """Frames sent without being asked since the last call."""
        sent = self.outbox.copy()
        self.outbox.clear()
        return sent

    def step(self, dt_s: float) -> None:
        """Advance by `dt_s`."""
        if self._boot_left_s > 0:
            self._boot_left_s -= dt_s
            self.tube.step(dt_s)
            return
        self.uptime_ms += dt_s * 1000.0
        self.tube.step(dt_s)
        if self.tube.faults != self._known_faults:
            if self.tube.faults - self._known_faults:
                self._tell_fault()
            self._known_faults = set(self.tube.faults)

    def _tell_fault(self) -> None:  # noqa: B027 - a model that says nothing by itself leaves it so
        """A new fault: some models say so by themselves."""

    def reboot(self) -> None:
        """Lose power: HV off, set-points forgotten, away for two seconds."""
        self.tube.power_up()
        self.boot_count += 1
        self.uptime_ms = 0.0
        self._boot_left_s = BOOT_S

    def inject(self, name: str, **args: Any) -> None:
        """Make a fault happen.

        arc: `count` flash-overs at once. latch: the fault `which` (one of FAULTS). interlock: open until cleared.
        kv_drift: the real kV is `factor` times the set-point. idle: `hours` since HV was last on. mute: no answers until cleared.

        Raises:
            KeyError: an unknown fault.
            TypeError: an argument that this fault has not.
        """
        deeds: dict[str, Callable[..., object]] = {
            "arc": lambda count=1: self._flash(int(count)),
            "latch": lambda which="over_voltage": self._latch(str(which)),
            "interlock": lambda: setattr(self.tube, "interlock_forced_open", True),
            "kv_drift": lambda factor=0.9: setattr(self.tube, "kv_error", float(factor)),
            "brown_out": self.reboot,
            "reboot": self.reboot,
            "mute": lambda: setattr(self, "_muted", True),
            "idle": lambda hours=100.0: setattr(self.tube, "idle_hours", float(hours)),
        }
        deeds[name](**args)

    def _flash(self, count: int) -> None:
        for _ in range(count):
            self.tube.arc()

    def _latch(self, which: str) -> None:
        if which not in FAULTS:
            raise KeyError(which)
        self.tube.latch(which)

    def clear(self, name: str) -> None:
        """End a lasting fault; KeyError for an unknown one."""
        deeds: dict[str, Callable[[], object]] = dict.fromkeys(self.faults, lambda: None)
        deeds["interlock"] = lambda: setattr(self.tube, "interlock_forced_open", False)
        deeds["kv_drift"] = lambda: setattr(self.tube, "kv_error", 1.0)
        deeds["mute"] = lambda: setattr(self, "_muted", False)
        deeds[name]()


def number(arguments: tuple[str, ...], low: int, high: int, *, form: object, span: object) -> int:
    """The one whole number of a request.

    Raises:
        RefusedError: `form` when it is no single number, `span` when it is out of range.
    """
    if len(arguments) != 1 or not arguments[0].isdecimal():
        raise RefusedError(form)
    value = int(arguments[0])
    if not low <= value <= high:
        raise RefusedError(span)
    return value
