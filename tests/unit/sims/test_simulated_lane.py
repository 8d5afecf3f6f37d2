"""The lane as a whole: its endpoints in this process, its restarts, and the seed that repeats it."""

import asyncio
import hashlib
import json

import numpy as np
import pytest

from firmware_sims.control import Control
from firmware_sims.lsp1 import HEADER_BYTES
from firmware_sims.simulated_lane import SimulatedLane
from firmware_sims.stx import encode
from tests.support.waiting import until
from tests.unit.sims.rig import READ_STATUS, good, rtu, turns


async def test_each_endpoint_answers_in_process(lane: SimulatedLane):
    reader, writer = await lane.connect("lane_plc")
    writer.write(READ_STATUS)
    answer = await reader.readexactly(9 + 40)
    assert answer[9:11] == b"\x4b\x54"
    reader, writer = await lane.connect("disinfection_unit")
    writer.write(rtu(bytes((2, 4, 0, 0, 0, 20))))
    answer = await reader.readexactly(5 + 40)
    assert answer[3:5] == b"\x4b\x55"
    reader, writer = await lane.connect("xray_generator")
    writer.write(encode("28"))
    assert await reader.readuntil(b"\x03") == encode("28", 160, 4, 0)
    reader, writer = await lane.connect("line_detector.command")
    writer.write(b"PIX?\r\n")
    assert await reader.readline() == b"OK 128\r\n"
    with pytest.raises(KeyError):
        await lane.connect("coffee_machine")
    await lane.close()


async def test_lines_come_on_port_b_and_only_to_the_newest(lane: SimulatedLane):
    first_reader, _ = await lane.connect("line_detector.lines")
    reader, _ = await lane.connect("line_detector.lines")
    commands, writer = await lane.connect("line_detector.command")
    writer.write(b"TRIG TIMER\r\nSTART 4\r\n")
    assert await commands.readline() == b"OK TIMER\r\n"
    assert await commands.readline() == b"OK 4\r\n"
    for _ in range(40):
        lane.step()
    message = await reader.readexactly(HEADER_BYTES + 4 * 128)
    assert message[:4] == b"XLIN"
    assert int.from_bytes(message[8:12], "big") == 4
    assert await first_reader.read() == b""
    await lane.close()


async def test_a_restart_hangs_up_tcp_and_silences_serial(lane: SimulatedLane):
    plc_reader, _ = await lane.connect("lane_plc")
    tube_reader, tube_writer = await lane.connect("xray_generator")
    lane.plc.inject("reboot")
    lane.generator.inject("reboot")
    lane.step()
    assert await plc_reader.read() == b""
    tube_writer.write(encode("22"))
    await turns()
    refused, _ = await lane.connect("lane_plc")
    assert await refused.read() == b""
    for _ in range(300):
        lane.step()
    tube_writer.write(encode("14"))
    assert await tube_reader.readuntil(b"\x03") == encode("14", 0)
    await lane.close()


async def digest_of_a_run(seed: int) -> str:
    """A digest of every byte that the detector and the PLC send in a run with traffic."""
    lane = SimulatedLane(seed=seed, pixels=128)
    control = Control(lane)
    good(control, do="mail", count=2)
    plc_reader, plc_writer = await lane.connect("lane_plc")
    lines, _ = await lane.connect("line_detector.lines")
    _, commands = await lane.connect("line_detector.command")
    commands.write(b"TRIG TIMER\r\nSTART 1\r\n")
    await asyncio.sleep(0)
    digest = hashlib.sha256(json.dumps(good(control, do="truth")).encode())
    for step in range(200):
        if step % 20 == 0:
            plc_writer.write(READ_STATUS)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        lane.step()
        await asyncio.sleep(0)
    digest.update(await plc_reader.readexactly(49 * 10))
    digest.update(await lines.readexactly((HEADER_BYTES + 512) * 300))
    await lane.close()
    return digest.hexdigest()


async def test_a_seed_repeats_exactly():
    first, again, other = [await digest_of_a_run(seed) for seed in (5, 5, 6)]
    assert first == again
    assert first != other


async def test_along_the_clock_pieces_are_prepared_before_the_beam(lane: SimulatedLane):
    good(Control(lane), do="fault", device="world", name="add", args={"zone": 0, "piece": {"kind": "packet"}})
    piece = lane.world.loads[0].piece
    lane.generator.tube.kv_set = 140.0
    task = asyncio.create_task(lane.run(speed=4.0))
    await until(lambda: lane.detector.diodes.is_kept(piece, 140.0), timeout_s=10)
    await until(lambda: lane.simulated_s >= 0.5, timeout_s=10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    image = lane.detector.diodes.prepare(piece, 141.0)
    np.testing.assert_array_equal(image, lane.detector.diodes.prepare(piece, 139.0))
    np.testing.assert_array_equal(image[:, 0], 1.0)
