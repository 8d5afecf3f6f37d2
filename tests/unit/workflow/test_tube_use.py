"""How long a tube was off is known after a restart, and what cannot be is not believed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from station.storage.store import SqliteStore
from station.workflow.tube_use import idle_days, note_tube_on

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
UNKNOWN_DAYS = 1.0


def opened(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path, group_commit=False, reserve_bytes=0, floor_bytes=0, warn_bytes=0)


def days(store: SqliteStore, lane_id: str = "lane-1") -> float:
    return store.read(lambda view: idle_days(view, lane_id, NOW, unknown_days=UNKNOWN_DAYS))


def test_the_time_since_the_note_counts_also_after_a_restart(tmp_path: Path):
    store = opened(tmp_path)
    assert days(store) == UNKNOWN_DAYS
    for hours in (50, 12):
        store.write(lambda uow, hours=hours: note_tube_on(uow, "lane-1", NOW - timedelta(hours=hours))).result()
    store.close()
    again = opened(tmp_path)
    assert days(again) == 0.5
    assert days(again, "lane-2") == UNKNOWN_DAYS
    again.close()


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-02T06:00:00", "2026-03-02T08:00:00+00:00"])
def test_a_note_that_cannot_be_counts_as_none(tmp_path: Path, text: str):
    """Nothing, no time, a time without a zone, and one that is still to come."""
    store = opened(tmp_path)
    store.write(lambda uow: uow.set_value("tube.on:lane-1", text)).result()
    assert days(store) == UNKNOWN_DAYS
    store.close()
