"""Programs beside the station: whatever one says or does, each question gets its own answer or none, and the next one is answered."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from station.bootstrap.program_apart import NoAnswerError, ProgramApart
from station.domain.errors import NotFoundError
from tests.support.odd_answers import ENDS_UNLESS

ODD = "tests.support.odd_answers"
NICE = 3
LONG_S = 60.0


@asynccontextmanager
async def program(module: str = ODD) -> AsyncIterator[ProgramApart]:
    one = ProgramApart(module, nice=NICE)
    try:
        yield one
    finally:
        await one.close()


def ask(one: ProgramApart, what: str, within_s: float = LONG_S) -> Awaitable[bytes]:
    return one.ask(json.dumps(what).encode, within_s=within_s)


def pid_of(one: ProgramApart) -> int:
    assert one.process is not None
    return one.process.pid


async def pid_after(one: ProgramApart, what: str) -> int:
    assert await ask(one, what) == what.encode()
    return pid_of(one)


def played(scene: Callable[[ProgramApart], Awaitable[Any]], module: str = ODD) -> None:
    async def play() -> None:
        async with program(module) as one:
            await scene(one)

    asyncio.run(play())


@pytest.mark.parametrize("odd", ["prints", "talks", "no head"])
def test_what_is_no_answer_is_given_to_nobody(odd: str) -> None:
    async def scene(one: ProgramApart) -> None:
        assert await ask(one, "first") == b"first"
        before = pid_of(one)
        with pytest.raises(NoAnswerError):
            await ask(one, odd)
        assert await ask(one, "next") == b"next"
        assert pid_of(one) != before

    played(scene)


@pytest.mark.parametrize("gone", ["ends", "stops short"])
def test_who_ends_at_a_question_gives_no_answer_and_is_started_again(gone: str) -> None:
    async def scene(one: ProgramApart) -> None:
        with pytest.raises(NoAnswerError):
            await ask(one, gone)
        assert await ask(one, "next") == b"next"

    played(scene)


def test_one_that_leaves_just_when_it_is_asked_is_started_again_and_asked_once_more(tmp_path: Path) -> None:
    async def scene(one: ProgramApart) -> None:
        question = f"{ENDS_UNLESS}{tmp_path / 'one-was-here'}"
        with capture_logs() as log:
            assert await ask(one, question) == question.encode()
        assert log == []

    played(scene)


def test_one_that_has_gone_meanwhile_is_started_again_before_it_is_asked() -> None:
    async def scene(one: ProgramApart) -> None:
        assert await ask(one, "first") == b"first"
        before = one.process
        assert before is not None
        before.kill()
        await before.wait()
        assert await ask(one, "next") == b"next"
        assert pid_of(one) != before.pid

    played(scene)


def test_one_that_hangs_is_ended_and_the_next_question_answered() -> None:
    async def scene(one: ProgramApart) -> None:
        assert await ask(one, "first") == b"first"
        process = one.process
        assert process is not None
        with pytest.raises(TimeoutError):
            await ask(one, "hangs", within_s=0.2)
        assert process.returncode == -signal.SIGKILL
        assert await ask(one, "next") == b"next"

    played(scene)


def test_questions_of_those_who_went_away_are_not_asked_any_more() -> None:
    async def scene(one: ProgramApart) -> None:
        assert await ask(one, "first") == b"first"
        asked: list[int] = []
        hangs = asyncio.Event()

        def question(number: int) -> bytes:
            asked.append(number)
            hangs.set()
            return b'"hangs"'

        many = [asyncio.create_task(one.ask(partial(question, number), within_s=0.2)) for number in range(30)]
        await hangs.wait()
        for each in many:
            each.cancel()
        await asyncio.gather(*many, return_exceptions=True)
        # The one in hand goes on for nobody, until its time is over.
        assert await ask(one, "next") == b"next"
        assert asked == [0]

    played(scene)


def test_who_goes_away_in_the_middle_leaves_no_half_of_an_answer() -> None:
    async def scene(one: ProgramApart) -> None:
        assert await ask(one, "first") == b"first"
        before = pid_of(one)
        asked = asyncio.Event()

        def question() -> bytes:
            asked.set()
            return b'"of somebody else"'

        gone = asyncio.create_task(one.ask(question, within_s=LONG_S))
        await asked.wait()
        gone.cancel()
        assert await ask(one, "next") == b"next"
        assert gone.cancelled()
        assert pid_of(one) == before

    played(scene)


def test_the_question_is_made_when_the_program_is_ready() -> None:
    async def scene(one: ProgramApart) -> None:
        told: list[str] = []

        def question() -> bytes:
            told.append("asked" if one._is_ready else "asked too early")
            return b'"answer"'

        assert await one.ask(question, within_s=LONG_S) == b"answer"
        assert told == ["asked"]

    played(scene)


def test_a_long_defect_is_told_and_the_program_lives() -> None:
    async def scene(one: ProgramApart) -> None:
        before = await pid_after(one, "first")
        with pytest.raises(NoAnswerError):
            await ask(one, "ỗ" * 30_000)
        assert await pid_after(one, "next") == before

    with capture_logs() as logged:
        played(scene, "tests.support.failing_answers")
    assert ["\\u1ed7" not in one["detail"] and "ỗỗỗ" in one["detail"] for one in logged] == [True]


def test_what_the_question_raises_is_raised_and_asks_nothing() -> None:
    def question() -> bytes:
        raise NotFoundError("not any more")

    async def scene(one: ProgramApart) -> None:
        with pytest.raises(NotFoundError, match="not any more"):
            await one.ask(question, within_s=LONG_S)
        before = pid_of(one)
        assert await pid_after(one, "next") == before

    played(scene)


def test_at_the_end_nobody_is_answered_nothing_is_started_again_and_nothing_called_a_failure() -> None:
    async def scene(one: ProgramApart) -> None:
        assert await ask(one, "first") == b"first"
        process = one.process
        assert process is not None
        waiting = [asyncio.ensure_future(ask(one, "hangs")) for _ in range(3)]
        await asyncio.sleep(0)
        await one.close()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in ended] == [asyncio.CancelledError, NoAnswerError, NoAnswerError]
        assert process.returncode == -signal.SIGKILL
        assert one.process is None

    with capture_logs() as logged:
        played(scene)
    assert logged == []


def test_a_terminal_s_ctrl_c_does_not_reach_it_and_it_stands_back() -> None:
    async def scene(one: ProgramApart) -> None:
        await one.start()
        assert await ask(one, "first") == b"first"
        assert os.getpgid(pid_of(one)) != os.getpgrp()
        assert os.getpriority(os.PRIO_PROCESS, pid_of(one)) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE)

    played(scene)
