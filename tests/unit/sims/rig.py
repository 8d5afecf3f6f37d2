"""Plain pieces and a bare world for the simulators' own tests."""

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sims.barcode_reader import GATE, INFEED, BarcodeReader
from firmware_sims.control import Control
from firmware_sims.disinfection_unit import DisinfectionUnit
from firmware_sims.lane_plc import LanePlc
from firmware_sims.mail import Piece
from firmware_sims.modbus_slave import crc16
from firmware_sims.plc_registers import PlcRegisters
from firmware_sims.unit_registers import UnitRegisters
from firmware_sims.world import World

DT_S = 0.01
SPEED = 200.0
EXECUTE, HELD, ABORTED, STOPPED = 6, 11, 9, 2
"""Of the PackML states."""
READ_STATUS = bytes((0, 7, 0, 0, 0, 6, 1, 4, 0, 0, 0, 20))
_SERIALS = itertools.count(1)


class PlainBody:
    """A body that lets everything through."""

    length_mm = 200.0
    width_mm = 150.0

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> NDArray[np.float32]:
        return np.ones((2, int(self.length_mm / line_mm), int(self.width_mm / pixel_mm)), dtype=np.float32)


def make_piece(piece_id: str = "EE473124829VN", *, length_mm: float = 200.0, weight_g: float = 100.0) -> Piece:
    return Piece(
        serial=next(_SERIALS),
        piece_id=piece_id,
        barcode=piece_id,
        kind="envelope",
        truth="benign",
        length_mm=length_mm,
        width_mm=150.0,
        height_mm=5.0,
        weight_g=weight_g,
        body=PlainBody(),
    )


def make_world(seed: int = 1) -> World:
    return World(rng=random.Random(seed))


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / DT_S)):
        world.step(DT_S)


def run_until(world: World, done: Callable[[], bool], *, limit_s: float = 60.0) -> None:
    for _ in range(round(limit_s / DT_S)):
        if done():
            return
        world.step(DT_S)
    raise AssertionError("it never came about")


def start_belts(world: World, speed: float = SPEED) -> None:
    for belt in range(5):
        world.set_belt_speed(belt, speed)


def open_way(world: World) -> None:
    world.set_diverter(1, through=True)
    world.set_diverter(2, through=True)


def shine_beam(world: World) -> None:
    world.set_beam_permit(True)
    world.set_beam(True, 80.0, 0.5)


def warm_lamps(world: World) -> None:
    world.uv.lit = True
    run(world, 60.0)


def head(world: World) -> float:
    return world.loads[0].head_mm


class Bench:
    """The lane with its PLC, UV unit and readers, and a hand-driven stand-in for the station at their registers."""

    def __init__(self, seed: int = 1) -> None:
        self.world = make_world(seed)
        self.plc = LanePlc(world=self.world, rng=random.Random(seed + 1))
        self.unit = DisinfectionUnit(world=self.world, rng=random.Random(seed + 2))
        self.r1 = BarcodeReader(world=self.world, which=INFEED, rng=random.Random(seed + 3))
        self.r2 = BarcodeReader(world=self.world, which=GATE, rng=random.Random(seed + 4))
        self.registers = PlcRegisters(self.plc)
        self.unit_registers = UnitRegisters(self.unit)
        self.beating = True
        self._beat = 0
        self._seq = 0
        self._steps = 0

    def step(self) -> None:
        if self.beating and self._steps % 10 == 0:
            self._beat = self._beat % 0xFFFF + 1
            for registers in (self.registers, self.unit_registers):
                if registers.online:
                    registers.write(100, [self._beat])
        self._steps += 1
        self.world.step(DT_S)
        self.plc.step(DT_S)
        self.unit.step(DT_S)
        self.r1.step(DT_S)
        self.r2.step(DT_S)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / DT_S)):
            self.step()

    def until(self, done: Callable[[], bool], *, limit_s: float = 60.0) -> None:
        for _ in range(round(limit_s / DT_S)):
            if done():
                return
            self.step()
        raise AssertionError("it never came about")

    def operate(self, code: int, argument: int = 0, *, registers: PlcRegisters | UnitRegisters | None = None) -> int:
        registers = registers or self.registers
        self._seq = self._seq % 0xFFFF + 1
        registers.write(110, [code, argument, self._seq])
        registers.write(113, [self._seq])
        accepted_seq, result = registers.read_input(6, 2)
        assert accepted_seq == self._seq
        return result

    def execute(self) -> None:
        """Bring the PLC to Execute."""
        self.run(0.05)
        assert self.operate(1) == 1
        self.run(0.2)
        assert self.operate(2) == 1
        self.run(0.2)
        assert self.word(4) == EXECUTE

    def go(self, *, speed: int = 200, through: int = 1) -> None:
        """Execute with belts running and both diverters set."""
        self.execute()
        self.write(120, [speed] * 5)
        self.write(125, [through, through])
        self.run(0.3)

    def word(self, address: int) -> int:
        return self.registers.read_input(address, 1)[0]

    def long(self, address: int) -> int:
        high, low = self.registers.read_input(address, 2)
        return high << 16 | low

    def write(self, address: int, values: list[int]) -> int:
        """Write, and give the result register."""
        self.registers.write(address, values)
        return self.word(7)

    def tag(self, tag: int) -> int:
        return self.write(130, [tag >> 16, tag & 0xFFFF])

    def permit(self, tag: int, *, challenge: int | None = None, valid_ms: int = 1000) -> int:
        challenge = self.long(45) if challenge is None else challenge
        return self.write(132, [tag >> 16, tag & 0xFFFF, challenge >> 16, challenge & 0xFFFF, valid_ms])

    def head(self) -> float:
        return self.world.loads[0].head_mm

    def fault(self, bit: int) -> bool:
        return bool(self.long(12) >> bit & 1)

    def feed_tagged(self, tag: int, piece: Piece | None = None) -> Piece:
        piece = piece or make_piece()
        assert self.world.feed(piece)
        self.until(lambda: bool(self.word(26) & 1))
        self.run(0.02)
        assert self.tag(tag) == 1
        return piece


async def turns(count: int = 100) -> None:
    """Let the loop turn: what is sent in memory arrives, and is read, within a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)


def rtu(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


def good(control: Control, **request: Any) -> dict[str, Any]:
    answer = control.handle(request)
    assert answer.pop("ok"), answer
    return answer
