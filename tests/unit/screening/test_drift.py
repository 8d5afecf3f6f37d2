"""The watch over the model, on a real system of record: what trips it, what survives a restart, who may take it back."""

import hashlib
import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from station.domain.alarm import AlarmCode
from station.domain.drift import DriftReset, DriftTrip
from station.domain.errors import ConflictError, RefusedError
from station.domain.reasons import Reason
from station.domain.scan import Finding, ModelReading, Scan
from station.screening.drift import TRIP_KEY, DriftWatch, drift_lines
from station.screening.image_quality import ImageQuality
from station.storage.store import SqliteStore
from tests.support.store_facts import at, opened

MODEL, FIRST, SECOND = "ab" * 32, "first calibration", "second calibration"
QUALITY = ImageQuality(air_noise=0.004, dark_level=0.015, gain=0.6)
PIECE = "VN-1"


def scores(source: random.Random, count: int, shift: float = 0.0) -> list[float]:
    return [1 / (1 + math.exp(3 - shift - source.gauss(0, 1))) for _ in range(count)]


def watch(calibration: str = FIRST, **changes: Any) -> DriftWatch:
    source = random.Random(calibration)
    known = {kind: scores(source, 600) for kind in ("envelope", "packet", "unknown")}
    return DriftWatch(site="site-1", model_sha256=MODEL, calibration_sha256=calibration, calibration={**known, **changes})


def feed(store: SqliteStore, watcher: DriftWatch, values: list[float], *, begin: int = 0, **changes: Any) -> int:
    """Readings one after the other; returns after how many it tripped, or how many there were."""
    quality = changes.pop("quality", QUALITY)
    for number, score in enumerate(values):
        sha256 = hashlib.sha256(str(begin + number).encode()).hexdigest()
        scan = Scan(
            piece_id=PIECE,
            visit=changes.get("visit", 1),
            at=at(begin + number),
            lane_id="lane-1",
            sha256=sha256,
            acquisition=1,
            lines=100,
            pixels=100,
            length_mm=200.0,
            width_mm=100.0,
            kv=140.0,
            ma=1.0,
            findings=changes.get("findings", ()),
        )
        reading = ModelReading(
            piece_id=PIECE,
            visit=scan.visit,
            at=scan.at,
            scan_sha256=sha256,
            model_sha256=changes.get("model", MODEL),
            score=score,
            threshold=0.5,
            p_value=0.5,
            calibration_n=600,
            kind=changes.get("kind", "envelope"),
            duration_ms=1.0,
            projected_sha256=changes.get("projected"),
        )
        store.write(lambda uow, scan=scan, reading=reading: watcher.reading(uow, scan, reading, quality)).result()
        if watcher.tripped:
            return number + 1
    return len(values)


def alarms(store: SqliteStore) -> list[str]:
    found = store.read(lambda view: view.alarms())
    return [alarm.detail for alarm in found if alarm.code is AlarmCode.MODEL_DRIFT and alarm.cleared_at is None]


def facts(store: SqliteStore) -> list[object]:
    return [row.evidence for row in store.read(lambda view: view.evidence(PIECE))]


def resume(store: SqliteStore, watcher: DriftWatch, person: str = "Supervisor") -> DriftReset:
    return store.write(lambda uow: watcher.resume(uow, person=person, note="calibrated", at=at(9_000))).result()


def started(store: SqliteStore, watcher: DriftWatch) -> DriftWatch:
    store.write(lambda uow: watcher.start(uow, at(8_000))).result()
    return watcher


def test_scores_that_did_not_change_trip_nothing(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        assert feed(store, watcher, scores(random.Random(1), 300)) == 300
        assert not watcher.tripped
        assert alarms(store) == []
        state = store.read(lambda view: watcher.state(view, ["lane-1"]))
        assert state["scores"]["envelope"]["pieces"] == 300  # type: ignore[index]
        assert state["scores"]["overall"]["pieces"] == 300  # type: ignore[index]
        assert state["scores"]["packet"]["pieces"] == 0  # type: ignore[index]
        assert any("tripped: no" in line for line in drift_lines(state))


@pytest.mark.parametrize("shift", [1.5, -1.5])
def test_a_shift_stops_the_model_with_an_alarm_and_a_fact(tmp_path: Path, shift: float):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        assert feed(store, watcher, scores(random.Random(2), 300, shift)) < 100
        assert watcher.tripped
        (detail,) = alarms(store)
        assert "scores envelope" in detail or "scores overall" in detail
        (trip,) = facts(store)
        assert isinstance(trip, DriftTrip)
        assert (trip.piece_id, trip.model_sha256, trip.calibration_sha256) == (PIECE, MODEL, FIRST)
        assert all(cause.measured >= cause.limit == watcher.level == 400 for cause in trip.causes)
        state = store.read(lambda view: watcher.state(view, ["lane-1"]))
        assert any("scores" in line and line.startswith("tripped: 2026") for line in drift_lines(state))


def test_a_restart_forgets_nothing(tmp_path: Path):
    values = scores(random.Random(3), 300, 1.0)
    with opened(tmp_path / "one") as store:
        whole = feed(store, started(store, watch()), values)
    broken, half = 0, whole // 2
    with opened(tmp_path / "two") as store:
        assert feed(store, started(store, watch()), values[:half]) == half
    with opened(tmp_path / "two") as store:
        again = started(store, watch())
        assert not again.tripped
        broken = half + feed(store, again, values[half:], begin=half)
    assert broken == whole
    with opened(tmp_path / "two") as store:
        assert started(store, watch()).tripped
        assert len(alarms(store)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"visit": 2},
        {"projected": "cd" * 32},
        {"kind": "parcel"},
        {"model": "ef" * 32},
        {"findings": (Finding(reason=Reason.PIECE_CLIPPED),)},
    ],
)
def test_what_the_model_was_not_calibrated_on_is_no_bet(tmp_path: Path, changes: dict[str, Any]):
    with opened(tmp_path) as store:
        watcher = started(store, watch(parcel=[0.1] * 499))
        assert feed(store, watcher, scores(random.Random(2), 60, 4.0), **changes) == 60
        assert not watcher.tripped


