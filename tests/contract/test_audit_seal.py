"""A start that goes on from a seal finds what one that checks every leaf finds, and is not misled by a seal."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit.checkpoint import LogKey
from station.audit.findings import Fault, Report
from station.audit.note import MalformedNoteError
from station.audit.seal import Seal, read_seal
from station.bootstrap.audit import AuditFiles, open_keeper, seal_file
from station.clock import SystemClock
from station.domain.errors import StoreError
from station.settings import load, write_shipped
from station.storage.store import DATABASE_NAME, SqliteReader, SqliteStore
from station.workflow.audit_keeper import AuditKeeper, KeeperSettings
from tests.support.audit_logs import KEYS, LOG_KEY, append_facts, as_before_parts, write_log
from tests.support.forged_files import FORGED, tamper
from tests.support.forgeries import flip_bits
from tests.support.sealed_starts import check_behind, look, seal_of
from tests.support.store_facts import opened

SIZE = 120


class Counted:
    """A store that counts which leaves are held against their facts one by one."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.checked: list[int] = []

    def read(self, query: Callable[[Any], Any]) -> Any:
        return self._store.read(lambda view: query(_View(view, self.checked)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _View:
    def __init__(self, view: Any, checked: list[int]) -> None:
        self._view = view
        self._checked = checked

    def audit_facts(self, *, start: int, limit: int) -> Any:
        found = self._view.audit_facts(start=start, limit=limit)
        self._checked += [fact.leaf_index for fact in found]
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def keeper_of(store: Any, **more: Any) -> AuditKeeper:
    return AuditKeeper(store=store, clock=SystemClock(), key=LOG_KEY, keys=KEYS, site="test", **more)


async def started(store: Any, **more: Any) -> Report:
    return await keeper_of(store, **more).start()


def grow(store: SqliteStore, count: int, start: int) -> None:
    store.write(lambda unit: append_facts(unit, start, count)).result(10)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[AuditFiles, str]:
    """A log that holds, and its seal."""
    files = write_log(tmp_path_factory.mktemp("log"), SIZE, every=30)
    kept: list[str] = []
    with opened(files.database.parent) as store:
        assert asyncio.run(started(store, keep_seal=kept.append)).holds
    (seal,) = kept
    return files, seal


@pytest.fixture
def files(written: tuple[AuditFiles, str], tmp_path: Path) -> AuditFiles:
    copy = tmp_path / DATABASE_NAME
    shutil.copy(written[0].database, copy)
    return replace(written[0], database=copy)


def of(written: tuple[AuditFiles, str]) -> Seal:
    return read_seal(written[1], LOG_KEY.verifier())


@pytest.mark.parametrize("statement", [statement for statement, _ in FORGED])
def test_what_somebody_does_with_sql_is_found_behind_a_seal_too(written: tuple[AuditFiles, str], files: AuditFiles, statement: str):
    assert seal_of(files) == of(written)
    assert look(files, of(written)) == (True, look(files, None)[1])
    tamper(files, statement)
    found = look(files, of(written))[1]
    assert found == look(files, None)[1]
    holds = isinstance(found, Report) and found.holds
    # A start signs anew what nobody signed; that it was signed tells the checkpoint beside the key.
    assert holds == ("'another'" in statement or statement == "DELETE FROM audit_checkpoint")


def test_turned_bits_are_found_behind_a_seal_too(written: tuple[AuditFiles, str], files: AuditFiles):
    flips = flip_bits(files, 150, seed=5, check=lambda changed: check_behind(changed, of(written)))
    assert flips.changed > 10


async def test_a_start_checks_one_by_one_only_what_is_not_sealed(tmp_path: Path):
    kept: list[str] = []
    with opened(tmp_path) as store:
        grow(store, 3000, 0)
        counted = Counted(store)
        first = await started(counted, keep_seal=kept.append)
        assert len(counted.checked) == 3000
        grow(store, 20, 3000)
        counted, told = Counted(store), []
        keeper = keeper_of(counted, sealed=kept[-1], keep_seal=kept.append)
        second = await keeper.start(lambda done, whole: told.append((done, whole)))
        assert counted.checked == list(range(3000, 3020))
        assert told[-1] == (3020, 3020)
        assert keeper.intact
        whole = await started(store)
        assert (second.findings, second.root, second.size, second.checkpoints) == (whole.findings, whole.root, 3020, 1)
        assert whole.checkpoints == 2
        # The tree that it goes on with is the whole one: what is signed next holds from outside.
        grow(store, 5, 3020)
        await keeper.seal()
        await keeper.end()
        assert read_seal(kept[-1], LOG_KEY.verifier()).size == 3025
        nothing = Counted(store)
        assert (await started(nothing, sealed=kept[-1])).holds
        assert nothing.checked == []
        assert (await started(store)).holds
        assert first.holds


async def test_a_running_station_seals_anew_after_so_many_leaves(tmp_path: Path):
    kept: list[str] = []
    with opened(tmp_path) as store:
        keeper = keeper_of(store, keep_seal=kept.append, settings=KeeperSettings(reseal_leaves=50))
        await keeper.start()
        assert kept == []
        for start in range(0, 120, 20):
            grow(store, 20, start)
            await keeper.seal()
        assert [read_seal(seal, LOG_KEY.verifier()).size for seal in kept] == [60, 120]


async def test_a_seal_that_is_not_this_logs_own_costs_time_and_nothing_else(
    written: tuple[AuditFiles, str], files: AuditFiles, tmp_path: Path
):
    good = of(written)
    stranger = LogKey(LOG_KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    renamed = LogKey("urn:kt1:audit:another", LOG_KEY.key)
    size = f"\n{SIZE}\n"
    for text in (
        "",
        "no seal",
        good.signed(stranger),
        good.signed(renamed),
        written[1].replace(size, "\n60\n"),
        LOG_KEY.checkpoint(SIZE, good.root),
    ):
        with pytest.raises(MalformedNoteError):
            read_seal(text, LOG_KEY.verifier())
    other = (
        replace(good, size=60),
        replace(good, size=SIZE + 1),
        replace(good, size=0),
        replace(good, root=bytes(32)),
        replace(good, rows=bytes(32)),
        replace(good, notes=bytes(32)),
    )
    for seal in other:
        sealed, report = look(files, seal)
        assert not sealed
        assert report == look(files, None)[1]
    with opened(files.database.parent) as store:
        for text in ("no seal", *(seal.signed(LOG_KEY) for seal in other)):
            counted, kept = Counted(store), list[str]()
            assert (await started(counted, sealed=text, keep_seal=kept.append)).holds
            assert len(counted.checked) == SIZE
            assert [read_seal(seal, LOG_KEY.verifier()) for seal in kept] == [good]


async def test_a_seal_hides_no_remembered_checkpoint(tmp_path: Path):
    """Somebody who has an older database and its seal has not the newest checkpoint, and one who has that and no more gains nothing."""
    kept: list[str] = []
    with opened(tmp_path) as store:
        grow(store, 40, 0)
        await started(store, keep_seal=kept.append)
        root = read_seal(kept[-1], LOG_KEY.verifier()).root
        for size, of_root, fault in ((40, bytes(32), Fault.SAVED_DIFFERS), (39, bytes(32), Fault.SAVED_DIFFERS), (41, root, Fault.CUT_OFF)):
            report = await started(store, sealed=kept[-1], remembered=LOG_KEY.checkpoint(size, of_root))
            assert [one.fault for one in report.findings] == [fault]
        assert (await started(store, sealed=kept[-1], remembered=LOG_KEY.checkpoint(40, root))).holds


async def test_what_does_not_hold_is_never_sealed(files: AuditFiles):
    kept: list[str] = []
    tamper(files, "UPDATE evidence SET visit = 7 WHERE row_id = 3")
    with opened(files.database.parent) as store:
        keeper = keeper_of(store, keep_seal=kept.append)
        assert not (await keeper.start()).holds
        await keeper.end()
    assert kept == []


async def test_a_seal_that_cannot_be_kept_keeps_nothing_from_being_signed(tmp_path: Path):
    def refuse(_seal: str) -> None:
        raise StoreError("no room")

    with opened(tmp_path) as store:
        grow(store, 5, 0)
        keeper = keeper_of(store, keep_seal=refuse)
        assert (await keeper.start()).holds
        assert keeper.intact
        newest = store.read(lambda view: view.newest_checkpoint())
        assert newest is not None
        assert newest.size == 5


async def test_a_checkpoint_that_could_not_be_remembered_is_in_the_seal(tmp_path: Path):
    kept, refusals = list[str](), [StoreError("no room")]

    def remember(_note: str) -> None:
        if refusals:
            raise refusals.pop()

    with opened(tmp_path) as store:
        keeper = keeper_of(store, remember=remember, keep_seal=kept.append)
        assert (await keeper.start()).holds
        grow(store, 5, 0)
        with pytest.raises(StoreError, match="no room"):
            await keeper.seal()
        grow(store, 5, 5)
        await keeper.end()
        nothing = Counted(store)
        assert (await started(nothing, sealed=kept[-1])).checkpoints == 2
        assert nothing.checked == []


def test_facts_are_written_out_alike_one_by_one_and_in_bulk(tmp_path: Path):
    with opened(tmp_path) as store:
        grow(store, 50, 0)
    as_before_parts(tmp_path)
    with opened(tmp_path) as store:
        grow(store, 50, 50)
        facts, rows = store.read(lambda view: (view.audit_facts(start=-(2**70), limit=99), view.audit_rows(start=-(2**70), limit=99)))
        assert rows == (99, b"".join(fact.row for fact in facts))
        assert len({fact.row for fact in facts}) == 99
        assert store.read(lambda view: view.audit_rows(start=100, limit=9)) is None
    with closing(pysqlite3.dbapi2.connect(str(tmp_path / DATABASE_NAME))) as connection:
        connection.execute("DROP TRIGGER evidence_no_update")
        connection.execute("UPDATE evidence SET payload = CAST(x'ff' AS TEXT) WHERE row_id = 9")
        connection.commit()
    with closing(SqliteReader(tmp_path)) as reader, pytest.raises(StoreError):
        reader.read(lambda view: view.audit_rows(start=0, limit=99))


async def test_the_stations_seal_lies_beside_its_key(tmp_path: Path):
    write_shipped(tmp_path)
    configuration = load(tmp_path / "station.toml")
    with opened(configuration.data_dir) as store:
        grow(store, 5, 0)
        assert (await open_keeper(configuration, store, SystemClock()).start()).holds
        sealed = seal_file(configuration.audit_key_file)
        assert sealed == configuration.audit_key_file.with_suffix(".seal")
        assert sealed.stat().st_mode & 0o777 == 0o600
        good = sealed.read_text(encoding="utf-8")
        for content in (b"\xff", b"x" * 100_000, good.encode()):
            sealed.write_bytes(content)
            assert (await open_keeper(configuration, store, SystemClock()).start()).holds
