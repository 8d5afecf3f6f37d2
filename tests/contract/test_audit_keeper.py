"""The audit log's keeper when things go wrong: unreadable, unwritable, forged while the station was off, a witness that misbehaves."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2
import pytest
from structlog.testing import capture_logs
from structlog.types import EventDict

from station.audit.findings import Fault
from station.audit.note import cosign, split
from station.domain.alarm import AlarmCode
from station.domain.commitment import commitment_of
from station.domain.errors import StoreError
from station.ports.tracking import ReceiverUnreachableError, Witness, WitnessAnswer
from station.storage.audit_log import push
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.audit_keeper import AuditKeeper, KeeperSettings
from tests.support.audit_logs import KEYS, LOG_KEY, WITNESS_KEY, append_facts
from tests.support.store_facts import at, opened
from tests.support.waiting import until


class Hands:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_now(self) -> Any:
        return at(self.now_s)

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0.001)


class Failing:
    """A store whose reads or writes can be made to fail, or to hang."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.reads: Callable[[], None] = lambda: None
        self.writes: Callable[[], None] = lambda: None

    def read(self, query: Callable[[Any], Any]) -> Any:
        self.reads()
        return self._store.read(query)

    def write(self, work: Callable[[Any], Any]) -> Any:
        self.writes()
        return self._store.write(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def fail(error: Exception) -> Callable[[], None]:
    def now() -> None:
        raise error

    return now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path) as one:
        yield one


def grow(store: SqliteStore, count: int, start: int) -> None:
    store.write(lambda unit: append_facts(unit, start, count)).result(10)


def keeper_of(store: Any, clock: Hands | None = None, **more: Any) -> AuditKeeper:
    return AuditKeeper(store=store, clock=clock or Hands(), key=LOG_KEY, keys=KEYS, site="test", **more)


def alarms(store: SqliteStore) -> list[AlarmCode]:
    return [alarm.code for alarm in store.read(lambda view: view.alarms()) if alarm.cleared_at is None]


def unwritten(line: EventDict, code: AlarmCode) -> bool:
    return line["event"].startswith("an alarm could not be written") and line["code"] == code


async def test_a_log_that_cannot_be_read_or_signed_holds_everything_until_it_can(store: SqliteStore):
    clock, failing = Hands(), Failing(store)
    keeper = keeper_of(failing, clock)
    grow(store, 3, 0)
    await keeper.start()
    for direction in ("reads", "writes"):
        grow(store, 3, int(clock.now_s) + 100)
        setattr(failing, direction, fail(StoreError("the disk does not answer")))
        running = asyncio.create_task(keeper.run())
        await until(lambda: not keeper.intact)
        assert clock.now_s > KeeperSettings().stale_s
        if direction == "reads":
            await until(lambda: alarms(store) == [AlarmCode.AUDIT_STALLED])
        setattr(failing, direction, lambda: None)
        await until(lambda: keeper.intact and alarms(store) == [])
        running.cancel()


async def test_a_defect_in_telling_that_the_log_is_not_signed_does_not_end_the_keeper(store: SqliteStore):
    clock, failing = Hands(), Failing(store)
    keeper = keeper_of(failing, clock)
    await keeper.start()
    grow(store, 3, 0)
    failing.reads = failing.writes = fail(IndexError("a defect"))
    with capture_logs() as log:
        running = asyncio.create_task(keeper.run())
        await until(lambda: any(unwritten(line, AlarmCode.AUDIT_STALLED) for line in log))
        failing.reads = lambda: None
        failing.writes = lambda: None
        await until(lambda: keeper.intact and store.read(lambda view: view.newest_checkpoint()).size == 3)
    running.cancel()


async def test_a_keeper_that_ended_vouches_for_nothing(store: SqliteStore):
    clock = Hands()
    keeper = keeper_of(store, clock)
    await keeper.start()
    assert keeper.intact
    clock.now_s += KeeperSettings().stale_s + 1
    assert not keeper.intact


