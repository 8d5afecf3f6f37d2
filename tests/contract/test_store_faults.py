"""What the store does when the machine, the disk or another process gets in its way."""

import asyncio
import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2
import pytest

from station.domain.errors import StoreError
from station.domain.piece import PieceState
from station.storage.space import SpaceGuard
from station.storage.sqlite import apply_pragmas, refuse_unsafe_version
from station.storage.store import SqliteReader, SqliteStore
from tests.support.store_facts import arrive, at, check_audit, opened, permit, written


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    directory.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine does not let the test mount a small disk")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_sqlite_that_can_corrupt_is_refused(version: tuple[int, int, int], safe: bool):
    if safe:
        refuse_unsafe_version(version)
    else:
        with pytest.raises(StoreError, match="does not start"):
            refuse_unsafe_version(version)


def test_settings_that_do_not_hold_are_refused(tmp_path: Path):
    memory = pysqlite3.dbapi2.connect(":memory:")
    try:
        with pytest.raises(StoreError, match="journal_mode=WAL"):
            apply_pragmas(memory, tmp_path)
    finally:
        memory.close()


def test_the_writer_runs_with_safe_settings(tmp_path: Path):
    with opened(tmp_path) as store:
        held = written(
            store,
            lambda unit: [
                unit._connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
            ],
        )
    assert held == ["wal", 2, 1]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "station.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be made"):
        SqliteStore(Path("/proc/kt1-station"))
    (tmp_path / "station.db").mkdir()
    with pytest.raises(StoreError):
        SqliteStore(tmp_path)
    with pytest.raises(StoreError, match="no database"):
        SqliteReader(tmp_path)


def test_a_read_only_disk_is_refused(tmp_path: Path):
    with small_disk(tmp_path / "disk", 8) as disk:
        with opened(disk) as store:
            arrive(store, "P1")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError):
            SqliteStore(disk)


