"""What the tests of both ends of a wire share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.message import MessageRules
from tests.support.store_facts import opened
from tests.wire.simulated_devices import Rig, drivers_for, simulators


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path / "station", render=MessageRules(site="TEST").render) as one:
        yield one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteReceiverLedger]:
    one = SqliteReceiverLedger(tmp_path / "receiver")
    yield one
    one.close()


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with simulators(tmp_path_factory.mktemp("simulators")) as found:
        yield found


@pytest.fixture(scope="module")
def xrb011_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with simulators(tmp_path_factory.mktemp("simulators"), "--generator", "XRB011") as found:
        yield found


@pytest.fixture
async def rig(endpoints: dict[str, Any]) -> AsyncIterator[Rig]:
    async with drivers_for(endpoints) as rig:
        yield rig


@pytest.fixture
async def xrb011_rig(xrb011_endpoints: dict[str, Any]) -> AsyncIterator[Rig]:
    async with drivers_for(xrb011_endpoints) as rig:
        yield rig
