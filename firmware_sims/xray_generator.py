"""The X-ray generator: STX commands of the profiles XRV and XRB011 over one tube (docs/reference/xray-generator.md)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from firmware_sims.stx import Request, RequestReader, encode
from firmware_sims.tube import ARCS_ALLOWED, KV_RAMP_S, MA_RAMP_S, QUENCH_S, PoweredWorld, Rating, Tube

BOOT_S = 2.0
DAC_FULL = 4095
ADC_OVER_RANGE = 1.2
XRV_FAULT_BITS = {
    "over_temperature_near": 1,
    "over_voltage": 2,
    "under_voltage": 3,
    "over_current": 4,
    "under_current": 5,
    "over_temperature": 6,
    "arc": 11,
    "watchdog": 21,
    "board_over_temperature": 22,
    "over_power": 23,
    "kv_difference": 24,
    "ma_difference": 25,
}
XRB_FAULTS = (
    "arc",
    "over_temperature",
    "over_voltage",
    "under_voltage",
    "over_current",
    "under_current",
    "watchdog",
    "interlock",
)
Answer = tuple[object, ...]


class _RefusedError(Exception):
    """A write that is not done; `code` is the model's own."""

    def __init__(self, code: object) -> None:
        super().__init__(code)
        self.code = code


def _bits(flags: set[int], count: int) -> Answer:
    return tuple(int(bit in flags) for bit in range(count))


class XrayGenerator:
    """One generator. `feed` takes request bytes and returns answers; `poll` gives unsolicited frames."""

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
        self._unsolicited: list[bytes] = []
        self._boot_left_s = 0.0
        self._muted = False
        self._known_faults: set[str] = set()
        self._commands = self._table()

    def _table(self) -> dict[str, Callable[[tuple[str, ...]], Answer]]:
        raise NotImplementedError

    def _unknown(self) -> object:
        raise NotImplementedError

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
        self._heard()
        command = self._commands.get(request.command)
        if command is None:
            return encode(request.command, self._unknown())
        try:
            return encode(self._head(request.command), *command(request.arguments))
        except _RefusedError as refused:
            return encode(request.command, refused.code)

    def _head(self, command: str) -> str:
        return command

    def _heard(self) -> None:
        """A request came: some models feed their watchdog with it."""

    def poll(self) -> list[bytes]:
        """Frames sent without being asked since the last call."""
        sent, self._unsolicited = self._unsolicited, []
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

    def _tell_fault(self) -> None:
        """A new fault: some models say so by themselves."""

    def reboot(self) -> None:
        """Lose power: HV off, set-points forgotten, away for two seconds."""
        self.tube.power_up()
        self.boot_count += 1
        self.uptime_ms = 0.0
        self._boot_left_s = BOOT_S

    def inject(self, name: str, **args: Any) -> None:
        """Make a fault happen.

        arc: `count` flash-overs at once. latch: the fault `which` (see XRV_FAULT_BITS). interlock: open until cleared.
        kv_drift: the real kV is `factor` times the set-point. idle: `hours` since HV was last on. mute: no answers until cleared.

        Raises:
            KeyError: an unknown fault.
        """
        deeds: dict[str, Callable[[], object]] = {
            "arc": lambda: self._flash(int(args.get("count", 1))),
            "latch": lambda: self._latch(str(args.get("which", "over_voltage"))),
            "interlock": lambda: setattr(self.tube, "interlock_forced_open", True),
            "kv_drift": lambda: setattr(self.tube, "kv_error", float(args.get("factor", 0.9))),
            "brown_out": self.reboot,
            "reboot": self.reboot,
            "mute": lambda: setattr(self, "_muted", True),
            "idle": lambda: setattr(self.tube, "idle_hours", float(args.get("hours", 100.0))),
        }
        deeds[name]()

    def _flash(self, count: int) -> None:
        for _ in range(count):
            self.tube.arc()

    def _latch(self, which: str) -> None:
        if which not in XRV_FAULT_BITS:
            raise KeyError(which)
        self.tube.latch(which)

    def clear(self, name: str, **_: object) -> None:
        """End a lasting fault; KeyError for an unknown one."""
        deeds: dict[str, Callable[[], object]] = dict.fromkeys(self.faults, lambda: None)
        deeds["interlock"] = lambda: setattr(self.tube, "interlock_forced_open", False)
        deeds["kv_drift"] = lambda: setattr(self.tube, "kv_error", 1.0)
        deeds["mute"] = lambda: setattr(self, "_muted", False)
        deeds[name]()


