"""One whole simulated lane: the world, its five kinds of device, their endpoints and the people around them.

The only clock is `step`, 10 ms of device time each. On a virtual-clock event loop with `connect` a run repeats exactly;
`serve` puts the same endpoints on ptys and loopback ports.
"""

import asyncio
import math
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from firmware_sims.barcode_reader import GATE, INFEED, BarcodeReader
from firmware_sims.disinfection_unit import DisinfectionUnit
from firmware_sims.faults import Framing, WireFaults
from firmware_sims.lane_plc import LanePlc
from firmware_sims.line_detector import BELT_B2, LineDetector
from firmware_sims.lsp1 import HEADER_BYTES, CommandLines
from firmware_sims.mail import Piece
from firmware_sims.mail_room import MailRoom
from firmware_sims.memory_wire import Ends, memory_wire
from firmware_sims.modbus_slave import ModbusSlave
from firmware_sims.photodiodes import FloatArray
from firmware_sims.picture import read_manifest
from firmware_sims.plc_registers import PlcRegisters
from firmware_sims.servers import Connection, Endpoint, Pty, Session, listen
from firmware_sims.unit_registers import UnitRegisters
from firmware_sims.world import World
from firmware_sims.xray_generator import XrayGenerator
from firmware_sims.xrb011 import Xrb011
from firmware_sims.xrv import Xrv

STEP_S = 0.01
PLC_UNIT, DISINFECTION_UNIT = 1, 2
GENERATOR_BAUD, DISINFECTION_BAUD, READER_BAUD = 38400, 115200, 9600
WAITING_LINES = 2048
TICK_S = 0.004
CATCH_UP = 1.6
STEPS_AT_ONCE = 10
RED_LIGHT = 4
USUAL_KV = 140.0

PROFILES: dict[str, type[XrayGenerator]] = {"XRV": Xrv, "XRB011": Xrb011}
"""Every simulated generator model."""


class Device(Protocol):
    """What every device, and the world itself, offers to a fault."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Names that `inject` and `clear` know."""

    @property
    def inject(self) -> Callable[..., object]:
        """Make the named fault happen; KeyError for an unknown name."""

    @property
    def clear(self) -> Callable[..., object]:
        """End it."""


class _CommandSession:
    """Port A of the detector."""

    def __init__(self, detector: LineDetector) -> None:
        self._detector = detector
        self._lines = CommandLines()

    def feed(self, data: bytes) -> list[bytes]:
        answers = (self._detector.command(line) for line in self._lines.feed(data))
        return [answer.encode("ascii") + b"\r\n" for answer in answers if answer is not None]

    def idle(self) -> None:
        """A TCP stream has no gaps that mean anything."""


class _TalkerSession:
    """A connection on which the device only talks, or whose device keeps its own buffer."""

    def __init__(self, device: XrayGenerator | BarcodeReader | None = None) -> None:
        self._device = device

    def feed(self, data: bytes) -> list[bytes]:
        return self._device.feed(data) if self._device is not None else []

    def idle(self) -> None:
        """Nothing: STX frames begin with their own mark."""


