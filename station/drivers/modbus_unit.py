"""What both Modbus units of a lane have in common: identity, heartbeat, evidence reads, checked writes, select-before-operate.

Source: the contracts "lane PLC registers", "disinfection unit registers" (rows 0-19 are the same) and "device codes".
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

from station.domain.errors import DeviceProtocolError, DeviceRefusedError
from station.drivers.link import CONSEQUENCE, REMEDY
from station.drivers.modbus import ModbusMaster
from station.drivers.registers import Block, Register, Values
from station.ports.clock import Clock
from station.ports.lane_plc import Command, CommandResult

MAP_VERSION = 1
TEST_VALUE = -123.45
TEST_TOLERANCE = 1e-3
RESULTS = frozenset(int(result) for result in CommandResult)
TORN_READS = 3
"""How often a block is read before a torn one is an error: a unit may be writing it just then."""

STUCK_MS = 2000
"""After so much device time without a new device heartbeat the unit's program stands still, whatever its link says."""

STUCK_S = 5.0
"""The same in station time, for a unit whose uptime stands still too."""

UPTIME_WRAP = 1 << 32

COMMON = (
    Register(address=0, name="magic", kinds=("u16",)),
    Register(address=1, name="map_version", kinds=("u16",)),
    Register(address=2, name="serial", kinds=("u32",)),
    Register(address=4, name="state", kinds=("u16",)),
    Register(address=5, name="mode", kinds=("u16",)),
    Register(address=6, name="accepted_seq", kinds=("u16",)),
    Register(address=7, name="result", kinds=("u16",)),
    Register(address=8, name="device_heartbeat", kinds=("u16",)),
    Register(address=9, name="heartbeat_echo", kinds=("u16",)),
    Register(address=10, name="watchdog_left", kinds=("u16",), unit="ms"),
    Register(address=11, name="status_bits", kinds=("u16",)),
    Register(address=12, name="faults", kinds=("u32",)),
    Register(address=14, name="first_fault", kinds=("u16",)),
    Register(address=15, name="boot_count", kinds=("u16",)),
    Register(address=16, name="test_value", kinds=("f32",)),
    Register(address=18, name="head_seq", kinds=("u16",)),
    Register(address=19, name="reserved", kinds=("u16",)),
)

