"""Programs of their own that answer a running station (decisions 0114 and 0159).

A question is a line: its number, and JSON. An answer is a line of JSON (`number`, and how many `bytes` follow, or what went wrong), and
the bytes.
"""

import asyncio
import contextlib
import json
import os
import select
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog

from station.domain.errors import NotFoundError, StationError, StoreError, StoreUnavailableError

START_S = 60.0
GONE_S = 2.0
"""How long a killed program is waited for: one that hangs in the disk dies when the disk answers."""
_READY = b"ready\n"
_MOST_DEFECT, _MOST_WORDS = 5000, 1000
"""Letters: each takes up to 12 bytes of the answer's first line, which asyncio reads up to 64 KiB."""
_LEAST_PRIORITY = 19
_ERRORS: dict[str, type[StationError]] = {kind.__name__: kind for kind in (NotFoundError, StoreError, StoreUnavailableError)}
log = structlog.get_logger()


class NoAnswerError(Exception):
    """The program failed at the question, ended, or said what is no answer; the log says why."""


class _LeftError(Exception):
    """The program ended by itself, as one does that was not asked for long, just when it was asked again."""


class ProgramApart:
    """A program that answers one question at a time, for one event loop.

    It starts when it is first needed, ends with the station, however that ends, and is started again when it has ended.

    Args:
        module: what runs; its main part calls `answer_questions`.
        arguments: of its command line.
        nice: how far it stands back behind the lanes.
    """

    def __init__(self, module: str, *arguments: str, nice: int) -> None:
        self._module = module
        self._command = (sys.executable, "-P", "-m", module, *arguments)
        self._nice = nice
        self._turn = asyncio.Semaphore(1)
        self._exchange: asyncio.Task[bytes] | None = None
        self._number = 0
        self._is_ready = self._is_ending = self._closed = False
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it before anybody asks, without waiting until it is ready. Raises `OSError`."""
        async with self._turn:
            await self._started()

    async def ask(self, question: Callable[[], bytes], *, within_s: float) -> bytes:
        """What the program answers.

        Args:
            question: makes a line of JSON when it is this question's turn and the program is ready; what it raises is raised here.
            within_s: for the answer itself; the wait for those who asked before, and for the program's start, do not count.

        Raises:
            StationError: of the kind that the program met.
            NoAnswerError: there is none.
            TimeoutError: it took longer; the program was ended.
        """
        await self._turn.acquire()
        # Who goes away from here on leaves no half of an answer to the next one.
        self._exchange = asyncio.create_task(self._exchanged(question, within_s))
        self._exchange.add_done_callback(self._next)
        return await asyncio.shield(self._exchange)

    async def close(self) -> None:
        """End it, and answer nobody any more."""
        self._closed = True
        if self._exchange is not None:
            self._exchange.cancel()
        async with self._turn:
            await self._end()

    def _next(self, exchange: "asyncio.Task[bytes]") -> None:
        self._turn.release()
        if not exchange.cancelled():
            # Whoever asked may have gone away.
            exchange.exception()

    async def _exchanged(self, question: Callable[[], bytes], within_s: float) -> bytes:
        if self._closed:
            raise NoAnswerError("the station ends")
        try:
            head, made = await self._asked(question, within_s)
        except _LeftError:
            head, made = await self._asked_anew(question, within_s)
        if "bytes" in head:
            return made
        if "kind" in head:
            raise _ERRORS[head["kind"]](head["what"], consequence=head["consequence"], remedy=head["remedy"])
        raise self._no_answer(head["defect"])

    async def _asked(self, question: Callable[[], bytes], within_s: float) -> tuple[dict[str, Any], bytes]:
        process = await self._ready()
        line = question()
        async with self._ended_by_trouble(), asyncio.timeout(within_s):
            return await self._answer(process, line)

    async def _asked_anew(self, question: Callable[[], bytes], within_s: float) -> tuple[dict[str, Any], bytes]:
        try:
            return await self._asked(question, within_s)
        except _LeftError as error:
            raise self._no_answer("it ends when it is asked") from error

    async def _ready(self) -> asyncio.subprocess.Process:
        """The program, ready to be asked; one that has gone since the last question is replaced. Raises `NoAnswerError`."""
        if self.process is not None and _pipes(self.process)[1].at_eof():
            await self._end()
        try:
            process = await self._started()
        except (OSError, RuntimeError) as error:
            raise self._no_answer(repr(error)) from error
        if not self._is_ready:
            async with self._ended_by_trouble():
                try:
                    async with asyncio.timeout(START_S):
                        await _pipes(process)[1].readuntil(_READY)
                except TimeoutError as error:
                    raise RuntimeError(f"it was not ready after {START_S:.0f} s") from error
            self._is_ready = True
        return process

    async def _answer(self, process: asyncio.subprocess.Process, line: bytes) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = _pipes(process)
        self._number += 1
        try:
            stdin.write(b"%d %s\n" % (self._number, line))
            await stdin.drain()
            first = await stdout.readuntil()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            if await process.wait() == 0 and not getattr(error, "partial", b""):
                raise _LeftError from error
            raise
        head: dict[str, Any] = json.loads(first)
        if head["number"] != self._number:
            raise ValueError("an answer to another question")
        return head, await stdout.readexactly(head.get("bytes", 0))

    @asynccontextmanager
    async def _ended_by_trouble(self) -> AsyncIterator[None]:
        """Whatever goes wrong within, the program is ended: what it says afterwards would answer the next question.

        Raises `NoAnswerError`, `TimeoutError` and `_LeftError`.
        """
        try:
            yield
        except Exception as error:
            await self._end()
            if isinstance(error, _LeftError):
                raise
            if isinstance(error, TimeoutError):
                log.warning("a program beside the station took too long and was ended", program=self._module)
                raise
            raise self._no_answer(repr(error)) from error
        except BaseException:
            await self._end()
            raise

    def _no_answer(self, why: str) -> NoAnswerError:
        log.error("a program beside the station gave no answer", program=self._module, detail=why)
        return NoAnswerError(f"{self._module} gave no answer")

    async def _started(self) -> asyncio.subprocess.Process:
        if self._is_ending:
            await self._end()
        if self._is_ending:
            raise RuntimeError("the one before hangs and does not end")
        if self._closed:
            raise RuntimeError("the station ends")
        if self.process is None:
            pipe = asyncio.subprocess.PIPE
            # In a group of its own a terminal's Ctrl-C does not reach it. Its last words might tell what no log may.
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                process_group=0,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
            self._is_ready = False
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self.process.pid, min(_LEAST_PRIORITY, os.getpriority(os.PRIO_PROCESS, 0) + self._nice))
        return self.process

    async def _end(self) -> None:
        if self.process is None:
            return
        self._is_ending = True
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_S):
                await self.process.communicate()
                self.process, self._is_ending = None, False


def _pipes(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    assert process.stdin is not None  # noqa: S101 - both were asked for
    assert process.stdout is not None  # noqa: S101
    return process.stdin, process.stdout


def answer_questions(answer: Callable[[bytes], bytes], *, idle_s: float | None = None) -> None:
    """Answer lines of JSON until standard input ends, or nobody has asked for `idle_s`; in a program of its own.

    Args:
        answer: makes an answer; what it raises is told to whoever asked.
        idle_s: None waits for ever.
    """
    # What anything prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answers.write(_READY)
    answers.flush()
    while select.select([sys.stdin], [], [], idle_s)[0] and (line := sys.stdin.buffer.readline()):
        number, _, question = line.partition(b" ")
        head: dict[str, Any] = {"number": int(number)}
        made = b""
        try:
            made = answer(question)
            head["bytes"] = len(made)
        except Exception as error:  # noqa: BLE001 - the next question has another answer
            head |= _told(error)
        answers.write(json.dumps(head).encode() + b"\n" + made)
        answers.flush()


def _told(error: Exception) -> dict[str, Any]:
    kind = type(error).__name__
    if isinstance(error, StationError) and kind in _ERRORS:
        words = {"what": error.what, "consequence": error.consequence, "remedy": error.remedy}
        return {"kind": kind} | {name: text[:_MOST_WORDS] for name, text in words.items()}
    return {"defect": "".join(traceback.format_exception(error))[-_MOST_DEFECT:]}
