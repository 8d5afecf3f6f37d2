"""What receiving the line detector costs: CPU share of a core at 3000 lines/s of 512 pixels and two energies, and the most lines/s.

The detector runs in a process of its own and sends each line alone, as a real one does. The baseline reads the same bytes and throws
them away.
"""

import asyncio
import json
import struct
import time
import zlib
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.peer import measure_beside
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.link import open_endpoint

PIXELS = 512
LINES_PER_S = 3000
SECONDS = 4.0
FLAT_OUT_LINES = 20000
IDENTITY = "boot=1 model=BENCH lsp=1 bits=16 energies=2 pixel_pitch_um=800 line_pitch_um=800 he_offset_um=4000 full_scale=65535"


def _line(acquisition: int, number: int, payload: bytes) -> bytes:
    head = struct.pack(">4sBBBBIIIQHHHH", b"XLIN", 1, 1, 2, 16, acquisition, number, 8 * number, 0, PIXELS, 0, 1, 0)
    return head + zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "big") + payload


def _serve(report: Connection) -> None:
    payload = np.random.default_rng(1).integers(0, 65536, 2 * PIXELS, np.uint16).tobytes()
    ports: list[asyncio.StreamWriter] = []
    running: list[asyncio.Task[None]] = []
    trigger = ["ENCODER"]

    async def acquire(acquisition: int) -> None:
        """By TIMER at the nominal rate, by ENCODER as fast as the client takes them."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        paced = trigger[0] == "TIMER"
        for number in range(int(LINES_PER_S * SECONDS) if paced else FLAT_OUT_LINES):
            ports[-1].write(_line(acquisition, number, payload))
            if paced:
                await asyncio.sleep(max(0.0, started_s + number / LINES_PER_S - loop.time()))
            else:
                await ports[-1].drain()

    async def commands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            word, _, argument = line.decode().strip().partition(" ")
            if word == "TRIG":
                trigger[0] = argument
            if word == "START":
                running.append(asyncio.ensure_future(acquire(int(argument))))
            fixed = {
                "IDN?": f"{IDENTITY} pixels={PIXELS}",
                "CAL?": IDENTITY,
                "PIX?": str(PIXELS),
                "TRIG?": trigger[0],
                "EXP?": "3000",
                "STOP": "0",
            }
            writer.write(f"OK {fixed.get(word, argument)}\r\n".encode())

    async def lines(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.append(writer)

    async def forever() -> None:
        servers = [await asyncio.start_server(handler, "127.0.0.1", 0) for handler in (commands, lines)]
        report.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.gather(*[server.serve_forever() for server in servers])

    asyncio.run(forever())


async def _receive(driver: LineDetectorDriver, acquisition: int, lines: int, *, by_encoder: bool) -> tuple[float, float, int]:
    """(CPU s, wall s, lost lines) of receiving so many lines."""
    await driver.start(acquisition, by_encoder=by_encoder)
    cpu_s, wall_s, got, lost = time.process_time(), time.perf_counter(), 0, 0
    while got + lost < lines:
        block = await driver.next_lines()
        got += len(block.line_numbers)
        lost += int(block.lost_before.sum())
    return time.process_time() - cpu_s, time.perf_counter() - wall_s, lost


async def _discard(command: str, lines: str) -> float:
    """CPU s of reading the nominal run's bytes and throwing them away."""
    _, port_a = await open_endpoint(command)
    reader, port_b = await open_endpoint(lines)
    port_a.write(b"TRIG TIMER\r\nSTART 1\r\n")
    left, cpu_s = int(LINES_PER_S * SECONDS) * (40 + 4 * PIXELS), time.process_time()
    while left > 0:
        left -= len(await reader.read(1 << 18))
    cpu_s = time.process_time() - cpu_s
    port_a.close()
    port_b.close()
    return cpu_s


async def _measure(ports: list[int]) -> dict[str, float]:
    command, lines = (f"tcp:127.0.0.1:{port}" for port in ports)
    bare_cpu_s = await _discard(command, lines)
    driver = LineDetectorDriver(command, lines)
    await driver.connect()
    cpu_s, wall_s, lost = await _receive(driver, 2, int(LINES_PER_S * SECONDS), by_encoder=False)
    _, flat_out_s, flat_out_lost = await _receive(driver, 3, FLAT_OUT_LINES, by_encoder=True)
    await driver.close()
    return {
        "pixels": PIXELS,
        "lines_per_s": LINES_PER_S * SECONDS / wall_s,
        "cpu_share_of_a_core": cpu_s / wall_s,
        "cpu_ratio_to_discarding": cpu_s / bare_cpu_s,
        "most_lines_per_s": FLAT_OUT_LINES / flat_out_s,
        "lost": lost + flat_out_lost,
    }


def run() -> dict[str, float]:
    """Measure; `cpu_ratio_to_discarding` compares with reading the same bytes and dropping them."""
    return measure_beside(_serve, _measure)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201 - its answer
