"""Opening SQLite so that an acknowledged commit survives a power cut, or refusing to.

SQLite 3.7.0 to 3.51.2 can corrupt a database when a WAL is reset (fixed in 3.51.3, back-ported to 3.44.6 and 3.50.7:
https://sqlite.org/releaselog/3_51_3.html), so the station brings its own SQLite and refuses the broken ones.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pysqlite3.dbapi2
from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from station.domain.errors import StoreError, StoreUnavailableError
from station.durable_file import flush_directory

_FIRST_WITH_WAL = (3, 7, 0)
_FIRST_FIXED = (3, 51, 3)
_BACK_PORTED = {(3, 44): 6, (3, 50): 7}

_MAY_PASS = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_FULL", "SQLITE_INTERRUPT")

PRAGMAS: dict[str, tuple[str, str | int]] = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "secure_delete": ("ON", 1),
    "trusted_schema": ("OFF", 0),
    "cell_size_check": ("ON", 1),
}
"""What every writing connection sets, and what it must read back."""


def refuse_unsafe_version(version: tuple[int, int, int]) -> None:
    """Raise `StoreError` unless that SQLite version has a write-ahead log without the WAL-reset bug."""
    back_port = _BACK_PORTED.get(version[:2])
    if version >= _FIRST_FIXED or (back_port is not None and version[2] >= back_port):
        return
    why = "can corrupt the database when its log is reset" if version >= _FIRST_WITH_WAL else "has no write-ahead log"
    raise StoreError(
        f"SQLite {'.'.join(map(str, version))} {why}",
        consequence="The station does not start on it",
        remedy="Install pysqlite3 0.6.1 or later, which brings SQLite 3.51.3 or later",
    )


def writing_engine(path: Path) -> Engine:
    """Engine whose every connection is proved safe and whose transactions begin with BEGIN IMMEDIATE; raises `StoreError` on connect."""
    refuse_unsafe_version(pysqlite3.dbapi2.sqlite_version_info)

    def connect() -> Any:
        connection = _open(path, "rwc")
        try:
            apply_pragmas(connection, path)
            _settle(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite+pysqlite://", module=pysqlite3.dbapi2, creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def reading_engine(path: Path) -> Engine:
    """Engine for read-only connections; each is used by one thread at a time, and each transaction sees one snapshot.

    Raises:
        StoreError: SQLite cannot read it where it lies.
    """
    refuse_unsafe_version(pysqlite3.dbapi2.sqlite_version_info)
    connect = partial(_open_to_read, path, _reading_mode(path))
    engine = create_engine(
        "sqlite+pysqlite://",
        module=pysqlite3.dbapi2,
        creator=connect,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=-1,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin_deferred)
    return engine


def open_reading(path: Path) -> Any:
    """One bare read-only connection (of Python's database interface), for what only SQLite itself can do. Raises `StoreError`."""
    refuse_unsafe_version(pysqlite3.dbapi2.sqlite_version_info)
    return _open_to_read(path, _reading_mode(path))


def damage(engine: Engine, names: Iterable[str], append_only: Iterable[str]) -> list[str]:
    """What SQLite's own check finds wrong with tables (those that are there) and their indexes; one line when it cannot even look.

    Before that, what acts behind the program's back: views, and triggers besides those that keep the rows of `append_only` as they are.

    Raises:
        StoreUnavailableError: it cannot be looked at now.
    """
    found: list[str] = []
    try:
        with engine.connect() as connection, connection.begin():
            schema = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_schema").all()
            there = {row.name for row in schema if row.type == "table"}
            own = {name: sql for table in append_only if table in there for name, sql in append_only_triggers(table)}
            active = {row.name: row.sql for row in schema if row.type in {"trigger", "view"}}
            strange = sorted(name for name in own.keys() | active.keys() if own.get(name) != active.get(name))
            found += [f"trigger or view {name[:60]!r} is not as it must be" for name in strange]
            for name in names:
                if name in there:
                    found += connection.exec_driver_sql(f"PRAGMA integrity_check('{name}')").scalars()
    except DBAPIError as error:
        if _may_pass(error):
            raise store_error(error) from error
        found.append(str(error.orig))
    return [line for line in found if line != "ok"]


def append_only_triggers(table: str) -> list[tuple[str, str]]:
    """Name and text of the triggers that let nothing change or delete a table's rows."""
    found = []
    for change in ("UPDATE", "DELETE"):
        name = f"{table}_no_{change.lower()}"
        found.append((name, f"CREATE TRIGGER {name} BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"))
    return found


def _open_to_read(path: Path, mode: str) -> Any:
    connection = _open(path, mode)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _reading_mode(path: Path) -> str:
    if os.access(path.parent, os.W_OK):
        return "ro"
    # On a medium that takes no writing there is no place for SQLite's shared memory. Without a log beside the copy nobody has it open.
    log, memory = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if log.exists() and not memory.exists():
        raise StoreError(
            f"{path} and the log beside it cannot be read where nothing can be written",
            consequence="Nothing was read",
            remedy="Copy both into a directory that can be written",
        )
    return "ro" if log.exists() else "ro&immutable=1"


def apply_pragmas(connection: Any, path: Path) -> None:
    """Set what durability needs and read it back; raises `StoreError` when a setting does not hold."""
    for name, (wanted, expected) in PRAGMAS.items():
        try:
            connection.execute(f"PRAGMA {name}={wanted}")
            held = connection.execute(f"PRAGMA {name}").fetchone()[0]
        except pysqlite3.dbapi2.Error as error:
            raise _unusable(path, str(error)) from error
        if held != expected:
            raise StoreError(
                f"The database {path} does not keep {name}={wanted} (it says {held!r})",
                consequence="Facts could be lost, so the station does not start",
                remedy="Keep the database on a local disk with a file system that supports locking and shared memory",
            )


def _settle(connection: Any, path: Path) -> None:
    """Make durable what this connection found; raises `StoreError` when that fails."""
    try:
        # The log may end in commits whose flush failed or never came, and which SQLite takes for good: the next flush would not write them
        # again, and a power cut would take what was acknowledged behind them. A reader may keep the log from being emptied, no more.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # SQLite makes the log's name durable, and passes over it when that fails.
        flush_directory(path.parent)
    except (pysqlite3.dbapi2.Error, OSError) as error:
        raise _unusable(path, str(error)) from error


def _open(path: Path, mode: str) -> Any:
    try:
        # Transactions are begun explicitly; Python's own implicit BEGIN would be a deferred one.
        return pysqlite3.dbapi2.connect(
            f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=5.0
        )
    except pysqlite3.dbapi2.Error as error:
        raise _unusable(path, str(error)) from error


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The database {path} cannot be used: {why}",
        consequence="Nothing can be recorded, so every piece is held",
        remedy="Check that the disk is mounted, writable, not full, and that the file is a station database",
    )


