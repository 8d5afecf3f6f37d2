"""Lies and delays on the simulated wires."""

import asyncio
from typing import Any

import numpy as np
import pytest

from firmware_sims.faults import WireFaults
from firmware_sims.modbus_slave import crc16
from firmware_sims.simulated_lane import SimulatedLane
from firmware_sims.stx import encode
from tests.unit.sims.rig import READ_STATUS, rtu

RTU_READ = rtu(bytes((2, 4, 4, 0, 1, 0, 2)))
RTU_WRITE = rtu(bytes((2, 6, 0, 100, 0, 1)))
TCP_READ = bytes((0, 1, 0, 0, 0, 7, 1, 4, 4, 0, 1, 0, 2))


def through(name: str, frame: bytes, *, framing: str = "rtu", **args: Any) -> tuple[bytes, list[Any], WireFaults]:
    faults = WireFaults(rng=np.random.default_rng(8), framing=framing)  # type: ignore[arg-type]
    faults.inject(name, **args)
    chunks = faults.apply(frame)
    return b"".join(chunk.data for chunk in chunks), chunks, faults


@pytest.mark.parametrize("name", ["wrong_count", "wrong_function", "corrupt_valid"])
def test_modbus_lies_carry_a_valid_crc(name: str):
    data, _, faults = through(name, RTU_READ)
    assert data != RTU_READ
    assert crc16(data[:-2]) == int.from_bytes(data[-2:], "little")
    assert [chunk.data for chunk in faults.apply(RTU_READ)] == [RTU_READ]


def test_each_lie_is_what_its_name_says():
    assert through("wrong_count", RTU_READ)[0] == rtu(bytes((2, 4, 2, 0, 1)))
    assert through("wrong_count", TCP_READ, framing="tcp")[0] == bytes((0, 1, 0, 0, 0, 5, 1, 4, 2, 0, 1))
    assert through("wrong_function", TCP_READ, framing="tcp")[0] == TCP_READ[:7] + bytes((3,)) + TCP_READ[8:]
    assert through("wrong_echo", RTU_WRITE)[0] == rtu(bytes((2, 6, 0, 100, 0, 0)))
    assert through("wrong_echo", RTU_READ)[0] == RTU_READ
    changed = through("corrupt_valid", encode("14", 2048), framing="stx")[0]
    assert changed != encode("14", 2048)
    assert changed.startswith(b"\x0214,")


def test_timing_faults():
    data, chunks, _ = through("delay", RTU_READ, seconds=0.7)
    assert (data, chunks[0].delay_s) == (RTU_READ, 0.7)
    data, chunks, _ = through("split", RTU_READ)
    assert (data, len(chunks)) == (RTU_READ, 2)
    assert chunks[1].delay_s > 0
    assert through("duplicate", RTU_READ)[0] == RTU_READ * 2
    assert through("drop", RTU_READ)[1] == []
    assert through("close", RTU_READ)[1][0].closes
    assert len(through("truncate", RTU_READ)[0]) < len(RTU_READ)
    assert through("noise", RTU_READ)[0].endswith(RTU_READ)


def test_previous_swaps_and_mute_lasts():
    faults = WireFaults(rng=np.random.default_rng(8), framing="rtu")
    faults.apply(RTU_WRITE)
    faults.inject("previous")
    assert [chunk.data for chunk in faults.apply(RTU_READ)] == [RTU_WRITE]
    faults.inject("mute")
    assert [faults.apply(RTU_READ) for _ in range(3)] == [[], [], []]
    faults.clear("mute")
    assert faults.apply(RTU_READ)
    for deed in (faults.inject, faults.clear):
        with pytest.raises(KeyError):
            deed("gremlins")


async def test_a_late_answer_pushes_the_next_one_back(lane: SimulatedLane):
    reader, writer = await lane.connect("lane_plc")
    lane.endpoints["lane_plc"].faults.inject("delay", seconds=0.15)
    loop = asyncio.get_running_loop()
    start = loop.time()
    writer.write(READ_STATUS + READ_STATUS[:1] + b"\x08" + READ_STATUS[2:])
    answers = await reader.readexactly(2 * 49)
    assert loop.time() - start >= 0.14
    assert (answers[1], answers[50]) == (7, 8)
    await lane.close()