def _number(arguments: tuple[str, ...], low: int, high: int, *, form: object, span: object) -> int:
    if len(arguments) != 1 or not arguments[0].isdecimal():
        raise _RefusedError(form)
    value = int(arguments[0])
    if not low <= value <= high:
        raise _RefusedError(span)
    return value


class Xrv(XrayGenerator):
    """Spellman XRV: 98 switches HV, interlock bits are 1 when CLOSED, no watchdog to feed."""

    rating = Rating(kv=160.0, ma=4.0)
    FORM, INTERLOCK, RANGE, FAULT, LOCAL = 1, 2, 3, 4, 5

    def _table(self) -> dict[str, Callable[[tuple[str, ...]], Answer]]:
        self._local = False
        self._settings = {"12": 0, "13": 0, "32": 0, "70": 1}
        self._power_w = (640, 320)
        return {
            "07": lambda args: self._kept(self._int(args, 1, 5)),
            "10": self._set_kv,
            "11": self._set_ma,
            "12": lambda args: self._setting("12", args),
            "13": lambda args: self._setting("13", args),
            "14": lambda _: (round(self.tube.kv_set / self.rating.kv * DAC_FULL),),
            "15": lambda _: (round(self.tube.ma_set / self.rating.ma * DAC_FULL),),
            "16": lambda _: (self._settings["12"],),
            "17": lambda _: (self._settings["13"],),
            "19": lambda _: (self._kv_adc(), self._ma_adc(), 1850, 0, 0, 0, 0, self._ma_adc()),
            "21": lambda _: (f"{self.tube.hv_hours:.1f}",),
            "22": lambda _: self._status(),
            "23": lambda _: ("SWM9999-001", "R1.04"),
            "27": lambda _: self._configuration(),
            "28": lambda _: ("160", "4", "0"),
            "30": lambda _: self._reset_hours(),
            "31": lambda _: self._reset_faults(),
            "32": lambda args: self._setting("32", args, 1),
            "38": lambda _: self._power_w,
            "43": lambda _: ("SWM9998-001", "R2.11"),
            "60": lambda _: (self._kv_adc(),),
            "65": lambda _: (2600,),
            "68": lambda _: _bits({XRV_FAULT_BITS[name] for name in self.tube.faults}, 27),
            "69": lambda _: self._voltages(),
            "70": lambda args: self._setting("70", args, 1),
            "97": self._set_power,
            "98": self._switch,
            "99": self._set_remote,
        }

    def _unknown(self) -> object:
        return self.FORM

    def _int(self, arguments: tuple[str, ...], low: int, high: int) -> int:
        return _number(arguments, low, high, form=self.FORM, span=self.RANGE)

    def _write(self) -> None:
        if self._local:
            raise _RefusedError(self.LOCAL)

    @staticmethod
    def _kept(_: int) -> Answer:
        return ("$",)

    def _setting(self, name: str, arguments: tuple[str, ...], high: int = DAC_FULL) -> Answer:
        self._write()
        self._settings[name] = self._int(arguments, 0, high)
        return ("$",)

    def _set_kv(self, arguments: tuple[str, ...]) -> Answer:
        self._write()
        self.tube.kv_set = self._int(arguments, 0, DAC_FULL) * self.rating.kv / DAC_FULL
        return ("$",)

    def _set_ma(self, arguments: tuple[str, ...]) -> Answer:
        self._write()
        self.tube.ma_set = self._int(arguments, 0, DAC_FULL) * self.rating.ma / DAC_FULL
        return ("$",)

    def _set_power(self, arguments: tuple[str, ...]) -> Answer:
        self._write()
        if len(arguments) != 2:
            raise _RefusedError(self.FORM)
        self._power_w = (self._int(arguments[:1], 0, 10000), self._int(arguments[1:], 0, 10000))
        return ("$",)

    def _set_remote(self, arguments: tuple[str, ...]) -> Answer:
        self._local = self._int(arguments, 0, 1) == 0
        return ("$",)

    def _switch(self, arguments: tuple[str, ...]) -> Answer:
        if self._int(arguments, 0, 1) == 0:
            self.tube.switch_off()
            return ("$",)
        self._write()
        if not self.tube.switch_on():
            raise _RefusedError(self.INTERLOCK if self.tube.refusal == "interlock" else self.FAULT)
        return ("$",)

    def _status(self) -> Answer:
        tube, closed = self.tube, self.tube.interlocks_closed
        flags = {
            0: tube.enabled,
            1: closed,
            2: closed,
            3: tube.ma > 0,
            4: bool(tube.faults),
            5: self._local,
            6: self._settings["70"] == 1,
            7: self._settings["32"] == 1,
            9: self._settings["32"] == 1,
            10: self._settings["32"] == 0,
            15: not tube.faults,
            16: True,
        }
        return _bits({bit for bit, on in flags.items() if on}, 17)

    def _configuration(self) -> Answer:
        ramps = (round(KV_RAMP_S * 1000), round(MA_RAMP_S * 1000))
        return (0, 110, *ramps, 0, ARCS_ALLOWED, 0, round(QUENCH_S * 1000), 0, 160, 4, 0)

    def _reset_hours(self) -> Answer:
        self.tube.hv_hours = 0.0
        return ("$",)

    def _reset_faults(self) -> Answer:
        self.tube.faults.clear()
        return ("$",)

    def _kv_adc(self) -> int:
        return round(self.tube.kv / (ADC_OVER_RANGE * self.rating.kv) * DAC_FULL)

    def _ma_adc(self) -> int:
        return round(self.tube.ma / (ADC_OVER_RANGE * self.rating.ma) * DAC_FULL)

    def _voltages(self) -> Answer:
        temperature = round(self.tube.temperature_c / 0.05911815)
        return (temperature, 0, self._kv_adc(), 0, 2596, 3420, 2596, 3420, 3509, 2601)


