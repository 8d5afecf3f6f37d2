"""Runs of the test piece in the store: facts, the newest, the trend, and what a failed run takes away."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from station.domain.alarm import AlarmCode
from station.domain.errors import NotFoundError
from station.domain.test_piece import FIRST_RUNS, WATCHED, TestPieceRun
from station.ports.screening import TestPieceResult
from station.storage.store import SqliteStore
from station.workflow import test_pieces
from tests.unit.domain.domain_facts import NOW

LANE = "lane-1"
GOOD = TestPieceResult(
    passed=True,
    values={**dict.fromkeys(WATCHED, (1.0, 0.1, True)), "turned-deg": (1.0, 4.0, True)},
    not_asked=("line-pairs-finer-than-12-mm",),
)
BAD = TestPieceResult(passed=False, values={**GOOD.values, "turned-deg": (4.5, 4.0, False)}, not_asked=GOOD.not_asked)
WORN = TestPieceResult(passed=True, values={**GOOD.values, "air-signal-share": (0.7, 0.1, True)}, not_asked=GOOD.not_asked)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "data", group_commit=False, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
    yield opened
    opened.close()


def run(store: SqliteStore, result: TestPieceResult | None, number: int = 1, error: str = "") -> TestPieceRun:
    def work(uow):  # noqa: ANN001, ANN202 - a unit of work
        trend = test_pieces.stored_trend(uow, LANE)
        at = NOW + timedelta(hours=number)
        made, stepped = test_pieces.run_of(result, piece_id="TEST-0001", visit=number, at=at, lane_id=LANE, trend=trend, error=error)
        test_pieces.keep_run(uow, made, stepped)
        return made

    return store.write(work).result()


def alarms(store: SqliteStore) -> dict[AlarmCode, str]:
    return {one.code: one.detail for one in store.read(lambda view: view.alarms()) if one.cleared_at is None}


def test_a_run_is_kept_as_a_fact_and_as_the_newest(store: SqliteStore):
    first, second = run(store, GOOD), run(store, BAD, 2)
    facts = [row.evidence for row in store.read(lambda view: view.evidence("TEST-0001"))]
    assert facts == [first, second]
    assert store.read(lambda view: test_pieces.newest_run(view, LANE)) == second
    assert store.read(lambda view: test_pieces.newest_run(view, "lane-2")) is None


def test_a_failed_run_takes_the_earlier_pass_away(store: SqliteStore):
    passed = run(store, GOOD)
    assert store.read(lambda view: test_pieces.passed_at(view, LANE)) == passed.at
    run(store, BAD, 2)
    assert store.read(lambda view: test_pieces.passed_at(view, LANE)) is None
    assert alarms(store) == {AlarmCode.TEST_PIECE_FAILED: "turned-deg 4.5 (4)"}
    run(store, GOOD, 3)
    assert alarms(store) == {}


@pytest.mark.parametrize(
    "result",
    [
        None,
        TestPieceResult(passed=True, values={}),
        replace(GOOD, passed=False),
        TestPieceResult(passed=True, values={**GOOD.values, "turned-deg": (4.5, 4.0, False)}),
        TestPieceResult(passed=True, values={**GOOD.values, "turned-deg": (float("nan"), 4.0, True)}),
    ],
)
def test_what_is_no_pass_in_every_way_has_failed(store: SqliteStore, result: TestPieceResult | None):
    run(store, GOOD)
    assert not run(store, result, 2, error="no scan").passed
    assert store.read(lambda view: test_pieces.passed_at(view, LANE)) is None


def test_a_drift_warns_and_takes_nothing_away(store: SqliteStore):
    for number in range(FIRST_RUNS):
        run(store, GOOD, number)
    for number in range(4):
        newest = run(store, WORN, FIRST_RUNS + number)
    assert newest.passed
    assert [one.name for one in newest.warnings] == ["air-signal-share"]
    assert alarms(store) == {AlarmCode.TEST_PIECE_DRIFTS: "air-signal-share 1 → 0.7"}
    assert store.read(lambda view: test_pieces.newest_run(view, LANE)) == newest
    assert store.read(lambda view: test_pieces.passed_at(view, LANE)) == newest.at
    for number in range(12):
        run(store, GOOD, 20 + number)
    assert alarms(store) == {}


def test_after_a_repair_the_next_runs_make_the_reference(store: SqliteStore):
    for number in range(FIRST_RUNS):
        run(store, GOOD, number)
    for number in range(4):
        run(store, WORN, FIRST_RUNS + number)
    newest = store.read(lambda view: test_pieces.newest_run(view, LANE))
    passed_at = store.read(lambda view: test_pieces.passed_at(view, LANE))
    at = NOW + timedelta(days=1)
    ended = store.write(lambda uow: test_pieces.end_reference(uow, LANE, person="Hoa", note="new tube", at=at)).result()
    assert store.read(lambda view: view.evidence("TEST-0001"))[-1].evidence == ended
    assert (ended.person, ended.note, ended.visit) == ("Hoa", "new tube", FIRST_RUNS + 3)
    assert alarms(store) == {}
    assert store.read(lambda view: test_pieces.newest_run(view, LANE)) == newest
    assert store.read(lambda view: test_pieces.passed_at(view, LANE)) == passed_at
    for number in range(FIRST_RUNS + 5):
        assert not run(store, WORN, 30 + number).warnings
    for number in range(5):
        after = run(store, GOOD, 60 + number)
    assert [(one.name, round(one.reference, 2)) for one in after.warnings] == [("air-signal-share", 0.7)]


def test_a_reference_that_never_was_cannot_be_ended(store: SqliteStore):
    with pytest.raises(NotFoundError, match="no run of the test piece"):
        store.write(lambda uow: test_pieces.end_reference(uow, LANE, person="Hoa", note="new tube", at=NOW)).result()
    assert alarms(store) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"values": 3}', '{"asked": [], "limits": ["x"], "values": {}}'])
def test_records_that_cannot_be_read_begin_anew(store: SqliteStore, text: str):
    store.write(lambda uow: uow.set_value(f"test-piece:{LANE}:trend", text)).result()
    store.write(lambda uow: uow.set_value(f"test-piece:{LANE}:newest", text)).result()
    assert store.read(lambda view: test_pieces.stored_trend(view, LANE)).warnings == ()
    assert store.read(lambda view: test_pieces.newest_run(view, LANE)) is None
    assert run(store, GOOD).passed
