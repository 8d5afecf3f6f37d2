"""STX requests per second over a pty: the station's line against a bare loop that writes and reads to the next ETX, same peer, same run.

The peer runs in a process of its own and does not pace its line: the figures are the software's, not those of 9600 baud.
"""

import asyncio
import json
import os
import time
import tty
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

from benchmarks.peer import measure_beside
from station.drivers.link import open_endpoint
from station.drivers.stx import encode
from station.drivers.stx_link import StxLine
from station.drivers.stx_profiles import DAC_FULL_SCALE, XRV

ROUND_TRIPS = 3000
ROUNDS = 3
MONITORS = (19, 100, 200, 300, 0, 0, 0, 0, 0)
ETX = b"\x03"


def _serve(report: Connection) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    report.send(os.ttyname(slave))
    answer = encode(*MONITORS)
    while data := os.read(master, 4096):
        for _ in range(data.count(ETX)):
            os.write(master, answer)


async def _time(once: Callable[[], Awaitable[object]]) -> float:
    for _ in range(ROUND_TRIPS // 10):
        await once()
    started_s = time.perf_counter()
    for _ in range(ROUND_TRIPS):
        await once()
    return time.perf_counter() - started_s


async def _measure(path: str) -> dict[str, float]:
    endpoint = f"serial:{path}?baudrate=115200"
    taken_s = {"bare": 0.0, "station": 0.0}
    request = encode(XRV.get_monitors)
    for _ in range(ROUNDS):
        reader, writer = await open_endpoint(endpoint)

        async def bare(reader: asyncio.StreamReader = reader, writer: asyncio.StreamWriter = writer) -> object:
            writer.write(request)
            return await reader.readuntil(ETX)

        taken_s["bare"] += await _time(bare)
        writer.close()
        await writer.wait_closed()
        line = StxLine(endpoint, XRV, device="The benchmark's generator", connector=open_endpoint, deadline_s=0.4, quiet_s=0.05)
        await line.open()

        async def station(line: StxLine = line) -> object:
            return await line.read(XRV.get_monitors, XRV.monitor_values, highest=DAC_FULL_SCALE)

        taken_s["station"] += await _time(station)
        await line.close()
    per_second = {name: ROUNDS * ROUND_TRIPS / seconds for name, seconds in taken_s.items()}
    return {
        "bare_per_s": per_second["bare"],
        "station_per_s": per_second["station"],
        "ratio": per_second["station"] / per_second["bare"],
    }


def run() -> dict[str, float]:
    """Measure both in turn, `ROUNDS` times; `ratio` is station / bare loop."""
    return measure_beside(_serve, _measure)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201 - its answer