class Xrb011(XrayGenerator):
    """Spellman XRB011: uX numbers, own scales, 99 switches HV, interlock is 1 when OPEN, watchdog fed by 27."""

    rating = Rating(kv=80.0, ma=0.7)
    RANGE, INTERLOCK, FAULT = "E#1", "E#2", "E#3"

    def _table(self) -> dict[str, Callable[[tuple[str, ...]], Answer]]:
        self._watchdog_s = 5
        self._silent_s = 0.0
        return {
            "10": self._set_kv,
            "11": self._set_ma,
            "14": lambda _: (round(self.tube.kv_set * 10),),
            "15": lambda _: (round(self.tube.ma_set * 1000),),
            "20": lambda _: self._monitors(),
            "22": lambda _: self._status(),
            "27": self._feed_watchdog,
            "28": self._set_watchdog,
            "32": lambda _: tuple(int(name in self.tube.faults) for name in XRB_FAULTS),
            "52": self._reset_faults,
            "99": self._switch,
        }

    def _unknown(self) -> object:
        return self.RANGE

    def _head(self, command: str) -> str:
        return "22" if command == "32" else command

    def _int(self, arguments: tuple[str, ...], low: int, high: int) -> int:
        return _number(arguments, low, high, form=self.RANGE, span=self.RANGE)

    def _set_kv(self, arguments: tuple[str, ...]) -> Answer:
        self.tube.kv_set = self._int(arguments, 0, 800) / 10
        return ("$",)

    def _set_ma(self, arguments: tuple[str, ...]) -> Answer:
        self.tube.ma_set = self._int(arguments, 0, 700) / 1000
        return ("$",)

    def _feed_watchdog(self, _: tuple[str, ...]) -> Answer:
        self._silent_s = 0.0
        return ("$",)

    def _set_watchdog(self, arguments: tuple[str, ...]) -> Answer:
        self._watchdog_s = self._int(arguments, 0, 10)
        self._silent_s = 0.0
        return ("$",)

    def _reset_faults(self, _: tuple[str, ...]) -> Answer:
        self.tube.faults.clear()
        self._silent_s = 0.0
        return ("$",)

    def _switch(self, arguments: tuple[str, ...]) -> Answer:
        if self._int(arguments, 0, 1) == 0:
            self.tube.switch_off()
        elif not self.tube.switch_on():
            raise _RefusedError(self.INTERLOCK if self.tube.refusal == "interlock" else self.FAULT)
        return ("$",)

    def _monitors(self) -> Answer:
        kv, ma = self.tube.kv / self.rating.kv, self.tube.ma / self.rating.ma
        return (1900, 2600, round(kv * DAC_FULL), round(ma * DAC_FULL), 1200, 900, 1850)

    def _status(self) -> Answer:
        return (int(self.tube.enabled), int(not self.tube.interlocks_closed), int(bool(self.tube.faults)))

    def step(self, dt_s: float) -> None:
        """See `XrayGenerator`; the watchdog counts only while HV is on."""
        if self._watchdog_s and self.tube.enabled:
            self._silent_s += dt_s
            if self._silent_s > self._watchdog_s:
                self.tube.latch("watchdog")
        else:
            self._silent_s = 0.0
        super().step(dt_s)

    def _tell_fault(self) -> None:
        self._unsolicited.append(encode("22", *self._status()))


PROFILES: dict[str, type[XrayGenerator]] = {"XRV": Xrv, "XRB011": Xrb011}
"""Every simulated model."""
