"""Wires inside the process."""

import asyncio

from firmware_sims.memory_wire import Ends, memory_wire
from tests.unit.sims.rig import turns


def both_ends() -> tuple[Ends, Ends]:
    loop = asyncio.get_running_loop()
    far_reader = asyncio.StreamReader(loop=loop)
    far: list[asyncio.StreamWriter] = []
    protocol = asyncio.StreamReaderProtocol(far_reader, lambda _, writer: far.append(writer), loop=loop)
    near = memory_wire(protocol)
    return near, (far_reader, far[0])


async def test_a_memory_wire_carries_both_ways_and_ends():
    (near_reader, near_writer), (far_reader, far_writer) = both_ends()
    near_writer.write(b"ping")
    assert await far_reader.readexactly(4) == b"ping"
    far_writer.write(b"pong")
    far_writer.close()
    assert await near_reader.read() == b"pong"
    await far_writer.wait_closed()
    await near_writer.wait_closed()


async def test_a_memory_wire_makes_a_fast_sender_wait():
    (_, near_writer), (far_reader, far_writer) = both_ends()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(64):
            near_writer.write(b"x" * 16384)
            await near_writer.drain()
            sent += 16384

    task = asyncio.create_task(send())
    await turns()
    assert sent < 64 * 16384
    got = 0
    while got < 64 * 16384:
        got += len(await far_reader.read(65536))
    await task
    near_writer.close()
    far_writer.close()
