"""The disinfection unit over Modbus RTU or TCP (contract: disinfection unit registers; device codes).

Implements `station.ports.disinfection_unit.DisinfectionUnit`.
"""

from station.drivers.modbus_unit import COMMON, Reading
from station.drivers.registers import Block, Register
from station.drivers.unit_driver import UnitDriver
from station.ports.disinfection_unit import UnitSlot, UnitStatus

RUNNING, PASSED, FAILED = 0, 1, 2
PHASES = frozenset({0, 1, 2, 3, 10, 11, 12, 13, 14, 15})

STATUS = Block(
    (
        *COMMON,
        Register(address=20, name="uptime", kinds=("u32",), unit="ms"),
        Register(address=22, name="phase", kinds=("u16",)),
        Register(address=23, name="phase_time", kinds=("u32",), unit="ms"),
        Register(address=25, name="door_bits", kinds=("u16",)),
        Register(address=26, name="temperature", kinds=("i16",), divisor=10, unit="degC"),
        Register(address=27, name="humidity", kinds=("u16",), divisor=10, unit="%RH"),
        Register(address=28, name="irradiance_min", kinds=("u32",), unit="uW/cm2"),
        Register(address=30, name="irradiance_mean", kinds=("u32",), unit="uW/cm2"),
        Register(address=32, name="lamp_bits", kinds=("u16",)),
        Register(address=33, name="lamp_hours", kinds=("u32",), divisor=10, unit="h"),
        Register(address=35, name="ozone", kinds=("u16",), unit="ppb"),
        Register(address=36, name="h2o2", kinds=("u16",), divisor=10, unit="ppm"),
        Register(address=37, name="cycle_counter", kinds=("u32",)),
        Register(address=39, name="slots", kinds=("u32", "u32", "u32", "u32", "u32", "u16"), repeat=4),
        Register(address=83, name="sample_seq", kinds=("u16",)),
        Register(address=84, name="samples", kinds=("u32",), repeat=20, unit="uW/cm2"),
        Register(address=124, name="tail_seq", kinds=("u16",)),
    )
)

NEXT_PIECE = Register(address=120, name="next_piece", kinds=("u32", "u32"), access="rw")
DOSE_TARGET = Register(address=125, name="dose_target", kinds=("u32",), divisor=10, unit="mJ/cm2", access="rw")
LAMPS = Register(address=127, name="lamps", kinds=("u16",), access="rw")

DOSE_DIVISOR = 10
"""Slot doses stand in 0.1 mJ/cm2."""


class DisinfectionUnitDriver(UnitDriver):
    """Drives one disinfection unit. See `station.ports.disinfection_unit.DisinfectionUnit`; `UnitDriver` for what it takes."""

    device = "The disinfection unit"
    magic = 0x4B55
    status = STATUS

    async def connect(self) -> UnitStatus:
        """(Re)open the link, switch the lamps off with read-back, prove identity, set the watchdog, and return a first status."""

        async def make_safe() -> None:
            await self._unit.write_checked(LAMPS, 0)

        return self._unit_status(await self._unit.connect(make_safe))

    async def read_status(self) -> UnitStatus:
        """Read registers 0-124 as evidence; two transactions."""
        async with self._unit.lock:
            return self._unit_status(await self._unit.read_evidence(STATUS))

    async def set_lamps(self, *, on: bool) -> None:
        """Lamps on or off, read back; raises `DeviceRefusedError`."""
        await self._set(LAMPS, int(on))

    async def set_dose_target(self, dose_mj_per_cm2: float) -> None:
        """Set the unit's own target (to 0.1 mJ/cm2), read back; raises `DeviceRefusedError`."""
        await self._set(DOSE_TARGET, round(dose_mj_per_cm2 * DOSE_TARGET.divisor))

    async def announce_next(self, *, tag: int, nonce: int) -> None:
        """Bind tag and nonce to the next piece that enters, in one write of four words, read back."""
        await self._set(NEXT_PIECE, tag, nonce)

    def _unit_status(self, reading: Reading) -> UnitStatus:
        values = reading.values
        if values.one("phase") not in PHASES:
            self._unit.reject(f"reports phase {values.one('phase')}, which the map does not name")
        return UnitStatus(
            read_at_s=reading.read_at_s,
            uptime_ms=values.one("uptime"),
            boot_count=values.one("boot_count"),
            state=values.one("state"),
            faults=values.one("faults"),
            phase=values.one("phase"),
            door_bits=values.one("door_bits"),
            temperature_c=values.scaled("temperature"),
            humidity_percent=values.scaled("humidity"),
            lamp_bits=values.one("lamp_bits"),
            lamp_hours=values.scaled("lamp_hours"),
            ozone_ppb=values.one("ozone"),
            slots=self._slots(values.rows("slots", 6)),
            sample_seq=values.one("sample_seq"),
            samples_uw_per_cm2=tuple(reversed(values.many("samples"))),
        )

    def _slots(self, rows: list[tuple[int, ...]]) -> tuple[UnitSlot, ...]:
        slots = []
        for tag, nonce, dose, entered, left, verdict in rows:
            if verdict > FAILED:
                self._unit.reject(f"reports verdict {verdict}, which the map does not name")
            # What entered without having been announced has neither tag nor nonce, and is what must not be overlooked.
            if tag or nonce or entered:
                slots.append(
                    UnitSlot(tag=tag, nonce=nonce, dose_mj_per_cm2=dose / DOSE_DIVISOR, entered_ms=entered, left_ms=left, verdict=verdict)
                )
        return tuple(slots)
