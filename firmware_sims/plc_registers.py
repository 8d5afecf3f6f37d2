"""The lane PLC's register map (`lane-plc-registers.csv`, map version 1) over its firmware.

Both input blocks are built whole from one scan, so that a read is never torn unless that fault is injected.
"""

from collections.abc import Iterable
from itertools import chain
from struct import Struct, unpack

from firmware_sims.contact import (
    ACCEPTED,
    ACCESS,
    FROZEN,
    IN_MAINTENANCE,
    MOST_WATCHDOG_MS,
    STALE_CHALLENGE,
    STALE_HEARTBEAT,
    WRONG_STATE,
    WRONG_TAG,
    ZONE_OCCUPIED,
)
from firmware_sims.geometry import EYE_UV_OUT
from firmware_sims.lane_plc import BELT_JAM, DIVERTER_JAM, GATE_JAM, TAILGATE, WORD, LanePlc
from firmware_sims.modbus_slave import IllegalAddressError, IllegalValueError
from firmware_sims.packml import EXECUTE
from firmware_sims.world import PRODUCTION

MAGIC, MAP_VERSION, SERIAL = 0x4B54, 1, 410_001
TEST_VALUE = -123.45
STATUS_WORDS, EVENTS_START, EVENTS_WORDS = 67, 200, 110
_STATUS = Struct(">2HI2H 6HI2Hf2H I5H 5H5I2H HI2H IH 7IH")
_EVENTS = Struct(">3HI" + "2HI" * 16 + "H2I" * 8 + "H")
FASTEST_MM_S = 500
MOST_VALID_MS = 1000
HOLDING_RANGES = ((100, 102), (110, 114), (120, 137))
WHOLE_VALUES = ((130, 2), (132, 5))
"""Holding values of several words, which are written by one request or not at all."""
DOUBLE_WORD = 0xFFFFFFFF
JAMS = 1 << BELT_JAM | 1 << DIVERTER_JAM | 1 << GATE_JAM


def _words(layout: Struct, *values: Iterable[int | float]) -> list[int]:
    """A block's words, of its values in the order of the map."""
    return list(unpack(f">{layout.size // 2}H", layout.pack(*chain.from_iterable(values))))


def u32(value: int) -> tuple[int, int]:
    """Two words, high first."""
    return value >> 16 & WORD, value & WORD


