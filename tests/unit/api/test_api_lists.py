"""The lists that pages ask for again and again: made in a program of their own they are what they are in the station's own process."""

import asyncio
import os
import signal
from contextlib import closing
from pathlib import Path

import pysqlite3.dbapi2
import pytest
from structlog.testing import capture_logs

from station.api.lists import AlarmsWanted, ListFailedError, ListRequest, PiecesWanted, QueueWanted, RecentWanted, Wanted
from station.bootstrap import lists
from station.bootstrap.lists import ListsApart
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.piece import PieceState, Secrecy, Urgency
from station.storage.store import DATABASE_NAME
from tests.support.api_station import LANE, START, Desk
from tests.support.lists import ListsHere

LIMITS = (1, 3, 50)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs start slowly beside other tests."""
    monkeypatch.setattr(lists, "MOST_S", 60.0)


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
                    assert await apart.make(lambda asked=asked: asked) == await here.make(lambda asked=asked: asked)
        # What was written a moment ago is there, and the page after the first one.
        newest, _ = desk.put_piece(urgency=Urgency.EXPRESS)
        assert newest.encode() in await apart.make(lambda: request(QueueWanted(after=None, limit=50)))
        assert newest.encode() not in await apart.make(lambda: request(QueueWanted(after=newest, limit=50)))
        await apart.close()

    asyncio.run(ask())


def test_a_program_that_was_ended_or_hangs_comes_back(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piece_id, _ = desk.put_piece()
    apart = ListsApart(tmp_path / "data")
    queue = request(QueueWanted(after=None, limit=9))

    async def ask() -> None:
        assert piece_id.encode() in await apart.make(lambda: queue)
        process = apart._program.process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr(lists, "MOST_S", 0.3)
        # However many ask meanwhile, each is told in time, and none of them is waited for afterwards.
        asked = await asyncio.gather(*(apart.make(lambda: queue) for _ in range(50)), return_exceptions=True)
        assert {type(one) for one in asked} == {ListFailedError}
        monkeypatch.setattr(lists, "MOST_S", 60.0)
        assert piece_id.encode() in await apart.make(lambda: queue)
        assert process.returncode == -signal.SIGKILL
        await apart.close()

    asyncio.run(ask())


def test_what_one_list_cannot_show_keeps_no_other_from_being_shown(desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    piece_id, _ = desk.put_piece()
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.DEVICE_LOST, AlarmPriority.HIGH, LANE, "lane_plc", START))
    with closing(pysqlite3.dbapi2.connect(str(tmp_path / "data" / DATABASE_NAME), isolation_level=None)) as connection:
        connection.execute("UPDATE alarm SET code = 'of-another-version'")
    apart = ListsApart(tmp_path / "data")

    async def ask() -> None:
        await apart.make(lambda: request(QueueWanted(after=None, limit=9)))
        process = apart._program.process
        with pytest.raises(ListFailedError, match="could not be made"):
            await apart.make(lambda: request(AlarmsWanted(everything=True, limit=9, of_lanes=())))
        assert piece_id.encode() in await apart.make(lambda: request(QueueWanted(after=None, limit=9)))
        assert apart._program.process is process
        await apart.close()

    with capture_logs() as logged:
        asyncio.run(ask())
    assert ["of-another-version" in one["detail"] for one in logged] == [True]


def test_without_a_database_there_is_an_error_and_no_list(tmp_path: Path) -> None:
    apart = ListsApart(tmp_path / "nowhere")

    async def ask() -> None:
        await apart.start()
        with pytest.raises(ListFailedError, match="could not be made"):
            await apart.make(lambda: request(QueueWanted(after=None, limit=9)))
        await apart.close()

    asyncio.run(ask())


def test_whoever_was_logged_out_before_what_they_asked_for_was_there_gets_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    piece_id, sha256 = desk.put_piece()
    scan = f"/scans/{sha256}"
    paths = ["/pieces", "/reviews", "/alarms", f"/lanes/{LANE}/recent", "/reports/shift", "/reports/day/evidence?figure=pieces.held"]
    paths += [f"{scan}?piece={piece_id}", f"{scan}/view.png?piece={piece_id}"]

    def answers() -> set[int]:
        return {desk.client.get(f"/api/v1{path}").status_code for path in paths}

    assert answers() == {200}
    with monkeypatch.context() as patched:
        patched.setattr(desk.door.access.memory, "still", lambda _caller: None)
        assert answers() == {401}
    assert answers() == {200}
