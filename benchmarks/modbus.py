"""Modbus TCP round trips per second: the station's transactions against pymodbus' bare client, same server, same run.

The server runs in a process of its own and does the least that a server can, so that the client is what is measured.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

from pymodbus.client import AsyncModbusTcpClient

from benchmarks.peer import measure_beside
from station.drivers.modbus import ModbusMaster

REGISTERS = 10
ROUND_TRIPS = 4000
ROUNDS = 3
MBAP_BYTES = 7
REQUEST_BYTES = 12


class _Slave(asyncio.Protocol):
    """Answers every read with registers that count up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio promises for a TCP server
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= REQUEST_BYTES:
            request, self._data = self._data[:REQUEST_BYTES], self._data[REQUEST_BYTES:]
            count = int.from_bytes(request[10:12], "big")
            values = b"".join(number.to_bytes(2, "big") for number in range(count))
            pdu = bytes([request[MBAP_BYTES], 2 * count]) + values
            self._transport.write(request[:4] + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu)


def _serve(report: Connection) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(_Slave, "127.0.0.1", 0)
        report.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


async def _time(name: str, once: Callable[[], Awaitable[object]], into: dict[str, list[float]]) -> None:
    for _ in range(ROUND_TRIPS // 10):
        await once()
    for _ in range(ROUND_TRIPS):
        started_s = time.perf_counter()
        await once()
        into[name].append(time.perf_counter() - started_s)


async def _measure(port: int) -> dict[str, float]:
    bare = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
    await bare.connect()
    master = ModbusMaster(f"tcp:127.0.0.1:{port}", 1, device="The benchmark's slave")
    await master.open()

    async def by_pymodbus() -> object:
        return (await bare.read_input_registers(0, count=REGISTERS, device_id=1)).registers

    async def by_station() -> object:
        return await master.read_input(0, REGISTERS)

    times: dict[str, list[float]] = {"pymodbus": [], "station": []}
    for _ in range(ROUNDS):
        await _time("pymodbus", by_pymodbus, times)
        await _time("station", by_station, times)
    bare.close()
    await master.close()
    per_second = {name: len(taken) / sum(taken) for name, taken in times.items()}
    return {
        "registers": REGISTERS,
        "pymodbus_per_s": per_second["pymodbus"],
        "station_per_s": per_second["station"],
        "ratio": per_second["station"] / per_second["pymodbus"],
        "pymodbus_p99_ms": 1000 * statistics.quantiles(times["pymodbus"], n=100)[98],
        "station_p99_ms": 1000 * statistics.quantiles(times["station"], n=100)[98],
    }


def run() -> dict[str, float]:
    """Measure both in turn, `ROUNDS` times; `ratio` is station / pymodbus."""
    return measure_beside(_serve, _measure)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201 - its answer
