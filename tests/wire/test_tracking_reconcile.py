"""The two sides of a day are compared over real HTTP, and each difference is named."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from station.api.receiver_trust import TrustedStation
from station.domain.alarm import AlarmCode
from station.domain.events import PieceStatus
from station.ports.outbox import EventDigest
from station.ports.tracking import DayStatement, ReceiverUnreachableError
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.http import HttpLink
from station.tracking.questions import Questions
from station.tracking.reconciliation import HttpCounterpart, source_of
from station.tracking.replay import Replay
from station.tracking.signatures import Signing, webhook_headers
from station.tracking.trust import TrustedKey
from station.workflow.day_digest import DayReport, Difference, day_root
from station.workflow.reconciling import RECONCILED_KEY, Reconciler, reconcile_day
from tests.support.clocks import SetClock
from tests.support.outboxes import delivered
from tests.support.store_facts import NOON, event
from tests.support.tracking_wire import RECEIVER_KEY, SIGNING, STATION, relaying, serving, utc_now
from tests.support.waiting import until

DAY = NOON.date()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
SITE = TrustedStation(source=source_of("TEST"), keys=STATION.keys)


def publish(store: SqliteStore, *pieces: str, events: int = 2, at: datetime = NOON) -> None:
    for piece in pieces:
        for number in range(events):
            told = replace(event(piece, PieceStatus.HELD), at=at + timedelta(seconds=number))
            store.write(lambda unit, told=told: unit.publish(told)).result(10)


def counterpart(url: str, *, key: Ed25519PrivateKey = RECEIVER_KEY, name: str = "", signing: Signing = SIGNING) -> HttpCounterpart:
    trusted = (TrustedKey(public=key.public_key(), name=name),)
    return HttpCounterpart(Questions(link=HttpLink(url), source=source_of("TEST"), signing=signing, utc_now=utc_now), trusted)


async def compared(store: SqliteStore, url: str, **changes: Any) -> DayReport:
    other = counterpart(url, **changes)
    try:
        return await reconcile_day(store.read, other, DAY)
    finally:
        await other.close()


def forge(ledger: SqliteReceiverLedger, statement: str) -> None:
    with ledger._write_engine.begin() as connection:
        connection.exec_driver_sql(statement)


async def test_every_difference_of_a_day_is_named_and_replay_mends_what_is_missing(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, "P1", "P2", "P3", "P4")
    publish(store, "P5", at=NOON + timedelta(days=1))
    async with serving(ledger, stations=(SITE,)) as url, relaying(store, url, speed=1000.0) as relay:
        await until(delivered(store, 10))
        report = await compared(store, url)
        assert report.holds
        assert (report.ours, report.theirs, report.our_root, report.waiting) == (8, 8, report.their_root, 0)
        forge(ledger, "DELETE FROM effect WHERE subject = 'P1' AND sequence = 2")
        forge(ledger, "DELETE FROM seen_event WHERE subject = 'P1' AND sequence = 2")
        forge(ledger, "UPDATE effect SET body = replace(body, 'OBSERVE', 'ADD') WHERE subject = 'P2' AND sequence = 1")
        columns = "source, subject, sequence, event_id, event_type, body, received_at, day"
        twice = f"INSERT INTO effect ({columns}) SELECT {columns} FROM effect WHERE subject = 'P3' AND sequence = 2"  # noqa: S608
        forge(ledger, twice)
        forge(ledger, "UPDATE effect SET subject = 'P9' WHERE subject = 'P4' AND sequence = 1")
        report = await compared(store, url)
        assert not report.holds
        assert [(one.difference, one.piece_id, one.sequence) for one in report.findings] == [
            (Difference.MISSING, "P1", 2),
            (Difference.DIFFERS, "P2", 1),
            (Difference.TWICE, "P3", 2),
            (Difference.MISSING, "P4", 1),
            (Difference.UNKNOWN, "P9", 1),
        ]
        assert await relay.replay(Replay(piece_id="P1")) == 2
        await until(delivered(store, 10))
        assert (Difference.MISSING, "P1") not in {(one.difference, one.piece_id) for one in (await compared(store, url)).findings}


async def test_what_waits_is_no_difference_and_today_may_be_compared(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, "P1")
    async with serving(ledger) as url:
        async with relaying(store, url):
            await until(delivered(store, 2))
        publish(store, "P2", events=3)
        report = await compared(store, url)
    assert report.holds
    assert (report.ours, report.theirs, report.waiting) == (5, 2, 3)


async def test_nothing_is_believed_that_is_not_the_receivers(store: SqliteStore, ledger: SqliteReceiverLedger):
    async with serving(ledger, stations=(SITE,)) as url:
        for changes, why in (
            ({"key": OTHER}, "not signed"),
            ({"name": "centre"}, "not signed"),
            ({"signing": Signing(keys=(OTHER,))}, "401"),
        ):
            with pytest.raises(ReceiverUnreachableError, match=why):
                await compared(store, url, **changes)
        assert (await compared(store, url, name="test")).holds
        body = b'{"source": "urn:kt1:site:OTHER", "day": "2026-11-20"}'
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            for path, content, expected in (
                ("/reconciliation", body, "kt1:source-foreign"),
                ("/reconciliation/events", body, "kt1:source-foreign"),
                ("/reconciliation", b"{}", "kt1:request-malformed"),
                ("/reconciliation/events", b'{"source": "urn:kt1:site:TEST", "day": "2026-11-20", "after": -1}', "kt1:request-malformed"),
            ):
                answer = await client.post(path, content=content, headers=webhook_headers("r", content, utc_now(), SIGNING))
                assert answer.json()["type"] == expected
    with pytest.raises(ReceiverUnreachableError, match="did not answer"):
        await compared(store, "http://127.0.0.1:9")


async def test_each_day_is_compared_once_and_one_that_differs_until_it_does_not(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, "P1", "P2")
    clock = SetClock(datetime(2026, 11, 21, 0, 5, tzinfo=UTC))

    def alarms() -> list[str]:
        found = store.read(lambda view: view.alarms())
        return [one.detail for one in found if one.code is AlarmCode.TRACKING_DIFFERS and one.cleared_at is None]

    async with serving(ledger) as url, relaying(store, url):
        await until(delivered(store, 4))
        reconciler = Reconciler(store, counterpart(url), clock)
        assert [report.day for report in await reconciler.reconcile()] == [DAY - timedelta(days=1)]
        clock.forward(600)
        forge(ledger, "UPDATE effect SET sequence = 7 WHERE subject = 'P2' AND sequence = 2")
        assert [report.day for report in await reconciler.reconcile()] == [DAY]
        assert alarms() == ["2026-11-20: missing 1, unknown 1 (P2 2, P2 7)"]
        forge(ledger, "UPDATE effect SET sequence = 2 WHERE sequence = 7")
        clock.forward(3 * 86400)
        days = [report.day for report in await reconciler.reconcile()]
        assert days == [DAY, *(DAY + timedelta(days=number) for number in (1, 2, 3))]
        assert alarms() == []
        assert store.read(lambda view: view.value(RECONCILED_KEY)) == "2026-11-23"
        assert await reconciler.reconcile() == []
        running = asyncio.create_task(reconciler.run())
        await until(lambda: store.read(lambda view: view.value(RECONCILED_KEY)) == "2026-11-24")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_receiver_from_before_days_were_kept_learns_them(tmp_path: Path, store: SqliteStore):
    publish(store, "P1")
    ledger = SqliteReceiverLedger(tmp_path / "old")
    async with serving(ledger) as url, relaying(store, url):
        await until(delivered(store, 2))
    forge(ledger, "DROP INDEX ix_effect_source_day_number")
    forge(ledger, "ALTER TABLE effect DROP COLUMN day")
    ledger.close()
    ledger = SqliteReceiverLedger(tmp_path / "old")
    async with serving(ledger) as url:
        report = await compared(store, url)
    assert (report.holds, report.theirs) == (True, 2)
    ledger.close()


class Other:
    """A receiver's side that says what it is told to."""

    def __init__(self, said: list[EventDigest], listed: list[EventDigest]) -> None:
        self._said, self._listed = said, listed

    async def statement(self, day: date) -> DayStatement:
        return DayStatement(events=len(self._said), root=day_root(self._said))

    async def events(self, day: date, *, said: int) -> list[EventDigest]:
        return self._listed

    async def close(self) -> None:
        return None


