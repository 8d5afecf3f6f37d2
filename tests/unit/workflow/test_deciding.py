"""A decision of the operator: whoever asked is told what became of it, and a lane that cannot know goes no further."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from station.domain.access import Caller
from station.domain.clearance import Outcome
from station.domain.errors import ConflictError, StoreError, TransitionError
from station.domain.review import OperatorDecision
from station.workflow.deciding import Decisions, Pending
from station.workflow.exercises import Exercises
from station.workflow.lane_piece import LanePiece
from station.workflow.refusals import SecondPersonError
from station.workflow.tracker import Track
from station.workflow.views import LaneDecided

PIECE, SHA = "EE473124829VN", "a" * 64
FAILURES = [StoreError("the disk is full"), TransitionError("held already"), RuntimeError("a defect")]


class Writing:
    """A journey whose decision becomes durable when it is let, or fails."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure, self.let = failure, asyncio.Event()
        self.outcomes = [Outcome.CLEARED]

    async def decided(self, *_: object) -> SimpleNamespace:
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(outcome=self.outcomes.pop(0))


def waiting(journey: Any, wake: Callable[[], None]) -> tuple[Decisions, Pending]:
    clock: Any = SimpleNamespace(utc_now=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    decisions = Decisions(journey, clock, wake, Exercises())
    piece = LanePiece(track=Track(number=1, head_mm=0.0), piece_id=PIECE, visit=1)
    pending = Pending(piece=piece, scan_sha256=SHA, opened_s=0.0, attention=False, blind=False)
    decisions.pending.append(pending)
    return decisions, pending


def caller(name: str) -> Caller:
    return Caller(user_id=name, name=name, display_name=name, roles=frozenset(), clearance=None, session=None)


async def clear(decisions: Decisions, name: str = "an") -> LaneDecided:
    return await decisions.decide(piece_id=PIECE, visit=1, scan_sha256=SHA, decision=OperatorDecision.CLEAR, by=caller(name))


@pytest.mark.parametrize("failure", [None, *FAILURES])
@pytest.mark.parametrize("goes_away", [False, True])
def test_what_becomes_of_a_decision(failure: Exception | None, goes_away: bool):
    nobodys: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: nobodys.append(context))
        journey, woken = Writing(failure), asyncio.Event()
        decisions, pending = waiting(journey, woken.set)
        asking = asyncio.create_task(clear(decisions))
        await asyncio.sleep(0)
        with pytest.raises(ConflictError):
            await clear(decisions)
        if goes_away:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        journey.let.set()
        await woken.wait()
        (told,) = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(told, asyncio.CancelledError) if goes_away else told is (failure or LaneDecided.DECIDED)
        assert (pending.clearance is not None) == (failure is None)
        # Only what certainly changed nothing may be decided again; what may have been stored ends the session.
        assert pending.answered == (not isinstance(failure, TransitionError))
        if failure is None or isinstance(failure, TransitionError):
            decisions.check()
        else:
            with pytest.raises(type(failure)):
                decisions.check()

    asyncio.run(run())
    assert not nobodys


async def test_where_it_takes_two_the_scan_waits_for_somebody_else():
    journey = Writing(None)
    journey.outcomes = [Outcome.AWAITING, Outcome.CLEARED]
    journey.let.set()
    decisions, pending = waiting(journey, lambda: None)
    assert await clear(decisions) is LaneDecided.AWAITING_SECOND_PERSON
    assert decisions.question() is pending
    with pytest.raises(SecondPersonError):
        await clear(decisions, "AN ")
    assert await clear(decisions, "bình") is LaneDecided.DECIDED
    assert decisions.question() is None


async def test_nobody_is_shown_that_the_first_of_two_is_being_written_down():
    journey = Writing(None)
    journey.outcomes = [Outcome.AWAITING, Outcome.CLEARED]
    decisions, pending = waiting(journey, lambda: None)
    pending.takes_two = True
    first = asyncio.create_task(clear(decisions))
    await asyncio.sleep(0)
    assert decisions.question() is pending
    others = [asyncio.create_task(clear(decisions, name)) for name in ("an", "bình", "chi")]
    await asyncio.sleep(0)
    assert not any(one.done() for one in others)
    journey.let.set()
    assert await first is LaneDecided.AWAITING_SECOND_PERSON
    told = await asyncio.gather(*others, return_exceptions=True)
    assert [type(told[0]), told[1], type(told[2])] == [SecondPersonError, LaneDecided.DECIDED, ConflictError]
    assert decisions.question() is None


def test_the_operator_is_asked_first_about_what_the_belts_stand_for():
    decisions, early = waiting(None, lambda: None)
    stop = replace(early, attention=True)
    assert (decisions.question(), decisions.stops) == (early, False)
    decisions.pending.append(stop)
    assert (decisions.question(), decisions.stops) == (stop, True)
    stop.answered = True
    assert (decisions.question(), decisions.stops) == (early, True)
    early.answered = True
    assert decisions.question() is None
