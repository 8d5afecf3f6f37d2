"""The generator model XRV (docs/reference/xray-generator.md)."""

from collections.abc import Callable

from firmware_sims.tube import ARCS_ALLOWED, KV_RAMP_S, MA_RAMP_S, QUENCH_S, Rating
from firmware_sims.xray_generator import DAC_FULL, Answer, RefusedError, XrayGenerator, number

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


def _bits(flags: set[int], count: int) -> Answer:
    return tuple(int(bit in flags) for bit in range(count))


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
        return number(arguments, low, high, form=self.FORM, span=self.RANGE)

    def _write(self) -> None:
        if self._local:
            raise RefusedError(self.LOCAL)

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
            raise RefusedError(self.FORM)
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
            raise RefusedError(self.INTERLOCK if self.tube.refusal == "interlock" else self.FAULT)
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