def _begin_immediate(connection: Connection) -> None:
    # A deferred transaction that writes later fails at once with SQLITE_BUSY_SNAPSHOT in spite of the busy timeout.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def is_medium_failure(error: DBAPIError) -> bool:
    """True when the database or its disk failed, and not the statement (constraint, programming error)."""
    return isinstance(error.orig, pysqlite3.dbapi2.OperationalError | pysqlite3.dbapi2.InternalError) or (
        type(error.orig) is pysqlite3.dbapi2.DatabaseError
    )


def is_full(error: DBAPIError) -> bool:
    """True when the disk is full."""
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL" or "disk is full" in str(error.orig)


def _may_pass(error: DBAPIError) -> bool:
    """True when the same may work later on the same file."""
    return getattr(error.orig, "sqlite_errorname", "").startswith(_MAY_PASS)


def store_error(error: DBAPIError) -> StoreError:
    """The station's own words for a database error."""
    if not is_medium_failure(error):
        return StoreError(
            f"The database refused a change: {error.orig}",
            consequence="Nothing of it was stored",
            remedy="Report this as a programming error",
        )
    kind = StoreUnavailableError if _may_pass(error) else StoreError
    return kind(
        f"The database could not be read or could not make a change durable: {error.orig}",
        consequence="Nothing of it was stored, and pieces are held until the store works again",
        remedy="Free space on the disk, or replace it" if is_full(error) else "Check the disk and the system log",
    )


class DirectoryLock:
    """Exclusive use of a data directory by one process, given back by the kernel however that process ends."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, str(error)) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreError(
                f"The data directory {path.parent} is in use by another station (process {holder})",
                consequence="A second station on the same data would corrupt it, so this one does not start",
                remedy="Stop the other one first, or give this one its own data directory",
            ) from error
        # The number is only told to people: a full disk must not keep the station from starting.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the directory back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