class SimulatedLane:
    """See the module. `devices` and `endpoints` are open for faults by name."""

    def __init__(
        self,
        *,
        seed: int = 1,
        pixels: int = 512,
        generator_model: str = "XRV",
        idle_hours: float = 2.0,
        images: Path | None = None,
    ) -> None:
        self.seed = seed
        self.steps = 0
        self.speed = 0.0
        self.world = World(rng=self._random("world"))
        self.plc = LanePlc(world=self.world, rng=self._random("plc"))
        self.unit = DisinfectionUnit(world=self.world, rng=self._random("unit"))
        self.generator = PROFILES[generator_model](world=self.world, rng=self._generator(1), idle_hours=idle_hours)
        self.detector = LineDetector(world=self.world, rng=self._generator(2), pixels=pixels)
        self.infeed_reader = BarcodeReader(world=self.world, which=INFEED, rng=self._random("R1"))
        self.gate_reader = BarcodeReader(world=self.world, which=GATE, rng=self._random("R2"))
        pictures = None if images is None else read_manifest(images)
        self.mail_room = MailRoom(world=self.world, rng=self._generator(3), pictures=pictures)
        self.devices: dict[str, Device] = {
            "world": self.world,
            "lane_plc": self.plc,
            "disinfection_unit": self.unit,
            "xray_generator": self.generator,
            "line_detector": self.detector,
            "barcode_reader": self.infeed_reader,
            "gate_reader": self.gate_reader,
        }
        self.endpoints = {endpoint.name: endpoint for endpoint in self._make_endpoints()}
        self._pumped = [endpoint for endpoint in self.endpoints.values() if endpoint.acts]
        self._talkers = (self.generator, self.detector, self.infeed_reader, self.gate_reader)
        self._lines = self.endpoints["line_detector.lines"]
        self._most_waiting_bytes = WAITING_LINES * (HEADER_BYTES + 4 * pixels)
        self._ends: list[Ends] = []
        self.followers: list[Callable[[], None]] = []
        self._preparing: set[int] = set()

    def _random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number])

    def _make_endpoints(self) -> list[Endpoint]:
        def wire_faults(number: int, framing: Framing) -> WireFaults:
            return WireFaults(rng=self._generator(100 + number), framing=framing)

        plc_registers, unit_registers = PlcRegisters(self.plc), UnitRegisters(self.unit)

        def plc_session() -> Session:
            return ModbusSlave(PLC_UNIT, plc_registers, "tcp")

        def unit_session() -> Session:
            return ModbusSlave(DISINFECTION_UNIT, unit_registers, "rtu")

        detector, generator = self.detector, self.generator
        endpoints = [
            Endpoint(
                name="lane_plc",
                faults=wire_faults(1, "tcp"),
                open_session=plc_session,
                is_online=lambda: self.plc.online,
            ),
            Endpoint(
                name="disinfection_unit",
                faults=wire_faults(2, "rtu"),
                open_session=unit_session,
                is_online=lambda: self.unit.online,
                baud=DISINFECTION_BAUD,
                hangs_up=False,
            ),
            Endpoint(
                name="xray_generator",
                faults=wire_faults(3, "stx"),
                open_session=lambda: _TalkerSession(generator),
                is_online=lambda: generator.online,
                poll=generator.poll,
                baud=GENERATOR_BAUD,
                hangs_up=False,
            ),
            Endpoint(
                name="line_detector.command",
                faults=wire_faults(4, "text"),
                open_session=lambda: _CommandSession(detector),
                is_online=lambda: detector.online,
                exclusive=True,
            ),
            Endpoint(
                name="line_detector.lines",
                faults=wire_faults(5, "lines"),
                open_session=_TalkerSession,
                is_online=lambda: detector.online,
                poll=detector.take_lines,
                exclusive=True,
            ),
        ]
        for number, (name, reader) in enumerate((("barcode_reader", self.infeed_reader), ("gate_reader", self.gate_reader))):
            endpoints.append(self._reader_endpoint(name, reader, wire_faults(6 + number, "text")))
        return endpoints

    @staticmethod
    def _reader_endpoint(name: str, reader: BarcodeReader, faults: WireFaults) -> Endpoint:
        return Endpoint(
            name=name,
            faults=faults,
            open_session=lambda: _TalkerSession(reader),
            is_online=lambda: reader.online,
            poll=reader.poll,
            baud=READER_BAUD,
            hangs_up=False,
        )

    @property
    def simulated_s(self) -> float:
        """Device time that has passed since the lane was built."""
        return self.steps * STEP_S

    def step(self) -> None:
        """Advance everything by 10 ms and push what the devices say unasked. Needs a running event loop once connected."""
        self.steps += 1
        for follow in self.followers:
            follow()
        self.mail_room.step(wait=bool(self.plc.stack_light & RED_LIGHT))
        self.world.step(STEP_S)
        self.plc.step(STEP_S)
        self.unit.step(STEP_S)
        self.generator.step(STEP_S)
        self.detector.sink_ready = self._lines.takes(self._most_waiting_bytes)
        self.detector.step(STEP_S)
        self.infeed_reader.step(STEP_S)
        self.gate_reader.step(STEP_S)
        if any(talker.outbox for talker in self._talkers) or not (self.plc.online and self.detector.online):
            for endpoint in self._pumped:
                endpoint.pump()

    async def connect(self, name: str) -> Ends:
        """A connection inside the process to an endpoint.

        Names: xray_generator, line_detector.command, line_detector.lines, lane_plc, disinfection_unit, barcode_reader, gate_reader.

        Raises:
            KeyError: no such endpoint.
        """
        near = memory_wire(Connection(self.endpoints[name]))
        self._ends.append(near)
        return near

    async def close(self) -> None:
        """End every in-process connection."""
        for _, writer in self._ends:
            writer.close()
        # They end in the next turn of the loop. Not `wait_closed`: its one future was cancelled if whoever used the end waited for it too
        # and was.
        await asyncio.sleep(0)
        self._ends.clear()

    async def run(self, *, speed: float = 1.0) -> None:
        """Step along with the event loop's clock, `speed` times as fast, until cancelled.

        What was missed is caught up slowly, so that nobody's watchdog sees device time rush by between two of its feeds.
        """
        loop = asyncio.get_running_loop()
        self.speed = speed
        tick_s = max(STEP_S / speed, TICK_S)
        start, done = loop.time(), 0
        before = start
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pieces") as pool:
            while True:
                now = loop.time()
                due = int((now - start) * speed / STEP_S)
                most = math.ceil(CATCH_UP * (now - before) * speed / STEP_S)
                before = now
                for _ in range(min(due - done, most, STEPS_AT_ONCE)):
                    self.step()
                    done += 1
                self._prepare_pieces(pool)
                await asyncio.sleep(tick_s)

    def _prepare_pieces(self, pool: ThreadPoolExecutor) -> None:
        """Compute in a thread what the beam will need, before a piece is under it: device time must not stand still for it."""
        diodes, kv = self.detector.diodes, self.generator.tube.kv_set or USUAL_KV
        for load in self.world.loads:
            piece = load.piece
            if load.belt > BELT_B2 or piece.serial in self._preparing or diodes.is_kept(piece, kv):
                continue
            self._preparing.add(piece.serial)
            future = asyncio.get_running_loop().run_in_executor(pool, diodes.prepare, piece, kv)
            future.add_done_callback(partial(self._prepared, piece, kv))

    def _prepared(self, piece: Piece, kv: float, future: "asyncio.Future[FloatArray]") -> None:
        self._preparing.discard(piece.serial)
        if not future.cancelled() and future.exception() is None:
            self.detector.diodes.keep(piece, kv, future.result())

    async def serve(self, stack: AsyncExitStack, ttys: Path) -> dict[str, object]:
        """Put every endpoint on a pty or a loopback port until `stack` closes; returns where each can be reached.

        The ptys go by links in the directory `ttys`, made here and removed in the end: the kernel gives a pty's own number to the next
        that asks, and whoever comes late would talk to somebody else's device.
        """
        paths: dict[str, str] = {}
        for name in ("xray_generator", "disinfection_unit", "barcode_reader", "gate_reader"):
            pty = Pty(self.endpoints[name])
            pty.start()
            stack.callback(pty.stop)
            link = _linked(ttys, name, pty.path)
            stack.callback(_unlink, link)
            paths[name] = str(link)
        for name in ("line_detector.command", "line_detector.lines", "lane_plc"):
            server, paths[name] = await listen(self.endpoints[name])
            stack.push_async_callback(_stop, server, self.endpoints[name])
        return {
            "xray_generator": {"serial": paths["xray_generator"]},
            "line_detector": {"command": paths["line_detector.command"], "lines": paths["line_detector.lines"]},
            "lane_plc": {"modbus_tcp": paths["lane_plc"], "unit": PLC_UNIT},
            "disinfection_unit": {
                "modbus_rtu": paths["disinfection_unit"],
                "baudrate": DISINFECTION_BAUD,
                "unit": DISINFECTION_UNIT,
            },
            "barcode_reader": {"serial": paths["barcode_reader"]},
            "gate_reader": {"serial": paths["gate_reader"]},
        }


def _linked(directory: Path, name: str, tty: str) -> Path:
    """A link of that name to a terminal, whatever a run that was killed has left there."""
    directory.mkdir(parents=True, exist_ok=True)
    link = directory.absolute() / name
    link.unlink(missing_ok=True)
    link.symlink_to(tty)
    return link


def _unlink(link: Path) -> None:
    """Remove a link, and the directory with the last one."""
    link.unlink(missing_ok=True)
    with suppress(OSError):
        link.parent.rmdir()


async def _stop(server: asyncio.Server, endpoint: Endpoint) -> None:
    server.close()
    endpoint.hang_up()
    await server.wait_closed()
