"""A simulated lane in a process of its own, and the drivers for its devices."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from station.domain.errors import StationError
from station.drivers.barcode_reader import BarcodeReaderDriver
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.lane_plc import STACK_GREEN, Command, CommandResult
from tests.support.clocks import LoopClock
from tests.support.waiting import until

T = TypeVar("T")

START_S = 60.0

PIXELS = 512

EXECUTE = 6


WITHIN_S = 10.0

DEADLINE_S = 0.5
"""Longer than the drivers' default: the machine that runs the tests may be busy."""


class Rig:
    """One simulated lane in a process of its own, its control socket, and drivers for it."""

    def __init__(self, endpoints: dict[str, Any]) -> None:
        self.endpoints = endpoints
        self.clock = LoopClock()
        self.opened: list[Any] = []

    def _kept(self, driver: T) -> T:
        self.opened.append(driver)
        return driver

    async def ask(self, **request: Any) -> dict[str, Any]:
        host, port = self.endpoints["control"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        writer.write(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        assert answer["ok"], answer
        return answer

    def plc(self) -> LanePlcDriver:
        at = self.endpoints["lane_plc"]
        return self._kept(LanePlcDriver(f"tcp:{at['modbus_tcp']}", at["unit"], clock=self.clock, deadline_s=DEADLINE_S))

    def unit(self) -> DisinfectionUnitDriver:
        at = self.endpoints["disinfection_unit"]
        return self._kept(
            DisinfectionUnitDriver(
                f"serial:{at['modbus_rtu']}?baudrate={at['baudrate']}", at["unit"], clock=self.clock, deadline_s=DEADLINE_S
            )
        )

    def generator(self, model: str = "XRV") -> XrayGeneratorDriver:
        at = self.endpoints["xray_generator"]
        return self._kept(
            XrayGeneratorDriver(f"serial:{at['serial']}?baudrate=38400", model=model, clock=self.clock, deadline_s=DEADLINE_S)
        )

    def detector(self) -> LineDetectorDriver:
        at = self.endpoints["line_detector"]
        return self._kept(LineDetectorDriver(f"tcp:{at['command']}", f"tcp:{at['lines']}"))

    def reader(self) -> BarcodeReaderDriver:
        return self._kept(BarcodeReaderDriver(f"serial:{self.endpoints['barcode_reader']['serial']}?baudrate=9600", clock=self.clock))


@contextlib.contextmanager
def simulators(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """A simulated lane in a process of its own; gives where its devices are."""
    file = folder / "endpoints.json"
    command = [
        sys.executable, "-m", "firmware_sims", "--endpoints", str(file), "--pixels", str(PIXELS), "--seed", "5", "--until-stdin-closes",
        *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdin is not None
        try:

            async def read() -> dict[str, Any]:
                while not file.exists() or not file.read_text().strip():
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
                found: dict[str, Any] = json.loads(file.read_text())
                return found

            yield asyncio.run(asyncio.wait_for(read(), START_S))
        finally:
            process.stdin.close()
            process.wait(10)


@contextlib.asynccontextmanager
async def drivers_for(endpoints: dict[str, Any]) -> AsyncIterator[Rig]:
    rig = Rig(endpoints)
    yield rig
    for driver in rig.opened:
        await driver.close()


@contextlib.asynccontextmanager
async def running(plc: LanePlcDriver | DisinfectionUnitDriver) -> AsyncIterator[None]:
    """Started, and fed with heartbeats."""
    await plc.connect()

    async def feed() -> None:
        while True:
            await plc.heartbeat()
            await asyncio.sleep(0.2)

    feeding = asyncio.ensure_future(feed())
    try:
        for command in (Command.RESET, Command.START):

            async def accepted(command: Command = command) -> bool:
                """Or on its way still from what an earlier test left."""
                return (await plc.read_status()).state == EXECUTE or await plc.command(command) is CommandResult.ACCEPTED

            await until(accepted, WITHIN_S)

        async def executing() -> bool:
            return (await plc.read_status()).state == EXECUTE

        await until(executing, WITHIN_S)
        if isinstance(plc, LanePlcDriver):
            await plc.set_stack_light(STACK_GREEN)
        yield
        assert await plc.command(Command.STOP) is CommandResult.ACCEPTED
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError, StationError):
            await feeding
        await plc.close()
