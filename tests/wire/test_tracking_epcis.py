"""Any EPCIS 2.0 repository gets each event once, in order, valid, and knows it again when an answer was lost."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from station.domain.alarm import AlarmCode
from station.domain.events import PieceStatus
from station.storage.store import SqliteStore
from station.tracking.epcis import EpcisSender, epcis_event, epcis_id
from station.tracking.http import HttpLink
from station.tracking.message import MessageRules
from tests.support.epcis_server import Repository, repository_at
from tests.support.store_facts import event, opened
from tests.support.tracking_wire import relaying
from tests.support.waiting import until

WORD = "abc"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path / "station", render=MessageRules(site="HN 1").render) as one:
        yield one


def schema() -> dict[str, Any] | None:
    shared = Path(os.environ.get("KT1_SHARED", Path(__file__).parents[3] / "shared"))
    file = shared / "data/epcis/EPCIS-JSON-Schema.json"
    return json.loads(file.read_text()) if file.exists() else None


def publish(store: SqliteStore, pieces: int, events: int) -> None:
    statuses = list(PieceStatus)
    for number in range(events):
        for piece in range(pieces):
            store.write(lambda unit, p=piece, n=number: unit.publish(event(f"P{p}", statuses[n % len(statuses)], n))).result(10)


def depth(store: SqliteStore) -> tuple[int, int, int]:
    return store.read(lambda view: view.outbox_depth())


def sequences(repository: Repository, piece: str) -> list[int]:
    return [one["kt1:sequence"] for one in repository.captured if one["epcList"] == [f"urn:kt1:piece:{piece}"]]


@pytest.mark.parametrize("tells", [True, False])
async def test_every_event_once_and_in_order_whatever_is_lost(store: SqliteStore, tells: bool):
    publish(store, pieces=3, events=4)
    repository = Repository(schema(), tells=tells)
    # A repository that does not tell what it holds must say it with every repetition.
    repository.mishaps = ["lost", "", "busy", "later", "", "lost"] if tells else ["", "busy"]
    async with repository_at(repository) as url, relaying(store, url, speed=2000.0, receipts=False, sender=EpcisSender(HttpLink(url))):
        await until(lambda: depth(store)[1] == 12)
    assert all(sequences(repository, f"P{piece}") == [1, 2, 3, 4] for piece in range(3))
    kept = store.read(lambda view: view.events_of("P1"))[0].receipt
    assert json.loads(kept or "")["eventID"] == "urn:kt1:event:HN%201:P1:1"


async def test_another_event_under_the_same_id_blocks_the_piece(store: SqliteStore):
    publish(store, pieces=2, events=2)
    repository = Repository()
    (first, *_) = store.read(lambda view: view.events_of("P0"))
    repository.captured.append(epcis_event(first) | {"kt1:bodySha256": "0" * 64})
    async with repository_at(repository) as url, relaying(store, url, receipts=False, sender=EpcisSender(HttpLink(url))):
        await until(lambda: depth(store)[1:] == (2, 1))
    assert [alarm.subject for alarm in store.read(lambda view: view.alarms()) if alarm.code is AlarmCode.TRACKING_BLOCKED] == ["P0"]


async def test_an_event_that_does_not_tell_whose_it_is_proves_nothing(store: SqliteStore):
    publish(store, pieces=1, events=1)
    repository = Repository(tells=False)
    repository.captured.append({"eventID": epcis_id("HN 1:P0:1")})
    async with repository_at(repository) as url:
        async with relaying(store, url, receipts=False, sender=EpcisSender(HttpLink(url))):
            await until(lambda: "content not told" in store.read(lambda view: view.events_of("P0"))[0].last_error)
        repository.tells = True
        async with relaying(store, url, speed=2000.0, receipts=False, sender=EpcisSender(HttpLink(url))):
            await until(lambda: "does not carry" in store.read(lambda view: view.events_of("P0"))[0].last_error)
    assert depth(store) == (1, 0, 0)


async def test_a_repository_may_want_a_token(store: SqliteStore):
    publish(store, pieces=1, events=1)
    async with repository_at(Repository(token=WORD)) as url:
        async with relaying(store, url, receipts=False, sender=EpcisSender(HttpLink(url))):
            await until(lambda: store.read(lambda view: view.events_of("P0"))[0].last_error == "the receiver answered 401")
        async with relaying(store, url, speed=2000.0, receipts=False, sender=EpcisSender(HttpLink(url), token=WORD)):
            await until(lambda: depth(store)[1] == 1)


def test_what_is_captured_is_valid_epcis(store: SqliteStore):
    found = schema()
    if found is None:
        pytest.skip("the EPCIS 2.0 JSON schema is not there (set KT1_SHARED)")
    publish(store, pieces=1, events=len(PieceStatus))
    checker = jsonschema_rs.Draft7Validator(found, validate_formats=True)
    for one in store.read(lambda view: view.events_of("P0")):
        assert [error.message for error in checker.iter_errors(epcis_event(one))] == []