async def test_a_defect_in_what_a_witness_needs_does_not_end_signing(store: SqliteStore):
    class Defective:
        async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
            raise IndexError("a defect")

        async def close(self) -> None:
            return None

    keeper = keeper_of(store, witness=Defective())
    grow(store, 2, 0)
    await keeper.start()
    running = asyncio.create_task(keeper.run())
    grow(store, 2, 2)
    await until(lambda: store.read(lambda view: view.newest_checkpoint()).size == 4)
    running.cancel()


class Moody:
    """A witness that does with a checkpoint what it is told to."""

    def __init__(self) -> None:
        self.does: Callable[[str], WitnessAnswer] = self.hangs_up

    @staticmethod
    def hangs_up(_note: str) -> WitnessAnswer:
        raise ReceiverUnreachableError("nobody answers")

    @staticmethod
    def fails(_note: str) -> WitnessAnswer:
        return WitnessAnswer(status=503, body="the store fails")

    @staticmethod
    def knows_nothing(_note: str) -> WitnessAnswer:
        return WitnessAnswer(status=404, body="log not known")

    @staticmethod
    def refuses(_note: str) -> WitnessAnswer:
        return WitnessAnswer(status=422, body="does not continue")

    @staticmethod
    def signs(note: str) -> WitnessAnswer:
        return WitnessAnswer(status=200, body=cosign(split(note).text, "witness", WITNESS_KEY, 1))

    async def add_checkpoint(self, _old_size: int, _proof: Sequence[bytes], note: str) -> WitnessAnswer:
        return self.does(note)

    async def close(self) -> None:
        return None


