"""The lists that pages ask for again and again: made in a program of their own they are what they are in the station's own process."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from station.api.lists import AlarmsWanted, ListRequest, PiecesWanted, QueueWanted, RecentWanted, Wanted
from station.bootstrap import lists
from station.bootstrap.lists import ListsApart
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.errors import StoreUnavailableError
from station.domain.piece import PieceState, Secrecy, Urgency
from tests.support.api_station import LANE, START, Desk
from tests.support.lists import ListsHere

LIMITS = (1, 3, 50)


def request(wanted: Wanted, clearance: Secrecy | None = Secrecy.A, *, sees_images: bool = True) -> ListRequest:
    return ListRequest(clearance=clearance, sees_images=sees_images, now=START, wanted=wanted)


def wanted_lists() -> list[Wanted]:
    stopped = Alarm(
        alarm_id=0,
        code=AlarmCode.DEVICE_LOST,
        priority=AlarmPriority.HIGH,
        subject=LANE,
        detail="lane_plc",
        raised_at=START,
        cleared_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
    )
    found: list[Wanted] = [AlarmsWanted(everything=everything, limit=9, of_lanes=(stopped,)) for everything in (False, True)]
    for limit in LIMITS:
        found += [
            PiecesWanted(states=states, lane_id=lane_id, after=None, limit=limit)
            for states in ((), (PieceState.HELD,), (PieceState.RELEASED,))
            for lane_id in (None, LANE, "no-lane")
        ]
        found += [RecentWanted(lane_id=LANE, limit=limit), QueueWanted(after=None, limit=limit)]
    return found


def test_the_program_makes_the_lists_that_the_station_would(desk: Desk, tmp_path: Path) -> None:
    for secrecy in (None, Secrecy.C, Secrecy.A):
        for urgency in (None, Urgency.EXPRESS):
            desk.put_piece(secrecy=secrecy, urgency=urgency)
    here, apart = ListsHere(desk.store), ListsApart(tmp_path / "data")

    async def ask() -> None:
        await apart.start()
        for wanted in wanted_lists():
            for clearance in (None, Secrecy.C, Secrecy.A):
                for sees_images in (False, True):
                    asked = request(wanted, clearance, sees_images=sees_images)
                    assert await apart.make(asked) == await here.make(asked)
        # What was written a moment ago is there, and the page after the first one.
        newest, _ = desk.put_piece(urgency=Urgency.EXPRESS)
        assert newest.encode() in await apart.make(request(QueueWanted(after=None, limit=50)))
        assert newest.encode() not in await apart.make(request(QueueWanted(after=newest, limit=50)))
        await apart.close()

    asyncio.run(ask())


def test_a_program_that_was_ended_or_hangs_comes_back(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece_id, _ = desk.put_piece()
    apart = ListsApart(tmp_path / "data")
    queue = request(QueueWanted(after=None, limit=9))

    async def ask() -> None:
        assert piece_id.encode() in await apart.make(queue)
        process = apart._program.process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        assert piece_id.encode() in await apart.make(queue)
        process = apart._program.process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr(lists, "MOST_S", 0.3)
        with pytest.raises(StoreUnavailableError, match="was not there after"):
            await apart.make(queue)
        monkeypatch.setattr(lists, "MOST_S", 20.0)
        assert piece_id.encode() in await apart.make(queue)
        assert await process.wait() == -signal.SIGKILL
        await apart.close()

    asyncio.run(ask())


def test_who_goes_away_keeps_nobody_from_an_answer(desk: Desk, tmp_path: Path) -> None:
    piece_id, _ = desk.put_piece()
    apart = ListsApart(tmp_path / "data")
    queue = request(QueueWanted(after=None, limit=9))

    async def ask() -> None:
        await apart.make(queue)
        process = apart._program.process
        gone = [asyncio.create_task(apart.make(queue)) for _ in range(3)]
        stays = asyncio.create_task(apart.make(queue))
        await asyncio.sleep(0)
        for one in gone:
            one.cancel()
        assert piece_id.encode() in await stays
        assert [one.cancelled() for one in gone] == [True] * 3
        assert apart._program.process is process
        await apart.close()

    asyncio.run(ask())


def test_without_a_program_there_is_an_error_and_no_list(tmp_path: Path) -> None:
    apart = ListsApart(tmp_path / "nowhere")

    async def ask() -> None:
        with pytest.raises(StoreUnavailableError, match="ended by a defect"):
            await apart.make(request(QueueWanted(after=None, limit=9)))
        await apart.close()

    asyncio.run(ask())
