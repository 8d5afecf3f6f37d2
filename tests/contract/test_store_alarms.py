"""The alarms on record: one stands until it is cleared and seen, and calls people anew only when it must."""

from dataclasses import replace
from typing import Any

import pytest

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import NotFoundError
from station.storage.store import SqliteStore
from tests.support.store_facts import at, written


def test_alarms_live_until_cleared_and_seen(store: SqliteStore):
    def raised(seconds: float) -> Any:
        return written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, AlarmPriority.HIGH, "uv1", "lamp 2", at(seconds)))

    first = raised(0)
    assert raised(5) == first
    assert written(store, lambda unit: unit.clear_alarm(AlarmCode.LAMP, "uv1", at(6)))
    assert not written(store, lambda unit: unit.clear_alarm(AlarmCode.LAMP, "uv1", at(6.5)))
    assert [alarm.cleared_at for alarm in store.read(lambda view: view.alarms())] == [at(6)]
    seen = written(store, lambda unit: unit.acknowledge_alarm(first.alarm_id, "an", at(7)))
    assert (seen.acknowledged_by, seen.acknowledged_at) == ("an", at(7))
    assert written(store, lambda unit: unit.acknowledge_alarm(first.alarm_id, "binh", at(8))) == seen
    assert store.read(lambda view: view.alarms()) == []
    second = raised(9)
    assert second.alarm_id != first.alarm_id
    assert store.read(lambda view: view.alarms(active_only=False)) == [second, seen]
    with pytest.raises(NotFoundError):
        written(store, lambda unit: unit.acknowledge_alarm(99, "an", at()))


def test_a_standing_alarm_takes_the_newest_detail_and_the_highest_priority(store: SqliteStore):
    def raised(priority: AlarmPriority, detail: str) -> Any:
        return written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, priority, "uv1", detail, at(5)))

    first = written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, AlarmPriority.MEDIUM, "uv1", "lamp 2", at()))
    steps = [
        (AlarmPriority.MEDIUM, "lamp 3", AlarmPriority.MEDIUM, "lamp 3"),
        (AlarmPriority.HIGH, "", AlarmPriority.HIGH, "lamp 3"),
        (AlarmPriority.LOW, "lamp 4", AlarmPriority.HIGH, "lamp 4"),
    ]
    for priority, detail, *becomes in steps:
        stands = raised(priority, detail)
        assert [stands.priority, stands.detail] == becomes
        assert (stands.alarm_id, stands.raised_at) == (first.alarm_id, at())
        assert store.read(lambda view: view.alarms(active_only=False)) == [stands]


def test_an_acknowledged_alarm_calls_anew_only_when_its_priority_rises(store: SqliteStore):
    def raised(priority: AlarmPriority, detail: str, seconds: float) -> Any:
        return written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, priority, "uv1", detail, at(seconds)))

    first = raised(AlarmPriority.MEDIUM, "lamp 2", 0)
    written(store, lambda unit: unit.acknowledge_alarm(first.alarm_id, "an", at(1)))
    for priority in (AlarmPriority.MEDIUM, AlarmPriority.LOW):
        seen = raised(priority, f"lamp 3, {priority}", 2)
        assert (seen.alarm_id, seen.acknowledged_by, seen.detail) == (first.alarm_id, "an", f"lamp 3, {priority}")
    second = raised(AlarmPriority.CRITICAL, "lamps 2 and 3", 3)
    assert (second.priority, second.detail, second.raised_at) == (AlarmPriority.CRITICAL, "lamps 2 and 3", at(3))
    assert second.acknowledged_at is None
    before = replace(seen, cleared_at=at(3))
    assert store.read(lambda view: view.alarms(active_only=False)) == [second, before]
    assert store.read(lambda view: view.alarms()) == [second]