def test_what_lies_in_a_piece_is_no_ground_to_leave_it_out(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        assert feed(store, watcher, scores(random.Random(2), 60, 3.0), findings=(Finding(reason=Reason.OPAQUE_AREA),)) < 60


def test_nothing_is_taken_once_it_tripped(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        feed(store, watcher, scores(random.Random(2), 300, 2.0))
        before = store.read(lambda view: view.value("drift:scores:envelope"))
        feed(store, watcher, [0.5] * 3, begin=500)
        assert store.read(lambda view: view.value("drift:scores:envelope")) == before
        assert len(facts(store)) == 1


def test_only_a_named_person_and_another_calibration_give_it_back(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        with pytest.raises(ConflictError):
            resume(store, watcher)
        feed(store, watcher, scores(random.Random(2), 300, 2.0))
        with pytest.raises(RefusedError, match="still has that calibration"):
            resume(store, watcher)
        fitted = started(store, watch(SECOND))
        assert fitted.tripped
        with pytest.raises(RefusedError, match="responsibility"):
            resume(store, fitted, person="  ")
        assert fitted.tripped
        reset = resume(store, fitted)
        assert not fitted.tripped
        assert facts(store)[-1] == reset
        assert (reset.person, reset.calibration_sha256, reset.piece_id) == ("Supervisor", SECOND, PIECE)
        assert alarms(store) == []
        state = store.read(lambda view: fitted.state(view, []))
        assert state["tripped"] is None
        assert state["scores"]["envelope"]["pieces"] == 0  # type: ignore[index]
    with opened(tmp_path) as store:
        assert not started(store, watch(SECOND)).tripped


def test_no_detour_over_another_model_gives_a_calibration_its_trust_back(tmp_path: Path):
    with opened(tmp_path) as store:
        assert feed(store, started(store, watch()), scores(random.Random(5), 3000, shift=1.0)) < 3000
        other = started(store, watch("second"))
        resume(store, other)
        assert not started(store, watch("second")).tripped
        back = started(store, watch())
        assert back.tripped
        assert len(alarms(store)) == 1
        assert store.read(lambda view: back.state(view, ["lane-1"]))["tripped"]["calibration"] == FIRST
        with pytest.raises(RefusedError, match="still has that calibration"):
            resume(store, back)


def test_a_new_calibration_begins_anew(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        feed(store, watcher, scores(random.Random(5), 50))
        fitted = started(store, watch(SECOND))
        assert feed(store, fitted, scores(random.Random(6), 7), begin=50) == 7
        state = store.read(lambda view: fitted.state(view, ["lane-1"]))
        assert state["scores"]["envelope"]["pieces"] == 7  # type: ignore[index]
        assert state["images"]["lane-1"]["scans"] == 7  # type: ignore[index]


def test_a_scanner_that_changed_stops_the_model_until_it_is_repaired(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher, good = started(store, watch()), scores(random.Random(7), 400)
        feed(store, watcher, good[:60])
        noisy = replace(QUALITY, air_noise=0.008)
        feed(store, watcher, good[60:160], begin=60, quality=noisy)
        assert watcher.tripped
        (detail,) = alarms(store)
        assert detail.startswith("image air-noise")
        # the calibration is not in doubt: the same one may go on, against the same reference
        resume(store, watcher)
        assert not watcher.tripped
        assert feed(store, watcher, good[160:240], begin=160, quality=noisy) < 80
        assert watcher.tripped
        resume(store, watcher)
        assert feed(store, watcher, good[240:300], begin=240) == 60


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"calibration":"first calibration"}',
        '{"calibration":"first calibration","counts":{"9999":1},"stakes":[],"pieces":1,"most":1}',
    ],
)
def test_a_record_that_cannot_be_read_stops_the_model(tmp_path: Path, text: str):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        store.write(lambda uow: uow.set_value("drift:scores:envelope", text)).result()
        assert feed(store, watcher, [0.1]) == 1
        assert alarms(store) == ["state-unreadable 0 (0)"]
        resume(store, watcher)
        assert feed(store, watcher, scores(random.Random(1), 10), begin=1) == 10
        assert not watcher.tripped


def test_an_unreadable_trip_is_still_a_trip(tmp_path: Path):
    with opened(tmp_path) as store:
        store.write(lambda uow: uow.set_value(TRIP_KEY, "{")).result()
        watcher = started(store, watch())
        assert watcher.tripped
        assert resume(store, watcher).piece_id == "unknown"


def test_the_record_stays_small(tmp_path: Path):
    with opened(tmp_path) as store:
        watcher = started(store, watch())
        feed(store, watcher, scores(random.Random(1), 50))
        text = store.read(lambda view: view.value("drift:scores:envelope"))
        assert text is not None
        assert len(text) < 8_000
        assert json.loads(text)["pieces"] == 50
