"""The generator model XRB011 (docs/reference/xray-generator.md)."""

from collections.abc import Callable

from firmware_sims.stx import encode
from firmware_sims.tube import Rating
from firmware_sims.xray_generator import DAC_FULL, Answer, RefusedError, XrayGenerator, number

WATCHDOG_DEFAULT_S = 5
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


class Xrb011(XrayGenerator):
    """Spellman XRB011: uX numbers, own scales, 99 switches HV, interlock is 1 when OPEN, watchdog fed by 27."""

    rating = Rating(kv=80.0, ma=0.7)
    RANGE, INTERLOCK, FAULT = "E#1", "E#2", "E#3"
    _watchdog_s = WATCHDOG_DEFAULT_S
    _silent_s = 0.0

    def _table(self) -> dict[str, Callable[[tuple[str, ...]], Answer]]:
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
        return number(arguments, low, high, form=self.RANGE, span=self.RANGE)

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
            raise RefusedError(self.INTERLOCK if self.tube.refusal == "interlock" else self.FAULT)
        return ("$",)

    def _monitors(self) -> Answer:
        kv, ma = self.tube.kv / self.rating.kv, self.tube.ma / self.rating.ma
        return (1900, 2600, round(kv * DAC_FULL), round(ma * DAC_FULL), 1200, 900, 1850)

    def _status(self) -> Answer:
        return (int(self.tube.enabled), int(not self.tube.interlocks_closed), int(bool(self.tube.faults)))

    def reboot(self) -> None:
        """See `XrayGenerator`; the watchdog falls back to its default."""
        super().reboot()
        self._watchdog_s = WATCHDOG_DEFAULT_S

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
        self.outbox.append(encode("22", *self._status()))
