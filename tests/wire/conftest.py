"""What the tests of both ends of a wire share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.message import MessageRules
from tests.support.store_facts import opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path / "station", render=MessageRules(site="TEST").render) as one:
        yield one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteReceiverLedger]:
    one = SqliteReceiverLedger(tmp_path / "receiver")
    yield one
    one.close()
