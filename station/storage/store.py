"""The system of record on SQLite (decision 0014): one writer with group commit, read-only connections for queries."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from station.domain.errors import StoreError
from station.durable_file import make_directory
from station.ports.store import EventRenderer, ReadView, UnitOfWork
from station.storage.migrations import migrate, schema_of
from station.storage.salts import FactSalts
from station.storage.space import MEBIBYTE, SpaceGuard
from station.storage.sqlite import DirectoryLock, damage, is_full, reading_engine, store_error, writing_engine
from station.storage.unit_of_work import Injected, SqlReadView, SqlUnitOfWork, refuse_events
from station.storage.writer import GroupWriter, Pending

T = TypeVar("T")

DATABASE_NAME = "station.db"
LOCK_NAME = "station.lock"
AUDIT_TABLES = ("evidence", "audit_leaf", "audit_head", "audit_checkpoint", "audit_cosignature")
APPEND_ONLY = ("evidence", "audit_leaf", "audit_checkpoint", "audit_cosignature")
WITHOUT_CHECKPOINTS = frozenset({"0001"})
"""Schemas of databases in which nothing was signed yet."""
_PROBE_KEY = "store.probe"


class SqliteReader:
    """Read-only access to a station's database, also while the station runs (for command-line tools), and to a copy of one.

    Args:
        directory: where the database lies.
        name: its file.

    Raises:
        StoreError: there is no such file.
    """

    def __init__(self, directory: Path, name: str = DATABASE_NAME) -> None:
        self._path = directory / name
        if not self._path.is_file():
            raise StoreError(f"There is no database {self._path}", remedy="Name the station's data directory, or start the station once")
        self._engine = reading_engine(self._path)

    def read(self, query: Callable[[ReadView], T]) -> T:
        """Run a read-only query on one snapshot, in the calling thread. Raises `StoreError` when the database cannot be read."""
        try:
            with self._engine.connect() as connection, connection.begin():
                return query(SqlReadView(connection))
        except DBAPIError as error:
            raise store_error(error) from error

    def audit_damage(self) -> list[str]:
        """What is wrong with the tables of the audit log and with their indexes, and what acts on any table behind the station's back."""
        return damage(self._engine, AUDIT_TABLES, APPEND_ONLY)

    def keeps_checkpoints(self) -> bool:
        """False for a database from before there were any. Raises `StoreError` when it cannot be read."""
        try:
            with self._engine.connect() as connection, connection.begin():
                return schema_of(connection) not in WITHOUT_CHECKPOINTS
        except DBAPIError as error:
            raise store_error(error) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


class SqliteStore:
    """`station.ports.store.Store` in a data directory that belongs to this process alone.

    Args:
        directory: data directory; made if missing, mode 0700.
        render: makes outgoing messages from events; without it `publish` raises.
        group_commit: False: each work runs and commits at once in the calling thread (deterministic runs).
        random_bytes: source of the salts of audit leaves.
        reserve_bytes, floor_bytes, warn_bytes: of its medium's guard, `space`; see `SpaceGuard`.

    Raises:
        StoreError: another process has the directory, the SQLite or its settings are unsafe, or the disk cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        *,
        render: EventRenderer = refuse_events,
        group_commit: bool = True,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        reserve_bytes: int = 16 * MEBIBYTE,
        floor_bytes: int = 256 * MEBIBYTE,
        warn_bytes: int = 2048 * MEBIBYTE,
    ) -> None:
        _make_directory(directory)
        self._lock = DirectoryLock(directory / LOCK_NAME)
        try:
            path = directory / DATABASE_NAME
            self._write_engine = writing_engine(path)
            self.space = SpaceGuard(directory, reserve_bytes=reserve_bytes, floor_bytes=floor_bytes, warn_bytes=warn_bytes)
            self.space.restore()
            try:
                migrate(self._write_engine)
            except DBAPIError as error:
                raise store_error(error) from error
            _narrow(path)
            self._reader = SqliteReader(directory)
        except BaseException:
            self._lock.release()
            raise
        injected = Injected(render=render, salts=FactSalts(random_bytes))

        def unit(connection: Connection) -> SqlUnitOfWork:
            return SqlUnitOfWork(connection, injected)

        self._writer: GroupWriter[SqlUnitOfWork] = GroupWriter(
            self._write_engine,
            unit,
            group_commit=group_commit,
            on_failure=self._after_failure,
            retry=self._probe,
            well=self.space.reserve_in_place,
        )

    def write(self, work: Callable[[UnitOfWork], T]) -> Pending[T]:
        """Run `work` in a transaction of its own; await the result in any event loop, or call `.result()` on it in a thread.

        The result is there only when the change is durable. The work's exception rolls the work back and is raised to whoever waits.
        Works must not touch anything but the unit of work.

        Raises:
            StoreError: the store is closed (at once), or the medium failed (when waited for).
        """
        return self._writer.submit(work)

    def read(self, query: Callable[[ReadView], T]) -> T:
        """Run a read-only query on one snapshot, at once, in the calling thread."""
        return self._reader.read(query)

    def audit_damage(self) -> list[str]:
        """See `SqliteReader.audit_damage`."""
        return self._reader.audit_damage()

    def healthy(self) -> bool:
        """False when the last write failed for a reason of the medium, until one succeeds again, or while free space is under the floor."""
        return self._writer.ok and self.space.enough()

    def try_again(self) -> bool:
        """Try to get healthy again (reserve, small write) and say whether it worked. The writer thread also tries by itself."""
        self.space.restore()
        return self._writer.try_again() and self.healthy()

    def close(self) -> None:
        """Finish what was accepted and close."""
        # The last connection to close should be one that may write: it brings everything from SQLite's log into the database's own file.
        self._reader.close()
        self._writer.close()
        self._write_engine.dispose()
        self._lock.release()

    def _after_failure(self, error: BaseException) -> None:
        if isinstance(error, DBAPIError) and is_full(error):
            self.space.give_up()

    def _probe(self, unit: SqlUnitOfWork) -> None:
        unit.set_value(_PROBE_KEY, "written to see whether the disk works again")
        self.space.restore()


def _narrow(path: Path) -> None:
    try:
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be kept from others' eyes: {error.strerror}",
            consequence="The station does not start",
            remedy="Let it belong to the station's user, and check the disk",
        ) from error


def _make_directory(directory: Path) -> None:
    try:
        make_directory(directory)
    except OSError as error:
        raise StoreError(
            f"The data directory {directory} cannot be made: {error.strerror}",
            consequence="The station does not start",
            remedy="Create it and let the station's user write to it; check the disk",
        ) from error
