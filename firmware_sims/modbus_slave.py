"""Sans-I/O Modbus slave: RTU and TCP framing over a register map.

Source: MODBUS Application Protocol Specification V1.1b3; MODBUS over Serial Line V1.02; MODBUS Messaging on TCP/IP V1.0b.
Function codes 3, 4, 6 and 16; everything else is answered with exception 1. A request for another unit is not answered.
"""

import struct
from typing import Literal, Protocol

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MOST_READ, MOST_WRITTEN = 125, 123
BROADCAST = 0
BUFFER_CAP = 1024
MBAP_BYTES = 7
_MBAP = struct.Struct(">3HB")
"""Transaction, protocol, length of what follows, unit."""
_HEAD = struct.Struct(">B2H")
"""How a request begins: function, address, and count or value."""
FIXED_REQUESTS = frozenset({1, 2, 3, 4, 5, 6, 8})
"""Function codes whose whole RTU request is 8 bytes."""
COUNTED_REQUESTS = frozenset({15, 16})


class IllegalAddressError(Exception):
    """A register that is not in the map: exception 2."""


class IllegalValueError(Exception):
    """A value out of range, or a part of a value that must be written whole: exception 3."""


class RegisterMap(Protocol):
    """What a device offers to the slave. Words are 0..65535."""

    @property
    def online(self) -> bool:
        """False while the device boots or has no power: nothing is answered."""

    def read_input(self, address: int, count: int) -> list[int]:
        """Input registers; raises `IllegalAddressError`."""

    def read_holding(self, address: int, count: int) -> list[int]:
        """Holding registers; raises `IllegalAddressError`."""

    def write(self, address: int, values: list[int]) -> None:
        """Write all or nothing; raises `IllegalAddressError` or `IllegalValueError`."""


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; sent low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _crc_table() -> tuple[int, ...]:
    table = []
    for start in range(256):
        value = start
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


class ModbusSlave:
    """One unit. `feed` takes bytes as they come, split or joined, and returns one whole answer per request."""

    def __init__(self, unit: int, registers: RegisterMap, framing: Literal["rtu", "tcp"]) -> None:
        self.unit = unit
        self.registers = registers
        self.framing = framing
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Answers to every request that is complete now."""
        if not self.registers.online:
            self._buffer.clear()
            return []
        self._buffer += data
        if len(self._buffer) > BUFFER_CAP:
            del self._buffer[:-BUFFER_CAP]
        return self._feed_rtu() if self.framing == "rtu" else self._feed_tcp()

    def idle(self) -> None:
        """Tell that the line was silent for longer than a frame may pause: a half request is dropped."""
        self._buffer.clear()

    def _feed_rtu(self) -> list[bytes]:
        answers = []
        while (length := self._rtu_length()) is not None:
            frame = bytes(self._buffer[:length])
            if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
                # Not a frame, or a damaged one: the next may begin at any byte.
                del self._buffer[:1]
                continue
            del self._buffer[:length]
            unit = frame[0]
            if unit not in (self.unit, BROADCAST):
                continue
            answer = bytes([unit]) + self._answer(frame[1:-2])
            if unit != BROADCAST:
                answers.append(answer + crc16(answer).to_bytes(2, "little"))
        return answers

    def _rtu_length(self) -> int | None:
        """Length of the request at the buffer's start; None while it is not complete."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        function = buffer[1]
        if function in FIXED_REQUESTS:
            length = 8
        elif function in COUNTED_REQUESTS:
            if len(buffer) < 7:
                return None
            length = 9 + buffer[6]
        else:
            # Unknown codes have no known length; such a request is what has come so far.
            length = len(buffer)
        return length if len(buffer) >= length else None

    def _feed_tcp(self) -> list[bytes]:
        answers = []
        buffer = self._buffer
        while len(buffer) >= MBAP_BYTES + 1:
            transaction, protocol, length, unit = _MBAP.unpack_from(buffer)
            if protocol or not 2 <= length <= 254:
                buffer.clear()
                break
            if len(buffer) < 6 + length:
                break
            pdu = bytes(buffer[MBAP_BYTES : 6 + length])
            del buffer[: 6 + length]
            if unit != self.unit:
                continue
            answer = self._answer(pdu)
            answers.append(_MBAP.pack(transaction, protocol, len(answer) + 1, unit) + answer)
        return answers

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        try:
            if function in (READ_HOLDING, READ_INPUT):
                return self._read(function, pdu)
            if function == WRITE_ONE:
                return self._write_one(pdu)
            if function == WRITE_MANY:
                return self._write_many(pdu)
        except IllegalAddressError:
            return bytes([function | 0x80, ILLEGAL_ADDRESS])
        except IllegalValueError:
            return bytes([function | 0x80, ILLEGAL_VALUE])
        return bytes([(function | 0x80) & 0xFF, ILLEGAL_FUNCTION])

    def _read(self, function: int, pdu: bytes) -> bytes:
        if len(pdu) != _HEAD.size:
            raise IllegalValueError
        _, address, count = _HEAD.unpack(pdu)
        if not 1 <= count <= MOST_READ:
            raise IllegalValueError
        read = self.registers.read_input if function == READ_INPUT else self.registers.read_holding
        words = read(address, count)
        return struct.pack(f">2B{count}H", function, 2 * count, *words)

    def _write_one(self, pdu: bytes) -> bytes:
        if len(pdu) != _HEAD.size:
            raise IllegalValueError
        _, address, value = _HEAD.unpack(pdu)
        self.registers.write(address, [value])
        return pdu

    def _write_many(self, pdu: bytes) -> bytes:
        if len(pdu) < 6:
            raise IllegalValueError
        _, address, count = _HEAD.unpack_from(pdu)
        if not 1 <= count <= MOST_WRITTEN or pdu[5] != 2 * count or len(pdu) != 6 + 2 * count:
            raise IllegalValueError
        self.registers.write(address, list(struct.unpack(f">{count}H", pdu[6:])))
        return pdu[:5]