async def test_a_witness_that_is_silent_for_a_day_calls_for_a_person(store: SqliteStore):
    clock, witness = Hands(), Moody()
    settings = KeeperSettings(seal_s=300.0, retry_s=300.0, witness_s=300.0, stale_s=1e9)

    async def run_until(condition: Callable[[], bool], **more: Any) -> None:
        keeper = keeper_of(store, clock, settings=settings, **more)
        await keeper.start()
        running = asyncio.create_task(keeper.run())
        await until(condition, 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    number = 0
    for way_out, left in (
        (witness.signs, []),
        (witness.knows_nothing, []),
        (witness.refuses, [AlarmCode.WITNESS_REFUSED]),
        (witness.signs, []),
    ):
        number += 3
        grow(store, 3, number)
        for silence in (witness.hangs_up, witness.fails):
            # Told of in the second run of two: that the station was off in between makes no new beginning.
            witness.does, start_s = silence, clock.now_s
            if silence == witness.hangs_up:
                began_s = start_s
                await run_until(lambda: clock.now_s > start_s + 40_000, witness=witness)  # noqa: B023
                assert AlarmCode.WITNESS_SILENT not in alarms(store)
            else:
                await run_until(lambda: AlarmCode.WITNESS_SILENT in alarms(store), witness=witness)
                assert clock.now_s - began_s > 86_400
        witness.does = way_out
        await run_until(lambda: alarms(store) == left, witness=witness)  # noqa: B023


async def test_the_alarm_of_a_broken_log_is_raised_when_the_disk_works_again(store: SqliteStore, tmp_path: Path):
    failing = Failing(store)
    keeper = keeper_of(failing)
    await keeper.start()
    grow(store, 3, 0)
    forge(tmp_path, "UPDATE evidence SET visit = 7 WHERE row_id = 2")
    failing.writes = fail(StoreError("no room"))
    with pytest.raises(StoreError):
        await keeper.seal()
    assert not keeper.intact
    failing.writes = lambda: None
    await keeper.seal()
    assert alarms(store) == [AlarmCode.AUDIT_BROKEN]
    assert not keeper.intact


async def test_a_checkpoint_whose_first_write_went_through_unheard_is_no_failure(store: SqliteStore):
    keeper, other = keeper_of(store), keeper_of(store)
    await keeper.start()
    await other.start()
    grow(store, 2, 0)
    await keeper.seal()
    await other.seal()
    assert other.intact


class Repeating:
    """A believed witness, or somebody between, that sends more signatures than a note may carry."""

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
        text = split(note).text
        return WitnessAnswer(status=200, body="".join(cosign(text, "witness", WITNESS_KEY, 1_800_000_000 + n) for n in range(70)))

    async def close(self) -> None:
        return None


async def test_a_witness_cannot_make_the_log_unreadable(store: SqliteStore):
    witness: Witness = Repeating()
    keeper = keeper_of(store)
    grow(store, 2, 0)
    await keeper.start()
    assert await keeper.show(witness)
    assert (await keeper_of(store).start()).findings == ()


async def test_a_broken_log_is_shown_to_nobody(store: SqliteStore, tmp_path: Path):
    keeper = keeper_of(store)
    grow(store, 600, 0)
    await keeper.start()
    forge(tmp_path, "DELETE FROM audit_leaf WHERE leaf_index = 5")
    broken = keeper_of(store)
    await broken.start()
    assert not await broken.show(Repeating())
    assert store.read(lambda view: view.newest_checkpoint(witnessed=True)) is None


def forge(directory: Path, *statements: str) -> None:
    """What somebody with the file can do; the triggers that say append-only are put back."""
    with closing(pysqlite3.dbapi2.connect(str(directory / DATABASE_NAME), isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


def forge_anew(directory: Path, store: SqliteStore) -> None:
    """Change a fact, reckon every hash anew, and drop every signature: what remains contradicts nothing in the file."""
    forge(directory, "UPDATE evidence SET visit = 7 WHERE row_id = 2", "DELETE FROM audit_cosignature", "DELETE FROM audit_checkpoint")
    facts = store.read(lambda view: view.audit_facts(start=0, limit=99))
    frontier: tuple[bytes, ...] = ()
    statements = []
    for index, fact in enumerate(facts):
        own = commitment_of(fact.salt or b"", fact.content or b"")
        frontier = push(frontier, index, own)
        statements.append(f"UPDATE audit_leaf SET commitment = x'{own.hex()}' WHERE leaf_index = {index}")  # noqa: S608 - hashes
    forge(directory, *statements, f"UPDATE audit_head SET frontier = x'{b''.join(frontier).hex()}'")  # noqa: S608 - hashes


async def test_a_start_signs_no_log_that_was_written_anew_or_rolled_back(store: SqliteStore, tmp_path: Path):
    remembered: list[str] = []
    keeper = keeper_of(store, remember=remembered.append)
    grow(store, 8, 0)
    await keeper.start()
    assert [split(note).text.splitlines()[1] for note in remembered] == ["8"]
    forge_anew(tmp_path, store)
    again = keeper_of(store, remember=remembered.append, remembered=remembered[-1])
    report = await again.start()
    assert [one.fault for one in report.findings] == [Fault.SAVED_DIFFERS]
    assert not again.intact
    assert store.read(lambda view: view.newest_checkpoint()) is None
    with opened(tmp_path / "older") as older:
        grow(older, 5, 0)
        report = await keeper_of(older, remembered=remembered[-1]).start()
    assert [one.fault for one in report.findings] == [Fault.CUT_OFF]


async def test_a_start_looks_at_the_indexes_too_and_tells_how_far_it_is(store: SqliteStore, tmp_path: Path):
    grow(store, 40, 0)
    told: list[tuple[int, int]] = []
    assert (await keeper_of(store).start(lambda done, whole: told.append((done, whole)))).holds
    assert told[-1] == (40, 40)
    # By this index the facts of a piece are found; a row that it does not name is not seen.
    forge(
        tmp_path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = sql || ' WHERE row_id <> 3' WHERE name = 'ix_evidence_piece_id_row_id'",
        "PRAGMA writable_schema = RESET",
        "REINDEX ix_evidence_piece_id_row_id",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, ' WHERE row_id <> 3', '') WHERE name = 'ix_evidence_piece_id_row_id'",
        "PRAGMA writable_schema = RESET",
    )
    report = await keeper_of(store).start()
    assert [one.fault for one in report.findings] == [Fault.FILE_DAMAGED]
