"""Events per second to the reference receiver: through the relay, outbox and receipts included, and as bare posts of the same bodies.

The receiver runs in a process of its own and makes each event durable before it answers. Both ways have eight pieces under way at a time
and post the events of a piece one after another; the bare posts are signed beforehand and keep nothing of what is answered.
"""

import asyncio
import contextlib
import json
import random
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.peer import measure_beside
from station.api.receiver import create_receiver, serve_receiver
from station.api.receiver_trust import ReceiverIdentity, TrustedStation
from station.clock import SystemClock
from station.domain.events import PieceEvent, PieceStatus
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.http import HttpLink, HttpSender
from station.tracking.message import CONTENT_TYPE, MessageRules
from station.tracking.relay import Relay
from station.tracking.signatures import Signing, webhook_headers
from station.tracking.trust import TrustedKey
from station.tracking.verdict import ReceiptRule

PIECES, EACH = 100, 20
AT_A_TIME = 8
ROUNDS = 3
LOOK_S = 0.02
NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
STATION_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECEIVER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def serve(report: Connection) -> None:
    """The receiver; reports its address."""
    with tempfile.TemporaryDirectory() as directory:
        ledger = SqliteReceiverLedger(Path(directory))
        station = TrustedStation(keys=(STATION_KEY.public_key(),))
        app = create_receiver(ledger, ReceiverIdentity(name="bench", key=RECEIVER_KEY, stations=(station,)), SystemClock().utc_now)
        asyncio.run(serve_receiver(app, "127.0.0.1", 0, lambda host, port: report.send(f"http://{host}:{port}")))
        ledger.close()


def _fill(store: SqliteStore) -> None:
    def work(unit: Any) -> None:
        for number in range(PIECES * EACH):
            told = PieceEvent(piece_id=f"P{number % PIECES}", visit=1, status=PieceStatus.HELD, at=NOON, lane_id="1", secrecy=None)
            unit.publish(told)

    store.write(work).result()


async def through_the_relay(url: str) -> dict[str, float]:
    """Events/s until every one has its receipt in the station's store."""
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory), render=MessageRules(site="bench").render, floor_bytes=0)
        _fill(store)
        clock = SystemClock()
        sender = HttpSender(HttpLink(url), utc_now=clock.utc_now, signing=Signing(keys=(STATION_KEY,)))
        rule = ReceiptRule(trusted=(TrustedKey(public=RECEIVER_KEY.public_key()),))
        relay = Relay(store, sender, clock, random.SystemRandom(), rule)
        began_s = time.perf_counter()
        running = asyncio.create_task(relay.run())
        while store.read(lambda view: view.outbox_depth())[1] < PIECES * EACH:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(LOOK_S)
        rate = PIECES * EACH / (time.perf_counter() - began_s)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        store.close()
        return {"per_s": rate}


async def bare_posts(url: str) -> dict[str, float]:
    """Events/s as posts of ready-made requests."""
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory), render=MessageRules(site="bench").render, floor_bytes=0)
        _fill(store)
        pieces = [store.read(lambda view, p=piece: view.events_of(f"P{p}")) for piece in range(PIECES)]
        store.close()
    now, signing = SystemClock().utc_now(), Signing(keys=(STATION_KEY,))
    ready = [
        [
            (one.body.encode(), {"content-type": CONTENT_TYPE, **webhook_headers(one.event_id, one.body.encode(), now, signing)})
            for one in piece
        ]
        for piece in pieces
    ]
    limits = httpx.Limits(max_connections=AT_A_TIME, max_keepalive_connections=AT_A_TIME)
    async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False) as client:

        async def post(first: int) -> None:
            for piece in ready[first::AT_A_TIME]:
                for body, headers in piece:
                    (await client.post("/events", content=body, headers=headers)).raise_for_status()

        began_s = time.perf_counter()
        await asyncio.gather(*map(post, range(AT_A_TIME)))
        return {"per_s": PIECES * EACH / (time.perf_counter() - began_s)}


def run() -> dict[str, Any]:
    """Measure both in turns, each round with a receiver of its own, and take each one's median."""
    ways = {"relay": through_the_relay, "bare": bare_posts}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rates[name].append(measure_beside(serve, way)["per_s"])
    relay, bare = (sorted(rates[name])[ROUNDS // 2] for name in ways)
    return {
        "events": PIECES * EACH,
        "at_a_time": AT_A_TIME,
        "relay_per_s": round(relay),
        "bare_per_s": round(bare),
        "ratio": round(relay / bare, 3),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))  # noqa: T201 - its purpose
