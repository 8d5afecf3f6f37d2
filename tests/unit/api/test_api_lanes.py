"""The interface's rules of a lane: freezing, commands, what stopped it, its last outcomes, its test piece."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ConflictError, StoreError
from station.domain.reasons import Reason
from station.domain.test_piece import TestPieceReferenceEnded, TestPieceRun, TestPieceTrend, TestValue, TrendWarning
from station.storage.unit_of_work import SqlUnitOfWork
from station.workflow.lane_alarms import alarm_of_stop
from station.workflow.once import Answer, Once
from station.workflow.test_pieces import keep_run
from station.workflow.views import LaneCommand, LaneState
from tests.support.api_station import LANE, START, Desk


def test_freezing_works_at_once(desk: Desk) -> None:
    assert desk.post(f"/lanes/{LANE}/freeze").json() == {"lane_id": LANE, "frozen": True}
    assert desk.get(f"/lanes/{LANE}")["state"] == LaneState.FROZEN
    assert desk.lane.asked == [("freeze", "an")]


def test_lane_commands_reach_the_lane_once(desk: Desk) -> None:
    for _ in range(2):
        assert desk.post(f"/lanes/{LANE}/commands", {"command": "purge"}, key="p").status_code == 200
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "stop"}).status_code == 200
    assert desk.lane.asked == [(LaneCommand.PURGE, "an"), (LaneCommand.STOP, "an")]
    assert desk.post("/lanes/lane-9/commands", {"command": "stop"}).status_code == 404
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "open-gate"}).json()["code"] == "request-invalid"


def test_a_lane_command_is_not_done_again_after_the_station_died_over_it(desk: Desk) -> None:
    desk.lane.dies = True
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "clear-access"}, key="c").status_code == 500
    desk.lane.dies = False
    desk.stop_serving()
    desk.serve_again()
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "clear-access"}, key="c").status_code == 200
    assert desk.lane.asked == [(LaneCommand.CLEAR_ACCESS, "an")]


def test_a_refused_lane_command_may_be_asked_again(desk: Desk) -> None:
    desk.lane.refuses = True
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "start"}, key="s").status_code == 409
    desk.lane.refuses = False
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "start"}, key="s").status_code == 200
    assert desk.lane.asked == [(LaneCommand.START, "an")] * 2


def test_a_lane_command_that_is_being_done_is_not_told_as_done(desk: Desk) -> None:
    """The lane may refuse it; and a disk that has no room then does not hide why."""

    async def ask_twice() -> list[object]:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def refuse(command: LaneCommand, *, person: str) -> None:
            asked.set()
            await answer.wait()
            raise ConflictError(f"The lane refuses {command} of {person}")

        def forget(uow: SqlUnitOfWork, key: str) -> None:
            raise StoreError("the disk is full")

        def start() -> Coroutine[Any, Any, Answer]:
            return desk.handlers.lane_command(LANE, LaneCommand.START, person="an", once=Once(key="k", fingerprint="f"))

        with pytest.MonkeyPatch.context() as changed:
            changed.setattr(desk.lane, "command", refuse)
            changed.setattr(SqlUnitOfWork, "forget_request", forget)
            first = asyncio.create_task(start())
            await asked.wait()
            second = await asyncio.gather(start(), return_exceptions=True)
            answer.set()
            return [*second, *await asyncio.gather(first, return_exceptions=True)]

    assert [getattr(told, "what", told) for told in asyncio.run(ask_twice())] == [
        "This command is being done",
        "The lane refuses start of an",
    ]


def test_what_stopped_a_lane_is_told_before_it_can_be_stored_and_once(desk: Desk) -> None:
    stopped = alarm_of_stop(Reason.STORE_FAILING, lane_id=LANE, detail="store-fails", at=START)
    desk.lane.show(state=LaneState.STOPPED, alarm=stopped)
    (item,) = desk.get("/alarms")["items"]
    assert (item["alarm_id"], item["code"], item["subject"], item["detail"]) == (None, "store-failing", LANE, "store-fails")
    stored = desk.write(lambda uow: uow.raise_alarm(AlarmCode.STORE_FAILING, AlarmPriority.HIGH, LANE, "store-fails", START))
    assert [item["alarm_id"] for item in desk.get("/alarms")["items"]] == [stored.alarm_id]
    assert alarm_of_stop(Reason.PURGED, lane_id=LANE, detail="", at=START) is None


def test_the_last_outcomes_of_a_lane(desk: Desk) -> None:
    ids = []
    for _ in range(3):
        desk.clock.forward(1)
        ids.append(desk.put_piece()[0])
    assert [item["piece_id"] for item in desk.get(f"/lanes/{LANE}/recent?limit=2")["items"]] == ids[:0:-1]


def test_the_newest_run_of_the_test_piece_is_shown_with_every_value(desk: Desk):
    assert desk.get(f"/lanes/{LANE}")["test_piece"] is None
    assert desk.get(f"/lanes/{LANE}/test-piece") is None
    values = (
        TestValue(name="turned-deg", measured=4.5, limit=4.0, passed=False),
        TestValue(name="air-signal-share", measured=0.4, limit=0.15, passed=True),
    )
    run = TestPieceRun(
        piece_id="TEST-0001",
        visit=3,
        at=START,
        lane_id=LANE,
        passed=False,
        values=values,
        not_asked=("line-pairs-finer-than-12-mm",),
        warnings=(TrendWarning(name="air-signal-share", reference=0.5, newest=0.4, rises=False),),
        error="",
    )
    desk.lane.show(test_piece_run=run, test_piece_passed_at=None)
    stand = desk.get(f"/lanes/{LANE}")["test_piece"]
    assert (stand["passed"], stand["failed"], stand["drifting"]) == (False, ["turned-deg"], ["air-signal-share"])
    whole = desk.get(f"/lanes/{LANE}/test-piece")
    assert whole["piece_id"] == "TEST-0001"
    assert whole["values"][0] == {"name": "turned-deg", "measured": 4.5, "limit": 4.0, "passed": False}
    assert whole["warnings"] == [{"name": "air-signal-share", "reference": 0.5, "newest": 0.4, "rises": False}]
    assert whole["not_asked"] == ["line-pairs-finer-than-12-mm"]


def test_a_technician_ends_the_reference_of_the_test_pieces_trend(desk: Desk):
    where = f"/lanes/{LANE}/test-piece/reference-ended"
    assert desk.post(where, {"note": "new tube"}).status_code == 404
    run = TestPieceRun(piece_id="TEST-0001", visit=1, at=START, lane_id=LANE, passed=True, values=(), not_asked=(), warnings=(), error="")
    desk.store.write(lambda uow: keep_run(uow, run, TestPieceTrend())).result()
    for body in ({}, {"note": ""}, {"note": "a\nb"}, {"note": "x" * 501}, {"note": "new tube", "more": 1}):
        assert desk.post(where, body).status_code == 422
    first = desk.post(where, {"note": "new tube"}, person="hoa", key="once")
    assert (first.status_code, first.json()["person"]) == (200, "hoa")
    assert desk.post(where, {"note": "new tube"}, person="hoa", key="once").json() == first.json()
    ended = [
        row.evidence
        for row in desk.store.read(lambda view: view.evidence("TEST-0001"))
        if isinstance(row.evidence, TestPieceReferenceEnded)
    ]
    assert [(one.person, one.note) for one in ended] == [("hoa", "new tube")]
    assert desk.post("/lanes/lane-9/test-piece/reference-ended", {"note": "new tube"}).status_code == 404
