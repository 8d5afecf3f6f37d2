"""Little space on a disk is an alarm, once when it begins and once when it is over, before a full disk holds everything."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from station.bootstrap.space import open_space_watch
from station.bootstrap.station import start_station
from station.bootstrap.stores import open_store
from station.bootstrap.vault import IMAGES, open_images
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.settings import Configuration, edit, load, write_shipped
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.space_watch import ROUND_S, SpaceWatch
from tests.support.backups import SMALL
from tests.support.clocks import SetClock
from tests.support.store_facts import opened
from tests.support.vaults import DAY
from tests.support.waiting import until

T = TypeVar("T")
MEBIBYTE = 1 << 20


async def inline(work: Callable[[], T]) -> T:
    return work()


class Disk:
    """A disk that has as much left as a test says, and warns below 2048 MiB."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.warn_bytes = 2048 * MEBIBYTE
        self.free_mb = 10_000

    def free_bytes(self) -> int:
        return self.free_mb * MEBIBYTE


def told(store: SqliteStore) -> list[Alarm]:
    return [alarm for alarm in store.read(lambda view: view.alarms(active_only=False)) if alarm.code is AlarmCode.DISK_LOW][::-1]


def watch_over(store: SqliteStore, **disks: Disk | None) -> SpaceWatch:
    return SpaceWatch(store=store, media=disks, clock=SetClock(DAY), run_blocking=inline)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path) as store:
        yield store


async def test_it_begins_once_and_ends_once_and_does_not_flutter(store: SqliteStore, tmp_path: Path):
    disk = Disk(tmp_path)
    watch = watch_over(store, images=disk)
    for free_mb, raised, standing in [
        (2048, 0, 0),
        (2047, 1, 1),
        (900, 1, 1),
        (2100, 1, 1),
        (2040, 1, 1),
        (2252, 1, 1),
        (2253, 1, 0),
        (2100, 1, 0),
        (2047, 2, 1),
    ]:
        disk.free_mb = free_mb
        await watch.look()
        alarms = told(store)
        assert (len(alarms), sum(alarm.cleared_at is None for alarm in alarms)) == (raised, standing), free_mb
    assert {(alarm.subject, alarm.priority) for alarm in alarms} == {("images", AlarmPriority.MEDIUM)}
    assert alarms[0].detail == f"2047 MiB < 2048 MiB: {tmp_path}"


async def test_a_round_that_changes_nothing_writes_nothing(store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    low, enough = Disk(tmp_path), Disk(tmp_path)
    low.free_mb = 1
    watch = watch_over(store, images=low, database=enough, other=None)
    await watch.look()
    monkeypatch.setattr(store, "write", None)
    await watch.look()
    assert [alarm.subject for alarm in told(store)] == ["images"]


@pytest.mark.parametrize(("free_mb", "standing"), [(10_000, False), (2100, True), (5, True)])
async def test_what_an_earlier_run_said_is_taken_up(store: SqliteStore, tmp_path: Path, free_mb: int, standing: bool):
    disk = Disk(tmp_path)
    disk.free_mb = 5
    await watch_over(store, images=disk).look()
    disk.free_mb = free_mb
    await watch_over(store, images=disk).look()
    (alarm,) = told(store)
    assert (alarm.cleared_at is None) is standing


async def test_of_a_medium_that_lies_with_another_one_nothing_is_said_any_more(store: SqliteStore, tmp_path: Path):
    disk = Disk(tmp_path)
    disk.free_mb = 5
    await watch_over(store, images=disk).look()
    await watch_over(store, images=None).look()
    (alarm,) = told(store)
    assert alarm.cleared_at is not None


async def test_what_cannot_be_recorded_is_said_in_the_next_round(store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    disk = Disk(tmp_path)
    disk.free_mb = 5
    clock = SetClock(DAY)
    slept: list[float] = []
    patch = pytest.MonkeyPatch()

    def fails(_: object) -> None:
        raise StoreError("the disk is full")

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        patch.undo()
        if len(slept) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(clock, "sleep", sleep)
    patch.setattr(store, "write", fails)
    with pytest.raises(asyncio.CancelledError):
        await SpaceWatch(store=store, media={"images": disk}, clock=clock, run_blocking=inline).run()
    assert slept == [ROUND_S, ROUND_S]
    assert [alarm.detail for alarm in told(store)] == [f"5 MiB < 2048 MiB: {tmp_path}"]


def site(directory: Path, warning_mb: int) -> Configuration:
    write_shipped(directory)
    edit(directory / "station.toml", {**SMALL, "storage.free_warning_mb": warning_mb})
    return load(directory / "station.toml")


def look(configuration: Configuration) -> list[tuple[str, bool]]:
    clock = SetClock(DAY)
    store = open_store(configuration)
    try:
        open_images(configuration, clock)
        asyncio.run(open_space_watch(configuration, store, clock).look())
        return [(alarm.subject, alarm.cleared_at is None) for alarm in told(store)]
    finally:
        store.close()


def test_the_configured_limit_counts_for_the_disk_that_the_station_writes_to(tmp_path: Path):
    """Database and images lie together as the station is shipped: that is one disk, and one alarm."""
    assert look(site(tmp_path, 1)) == []
    edit(tmp_path / "station.toml", {"storage.free_warning_mb": 1 << 30})
    assert look(load(tmp_path / "station.toml")) == [(DATABASE_NAME, True)]
    edit(tmp_path / "station.toml", {"storage.free_warning_mb": 1})
    assert look(load(tmp_path / "station.toml")) == [(DATABASE_NAME, False)]


MEMORY = Path("/dev/shm")


@pytest.mark.skipif(not MEMORY.is_dir(), reason="there is no second medium here")
def test_images_on_a_disk_of_their_own_are_looked_at_too(tmp_path: Path):
    configuration = site(tmp_path, 1 << 30)
    if MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("the tests themselves run there")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        configuration.data_dir.mkdir(mode=0o700)
        (configuration.data_dir / IMAGES).symlink_to(folder)
        assert look(configuration) == [(DATABASE_NAME, True), (IMAGES, True)]


async def test_a_running_station_looks(tmp_path: Path):
    site(tmp_path, 1 << 30)
    edit(tmp_path / "station.toml", {"http.port": 0})
    edit(tmp_path / "devices" / "lane-1.toml", {"plc.endpoint": "tcp:127.0.0.1:9"})
    configuration = load(tmp_path / "station.toml")
    station = await asyncio.to_thread(start_station, configuration)
    try:
        await until(lambda: bool(told(station.store)))
    finally:
        await asyncio.to_thread(station.stop)


def test_images_that_are_not_there_end_the_start(tmp_path: Path):
    configuration = site(tmp_path, 1)
    store = open_store(configuration)
    try:
        with pytest.raises(StoreError, match="cannot be looked at"):
            open_space_watch(configuration, store, SetClock(DAY))
    finally:
        store.close()