def test_a_second_process_is_refused(tmp_path: Path):
    program = """
import sys, pathlib, tests.support.store_facts as facts
with facts.opened(pathlib.Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""
    first = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match=f"process {first.pid}"):
            SqliteStore(tmp_path)
        reader = SqliteReader(tmp_path)
        assert reader.read(lambda view: view.outbox_depth()) == (0, 0, 0)
        reader.close()
    finally:
        first.communicate(timeout=20)
    with opened(tmp_path) as store:
        assert store.healthy()


def test_one_failing_work_does_not_take_its_group_with_it(tmp_path: Path):
    with opened(tmp_path) as store:
        entered, go_on = threading.Event(), threading.Event()

        def hold_the_writer(_: Any) -> None:
            entered.set()
            assert go_on.wait(20)

        first = store.write(hold_the_writer)
        assert entered.wait(20)

        def fails(unit: Any) -> None:
            unit.append(permit("P1", 77))
            raise KeyError("mine alone")

        group = [store.write(fails) if n % 3 == 1 else store.write(lambda unit, n=n: unit.append(permit("P1", n))) for n in range(30)]
        go_on.set()
        first.result(20)
        for number, pending in enumerate(group):
            if number % 3 == 1:
                with pytest.raises(KeyError, match="mine alone"):
                    pending.result(20)
            else:
                assert pending.result(20).evidence == permit("P1", number)
        assert check_audit(store) == 20
        assert store.healthy()


def test_a_failing_commit_fails_everybody_in_it(tmp_path: Path):
    with opened(tmp_path) as store:
        arrive(store, "P1")
        entered, go_on = threading.Event(), threading.Event()

        def hold_the_writer(_: Any) -> None:
            entered.set()
            assert go_on.wait(20)

        first = store.write(hold_the_writer)
        assert entered.wait(20)
        good = store.write(lambda unit: unit.append(permit("P1", 1)))
        # A fact without its leaf passes as a statement and fails when the transaction commits.
        orphan = "INSERT INTO evidence (piece_id, visit, at, kind, payload, salt, leaf_index) VALUES ('P1', 1, '', 'x', '', x'00', 99)"
        bad = store.write(lambda unit: unit._connection.exec_driver_sql(orphan))
        go_on.set()
        first.result(20)
        for pending in (good, bad):
            with pytest.raises(StoreError, match="FOREIGN KEY"):
                pending.result(20)
        assert not store.healthy()
        assert store.read(lambda view: view.evidence("P1")) == []
        assert written(store, lambda unit: unit.append(permit("P1", 2))).leaf_index == 3
        assert store.healthy()
        assert check_audit(store) == 4


def write_until_it_fails(store: SqliteStore, acknowledged: list[Any]) -> None:
    acknowledged.extend(written(store, lambda unit, n=number: unit.append(permit("P1", n))) for number in range(10_000))


def test_a_full_database_is_told_and_heals(tmp_path: Path):
    with opened(tmp_path, group_commit=False) as store:
        arrive(store, "P1")
        written(store, lambda unit: unit._connection.exec_driver_sql("PRAGMA max_page_count=60"))
        acknowledged: list[Any] = []
        with pytest.raises(StoreError, match="Free space"):
            write_until_it_fails(store, acknowledged)
        assert len(acknowledged) > 5
        assert not store.healthy()
        assert not (tmp_path / "reserve.bin").exists()
        assert store.read(lambda view: view.evidence("P1")) == acknowledged
        assert store.try_again()
        assert store.healthy()
        assert (tmp_path / "reserve.bin").stat().st_size == 1 << 16
        assert check_audit(store) == len(acknowledged) + 3


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_told_and_heals(tmp_path: Path):
    with small_disk(tmp_path / "disk", 6) as disk, opened(disk, reserve_bytes=1 << 20, floor_bytes=1 << 20) as store:
        arrive(store, "P1")
        with pytest.raises(OSError, match="space"):
            fill(disk / "ballast")
        acknowledged: list[Any] = []
        with pytest.raises(StoreError, match="Free space"):
            write_until_it_fails(store, acknowledged)
        assert not store.healthy()
        # The reserve was given up, so that why a piece is held can still be written down, but the station is not well yet.
        written(store, lambda unit: unit.change_state("P1", PieceState.HELD, at(5), reasons=["store-failing"]))
        assert not store.healthy()
        assert store.read(lambda view: view.evidence("P1")) == acknowledged
        (disk / "ballast").unlink()
        assert store.try_again()
        assert store.healthy()
        assert check_audit(store) == len(acknowledged) + 4


def test_the_writer_finds_out_by_itself_that_the_disk_works_again(tmp_path: Path):
    with opened(tmp_path) as store:
        written(store, lambda unit: unit._connection.exec_driver_sql("PRAGMA max_page_count=1"))
        with pytest.raises(StoreError):
            written(store, lambda unit: unit.set_value("v", "x" * 100_000))
        well = threading.Event()
        for _ in range(200):
            if store.healthy() or well.wait(0.05):
                break
        assert store.healthy()


def test_a_reserve_that_is_missing_comes_back_though_nothing_fails_any_more(tmp_path: Path):
    with opened(tmp_path) as store:
        store.space.give_up()
        assert not store.healthy()
        arrive(store, "P1")
        well = threading.Event()
        for _ in range(200):
            if store.healthy() or well.wait(0.05):
                break
        assert store.healthy()


def test_what_cannot_be_removed_does_not_end_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with opened(tmp_path, group_commit=False) as store:
        arrive(store, "P1")
        written(store, lambda unit: unit._connection.exec_driver_sql("PRAGMA max_page_count=1"))
        monkeypatch.setattr(Path, "unlink", read_only)
        with pytest.raises(StoreError, match="Free space"):
            written(store, lambda unit: unit.set_value("v", "x" * 100_000))
        assert store.read(lambda view: view.value("v")) is None
        written(store, lambda unit: unit.set_value("v", "y"))


def test_opening_brings_what_the_log_holds_into_the_database(tmp_path: Path):
    copy = tmp_path / "copy"
    with opened(tmp_path / "data") as store:
        arrive(store, "P1")
        copy.mkdir()
        for name in ("station.db", "station.db-wal"):
            (copy / name).write_bytes((tmp_path / "data" / name).read_bytes())
    # While somebody reads, closing does not do that.
    reader = SqliteReader(copy)
    assert reader.read(lambda view: view.audit_head().size) == 3
    assert (copy / "station.db-wal").stat().st_size > 0
    with opened(copy) as store:
        # Nothing stands before what is written from here on that a failed flush may have kept from the medium.
        assert (copy / "station.db-wal").stat().st_size == 0
        assert check_audit(store) == 3
    reader.close()


def test_below_the_floor_nothing_is_well(tmp_path: Path):
    with opened(tmp_path, floor_bytes=1 << 60, warn_bytes=1 << 61) as store:
        assert not store.healthy()
        arrive(store, "P1")
    assert SpaceGuard(tmp_path / "gone", reserve_bytes=1, floor_bytes=1, warn_bytes=1).free_bytes() == 0


def test_many_threads_and_loops_write_at_once(tmp_path: Path):
    numbers: list[int] = []
    with opened(tmp_path) as store:

        async def client(worker: int) -> None:
            for step in range(10):
                numbers.append(await store.write(lambda unit: unit.next_number("tag")))
                await store.write(lambda unit, s=step: unit.append(permit(f"P{worker}", s)))

        async def loop_of(worker: int) -> None:
            await asyncio.gather(*(client(10 * worker + part) for part in range(5)))

        threads = [threading.Thread(target=asyncio.run, args=(loop_of(worker),)) for worker in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 301))
        assert check_audit(store) == 300
        facts = store.read(lambda view: [view.evidence(f"P{10 * worker + part}") for worker in range(6) for part in range(5)])
        assert all([row.evidence.tag for row in rows] == list(range(10)) for rows in facts)


async def test_cancelling_the_waiter_does_not_take_back_the_work(tmp_path: Path):
    with opened(tmp_path) as store:
        go_on = threading.Event()
        task = asyncio.ensure_future(_await(store.write(lambda unit: (go_on.wait(20), unit.set_value("k", "v")))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await store.write(lambda unit: unit.value("k")) == "v"


async def _await(pending: Any) -> Any:
    return await pending


def test_closing_finishes_what_was_accepted(tmp_path: Path):
    with opened(tmp_path) as store:
        pending = [store.write(lambda unit, n=n: unit.set_value(f"k{n}", "v")) for n in range(500)]
    for one in pending:
        one.result(0)
    with opened(tmp_path) as store:
        assert store.read(lambda view: view.value("k499")) == "v"
