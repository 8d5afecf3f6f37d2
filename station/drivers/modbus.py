"""Modbus transactions whose answers are proved to belong to their requests. The only home of pymodbus.

pymodbus builds the requests and has the CRC's table. Its client is not used, because it accepts answers of a wrong function, count or echo,
and over RTU takes a late answer for the next request's (measured, see decision 0020). Here one request is outstanding per link; an answer
must have the request's unit, function, length and (writes) echo, over TCP its transaction id too. After anything else the link is
dropped, and nothing more is sent until `open` has been called: it drains a serial line for longer than the longest answer.
"""

import asyncio
import struct
from dataclasses import dataclass
from typing import NoReturn

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from station.domain.errors import DeviceProtocolError, RequestNotTakenError
from station.drivers.link import CONSEQUENCE, REMEDY, Connector, Link, open_endpoint, parse_endpoint, unreachable

TCP_DEADLINE_S = 0.25
RTU_DEADLINE_S = 0.4
OPEN_TIMEOUT_S = 2.0
RTU_QUIET_S = 0.3
"""Silence that proves a serial line idle (measured to cure late answers); longer than the longest answer at 9600 baud."""

LONGEST_RTU_BYTES = 256
RTU_GAP_CHARACTERS = 3.5
RTU_GAP_MIN_S = 0.00175
_MBAP = struct.Struct(">HHHB")
MAX_TID = 0xFFFF
EXCEPTION_BIT = 0x80
EXCEPTIONS = {
    1: "illegal function",
    2: "an address that is not in its map",
    3: "a value out of range",
    4: "device failure",
    5: "acknowledge, not done yet",
    6: "busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
"""MODBUS Application Protocol V1.1b3, section 7."""

_CRC_TABLE = tuple(FramerRTU.crc16_table)


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS, sent low byte first. pymodbus' own takes four times as long: too long for a whole block at each poll."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What the answer's PDU must be: its function and the bytes after it (for reads only their count)."""

    function: int
    echo: bytes | None
    payload_bytes: int


class ModbusMaster:
    """Transactions with one unit over one link.

    `endpoint` decides the framing: RTU on `serial:`, Modbus TCP on `tcp:`. `deadline_s` bounds each transaction (default 250 ms TCP, 400 ms
    RTU). Every call raises `RequestNotTakenError` for a Modbus exception (the link stays good), `DeviceProtocolError` for an
    answer that is not the request's, `DeviceUnreachableError` for silence or a dead link; after the last two, and after a
    cancellation, only `open` helps.
    """

    def __init__(
        self,
        endpoint: str,
        unit: int,
        *,
        device: str,
        connector: Connector = open_endpoint,
        deadline_s: float | None = None,
        quiet_s: float | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._unit = unit
        self._device = device
        self._connector = connector
        at = parse_endpoint(endpoint)
        self.rtu = at.serial
        self._deadline_s = deadline_s if deadline_s is not None else RTU_DEADLINE_S if at.serial else TCP_DEADLINE_S
        character_s = at.bits_per_character / at.baudrate if at.serial else 0.0
        self._quiet_s = quiet_s if quiet_s is not None else max(RTU_QUIET_S, self._deadline_s, 1.5 * LONGEST_RTU_BYTES * character_s)
        self._gap_s = max(RTU_GAP_MIN_S, RTU_GAP_CHARACTERS * character_s)
        self._rtu = FramerRTU(DecodePDU(is_server=False))
        self._tcp = FramerSocket(DecodePDU(is_server=False))
        self._lock = asyncio.Lock()
        self._link: Link | None = None
        self._tid = 0
        self._idle_since_s = 0.0

    @property
    def deadline_s(self) -> float:
        """The deadline of one transaction."""
        return self._deadline_s

    async def open(self) -> None:
        """(Re)open the link; a serial line is drained until it has been silent for longer than the longest answer takes."""
        async with self._lock:
            await self._close()
            link = await Link.open(
                self._endpoint, self._connector, device=self._device, timeout_s=OPEN_TIMEOUT_S, write_timeout_s=self._deadline_s
            )
            self._link = link
            if self.rtu:
                try:
                    await link.drain_input(self._quiet_s)
                except BaseException:
                    link.abort()
                    raise

    async def close(self) -> None:
        """Drop the link."""
        async with self._lock:
            await self._close()

    async def _close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def spoil(self) -> None:
        """Give the link up: what comes over it can no longer be trusted. Only `open` helps after this."""
        if self._link is not None:
            self._link.abort()

    async def read_input(self, address: int, count: int) -> bytes:
        """Read `count` input registers (FC4) in one transaction; the 2 x count bytes as they stand on the wire (big-endian)."""
        return await self._read(ReadInputRegistersRequest(address=address, count=count, dev_id=self._unit), count)

    async def read_holding(self, address: int, count: int) -> bytes:
        """Read `count` holding registers (FC3), likewise."""
        return await self._read(ReadHoldingRegistersRequest(address=address, count=count, dev_id=self._unit), count)

    async def _read(self, request: ModbusPDU, count: int) -> bytes:
        return await self._transact(request, _Expected(function=request.function_code, echo=None, payload_bytes=2 * count))

    async def write_one(self, address: int, value: int) -> None:
        """Write one holding register (FC6); the answer must echo address and value."""
        echo = address.to_bytes(2, "big") + value.to_bytes(2, "big")
        request = WriteSingleRegisterRequest(address=address, registers=[value], dev_id=self._unit)
        await self._transact(request, _Expected(function=6, echo=echo, payload_bytes=0))

    async def write_many(self, address: int, data: bytes) -> None:
        """Write len(data) / 2 holding registers in one FC16; the answer must echo address and count."""
        registers = list(struct.unpack(f">{len(data) // 2}H", data))
        echo = address.to_bytes(2, "big") + len(registers).to_bytes(2, "big")
        request = WriteMultipleRegistersRequest(address=address, registers=registers, dev_id=self._unit)
        await self._transact(request, _Expected(function=16, echo=echo, payload_bytes=0))

    async def _transact(self, request: ModbusPDU, expected: _Expected) -> bytes:
        async with self._lock:
            link = self._link
            if link is None or link.dirty:
                raise unreachable(self._device, "is not connected")
            try:
                async with asyncio.timeout(self._deadline_s):
                    pdu = await (self._over_rtu(link, request, expected) if self.rtu else self._over_tcp(link, request))
                    return self._checked(pdu, expected)
            except RequestNotTakenError:
                raise
            except TimeoutError as error:
                link.abort()
                raise unreachable(self._device, f"did not answer function {expected.function} within {self._deadline_s:g} s") from error
            except BaseException:
                # A cancelled request may still be answered: the link is dirty after it, as after a wrong answer.
                link.abort()
                raise

    async def _over_tcp(self, link: Link, request: ModbusPDU) -> bytes:
        self._tid = self._tid % MAX_TID + 1
        request.transaction_id = self._tid
        await link.write(self._tcp.buildFrame(request))
        header = await link.read_exactly(_MBAP.size)
        tid, protocol, length, unit = _MBAP.unpack(header)
        if protocol or not 3 <= length <= 254:  # noqa: PLR2004 - unit, function and one byte; 253 bytes of PDU
            self._refuse(f"an answer that is not Modbus TCP (protocol {protocol}, length {length})")
        if tid != self._tid:
            self._refuse(f"the answer to another request (transaction {tid} instead of {self._tid})")
        if unit != self._unit:
            self._refuse(f"an answer of unit {unit} instead of {self._unit}")
        return await link.read_exactly(length - 1)

    async def _over_rtu(self, link: Link, request: ModbusPDU, expected: _Expected) -> bytes:
        loop = asyncio.get_running_loop()
        wait_s = self._idle_since_s + self._gap_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        stray = await link.take_pending()
        if stray:
            self._refuse(f"{len(stray)} bytes that nobody asked for")
        await link.write(self._rtu.buildFrame(request))
        head = await link.read_exactly(2)
        if head[0] != self._unit:
            self._refuse(f"an answer of unit {head[0]} instead of {self._unit}")
        if head[1] == expected.function | EXCEPTION_BIT:
            rest = 1
        elif head[1] == expected.function:
            rest = len(expected.echo) if expected.echo is not None else 1 + expected.payload_bytes
        else:
            self._refuse(f"an answer to function {head[1]} instead of {expected.function}")
        frame = head + await link.read_exactly(rest + 2)
        stray = await link.take_pending()
        self._idle_since_s = loop.time()
        if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            self._refuse("an answer with a wrong CRC, or of another length than asked for")
        if stray:
            self._refuse(f"{len(stray)} bytes more than the answer")
        return frame[1:-2]

    def _checked(self, pdu: bytes, expected: _Expected) -> bytes:
        function, rest = pdu[0], pdu[1:]
        if function == expected.function | EXCEPTION_BIT and len(rest) == 1:
            reason = EXCEPTIONS.get(rest[0], "a reason that Modbus does not name")
            raise RequestNotTakenError(
                f"{self._device} refused function {expected.function} with exception {rest[0]} ({reason})",
                consequence="Nothing was read or written",
                remedy="Check that the device's map version fits this station",
            )
        if function != expected.function:
            self._refuse(f"an answer to function {function} instead of {expected.function}")
        if expected.echo is not None:
            if rest != expected.echo:
                self._refuse(f"the echo {rest.hex(' ')} instead of {expected.echo.hex(' ')}")
            return b""
        if len(rest) != 1 + expected.payload_bytes or rest[0] != expected.payload_bytes:
            self._refuse(f"{max(0, len(rest) - 1)} bytes (said: {rest[:1].hex()}) instead of {expected.payload_bytes}")
        return rest[1:]

    def _refuse(self, what: str) -> NoReturn:
        raise DeviceProtocolError(f"{self._device} sent {what}", consequence=CONSEQUENCE, remedy=REMEDY)