HEARTBEAT = Register(address=100, name="heartbeat", kinds=("u16",), access="rw")
WATCHDOG = Register(address=101, name="watchdog_ms", kinds=("u16",), unit="ms", access="rw")
SELECT = Register(address=110, name="select_code, argument, seq", kinds=("u16", "u16", "u16"), access="rw")
OPERATE = Register(address=113, name="operate", kinds=("u16",), access="w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A proved block; `read_at_s` is the station's time in the middle of the transaction."""

    values: Values
    read_at_s: float


class ModbusUnit:
    """One unit behind a `ModbusMaster`; a driver adds the unit's own block, writes and values.

    All sequences of transactions run under one lock, so heartbeats and readings may come from several tasks. After any error but a refusal
    or a torn block the link is spoiled and every call raises `DeviceUnreachableError` until `connect` has run.
    """

    def __init__(self, master: ModbusMaster, *, device: str, magic: int, status: Block, clock: Clock, watchdog_ms: int) -> None:
        self._master = master
        self._device = device
        self._magic = magic
        self._status = status
        self._clock = clock
        self._watchdog_ms = watchdog_ms
        self._lock = asyncio.Lock()
        self._heartbeat = 0
        self._seq = 0
        self._identity: tuple[int, int] | None = None
        self._beat_seen: tuple[int, int, float] | None = None

    @property
    def lock(self) -> asyncio.Lock:
        """Holds a sequence of transactions together."""
        return self._lock

    async def connect(self, make_safe: Callable[[], Awaitable[None]]) -> Reading:
        """Open the link, run `make_safe` first of all, set the watchdog, prove who answers, and return the first status.

        `make_safe` writes OFF and reads it back: after any loss of contact that is the first command (invariant I8).
        """
        async with self._lock:
            await self._master.open()
            self._identity = self._beat_seen = None
            try:
                await make_safe()
                # The unit may still hold the last run's heartbeat; only a change feeds it.
                before = HEARTBEAT.decode(await self._master.read_holding(HEARTBEAT.address, HEARTBEAT.words))
                self._heartbeat = int(before[0])
                await self.write_checked(WATCHDOG, self._watchdog_ms)
                await self.beat()
                reading = await self.read_evidence(self._status)
            except BaseException:
                # A half-proved unit is an unproved one.
                self._master.spoil()
                raise
            self._identity = (reading.values.one("serial"), reading.values.one("boot_count"))
            self._seq = reading.values.one("accepted_seq")
            return reading

    async def close(self) -> None:
        """Drop the link."""
        await self._master.close()

    async def beat(self) -> int:
        """Write the next heartbeat and return it. The caller holds the lock."""
        self._heartbeat = self._heartbeat % 0xFFFF + 1
        await self._master.write_one(HEARTBEAT.address, self._heartbeat)
        return self._heartbeat

    async def read_evidence(self, block: Block, *, after: Reading | None = None) -> Reading:
        """Read a block as evidence: echo of a heartbeat written just before, untorn, from the unit that was connected.

        `after` is the reading directly before: its heartbeat proves this block too, unless the block is torn, or older than that reading
        by the unit's own clock; then it is read again by a heartbeat of its own (decision 0164).
        The caller holds the lock. Raises `DeviceProtocolError`; nothing of a block that fails is used.
        """
        for again in range(TORN_READS):
            own_heartbeat = after is None or again > 0
            if own_heartbeat:
                await self.beat()
            started_s = self._clock.monotonic_s()
            data = await self._master.read_input(block.address, block.words)
            read_at_s = (started_s + self._clock.monotonic_s()) / 2
            values = block.decode(data)
            self._prove(block, values)
            if values.one("head_seq") == values.one("tail_seq") and (own_heartbeat or _in_order(after, values)):
                if block.address == 0:
                    self._prove_alive(values, read_at_s)
                return Reading(values=values, read_at_s=read_at_s)
        raise DeviceProtocolError(
            f"{self._device} tore the block at {block.address} {TORN_READS} times", consequence="Nothing of it is used", remedy=REMEDY
        )

    def _prove(self, block: Block, values: Values) -> None:
        if values.one("heartbeat_echo") != self._heartbeat:
            self.reject(f"echoed heartbeat {values.one('heartbeat_echo')} instead of {self._heartbeat}")
        if block.address == 0:
            if values.one("magic") != self._magic:
                self.reject(f"is another device (magic {values.one('magic'):#06x} instead of {self._magic:#06x})")
            if values.one("map_version") != MAP_VERSION:
                self.reject(f"has register map {values.one('map_version')} instead of {MAP_VERSION}")
            if abs(values.real("test_value") - TEST_VALUE) > TEST_TOLERANCE:
                self.reject(f"reports the test value as {values.real('test_value'):g} instead of {TEST_VALUE}")
            if self._identity is not None and values.one("serial") != self._identity[0]:
                self.reject(f"was exchanged (serial {values.one('serial')} instead of {self._identity[0]})")
        if self._identity is not None and values.one("boot_count") != self._identity[1]:
            self.reject(f"restarted (boot {values.one('boot_count')} instead of {self._identity[1]})")

    def _prove_alive(self, values: Values, read_at_s: float) -> None:
        beat, uptime_ms = values.one("device_heartbeat"), values.one("uptime")
        if self._beat_seen is None or beat != self._beat_seen[0]:
            self._beat_seen = (beat, uptime_ms, read_at_s)
            return
        _, since_ms, since_s = self._beat_seen
        if (uptime_ms - since_ms) % UPTIME_WRAP > STUCK_MS or read_at_s - since_s > STUCK_S:
            self.reject(f"has not counted its own heartbeat up from {beat} for over {STUCK_MS} ms of its time or {STUCK_S:g} s of ours")

    def reject(self, what: str) -> NoReturn:
        """Spoil the link and raise `DeviceProtocolError`."""
        self._master.spoil()
        raise DeviceProtocolError(f"{self._device} {what}", consequence=CONSEQUENCE, remedy=REMEDY)

    async def write(self, register: Register, *values: int) -> None:
        """Write a register or structure in one transaction. The caller holds the lock."""
        if register.words == 1:
            await self._master.write_one(register.address, int.from_bytes(register.encode(*values), "big"))
        else:
            await self._master.write_many(register.address, register.encode(*values))

    async def write_checked(self, register: Register, *values: int) -> None:
        """Write, read back, compare. The caller holds the lock.

        Raises `DeviceRefusedError` with the unit's result when it kept another value.
        """
        result = await self.write_compared(register, *values)
        if result is not CommandResult.ACCEPTED:
            raise self.refusal(f"{register.name} = {values}", result)

    async def write_compared(self, register: Register, *values: int) -> CommandResult:
        """Write, read back, compare: ACCEPTED, or the unit's result when it kept another value. The caller holds the lock."""
        await self.write(register, *values)
        kept = register.decode(await self._master.read_holding(register.address, register.words))
        if self._master.rtu:
            # Without transaction ids a stale answer could pose as the read-back; then the true one stands where this echo is due.
            await self.beat()
        if kept == values:
            return CommandResult.ACCEPTED
        result = self.result_of(await self.read_evidence(self._status))
        if result in {CommandResult.NONE, CommandResult.ACCEPTED}:
            self.reject(f"kept {register.name} = {kept} instead of {values} and did not say why")
        return result

    async def write_judged(self, register: Register, *values: int) -> CommandResult:
        """Write something whose effect shows in `result`, and return that. The caller holds the lock."""
        await self.write(register, *values)
        return self.result_of(await self.read_evidence(self._status))

    def result_of(self, reading: Reading) -> CommandResult:
        """The unit's `result`; raises `DeviceProtocolError` for one that the contract does not name."""
        code = reading.values.one("result")
        if code not in RESULTS:
            self.reject(f"gave result {code}, which the contract does not name")
        return CommandResult(code)

    def refusal(self, request: str, result: CommandResult) -> DeviceRefusedError:
        """The error for a refused request."""
        return DeviceRefusedError(
            f"{self._device} refused {request}: {result.name.lower().replace('_', ' ')}",
            consequence="Nothing was changed",
            remedy="Remove what the unit names, then try again",
        )

    async def command(self, command: Command, argument: int) -> CommandResult:
        """Select with read-back, operate, and return the unit's result.

        Raises `DeviceProtocolError` when the unit shows neither the sequence number nor a refusal within a transaction's deadline.
        """
        async with self._lock:
            self._seq = self._seq % 0xFFFF + 1
            seq = self._seq
            await self.write_checked(SELECT, int(command), argument, seq)
            await self.write(OPERATE, seq)
            loop = asyncio.get_running_loop()
            deadline_s = loop.time() + self._master.deadline_s
            while True:
                reading = await self.read_evidence(self._status)
                result = self.result_of(reading)
                if reading.values.one("accepted_seq") == seq:
                    return result
                if loop.time() >= deadline_s:
                    break
                await asyncio.sleep(self._master.deadline_s / 10)
            if result in {CommandResult.NONE, CommandResult.ACCEPTED}:
                self.reject(f"never took {command.name} (sequence {seq})")
            return result


def _in_order(before: Reading | None, values: Values) -> bool:
    """True when the block was not made before that reading, by the unit's own clock."""
    return before is None or (values.one("uptime") - before.values.one("uptime")) % UPTIME_WRAP < UPTIME_WRAP // 2
