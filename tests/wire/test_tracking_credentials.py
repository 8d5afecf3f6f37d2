"""Whom station and receiver believe over real HTTP: keys that change, two sites, receipts that are not what they say."""

import hashlib
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.api.receiver_trust import TrustedStation
from station.domain.alarm import AlarmCode
from station.ports.outbox import OutboxEvent
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.message import MessageRules
from station.tracking.reconciliation import source_of
from station.tracking.replay import Replay
from station.tracking.signatures import Signing, sign_receipt
from station.tracking.trust import TrustedKey
from tests.support.outboxes import alarms, clean, delivered, publish
from tests.support.store_facts import opened
from tests.support.tracking_wire import RECEIVER_KEY, STATION_KEY, Unruly, relaying, serving, utc_now
from tests.support.waiting import until


async def test_keys_change_on_both_sides_without_losing_an_event(store: SqliteStore, ledger: SqliteReceiverLedger):
    old, new = STATION_KEY, Ed25519PrivateKey.from_private_bytes(bytes([5] * 32))
    secret, theirs = bytes([6] * 24), Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
    both = Signing(keys=(old, new), secrets=(secret,))
    knows_new, knows_secret = TrustedStation(keys=(new.public_key(),)), TrustedStation(secrets=(secret,))
    trusted = (TrustedKey(public=RECEIVER_KEY.public_key(), name="test"), TrustedKey(public=theirs.public_key(), name="test"))
    for number, (identity, signing) in enumerate(
        (
            ({}, both),
            ({"stations": (knows_secret,)}, both),
            ({"stations": (knows_new,), "key": theirs}, both),
            ({"stations": (knows_new,), "key": theirs}, Signing(keys=(new,))),
        ),
        start=1,
    ):
        publish(store, pieces=2, events=1)
        async with serving(ledger, **identity) as url, relaying(store, url, signing=signing, trusted=trusted):
            await until(delivered(store, 2 * number))
    # A station that has forgotten the receiver's old key gets what was given under it in the new one.
    async with serving(ledger, key=theirs) as url, relaying(store, url, trusted=trusted[1:]) as relay:
        assert await relay.replay(Replay(piece_id="P0")) == 4
        await until(delivered(store, 8))
    assert clean(ledger.counts(), 8)


async def test_two_sites_share_a_receiver_and_neither_speaks_for_the_other(tmp_path: Path, ledger: SqliteReceiverLedger):
    keys = {site: Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number, site in enumerate(("A", "B"), start=1)}
    stations = tuple(TrustedStation(source=source_of(site), keys=(key.public_key(),)) for site, key in keys.items())
    with ExitStack() as opening:
        stores = {site: opening.enter_context(opened(tmp_path / site, render=MessageRules(site=site).render)) for site in keys}
        for one in stores.values():
            publish(one, pieces=5, events=3)
        async with serving(ledger, stations=stations) as url:
            async with relaying(stores["A"], url, signing=Signing(keys=(keys["B"],))):
                await until(lambda: (AlarmCode.TRACKING_BLOCKED, "tracking") in alarms(stores["A"]))
            assert stores["A"].read(lambda view: view.events_of("P0"))[0].last_error == "the receiver answered 403 kt1:source-foreign"
            async with AsyncExitStack() as running:
                for site, key in keys.items():
                    await running.enter_async_context(relaying(stores[site], url, signing=Signing(keys=(key,))))
                await until(lambda: all(delivered(one, 15)() for one in stores.values()))
    assert clean(ledger.counts(), 30)


@pytest.mark.parametrize("lie", ["event_id", "subject", "sequence", "body_sha256", "replayed", "receiver"])
async def test_a_receiver_that_lies_ends_nothing(store: SqliteStore, ledger: SqliteReceiverLedger, lie: str):
    publish(store, pieces=1, events=2)
    first, second = store.read(lambda view: view.events_of("P0"))

    def receipt(of: OutboxEvent, **changes: Any) -> bytes:
        digest = hashlib.sha256(of.body.encode()).hexdigest()
        true = {"event_id": of.event_id, "subject": "P0", "sequence": of.sequence, "body_sha256": digest, "receiver": "test"}
        return sign_receipt(RECEIVER_KEY, **{**true, "received_at": utc_now(), **changes}).encode()

    lies = {"event_id": first.event_id, "subject": "P1", "sequence": 3, "body_sha256": "0" * 64, "receiver": "another"}
    answers = [receipt(first), receipt(first) if lie == "replayed" else receipt(second, **{lie: lies[lie]})]

    def wrap(_: Any) -> Any:
        async def front(scope: Any, receive: Any, send: Any) -> None:
            await Unruly._plain(send, 200, answers[0] if len(answers) > 1 else answers[-1])
            if len(answers) > 1:
                answers.pop(0)

        return front

    trusted = (TrustedKey(public=RECEIVER_KEY.public_key(), name="test"),)
    async with serving(ledger, wrap=wrap) as url, relaying(store, url, trusted=trusted):
        await until(lambda: (AlarmCode.TRACKING_BLOCKED, "tracking") in alarms(store))
    assert [event.state for event in store.read(lambda view: view.events_of("P0"))] == ["receipted", "pending"]


async def test_receipts_of_somebody_else_end_nothing(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=2, events=2)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    async with serving(ledger, key=stranger) as url, relaying(store, url):
        await until(lambda: alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "tracking")])
        assert store.read(lambda view: view.outbox_depth())[1] == 0
        assert store.read(lambda view: view.events_of("P0"))[0].last_error == "the receipt's signature is not the receiver's"
    assert ledger.counts().events == 2


async def test_receivers_without_receipts(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=2, events=2)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    async with serving(ledger, key=stranger) as url, relaying(store, url, receipts=False):
        await until(delivered(store, 4))


async def test_a_station_that_the_receiver_does_not_know_calls_for_a_person(store: SqliteStore, ledger: SqliteReceiverLedger):
    publish(store, pieces=1, events=1)
    async with serving(ledger, stations=()) as url, relaying(store, url):
        await until(lambda: alarms(store) == [(AlarmCode.TRACKING_BLOCKED, "tracking")])
    async with serving(ledger) as url, relaying(store, url):
        await until(delivered(store, 1))
    assert alarms(store) == []
