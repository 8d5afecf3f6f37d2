"""What every screening engine promises: the same for the worker process and for the reading in-process."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from station.domain.errors import ScreeningError
from station.domain.reasons import Reason
from station.ports.screening import ScreeningEngine
from station.ports.xray import raw_sha256
from station.screening.anomaly_model import InlineScreening
from station.screening.worker import WorkerScreening
from tests.support.screening_models import KEYS, SHIPPED, raw_scan, sound_model, write_model
from tests.support.waiting import until


@pytest.fixture(params=["worker", "inline"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[ScreeningEngine]:
    made: ScreeningEngine = (
        WorkerScreening(SHIPPED, alpha=0.05, time_limit_s=60) if request.param == "worker" else InlineScreening(SHIPPED, alpha=0.05)
    )
    yield made
    await made.close()


async def test_the_shipped_model_loads_and_reads(engine: ScreeningEngine):
    info = await engine.start()
    assert not info.proved
    assert "not on" in info.why_not_proved
    assert info.calibration_n >= 500
    scan = raw_scan()
    result = await engine.read(scan)
    assert result.model_sha256 == info.sha256
    assert 0 <= result.score <= 1
    assert 0 < result.p_value <= 1
    assert result.findings == ()
    assert abs(result.length_mm - 130 * 0.8) < 8
    assert abs(result.width_mm - 120 * 0.8) < 8
    assert result.heat_map.shape == (255, 256)
    assert result.heat_map.dtype == np.uint8
    assert result.view_png.startswith(b"\x89PNG")
    assert result.heat_png.startswith(b"\x89PNG")


async def test_a_read_is_repeatable(engine: ScreeningEngine):
    await engine.start()
    scan = raw_scan(seed=3)
    first, second = await engine.read(scan), await engine.read(scan)
    assert first.score == second.score
    assert np.array_equal(first.heat_map, second.heat_map)
    assert first.view_png == second.view_png
    assert np.array_equal(first.fingerprint, second.fingerprint)


async def test_the_same_piece_shifted_matches_and_another_does_not(engine: ScreeningEngine):
    await engine.start()
    inside = ((60, 70, 120, 130, 0.85, 0.9), (90, 100, 30, 20, 0.3, 0.5))
    moved = ((85, 60, 120, 130, 0.85, 0.9), (115, 90, 30, 20, 0.3, 0.5))
    other = ((85, 60, 120, 130, 0.85, 0.9), (115, 150, 30, 20, 0.3, 0.5))
    cleared = await engine.read(raw_scan(boxes=inside, seed=1))
    same = await engine.read(raw_scan(boxes=moved, seed=2))
    look_alike = await engine.read(raw_scan(boxes=other, seed=4))
    ids = {"cleared_sha256": "a", "new_sha256": "b", "bound": 0.15}
    assert (await engine.compare(cleared, same, **ids)).holds
    refused = await engine.compare(cleared, look_alike, **ids)
    assert not refused.holds
    assert refused.distance > 0.3


async def test_a_finding_that_the_cleared_scan_lacked_breaks_the_match(engine: ScreeningEngine):
    await engine.start()
    cleared = await engine.read(raw_scan())
    new = await engine.read(raw_scan(lost_lines=1))
    match = await engine.compare(cleared, new, cleared_sha256="a", new_sha256="b", bound=0.15)
    assert [one.reason for one in match.new_findings] == [Reason.LINES_MISSING]
    assert not match.holds


async def test_an_unusable_scan_raises_and_the_engine_goes_on(engine: ScreeningEngine):
    await engine.start()
    scan = raw_scan()
    with pytest.raises(ScreeningError):
        await engine.read(replace(scan, le=scan.le[:3], he=scan.he[:3]))
    with pytest.raises(ScreeningError):
        await engine.read(replace(scan, air_le=np.full_like(scan.air_le, np.nan)))
    assert (await engine.read(scan)).findings == ()


async def test_an_empty_belt_is_no_scan_of_a_piece(engine: ScreeningEngine):
    await engine.start()
    result = await engine.read(raw_scan(boxes=()))
    assert [one.reason for one in result.findings] == [Reason.SCAN_INCOMPLETE]


async def test_something_else_is_no_test_piece(engine: ScreeningEngine):
    await engine.start()
    scored = await engine.score_test_piece(raw_scan())
    assert not scored.passed
    assert scored.values["piece-found"] == (0.0, 1.0, False)
    assert "single-wire-awg" not in scored.values


async def test_both_engines_read_alike(tmp_path: Path):
    folder = write_model(tmp_path / "m", sound_model())
    worker = WorkerScreening(folder, alpha=0.05, time_limit_s=60, trusted_keys=KEYS)
    inline = InlineScreening(folder, alpha=0.05, trusted_keys=KEYS)
    try:
        assert await worker.start() == await inline.start()
        scan = raw_scan(kind="never heard of")
        one, other = await worker.read(scan), await inline.read(scan)
        assert (one.score, one.threshold, one.p_value, one.calibration_n) == (
            other.score,
            other.threshold,
            other.p_value,
            other.calibration_n,
        )
        assert one.calibration_n == 0
        assert (await inline.read(replace(scan, kind="envelope"))).calibration_n == 600
        assert (await inline.read(replace(scan, kind="packet"))).calibration_n == 20
    finally:
        await worker.close()
        await inline.close()


async def test_a_killed_worker_fails_that_read_and_comes_back(monkeypatch: pytest.MonkeyPatch):
    engine = WorkerScreening(SHIPPED, alpha=0.05, time_limit_s=60)
    try:
        await engine.start()
        scan = raw_scan(lines=500, pixels=512)
        expected = (await engine.read(scan)).score
        pid = engine.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        asked, ask = threading.Event(), engine._ask

        def note(*request: Any) -> bytes:
            asked.set()
            return ask(*request)

        monkeypatch.setattr(engine, "_ask", note)
        reading = asyncio.ensure_future(engine.read(scan))
        await until(asked.is_set)
        assert not reading.done()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ScreeningError):
            await reading
        assert (await engine.read(scan)).score == expected
        assert engine.worker_pid != pid
    finally:
        await engine.close()


async def test_reads_of_several_lanes_wait_for_each_other():
    engine = WorkerScreening(SHIPPED, alpha=0.05, time_limit_s=60)
    try:
        scans = [raw_scan(seed=seed) for seed in range(4)]
        together = await asyncio.gather(*(engine.read(scan) for scan in scans))
        alone = [await engine.read(scan) for scan in scans]
        assert [one.score for one in together] == [one.score for one in alone]
    finally:
        await engine.close()


def told_by_the_system(pid: int | None, what: str) -> str:
    """A file of a process under /proc; empty when there is no such process."""
    file = Path(f"/proc/{pid}/{what}")
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def test_nothing_is_left_after_close():
    engine = WorkerScreening(SHIPPED, alpha=0.05, time_limit_s=60)
    await engine.start()
    pid = engine.worker_pid
    await engine.close()
    assert engine.worker_pid is None
    assert pid is not None
    assert told_by_the_system(pid, "maps") == ""
    with pytest.raises(ScreeningError):
        await engine.read(raw_scan())


async def test_the_worker_knows_nothing_of_the_rest_of_the_station():
    engine = WorkerScreening(SHIPPED, alpha=0.05, time_limit_s=60)
    try:
        await engine.start()
        maps, limits = told_by_the_system(engine.worker_pid, "maps"), told_by_the_system(engine.worker_pid, "limits")
        assert "onnxruntime" in maps
        assert not any(word in maps for word in ("pydantic", "pysqlite", "uvloop", "serial"))
        line = next(one for one in limits.splitlines() if one.startswith("Max data size"))
        assert line.split()[3] == str(1024 * 1024 * 1024)
    finally:
        await engine.close()


async def test_a_threat_is_drawn_into_a_scan_by_its_seed_and_read_like_any_other(engine: ScreeningEngine):
    info = await engine.start()
    scan = raw_scan()
    made, again = await engine.project(scan, tube_kv=140.0, seed=1 << 150), await engine.project(scan, tube_kv=140.0, seed=1 << 150)
    assert made is not None
    assert again is not None
    assert made.threat == again.threat
    assert made.threat.scan_sha256 == raw_sha256(scan.le, scan.he)
    assert made.result.model_sha256 == info.sha256
    plain = await engine.read(scan)
    assert made.result.heat_map.shape == plain.heat_map.shape
    assert made.result.view_png != plain.view_png
    assert (made.result.length_mm, made.result.width_mm) == pytest.approx((plain.length_mm, plain.width_mm), abs=3.0)
    small = replace(
        scan, le=scan.dark_le.astype(np.uint16) + np.zeros_like(scan.le), he=scan.dark_he.astype(np.uint16) + np.zeros_like(scan.he)
    )
    assert await engine.project(small, tube_kv=140.0, seed=1) is None
