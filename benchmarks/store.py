"""Durable facts per second: through the store, as the same rows through plain SQLAlchemy Core with group commit, and on bare SQLite.

A fact is one evidence row with its audit leaf. All three run on the same disk with WAL and synchronous=FULL, with the same number of
callers that each wait for their fact to be durable before they hand in the next.
"""

import asyncio
import hashlib
import json
import queue
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from station.domain.commitment import SALT_BYTES
from station.domain.gate import Permit
from station.storage import tables
from station.storage.codec import to_json
from station.storage.sqlite import writing_engine
from station.storage.store import SqliteStore

CALLERS = 50
FACTS = 10_000
BARE_FACTS = 2_000
ROUNDS = 3
NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def _permit(number: int) -> Permit:
    return Permit(
        piece_id=f"P{number % 97}",
        visit=1,
        at=NOON,
        tag=number % 65536,
        challenge=number % 65536,
        valid_ms=500,
        scan_sha256="ab" * 32,
        nonce=number,
        policy_sha256="cd" * 32,
    )


def _rows(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leaf and evidence row of a fact, made beforehand so that only storing is timed."""
    payload = to_json(_permit(number))
    leaf = {"leaf_index": number, "commitment": hashlib.sha256(payload.encode()).digest()}
    fact = {"piece_id": f"P{number % 97}", "visit": 1, "at": NOON, "kind": "permit.v1", "scan_sha256": None, "payload": payload}
    return leaf, {**fact, "salt": bytes(2 * SALT_BYTES), "leaf_index": number}


async def _rate(write: Callable[[int], Awaitable[Any]], facts: int) -> float:
    async def caller(numbers: range) -> None:
        for number in numbers:
            await write(number)

    began_s = time.perf_counter()
    await asyncio.gather(*(caller(range(first, facts, CALLERS)) for first in range(CALLERS)))
    return facts / (time.perf_counter() - began_s)


def through_the_store(directory: Path) -> float:
    """Facts/s through `Store.write`."""
    store = SqliteStore(directory, floor_bytes=0)
    permits = [_permit(number) for number in range(FACTS)]
    try:
        return asyncio.run(_rate(lambda number: store.write(lambda unit: unit.append(permits[number])), FACTS))
    finally:
        store.close()


def through_plain_core(directory: Path) -> float:
    """Facts/s as plain Core inserts of ready-made rows, committed in groups by one thread."""
    SqliteStore(directory, floor_bytes=0).close()
    engine = writing_engine(directory / "station.db")
    rows = [_rows(number) for number in range(FACTS)]
    waiting: queue.SimpleQueue[tuple[int, Future[None]] | None] = queue.SimpleQueue()

    def serve() -> None:
        with engine.connect() as connection:
            while (first := waiting.get()) is not None:
                group = [first]
                while not waiting.empty() and (more := waiting.get()) is not None:
                    group.append(more)
                with connection.begin():
                    for number, _ in group:
                        leaf, fact = rows[number]
                        connection.execute(insert(tables.audit_leaf), leaf)
                        connection.execute(insert(tables.evidence), fact)
                for _, future in group:
                    future.set_result(None)

    def write(number: int) -> Awaitable[None]:
        future: Future[None] = Future()
        waiting.put((number, future))
        return asyncio.wrap_future(future)

    async def timed() -> float:
        return await _rate(write, FACTS)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return asyncio.run(timed())
    finally:
        waiting.put(None)
        thread.join()
        engine.dispose()


def through_bare_sqlite(directory: Path) -> float:
    """Facts/s on the bare driver, one transaction per fact."""
    SqliteStore(directory, floor_bytes=0).close()
    engine = writing_engine(directory / "station.db")
    raw = engine.raw_connection()
    rows = [_rows(number) for number in range(BARE_FACTS)]
    try:
        connection = raw.driver_connection
        assert connection is not None  # noqa: S101 - for the type checker
        began_s = time.perf_counter()
        for leaf, fact in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO audit_leaf VALUES (:leaf_index, :commitment)", leaf)
            connection.execute(
                "INSERT INTO evidence (piece_id, visit, at, kind, payload, salt, leaf_index) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (fact["piece_id"], 1, "2026-11-20T05:00:00.000000+00:00", fact["kind"], fact["payload"], fact["salt"], fact["leaf_index"]),
            )
            connection.execute("COMMIT")
        return BARE_FACTS / (time.perf_counter() - began_s)
    finally:
        raw.close()
        engine.dispose()


def run() -> dict[str, Any]:
    """Measure the three in turns, several rounds, and take each one's median."""
    ways = {"store": through_the_store, "plain_core": through_plain_core, "bare_sqlite": through_bare_sqlite}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as directory:
                rates[name].append(way(Path(directory) / "data"))
    middle = {name: sorted(values)[len(values) // 2] for name, values in rates.items()}
    return {
        "callers": CALLERS,
        "store_facts_per_s": round(middle["store"]),
        "plain_core_facts_per_s": round(middle["plain_core"]),
        "bare_sqlite_commits_per_s": round(middle["bare_sqlite"]),
        "store_to_plain_core": round(middle["store"] / middle["plain_core"], 3),
        "store_to_bare_sqlite": round(middle["store"] / middle["bare_sqlite"], 3),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))  # noqa: T201 - its purpose
