"""Programs of their own that answer a running station: a line of JSON is asked, a line of JSON and bytes come back (decision 0114)."""

import asyncio
import contextlib
import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any

from station.domain.errors import NotFoundError, StationError, StoreError, StoreUnavailableError

GONE_S = 2.0
"""How long a killed program is waited for: one that hangs in the disk dies when the disk answers."""
_ERRORS: dict[str, type[StationError]] = {kind.__name__: kind for kind in (NotFoundError, StoreError, StoreUnavailableError)}


class NoAnswerError(Exception):
    """The program ended, or said what is no answer."""


class ProgramApart:
    """A program that answers one question at a time, for one event loop.

    It starts when it is first needed, ends with the station, however that ends, and is started again when it has ended.

    Args:
        module: what runs; its main part calls `answer_questions`.
        arguments: of its command line.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = (sys.executable, "-m", module, *arguments)
        self._one = asyncio.Semaphore(1)
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it before anybody asks. Raises `OSError`."""
        await self._started()

    async def ask(self, line: bytes, *, within_s: float) -> bytes:
        """What the program answers to a line of JSON.

        Raises:
            StationError: of the kind that the program met.
            NoAnswerError: it ended by a defect.
            TimeoutError: it took longer, and was ended. Waiting for those who asked before does not count.
        """
        async with self._one:
            try:
                async with asyncio.timeout(within_s):
                    head, made = await self._answer(line)
            except TimeoutError:
                await self.close()
                raise
            except (OSError, EOFError, ValueError) as error:
                await self.close()
                raise NoAnswerError(repr(error)) from error
            except asyncio.CancelledError:
                # Whoever asked has gone away, and what comes now would answer the next question.
                await self.close()
                raise
        if "kind" not in head:
            return made
        raise _ERRORS.get(head["kind"], StationError)(head["what"], consequence=head["consequence"], remedy=head["remedy"])

    async def close(self) -> None:
        """End it."""
        process, self.process = self.process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.communicate(), GONE_S)

    async def _answer(self, line: bytes) -> tuple[dict[str, Any], bytes]:
        was_there = self.process is not None
        try:
            return await _exchange(await self._started(), line)
        except (OSError, EOFError):
            if not was_there:
                raise
        # It had waited long enough and went just then, or somebody ended it.
        await self.close()
        return await _exchange(await self._started(), line)

    async def _started(self) -> asyncio.subprocess.Process:
        if self.process is None or self.process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self.process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        return self.process


async def _exchange(process: asyncio.subprocess.Process, line: bytes) -> tuple[dict[str, Any], bytes]:
    """One answer: a line of JSON with the number of bytes that follow it, or with what went wrong."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(line + b"\n")
    await process.stdin.drain()
    head: dict[str, Any] = json.loads(await process.stdout.readuntil())
    return head, await process.stdout.readexactly(head.get("bytes", 0))


def answer_questions(answer: Callable[[bytes], bytes], *, nice: int, idle_s: float | None = None) -> None:
    """Answer lines of JSON until standard input ends, or nobody has asked for `idle_s`; in a program of its own.

    Args:
        answer: makes an answer; a `StationError` that it raises is told to whoever asked.
        nice: how far the program stands back behind the lanes.
        idle_s: None waits for ever.
    """
    os.nice(nice)
    while select.select([sys.stdin], [], [], idle_s)[0] and (line := sys.stdin.buffer.readline()):
        try:
            made = answer(line)
            head: dict[str, Any] = {"bytes": len(made)}
        except StationError as error:
            made = b""
            head = {"kind": type(error).__name__, "what": error.what, "consequence": error.consequence, "remedy": error.remedy}
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + made)
        sys.stdout.buffer.flush()
