"""A station's outbox seen from outside: filling it, and what became of its events."""

from dataclasses import replace
from typing import Any

from station.domain.alarm import AlarmCode
from station.domain.events import PieceStatus
from station.storage.store import SqliteStore
from tests.support.store_facts import event
from tests.support.tracking_wire import utc_now


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
