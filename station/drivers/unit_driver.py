"""What the drivers of both Modbus units take and do alike."""

from typing import ClassVar

from station.drivers.link import Connector, open_endpoint
from station.drivers.modbus import ModbusMaster
from station.drivers.modbus_unit import ModbusUnit
from station.drivers.registers import Block, Register
from station.ports.clock import Clock
from station.ports.lane_plc import Command, CommandResult


class UnitDriver:
    """Drives one unit. A subclass names its unit and adds what only that unit reads and takes; `ModbusUnit` for the errors.

    `watchdog_ms` (device time) is written on connect; a heartbeat is due every third of it. `deadline_s` bounds each transaction;
    `quiet_s` is the silence that a serial line must show when it is (re)opened.
    """

    device: ClassVar[str]
    magic: ClassVar[int]
    status: ClassVar[Block]

    def __init__(
        self,
        endpoint: str,
        unit: int,
        *,
        clock: Clock,
        connector: Connector = open_endpoint,
        deadline_s: float | None = None,
        quiet_s: float | None = None,
        watchdog_ms: int = 1000,
    ) -> None:
        master = ModbusMaster(endpoint, unit, device=self.device, connector=connector, deadline_s=deadline_s, quiet_s=quiet_s)
        self._unit = ModbusUnit(master, device=self.device, magic=self.magic, status=self.status, clock=clock, watchdog_ms=watchdog_ms)

    async def close(self) -> None:
        """Drop the link."""
        await self._unit.close()

    async def heartbeat(self) -> None:
        """Write the next heartbeat value; readings do it too."""
        async with self._unit.lock:
            await self._unit.beat()

    async def command(self, command: Command, argument: int = 0) -> CommandResult:
        """Select with read-back, operate, and return the unit's result."""
        return await self._unit.command(command, argument)

    async def _set(self, register: Register, *values: int) -> None:
        async with self._unit.lock:
            await self._unit.write_checked(register, *values)