class PlcRegisters:
    """See `RegisterMap`."""

    def __init__(self, plc: LanePlc) -> None:
        self._plc = plc
        self._held: dict[int, list[int]] = {}

    @property
    def online(self) -> bool:
        """False while the PLC boots."""
        return self._plc.online

    def read_input(self, address: int, count: int) -> list[int]:
        """Words of the status block (0) or the event block (200)."""
        plc = self._plc
        for start, length, build in ((0, STATUS_WORDS, self._status), (EVENTS_START, EVENTS_WORDS, self._events)):
            if not (start <= address and address + count <= start + length):
                continue
            block = self._held.get(start) if plc.image_held else None
            if block is None:
                block = self._held[start] = build()
            if plc.torn_reads:
                plc.torn_reads -= 1
                block = [*block[:-1], (block[-1] + 1) & WORD]
            return block[address - start : address - start + count]
        raise IllegalAddressError

    def _status(self) -> list[int]:
        plc, world = self._plc, self._plc.world
        contact, seq = plc.contact, plc.scan
        is_tailgate, is_jam = plc.latched >> TAILGATE & 1, int(bool(plc.latched & JAMS))
        status = (
            int(world.key_switch) | int(world.mode == PRODUCTION) << 1 | is_tailgate << 2 | is_jam << 3 | int(world.gate_reader_ok) << 4
        )
        estop = 0 if world.estop_pressed else 0b11
        interlocks = int(world.interlock_a) | int(world.interlock_b) << 1 | int(plc.discrepancy) << 2
        beam = int(world.beam_permitted) | int(plc.beam_request) << 1 | int(world.beam_on) << 2
        return _words(
            _STATUS,
            (MAGIC, MAP_VERSION, SERIAL, plc.packml.state, world.mode),
            (plc.commands.accepted_seq, plc.commands.result, contact.beat, contact.echo, contact.left_ms, status),
            (plc.latched, plc.first_fault, plc.boot_count, TEST_VALUE, seq, 0),
            (int(plc.uptime_ms) & DOUBLE_WORD, estop, interlocks, plc.access, beam, plc.eyes),
            [round(belt.speed_mm_s) & WORD for belt in world.belts],
            [belt.encoder for belt in world.belts],
            [1 if flap.open_fully else 0 if flap.shut_fully else 2 for flap in world.diverters],
            (plc.gate.reading, plc.gate.challenge, int(plc.freeze_latch), plc.stack_light),
            (world.radiation_nsv_h & DOUBLE_WORD, min(WORD, round(world.scale_g()))),
            plc.tracker.zone_tags(),
            (seq,),
        )

    def _events(self) -> list[int]:
        plc = self._plc
        return _words(
            _EVENTS,
            (plc.scan, plc.contact.echo, plc.boot_count, int(plc.uptime_ms) & DOUBLE_WORD),
            *plc.edges,
            *plc.gate.passed,
            (plc.scan,),
        )

    def read_holding(self, address: int, count: int) -> list[int]:
        """What is in force now."""
        self._check_range(address, count)
        plc = self._plc
        words = dict(enumerate((plc.contact.echo, plc.contact.watchdog_ms), 100))
        words.update(enumerate(plc.commands.words, 110))
        words.update(enumerate(plc.speed_set, 120))
        words.update(enumerate((*plc.diverter_set, int(plc.beam_request), plc.stack_light, int(plc.freeze_latch)), 125))
        words.update(enumerate((*u32(plc.infeed_tag), *plc.permit_words), 130))
        return [words[at] for at in range(address, address + count)]

    def _check_range(self, address: int, count: int) -> None:
        for start, end in HOLDING_RANGES:
            if start <= address and address + count <= end:
                return
        raise IllegalAddressError

    def write(self, address: int, values: list[int]) -> None:
        """Check all values, then take them in order of address."""
        end = address + len(values)
        self._check_range(address, len(values))
        for start, length in WHOLE_VALUES:
            if address < start + length and start < end and not (address <= start and start + length <= end):
                raise IllegalValueError
        words = dict(enumerate(values, address))
        self._check_values(words)
        if address < 110:
            self._keep_contact(words)
        elif address < 120:
            self._select(address - 110, values)
        elif address < 125:
            self._set_speeds(words)
        for at in range(125, 130):
            if at in words:
                self._set_one(at, words[at])
        if 130 in words:
            self._tag_infeed(words[130] << 16 | words[131])
        if 132 in words:
            self._permit([words[at] for at in range(132, 137)])

    def _check_values(self, words: dict[int, int]) -> None:
        for at, value in words.items():
            if (
                (at == 101 and not 1 <= value <= MOST_WATCHDOG_MS)
                or (120 <= at < 125 and value > FASTEST_MM_S)
                or (125 <= at < 128 and value > 1)
                or (at == 129 and value > 1)
                or (at == 136 and not 1 <= value <= MOST_VALID_MS)
            ):
                raise IllegalValueError
        if (130 in words and not (words[130] or words[131])) or (132 in words and not (words[132] or words[133])):
            raise IllegalValueError

    def _keep_contact(self, words: dict[int, int]) -> None:
        contact = self._plc.contact
        contact.feed(words.get(100, contact.echo))
        contact.watchdog_ms = words.get(101, contact.watchdog_ms)

    def _select(self, offset: int, values: list[int]) -> None:
        plc = self._plc
        chosen = plc.commands.write(offset, values)
        if chosen is not None:
            plc.commands.result = plc.operate(*chosen)

    def _refusal(self) -> int:
        """Why nothing may be commanded now, or 0."""
        plc = self._plc
        if plc.freeze_latch:
            return FROZEN
        if not plc.contact.fresh:
            return STALE_HEARTBEAT
        return WRONG_STATE if plc.purge.running else 0

    def _set_speeds(self, words: dict[int, int]) -> None:
        plc = self._plc
        speeds = [words.get(120 + belt, now) for belt, now in enumerate(plc.speed_set)]
        refusal = self._refusal()
        if not refusal and plc.packml.state != EXECUTE:
            refusal = WRONG_STATE
        if refusal == WRONG_STATE and not any(speeds):
            plc.purge.running = False
            refusal = 0
        plc.commands.result = refusal or ACCEPTED
        if not refusal:
            plc.speed_set = speeds

    def _set_one(self, at: int, value: int) -> None:
        plc, refusal = self._plc, self._refusal()
        if at in (125, 126):
            if not refusal:
                plc.diverter_set[at - 125] = value
        elif at == 127:
            world = plc.world
            if not refusal and value and not (plc.packml.state == EXECUTE and world.interlock_a and world.interlock_b):
                refusal = WRONG_STATE
            if not value:
                refusal = 0
            if not refusal:
                plc.beam_request = bool(value)
        elif at == 128:
            plc.stack_light, refusal = value, 0
        elif value:
            plc.set_freeze()
            refusal = 0
        else:
            refusal = FROZEN if plc.freeze_latch else WRONG_STATE
        plc.commands.result = refusal or ACCEPTED

    def _tag_infeed(self, tag: int) -> None:
        plc = self._plc
        refusal = self._refusal()
        if not refusal and plc.world.mode != PRODUCTION:
            refusal = IN_MAINTENANCE
        if not refusal and plc.access & 1:
            refusal = ACCESS
        if not refusal and not plc.tag_infeed(tag):
            refusal = WRONG_TAG
        if not refusal:
            plc.infeed_tag = tag
        plc.commands.result = refusal or ACCEPTED

    def _permit(self, words: list[int]) -> None:
        plc, gate = self._plc, self._plc.gate
        plc.permit_words = words
        tag, challenge, valid_ms = words[0] << 16 | words[1], words[2] << 16 | words[3], words[4]
        refusal = self._refusal()
        if not refusal and plc.world.mode != PRODUCTION:
            refusal = IN_MAINTENANCE
        if not refusal and plc.access:
            refusal = ACCESS
        if not refusal and plc.packml.state != EXECUTE:
            refusal = WRONG_STATE
        if not refusal and (gate.front is None or gate.front.tag != tag):
            refusal = WRONG_TAG
        if not refusal and gate.challenge != challenge:
            refusal = STALE_CHALLENGE
        if not refusal and plc.eyes >> EYE_UV_OUT & 1:
            refusal = ZONE_OCCUPIED
        if not refusal:
            gate.permit, gate.permit_left_ms = (tag, challenge), float(valid_ms)
        plc.commands.result = refusal or ACCEPTED
