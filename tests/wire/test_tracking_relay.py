"""Station to receiver over real HTTP: whatever happens between, every event takes effect once, in order, without gaps."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from station.domain.alarm import AlarmCode
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.storage.unit_of_work import SqlReadView
from station.tracking.http import HttpLink, HttpSender
from station.tracking.questions import Questions
from station.tracking.reconciliation import source_of
from station.tracking.relay import RelaySettings
from station.tracking.replay import PAUSED_KEY, Replay, ReplayBox
from tests.support.free_ports import free_port
from tests.support.outboxes import alarms, clean, delivered, publish
from tests.support.tracking_wire import SIGNING, QuickClock, ReceiverProcess, Unruly, relaying, serving, utc_now
from tests.support.waiting import until


async def test_thousands_of_events_over_a_bad_line(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=100, events=12)
    unruly: list[Unruly] = []

    def wrap(app: Any) -> Unruly:
        unruly.append(Unruly(app, random.Random(5), slow_s=0.5))
        return unruly[0]

    async with serving(ledger, wrap=wrap) as url, relaying(store, url, timeout_s=0.4, speed=1000.0) as relay:
        await until(delivered(store, 1200), 120)
        # The last receipt is kept a moment before its request is over.
        await until(lambda: not relay._active)
        # At this speed the backlog calls for a person, until the relay's next look finds it gone.
        await until(lambda: alarms(store) == [])
    outbox = store.read(lambda view: view.outbox_status())
    assert (outbox.pending, outbox.blocked) == (0, 0)
    assert not store.read(lambda view: view.value(PAUSED_KEY))
    assert clean(ledger.counts(), 1200)
    effects = ledger.effects(source_of("TEST"), after=0, limit=5000)
    for piece in range(100):
        assert [effect.sequence for effect in effects if effect.subject == f"P{piece}"] == list(range(1, 13))
    assert set(unruly[0].seen) >= {"good", "refuse", "busy", "effect-then-500", "effect-then-nothing", "twice", "slow-effect", "nonsense"}


async def test_a_quiet_line_is_quick_and_figures_are_right(store: SqliteStore, ledger: SqliteReceiverLedger):
    async with serving(ledger) as url, relaying(store, url, speed=1.0):
        publish(store, pieces=5, events=3)
        await until(delivered(store, 15), 20)
        link = HttpLink(url)
        asking = Questions(link=link, source=source_of("TEST"), signing=SIGNING, utc_now=utc_now)
        assert await asking.status() == {"events": 15, "receipted": 15, "out_of_order": 0, "gaps": 0, "double_effects": 0}
        seen = await asking.effects(after=0)
        assert [effect["number"] for effect in seen] == list(range(1, 16))
        assert [effect["id"] for effect in seen if effect["subject"] == "P3"] == ["TEST:P3:1", "TEST:P3:2", "TEST:P3:3"]
        assert [effect["number"] for effect in await asking.effects(after=9)] == list(range(10, 16))
        assert await asking.effects(after=15) == []
        await link.close()


async def test_a_receiver_that_comes_late_and_is_killed_often(store: SqliteStore, tmp_path: Path):
    directory = tmp_path / "receiver"
    publish(store, pieces=20, events=10)
    port = free_port()
    process = await asyncio.to_thread(ReceiverProcess, directory, port=port, dies_after=7)
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
    async with serving(new) as url, relaying(store, url):
        publish(store, pieces=3, events=1)
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
        await until(lambda: store.read(lambda view: view.events_of("P0")[-1]).state == "receipted")
        assert alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "P1")]
        assert [one.state for one in store.read(lambda view: view.events_of("P1"))] == ["blocked", "pending", "pending", "pending"]
        back = "UPDATE outbox SET body=replace(body, '\"ADD\"', '\"OBSERVE\"') WHERE piece_id='P1'"
        await store.write(lambda unit: unit._connection.exec_driver_sql(back))
        assert await relay.replay(Replay(piece_id="P1", blocked=True)) == 1
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
            await until(lambda: alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "tracking")])
            await until(lambda: bool(store.read(lambda view: view.value(PAUSED_KEY))))
        gone = False
        async with relaying(store, url) as relay:
            assert store.read(lambda view: view.value(PAUSED_KEY))
            await QuickClock(1.0).sleep(0.1)
            assert ledger.counts().events == 0
            await relay.replay(Replay())
            await until(delivered(store, 8))
    assert alarms(store) == []
    assert clean(ledger.counts(), 8)


async def test_a_receiver_that_comes_back_is_noticed_without_a_person(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=12, events=2)
    asked = 0

    def wrap(app: Any) -> Any:
        async def front(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += 1
            # What was under way when the first answer came is refused too.
            await (Unruly._plain(send, 410, b"") if asked <= 10 else app(scope, receive, send))

        return front

    async with serving(ledger, wrap=wrap) as url, relaying(store, url, speed=3000.0):
        await until(delivered(store, 24))
        await until(lambda: alarms(store) == [])
    assert store.read(lambda view: view.value(PAUSED_KEY)) == ""
    assert clean(ledger.counts(), 24)


@pytest.mark.parametrize("status", [400, 500])
async def test_many_poisonous_pieces_hold_up_nobody_else(store: SqliteStore, ledger: SqliteReceiverLedger, status: int):
    publish(store, pieces=12, events=1)

    def wrap(app: Any) -> Any:
        async def front(scope: Any, receive: Any, send: Any) -> None:
            poisonous = b"TEST:P12:" not in dict(scope["headers"])[b"webhook-id"]
            await (Unruly._plain(send, status, b"") if poisonous else app(scope, receive, send))

        return front

    def tried() -> int:
        return sum(store.read(lambda view, p=piece: view.events_of(f"P{p}")[0].attempts > 0) for piece in range(12))

    async with serving(ledger, wrap=wrap) as url, relaying(store, url):
        await until(lambda: tried() == 12)
        publish(store, pieces=13, events=1)
        await until(lambda: store.read(lambda view: view.events_of("P12")[0].state) == "receipted", 20)
    assert clean(ledger.counts(), 1)


async def test_a_replay_that_was_left_at_a_terminal_is_done_once(store: SqliteStore, ledger: SqliteReceiverLedger, tmp_path: Path):
    publish(store, pieces=3, events=2)
    box = ReplayBox(tmp_path / "replays")
    async with serving(ledger) as url, relaying(store, url, box=box, settings=RelaySettings(poll_s=1.0)):
        await until(delivered(store, 6))
        before = store.read(lambda view: view.events_of("P1"))
        (tmp_path / "replays").mkdir()
        (tmp_path / "replays" / "x.wanted").write_text("no replay")
        for wanted, count in (
            (Replay(), 0),
            (Replay(blocked=True), 0),
            (Replay(piece_id="P1"), 2),
            (Replay(since=before[0].created_at), 6),
            (Replay(since=before[0].created_at, piece_id="P2"), 2),
            (Replay(piece_id="P9"), 0),
        ):
            name = box.put(wanted)
            answers: list[int] = []
            await until(lambda n=name, a=answers: (found := box.answer_to(n)) is not None and (a.append(found) or True))
            assert answers == [count], wanted
            await until(delivered(store, 6))
        assert store.read(lambda view: view.events_of("P1"))[0].receipt == before[0].receipt
    assert sorted((tmp_path / "replays").iterdir()) == []
    assert clean(ledger.counts(), 6)


async def test_a_clock_that_is_wrong_stops_nothing_for_good(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=1, events=2)
    async with serving(ledger) as url:
        for skew in (-10, 10, 4):
            sender = HttpSender(HttpLink(url), utc_now=lambda: utc_now() + timedelta(minutes=skew), signing=SIGNING)  # noqa: B023
            async with relaying(store, url, sender=sender, speed=1000.0):
                if abs(skew) > 5:
                    await until(lambda: store.read(lambda view: view.events_of("P0"))[0].last_error.endswith("kt1:timestamp-stale"))
                else:
                    await until(delivered(store, 2))
                    await until(lambda: alarms(store) == [])


async def test_a_backlog_calls_for_a_person(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=1, events=1)
    settings = RelaySettings(poll_s=1.0, backlog_alarm_s=30.0, watch_s=1.0)
    async with relaying(store, "http://127.0.0.1:9", settings=settings) as relay:
        await until(lambda: (AlarmCode.TRACKING_BACKLOG, "tracking") in alarms(store))
        async with serving(ledger) as url:
            relay._sender._link._url = url  # type: ignore[attr-defined]
            await until(delivered(store, 1))
            await until(lambda: alarms(store) == [])


async def test_a_defect_neither_ends_the_relay_nor_keeps_the_backlog_from_being_told(
    store: SqliteStore, ledger: SqliteReceiverLedger, monkeypatch: pytest.MonkeyPatch
):
    publish(store, pieces=2, events=2)
    settings = RelaySettings(poll_s=1.0, backlog_alarm_s=30.0, watch_s=1.0)

    def defect(*_: Any, **__: Any) -> None:
        raise IndexError("a defect")

    with capture_logs() as logs:
        async with serving(ledger) as url, relaying(store, url, settings=settings):
            with monkeypatch.context() as patch:
                patch.setattr(SqlReadView, "due_events", defect)
                await until(lambda: (AlarmCode.TRACKING_BACKLOG, "tracking") in alarms(store), 20)
            await until(delivered(store, 4), 20)
            await until(lambda: alarms(store) == [], 20)
    assert any(one.get("step") == "_start_due" and one.get("exc_info") for one in logs)


async def test_a_failing_store_loses_no_event(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=3, events=3)
    await store.write(lambda unit: unit._connection.exec_driver_sql("PRAGMA query_only=ON"))
    async with serving(ledger) as url, relaying(store, url):
        await until(lambda: ledger.counts().events >= 3)
        await until(delivered(store, 9))
    assert clean(ledger.counts(), 9)
