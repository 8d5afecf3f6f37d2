"""Station to receiver over real HTTP: whatever happens between, every event takes effect once, in order, without gaps."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.domain.alarm import AlarmCode
from station.domain.events import PieceStatus
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.message import MessageRules
from station.tracking.relay import RelaySettings
from tests.support.store_facts import event, opened
from tests.support.tracking_wire import QuickClock, ReceiverProcess, Unruly, relaying, serving, utc_now
from tests.support.waiting import until

RULES = MessageRules(site="TEST")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path / "station", render=RULES.render) as one:
        yield one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteReceiverLedger]:
    one = SqliteReceiverLedger(tmp_path / "receiver")
    yield one
    one.close()


def publish(store: SqliteStore, pieces: int, events: int) -> None:
    now = utc_now()
    pending = [
        store.write(lambda unit, p=piece, n=number: unit.publish(replace(event(f"P{p}", PieceStatus.ARRIVED, n), at=now)))
        for number in range(events)
        for piece in range(pieces)
    ]
    for one in pending:
        one.result(30)


def delivered(store: SqliteStore, count: int) -> Any:
    return lambda: store.read(lambda view: view.outbox_depth())[1] == count


def clean(counts: Any, events: int) -> bool:
    return (counts.events, counts.receipted, counts.out_of_order, counts.gaps, counts.double_effects) == (events, events, 0, 0, 0)


def alarms(store: SqliteStore) -> list[tuple[AlarmCode, str]]:
    return [(alarm.code, alarm.subject) for alarm in store.read(lambda view: view.alarms()) if alarm.cleared_at is None]


async def test_thousands_of_events_over_a_bad_line(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=100, events=12)
    unruly: list[Unruly] = []

    def wrap(app: Any) -> Unruly:
        unruly.append(Unruly(app, random.Random(5), slow_s=0.5))
        return unruly[0]

    async with serving(ledger, wrap=wrap) as url, relaying(store, url, timeout_s=0.4, speed=1000.0) as relay:
        await until(delivered(store, 1200), 120)
        # The last receipt is kept a moment before its request is over.
        await until(lambda: relay.status().in_flight == 0)
        # At this speed the backlog calls for a person, until the relay's next look finds it gone.
        await until(lambda: alarms(store) == [])
        status = relay.status()
    assert (status.pending, status.blocked, status.in_flight, status.paused) == (0, 0, 0, None)
    assert clean(ledger.counts(), 1200)
    for piece in range(100):
        assert [effect.sequence for effect in ledger.effects_of(f"P{piece}")] == list(range(1, 13))
    assert set(unruly[0].seen) >= {"good", "refuse", "busy", "effect-then-500", "effect-then-nothing", "twice", "slow-effect", "nonsense"}


async def test_a_quiet_line_is_quick_and_figures_are_right(store: SqliteStore, ledger: SqliteReceiverLedger):
    async with serving(ledger) as url, relaying(store, url, speed=1.0, settings=RelaySettings(poll_s=30.0)) as relay:
        publish(store, pieces=5, events=3)
        relay.poke()
        await until(delivered(store, 15), 20)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await client.get("/status")).json() == {
                "events": 15,
                "receipted": 15,
                "out_of_order": 0,
                "gaps": 0,
                "double_effects": 0,
            }
            piece = (await client.get("/pieces/P3")).json()
            assert [effect["id"] for effect in piece["effects"]] == ["TEST:P3:1", "TEST:P3:2", "TEST:P3:3"]
            first = (await client.get("/effects", params={"limit": 9})).json()
            rest = (await client.get("/effects", params={"after": first["next_after"]})).json()
            assert [effect["number"] for effect in first["effects"] + rest["effects"]] == list(range(1, 16))
            assert (await client.get("/effects", params={"after": 15})).json() == {"effects": [], "next_after": 15}


async def test_a_receiver_that_comes_late_and_is_killed_often(store: SqliteStore, tmp_path: Path):
    directory = tmp_path / "receiver"
    publish(store, pieces=20, events=10)
    process = await asyncio.to_thread(ReceiverProcess, directory, dies_after=7)
    port = process.port
    async with relaying(store, process.url, speed=500.0):
        for dies_after in (29, 2, 0):
            await asyncio.to_thread(process.wait)
            process = await asyncio.to_thread(ReceiverProcess, directory, port=port, dies_after=dies_after)
        try:
            await until(delivered(store, 200))
        finally:
            process.kill()
    ledger = SqliteReceiverLedger(directory)
    assert clean(ledger.counts(), 200)
    ledger.close()


async def test_a_station_that_is_cut_off_sends_again_and_nothing_doubles(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=10, events=20)
    async with serving(ledger) as url:
        for _ in range(30):
            async with relaying(store, url):
                before = ledger.counts().events
                await until(lambda b=before: ledger.counts().events > b or delivered(store, 200)())
            if delivered(store, 200)():
                break
        async with relaying(store, url):
            await until(delivered(store, 200))
    assert clean(ledger.counts(), 200)


async def test_a_receiver_restored_from_an_old_backup_gets_what_it_lacks(store: SqliteStore, tmp_path: Path):
    publish(store, pieces=3, events=5)
    old = SqliteReceiverLedger(tmp_path / "old")
    async with serving(old) as url, relaying(store, url):
        await until(delivered(store, 15))
    old.close()
    new = SqliteReceiverLedger(tmp_path / "new")
    async with serving(new) as url, relaying(store, url) as relay:
        publish(store, pieces=3, events=1)
        relay.poke()
        await until(lambda: new.counts().events == 18 and delivered(store, 18)())
    assert clean(new.counts(), 18)
    new.close()


async def test_another_body_blocks_its_own_piece_only(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=2, events=3)
    async with serving(ledger) as url, relaying(store, url):
        await until(delivered(store, 6))
    # The same places in the sequence with other content, as after restoring the station from a copy.
    other = "UPDATE outbox SET state='pending', receipt=NULL, receipted_at=NULL, body=replace(body, 'OBSERVE', 'ADD') WHERE piece_id='P1'"
    store.write(lambda unit: unit._connection.exec_driver_sql(other)).result()
    async with serving(ledger) as url, relaying(store, url) as relay:
        await until(lambda: store.read(lambda view: view.outbox_depth())[2] == 1)
        publish(store, pieces=2, events=1)
        relay.poke()
        await until(lambda: store.read(lambda view: view.events_of("P0")[-1]).state == "receipted")
        assert alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "P1")]
        assert [one.state for one in store.read(lambda view: view.events_of("P1"))] == ["blocked", "pending", "pending", "pending"]
        back = "UPDATE outbox SET body=replace(body, '\"ADD\"', '\"OBSERVE\"') WHERE piece_id='P1'"
        await store.write(lambda unit: unit._connection.exec_driver_sql(back))
        assert await relay.unblock("P1") == 1
        await until(delivered(store, 8))
    assert alarms(store) == []
    assert clean(ledger.counts(), 8)


async def test_a_receiver_that_is_gone_pauses_everything_until_a_person_resumes(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=4, events=2)
    gone = True

    def wrap(app: Any) -> Any:
        async def front(scope: Any, receive: Any, send: Any) -> None:
            if gone:
                await Unruly._plain(send, 410, b"")
            else:
                await app(scope, receive, send)

        return front

    async with serving(ledger, wrap=wrap) as url:
        async with relaying(store, url) as relay:
            await until(lambda: relay.status().paused is not None and alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "tracking")])
        gone = False
        async with relaying(store, url) as relay:
            assert relay.status().paused is not None
            relay.poke()
            await QuickClock(1.0).sleep(0.1)
            assert ledger.counts().events == 0
            await relay.resume()
            await until(delivered(store, 8))
    assert alarms(store) == []
    assert clean(ledger.counts(), 8)


async def test_receipts_of_somebody_else_end_nothing(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=2, events=2)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    async with serving(ledger, key=stranger) as url, relaying(store, url) as relay:
        await until(lambda: alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "tracking")])
        assert relay.status().receipted == 0
        assert store.read(lambda view: view.events_of("P0"))[0].last_error == "the receipt's signature is not the receiver's"
    assert ledger.counts().events == 2


async def test_receivers_without_receipts(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=2, events=2)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    async with serving(ledger, key=stranger) as url, relaying(store, url, receipts=False):
        await until(delivered(store, 4))


async def test_a_station_that_the_receiver_does_not_know_calls_for_a_person(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=1, events=1)
    async with serving(ledger, station_keys=()) as url, relaying(store, url):
        await until(lambda: alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "tracking")])
    async with serving(ledger) as url, relaying(store, url):
        await until(delivered(store, 1))
    assert alarms(store) == []


async def test_a_backlog_calls_for_a_person(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=1, events=1)
    settings = RelaySettings(poll_s=1.0, backlog_alarm_s=30.0, watch_s=1.0)
    async with relaying(store, "http://127.0.0.1:9", settings=settings) as relay:
        await until(lambda: (AlarmCode.TRACKING_BACKLOG, "tracking") in alarms(store))
        assert relay.status().oldest_s > 30
        async with serving(ledger) as url:
            relay._sender._url = f"{url}/events"  # type: ignore[attr-defined]
            await until(delivered(store, 1))
            await until(lambda: alarms(store) == [])


async def test_a_failing_store_loses_no_event(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=3, events=3)
    await store.write(lambda unit: unit._connection.exec_driver_sql("PRAGMA query_only=ON"))
    async with serving(ledger) as url, relaying(store, url):
        await until(lambda: ledger.counts().events >= 3)
        await until(delivered(store, 9))
    assert clean(ledger.counts(), 9)