async def test_a_list_that_is_not_the_signed_one_proves_nothing(store: SqliteStore):
    publish(store, "P1")
    ours = store.read(lambda view: view.event_digests(NOON - timedelta(days=1), NOON + timedelta(days=1)))
    with pytest.raises(ReceiverUnreachableError, match="signed statement"):
        await reconcile_day(store.read, Other(said=ours[:1], listed=ours), DAY)
    assert (await reconcile_day(store.read, Other(said=ours[:1], listed=ours[:1]), DAY)).waiting == 1


async def test_a_clock_that_was_years_ahead_stops_no_comparing(store: SqliteStore):
    store.write(lambda unit: unit.set_value(RECONCILED_KEY, "2031-01-01")).result()
    reconciler = Reconciler(store, Other([], []), SetClock(datetime(2026, 11, 21, 0, 15, tzinfo=UTC)))
    assert [report.day for report in await reconciler.reconcile()] == [DAY]
    assert await reconciler.reconcile() == []


async def test_a_defect_does_not_end_the_comparing(store: SqliteStore):
    class Defective(Other):
        defects = 2

        async def statement(self, day: date) -> DayStatement:
            if self.defects:
                self.defects -= 1
                raise IndexError("a defect")
            return await super().statement(day)

    with capture_logs() as logs:
        running = asyncio.create_task(Reconciler(store, Defective([], []), SetClock(datetime(2026, 11, 21, 6, tzinfo=UTC))).run())
        await until(lambda: store.read(lambda view: view.value(RECONCILED_KEY)) == DAY.isoformat(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [bool(one["exc_info"]) for one in logs if "could not be reconciled" in one["event"]] == [True, True]


class Unanswering(Other):
    """A receiver's side that answers nothing until it does."""

    answers = False

    async def statement(self, day: date) -> DayStatement:
        if not self.answers:
            raise ReceiverUnreachableError("never")
        return await super().statement(day)


class Rounds(SetClock):
    """A clock that ends who sleeps by it, after so many times."""

    left = 0

    async def sleep(self, seconds: float) -> None:
        if not self.left:
            raise asyncio.CancelledError
        self.left -= 1
        await super().sleep(seconds)


@pytest.mark.parametrize("compared_before", [True, False])
async def test_days_that_nobody_compares_call_for_a_person_until_they_are(store: SqliteStore, compared_before: bool):
    clock, other = Rounds(datetime(2026, 11, 21, 6, tzinfo=UTC)), Unanswering([], [])

    async def run(rounds: int) -> list[tuple[str, str]]:
        """The alarms after so many rounds of a station that was just started."""
        clock.left = rounds
        with pytest.raises(asyncio.CancelledError):
            await Reconciler(store, other, clock).run()
        found = store.read(lambda view: view.alarms())
        return [(one.subject, one.detail) for one in found if one.code is AlarmCode.TRACKING_UNCOMPARED and one.cleared_at is None]

    oldest = DAY
    if compared_before:
        other.answers = True
        assert await run(1) == []
        other.answers, oldest = False, DAY + timedelta(days=1)
    told_from = datetime.combine(oldest + timedelta(days=3), time(), UTC)
    # A station that is started anew again and again goes on where it was.
    while clock.now + timedelta(hours=3) < told_from:
        assert await run(3) == []
    assert await run(4) == [("TRACKING", oldest.isoformat())]
    other.answers = True
    assert await run(1) == []
    compared = [row.evidence.day for row in store.read(lambda view: view.evidence("TRACKING"))]
    assert compared[-3:] == [(oldest + timedelta(days=number)).isoformat() for number in range(3)]
    assert len(compared) == 3 + compared_before
