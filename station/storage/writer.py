"""The one writer: many callers' changes in one durable transaction, each in a savepoint of its own."""

import asyncio
import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, StatementError

from station.domain.errors import StoreError
from station.storage.sqlite import is_medium_failure, store_error

T = TypeVar("T")


class TransactionUnit(Protocol):
    """What a work sees of its transaction, with the parts that a rolled-back savepoint must also undo outside the database."""

    def mark(self) -> Any:
        """Where things stand."""
        ...

    def undo(self, mark: Any) -> None:
        """Go back to that mark."""
        ...

    def flush(self) -> None:
        """Write what was gathered; the commit follows."""
        ...


U = TypeVar("U", bound=TransactionUnit)


class Pending(Generic[T]):
    """The result of a work: await it in any event loop, or wait for it in a thread without one.

    It is there only when the change is durable. Cancelling the waiting task does not take back the work.
    """

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, T]:
        # A change that is durable already is answered without a turn of the loop, which keeps virtual time exact.
        if self._future.done():
            return self._future.result()
        return (yield from asyncio.wrap_future(self._future).__await__())

    def done(self) -> bool:
        """True when the fate of the work is known."""
        return self._future.done()

    def result(self, timeout_s: float | None = None) -> T:
        """Block this thread until the change is durable; raises the work's exception, `StoreError`, or `TimeoutError`."""
        return self._future.result(timeout_s)


@dataclass(frozen=True, slots=True)
class _Item(Generic[U]):
    work: Callable[[U], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class GroupWriter(Generic[U]):
    """Runs works one after another and commits them in groups.

    Args:
        engine: gives the one writing connection.
        make_unit: makes what the works of one transaction see.
        group_commit: True: a thread of its own commits whatever came meanwhile in one go. False: each work runs and commits at once
            in the calling thread.
        max_group: most works in one transaction.
        on_failure: called with the error after a transaction failed for a reason of the medium.
        retry: a small work that is tried every `retry_s` while the medium fails, so that recovery shows by itself.
        well: False: something besides is not as it should be, which `retry` may put right.
        retry_s: seconds between those tries.
    """

    def __init__(
        self,
        engine: Engine,
        make_unit: Callable[[Connection], U],
        *,
        group_commit: bool = True,
        max_group: int = 256,
        on_failure: Callable[[BaseException], None] = lambda _: None,
        retry: Callable[[U], Any] = lambda _: None,
        well: Callable[[], bool] = lambda: True,
        retry_s: float = 1.0,
    ) -> None:
        self._engine = engine
        self._make_unit = make_unit
        self._max_group = max_group
        self._on_failure = on_failure
        self._retry = retry
        self._well = well
        self._retry_s = retry_s
        self._connection: Connection | None = None
        self._ok = True
        self._closed = False
        self._gate = threading.Lock()
        self._inline = threading.RLock()
        self._inside = False
        self._queue: queue.SimpleQueue[_Item[U] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True) if group_commit else None
        if self._thread is not None:
            self._thread.start()

    @property
    def ok(self) -> bool:
        """False after a transaction failed, until one succeeds."""
        return self._ok

    def submit(self, work: Callable[[U], T]) -> Pending[T]:
        """Have `work` run in its own savepoint and committed. Raises `StoreError` when the store is closed."""
        future: Future[T] = Future()
        # From here on it cannot be cancelled: what was accepted will be done.
        future.set_running_or_notify_cancel()
        item: _Item[U] = _Item(work, future)
        if self._thread is None:
            self._run_inline(item)
            return Pending(future)
        with self._gate:
            self._refuse_when_closed()
            self._queue.put(item)
        return Pending(future)

    def try_again(self) -> bool:
        """Try a small write now if the medium failed; returns whether it works."""
        if not self._ok:
            try:
                self.submit(self._retry).result()
            except StoreError:
                return False
        return self._ok

    def close(self) -> None:
        """Finish what was accepted, then close the connection."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        if self._thread is None:
            with self._inline:
                self._drop_connection()
        else:
            self._thread.join()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreError("The store is closed", consequence="Nothing was stored", remedy="Start the station again")

    def _run_inline(self, item: _Item[U]) -> None:
        with self._inline:
            self._refuse_when_closed()
            if self._inside:
                raise StoreError(
                    "A change was asked for from inside another change",
                    consequence="Nothing was stored",
                    remedy="Report this as a programming error",
                )
            self._inside = True
            try:
                self._commit([item])
            finally:
                self._inside = False

    def _serve(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=None if self._ok and self._well() else self._retry_s)
            except queue.Empty:
                first = _Item(self._retry, Future())
            group: list[_Item[U]] = []
            last = first is None
            if first is not None:
                group.append(first)
            while not last and len(group) < self._max_group:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                else:
                    group.append(item)
            if group:
                self._commit(group)
            if last:
                self._drop_connection()
                return

    def _commit(self, group: list[_Item[U]]) -> None:
        """Run the works of a group and commit them; a future is resolved only when its fate on disk is known."""
        try:
            results = self._transact(group)
        except BaseException as error:
            self._ok = False
            self._drop_connection()
            self._on_failure(error)
            told = store_error(error) if isinstance(error, DBAPIError) else error
            if not isinstance(told, StoreError):
                told = StoreError(
                    f"The store failed: {error!r}",
                    consequence="Nothing of the change was stored",
                    remedy="Check the disk and the system log",
                )
            for item in group:
                item.future.set_exception(told)
            if not isinstance(error, Exception):
                raise
            return
        self._ok = True
        for item, result in zip(group, results, strict=True):
            if isinstance(result, _Failed):
                item.future.set_exception(result.error)
            else:
                item.future.set_result(result)

    def _transact(self, group: list[_Item[U]]) -> list[Any]:
        if self._connection is None:
            self._connection = self._engine.connect()
        connection = self._connection
        transaction = connection.begin()
        unit = self._make_unit(connection)
        results = [self._run_one(connection, unit, item.work) for item in group]
        unit.flush()
        transaction.commit()
        return results

    def _run_one(self, connection: Connection, unit: U, work: Callable[[U], Any]) -> Any:
        mark = unit.mark()
        connection.exec_driver_sql("SAVEPOINT work")
        try:
            result = work(unit)
        # Whatever a work raises belongs to its caller alone.
        except Exception as error:
            if isinstance(error, DBAPIError) and is_medium_failure(error):
                raise
            result = _Failed(_told(error))
            connection.exec_driver_sql("ROLLBACK TO work")
            unit.undo(mark)
        # Fails, and the whole group with it, when SQLite has already rolled the transaction back behind the work's back.
        connection.exec_driver_sql("RELEASE work")
        return result

    def _drop_connection(self) -> None:
        # After a failed commit or fsync the connection's idea of the file is not trusted any more.
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                connection.invalidate()
            finally:
                connection.close()


def _told(error: Exception) -> BaseException:
    """What the caller hears: the library's own exceptions do not leave this package."""
    if isinstance(error, DBAPIError):
        return store_error(error)
    if isinstance(error, StatementError) and error.orig is not None:
        return error.orig
    return error
