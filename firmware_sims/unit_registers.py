"""The disinfection unit's register map (`disinfection-unit-registers.csv`, map version 1) over its firmware."""

from struct import pack, unpack

from firmware_sims.contact import ACCEPTED, MOST_WATCHDOG_MS
from firmware_sims.disinfection_unit import WORD, DisinfectionUnit
from firmware_sims.modbus_slave import IllegalAddressError, IllegalValueError

MAGIC, MAP_VERSION, SERIAL = 0x4B55, 1, 420_001
TEST_VALUE_WORDS = unpack(">2H", pack(">f", -123.45))
BLOCK_WORDS = 125
HOLDING_RANGES = ((100, 102), (110, 114), (120, 131))
WHOLE_VALUES = ((120, 4), (125, 2), (128, 2))
"""Holding values of several words, which are written by one request or not at all."""
AUTO = 1 << 1


def u32(value: int) -> tuple[int, int]:
    """Two words, high first."""
    return value >> 16 & WORD, value & WORD


class UnitRegisters:
    """See `RegisterMap`."""

    def __init__(self, unit: DisinfectionUnit) -> None:
        self._unit = unit
        self._held: list[int] | None = None
        # What was announced last reads back even if its piece has entered meanwhile.
        self._announced = [0] * 4

    @property
    def online(self) -> bool:
        """False while the unit boots."""
        return self._unit.online

    def read_input(self, address: int, count: int) -> list[int]:
        """Words of the status block."""
        unit = self._unit
        if address + count > BLOCK_WORDS:
            raise IllegalAddressError
        block = self._held if unit.image_held else None
        if block is None:
            block = self._held = self._block()
        if unit.torn_reads:
            unit.torn_reads -= 1
            block = [*block[:-1], (block[-1] + 1) & WORD]
        return block[address : address + count]

    def _block(self) -> list[int]:
        unit = self._unit
        contact = unit.contact
        words = [MAGIC, MAP_VERSION, *u32(SERIAL), unit.packml.state, 1]
        words += [unit.commands.accepted_seq, unit.commands.result, contact.beat, contact.echo, contact.left_ms, AUTO]
        words += [*u32(unit.latched), unit.first_fault, unit.boot_count, *TEST_VALUE_WORDS, unit.scan, 0]
        words += [*u32(int(unit.uptime_ms)), unit.phase, *u32(int(unit.phase_ms)), unit.door_bits]
        words += [round(unit.temperature_c * 10.0) & WORD, round(unit.humidity_percent * 10.0)]
        words += [*u32(unit.irradiance_min), *u32(unit.irradiance_mean), unit.world.uv.burning()]
        words += [*u32(int(unit.lamp_hours * 10.0)), unit.ozone_ppb, 0, *u32(unit.cycle_counter)]
        for slot in unit.slots.ring:
            if slot is None:
                words += [0] * 11
                continue
            words += [*u32(slot.tag), *u32(slot.nonce), *u32(unit.slots.dose(slot))]
            words += [*u32(slot.entered_ms), *u32(slot.left_ms), slot.verdict]
        words.append(unit.sample_number & WORD)
        for sample in unit.samples:
            words += u32(sample)
        words.append(unit.scan)
        return words

    def read_holding(self, address: int, count: int) -> list[int]:
        """What is in force now."""
        self._check_range(address, count)
        unit = self._unit
        words = dict(enumerate((unit.contact.echo, unit.contact.watchdog_ms), 100))
        words.update(enumerate(unit.commands.words, 110))
        words.update(enumerate((*self._announced, unit.recipe, *u32(unit.dose_target)), 120))
        words.update(enumerate((int(unit.lamps_set), *u32(unit.exposure_ms), unit.residual_limit_ppb), 127))
        return [words[at] for at in range(address, address + count)]

    def _check_range(self, address: int, count: int) -> None:
        if not any(start <= address and address + count <= end for start, end in HOLDING_RANGES):
            raise IllegalAddressError

    def write(self, address: int, values: list[int]) -> None:
        """Check all values, then take them in order of address."""
        end = address + len(values)
        self._check_range(address, len(values))
        for start, length in WHOLE_VALUES:
            if address < start + length and start < end and not (address <= start and start + length <= end):
                raise IllegalValueError
        words = dict(enumerate(values, address))
        if not 1 <= words.get(101, 1) <= MOST_WATCHDOG_MS or words.get(127, 0) > 1:
            raise IllegalValueError
        unit = self._unit
        if address < 110:
            unit.contact.feed(words.get(100, unit.contact.echo))
            unit.contact.watchdog_ms = words.get(101, unit.contact.watchdog_ms)
        elif address < 120:
            chosen = unit.commands.write(address - 110, values)
            if chosen is not None:
                unit.commands.result = unit.operate(chosen[0])
        else:
            self._set(words)

    def _set(self, words: dict[int, int]) -> None:
        unit = self._unit
        unit.commands.result = ACCEPTED
        if 120 in words:
            self._announced = [words[at] for at in range(120, 124)]
            unit.slots.pending = (words[120] << 16 | words[121], words[122] << 16 | words[123])
        unit.recipe = words.get(124, unit.recipe)
        if 125 in words:
            unit.dose_target = words[125] << 16 | words[126]
        if 127 in words:
            unit.commands.result = unit.switch_lamps(on=bool(words[127]))
        if 128 in words:
            unit.exposure_ms = words[128] << 16 | words[129]
        unit.residual_limit_ppb = words.get(130, unit.residual_limit_ppb)
