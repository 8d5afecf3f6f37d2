"""The demo's other programs: the simulators, one process a lane, and the reference tracking receiver."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.domain.errors import DeviceUnreachableError, StationError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
LINE_BYTES = 1 << 24


class DemoError(StationError):
    """A part of the demo did not start or went away."""

    code = "demo-failed"


@dataclass(slots=True, kw_only=True)
class Program:
    """A child process that ends when its standard input closes, so that nothing outlives the demo."""

    name: str
    process: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        """End it, politely first."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_program(name: str, arguments: list[str], log_file: Path) -> Program:
    """Start a module of this Python with its output in a file.

    In a session of its own: an interrupt at the terminal is for the demo, which then makes the lane safe while its devices still answer.
    """
    with log_file.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=dict(os.environ),
            start_new_session=True,
        )
    return Program(name=name, process=process)


async def wait_for_file(program: Program, path: Path, log_file: Path) -> dict[str, Any]:
    """Wait until a program has written the JSON file that says where it can be reached."""
    waited_s = 0.0
    while not await asyncio.to_thread(path.exists):
        if program.process.poll() is not None or waited_s > START_TIMEOUT_S:
            said = await asyncio.to_thread(log_file.read_text, encoding="utf-8", errors="replace")
            raise DemoError(
                f"{program.name} did not start: {said[-400:].strip() or 'no output'}",
                consequence="The demo cannot run",
                remedy=f"Read {log_file}",
            )
        await asyncio.sleep(POLL_S)
        waited_s += POLL_S
    found: dict[str, Any] = json.loads(await asyncio.to_thread(path.read_text, encoding="utf-8"))
    return found


class SimulatorControl:
    """The control socket of one simulated lane: hands, faults, and the truth."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def do(self, request: str, **arguments: Any) -> dict[str, Any]:
        """Ask for one thing and return its answer.

        Raises:
            DeviceUnreachableError: the simulators are gone.
            DemoError: they refused.
        """
        async with self._turn:
            try:
                line = await self._exchange(json.dumps({"do": request, **arguments}).encode() + b"\n")
            except asyncio.CancelledError:
                # The answer that comes now would be taken for the next request's.
                await self.close()
                raise
            except OSError as error:
                raise DeviceUnreachableError(f"The simulators do not answer: {error}", remedy="Read simulator logs") from error
        if not line:
            raise DeviceUnreachableError("The simulators have ended", remedy="Read the simulators' log")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise DemoError(
                f"The simulators refuse {request}: {answer['error']}",
                consequence="The demo cannot go on",
                remedy="Mend what they name, or leave it out, and start the demo again",
            )
        return answer

    async def _exchange(self, line: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=LINE_BYTES)
        reader, writer = self._streams
        writer.write(line)
        await writer.drain()
        return await reader.readline()

    async def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
