"""Waiting for a disk that hangs, on a real store whose writer is stuck."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.domain.errors import StoreError
from station.storage.store import SqliteStore
from station.workflow.durable import durable


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
    yield opened
    opened.close()


async def test_a_change_is_there_when_it_is_durable(store: SqliteStore):
    assert await durable(store.write(lambda uow: uow.next_number("n"))) == 1


async def test_a_disk_that_hangs_is_not_waited_for_and_loses_nothing(store: SqliteStore):
    answers = threading.Event()

    def hang(_: object) -> None:
        assert answers.wait(20)

    stuck = store.write(hang)
    try:
        with pytest.raises(StoreError, match="has not answered"):
            await durable(store.write(lambda uow: uow.next_number("n")), limit_s=0.1)
    finally:
        answers.set()
    await stuck
    # The change that nobody waited for came in its turn.
    assert await durable(store.write(lambda uow: uow.next_number("n"))) == 2


async def test_the_error_of_a_change_is_its_own():
    async def late() -> None:
        raise TimeoutError("the change's own")

    with pytest.raises(TimeoutError, match="own"):
        await durable(late())


async def test_a_cancelled_wait_stays_cancelled():
    waiting = asyncio.create_task(durable(asyncio.sleep(20)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
