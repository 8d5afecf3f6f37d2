"""Hostile models, in the real worker with the real runtime: each ends as a hold with a named reason, and the station lives.

What a lane does with it is the lane's own code: `Passage` reads, the journey judges on a real system of record.
"""

import asyncio
import base64
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.domain.alarm import AlarmCode
from station.domain.clearance import Outcome
from station.domain.errors import ScreeningError
from station.domain.reasons import Reason
from station.domain.scan import Scan
from station.screening import worker as worker_module
from station.screening.anomaly_model import InlineScreening
from station.screening.manifest import load_model
from station.screening.worker import WorkerScreening
from station.workflow.passage import Passage
from tests.support import screening_models as models
from tests.support.screening_models import KEYS, SHIPPED, raw_scan, write_model
from tests.unit.workflow.feeding import PIECE, Feeding

Spoil = Callable[[Path], object]


def file_of(make: Callable[[], onnx.ModelProto | bytes]) -> Spoil:
    return lambda folder: write_model(folder, make())


def cut(folder: Path) -> None:
    """The file is cut short and the manifest pins what is left: only the contents can tell."""
    data = models.sound_model().SerializeToString()
    write_model(folder, data[: len(data) * 2 // 3])


def change_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(text.replace(b"0.2", b"0.9", 1))


def swap_all(folder: Path) -> None:
    """Another model with another manifest, properly signed, with the signer's key beside it."""
    write_model(folder, models.model(*models.heat_nodes(-9.0)), signer=Ed25519PrivateKey.generate())


def drop_signature(folder: Path) -> None:
    """Another model, and a manifest that nobody signed."""
    (folder / "manifest.sig").unlink()
    write_model(folder, models.model(*models.heat_nodes(-9.0)), signed=False)


HOSTILE: dict[str, tuple[Spoil, str]] = {
    # what the file is
    "operator": (file_of(models.loop_model), "'Einsum' is not allowed"),
    "operator domain": (file_of(models.custom_domain_model), "operator domain 'evil.example'"),
    "graph in an attribute": (file_of(models.subgraph_model), "graph within a graph"),
    "nodes hidden in an If": (file_of(models.branch_model), "graph within a graph"),
    "endless Loop": (file_of(models.endless_model), "graph within a graph"),
    "nodes under an odd key": (file_of(models.hidden_nodes_model), "unusual way"),
    "the runtime's own format": (file_of(models.own_format_model), "own format"),
    "external data": (file_of(models.external_data_model), "another file"),
    "ConstantOfShape bomb": (file_of(lambda: models.filled_model("ConstantOfShape")), "'ConstantOfShape' is not allowed"),
    "Tile bomb": (file_of(lambda: models.filled_model("Tile")), "'Tile' is not allowed"),
    "Expand bomb": (file_of(lambda: models.filled_model("Expand")), "'Expand' is not allowed"),
    "weight that claims to be huge": (file_of(models.claimed_shape_model), "the runtime refuses it"),
    "other names": (file_of(models.wrong_names_model), "inputs and outputs"),
    "cut short": (cut, "cut short|no ONNX file"),
    "garbage": (file_of(lambda: b"\x08\x08" + bytes(range(256)) * 40), "ONNX|cut short|unusual"),
    # who vouches for it
    "wrong hash": (lambda folder: (folder / "model.onnx").write_bytes(models.nan_model().SerializeToString()), "SHA-256"),
    "wrong signature": (lambda folder: (folder / "manifest.sig").write_bytes(base64.b64encode(bytes(64))), "signature does not hold"),
    "changed manifest": (change_manifest, "signature does not hold"),
    "signature that is none": (lambda folder: (folder / "manifest.sig").write_bytes(b"no signature!"), "signature is malformed"),
    "unknown signer": (swap_all, "not trusted here"),
    "unsigned": (drop_signature, "not signed"),
    "no file": (lambda folder: (folder / "model.onnx").unlink(), "cannot be read"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "cannot be read"),
    "too few pieces": (lambda folder: write_model(folder, models.sound_model(), calibration={"unknown": [0.1] * 499}), "too few"),
    "scores outside": (lambda folder: write_model(folder, models.sound_model(), calibration={"unknown": [9.0] * 600}), "not all in 0…1"),
    "path": (lambda folder: write_model(folder, models.sound_model(), model_file="../model.onnx"), "no file name"),
    # what it answers
    "not a number": (file_of(models.nan_model), "no number"),
    "infinite": (file_of(models.infinite_model), "no number"),
    "outside of 0…1": (file_of(models.outside_model), "outside of"),
    "wrong shape": (file_of(models.wrong_shape_model), "it answered shapes"),
    "wrong type": (file_of(models.whole_number_score_model), "int64"),
    # what it takes
    "memory bomb while it is prepared": (file_of(models.bomb_at_load_model), "runtime refuses it|inference failed|crashed"),
    "memory bomb while it reads": (file_of(models.memory_bomb_model), "inference failed|crashed"),
    "runs for minutes": (file_of(models.slow_model), "did not answer within 4 s"),
}


def engine_of(folder: Path, **changes: Any) -> WorkerScreening:
    return WorkerScreening(folder, **{"alpha": 0.05, "time_limit_s": 60.0, "memory_mb": 512, "trusted_keys": KEYS, **changes})


async def held_by(engine: WorkerScreening, directory: Path) -> str:
    """Let a lane read a piece with this model; it must be held as `model-failed`. Returns what the alarm says."""
    feeding = Feeding(directory)
    try:
        feeding.announce()
        piece = await feeding.arrive()
        await feeding.journey.scanning(piece)
        session = SimpleNamespace(
            equipment=SimpleNamespace(screening=engine, clock=feeding.clock),
            journey=feeding.journey,
            settings=SimpleNamespace(lane_id="lane-1"),
        )
        assert await Passage(session, piece)._read(raw_scan()) is None  # type: ignore[arg-type]
        now = feeding.clock.utc_now()
        scan = Scan(
            piece_id=PIECE,
            visit=piece.visit,
            at=now,
            lane_id="lane-1",
            sha256="ab" * 32,
            acquisition=1,
            lines=260,
            pixels=256,
            length_mm=200.0,
            width_mm=100.0,
            kv=140.0,
            ma=1.0,
        )
        clearance = await feeding.journey.scanned(piece, scan, None, None)
        assert clearance.outcome is Outcome.HELD
        assert {Reason.MODEL_FAILED, Reason.NO_MODEL_READING} <= set(clearance.reasons)
        (alarm,) = [one for one in feeding.store.read(lambda view: view.alarms()) if one.code is AlarmCode.MODEL_FAILED]
        return alarm.detail
    finally:
        feeding.store.close()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_model_ends_as_a_hold_and_the_next_piece_is_read(name: str, tmp_path: Path):
    spoil, says = HOSTILE[name]
    folder = write_model(tmp_path / "m", models.sound_model())
    spoil(folder)
    # the slow one needs room for its pictures, so that it is its slowness that is met
    slow = {"start_limit_s": 4.0, "memory_mb": 1536} if name == "runs for minutes" else {}
    engine = engine_of(folder, **{"start_limit_s": 60.0, **slow})
    try:
        with pytest.raises(ScreeningError, match=says):
            await engine.start()
        detail = await held_by(engine, tmp_path / "store")
        with pytest.raises(ScreeningError, match=says):
            raise ScreeningError(detail)
        assert engine.worker_pid is None
        # the very same engine reads the next piece, with a new worker, once a sound model is there
        write_model(folder, models.sound_model())
        for _ in range(5):
            with contextlib.suppress(ScreeningError):
                result = await engine.read(raw_scan())
                break
        assert 0 <= result.score <= 1
        assert engine.worker_pid is not None
    finally:
        await engine.close()


@pytest.mark.parametrize("harm", ["segfault", "abort", "quit", "run-away", "exhaust"])
async def test_a_worker_that_dies_or_runs_away_holds_one_piece_alone(harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_module, "_PROGRAM", "tests.support.sabotaged_worker")
    trap = tmp_path / "trap"
    limit_s = 3.0 if harm == "run-away" else 60.0
    engine = engine_of(write_model(tmp_path / "m", models.sound_model()), site=f"{harm}:{trap}", time_limit_s=limit_s)
    try:
        await engine.start()
        before = (await engine.read(raw_scan())).score
        pid = engine.worker_pid
        trap.touch()
        detail = await held_by(engine, tmp_path / "store")
        assert ("did not answer within 3 s" if harm == "run-away" else "crashed") in detail
        assert (await engine.read(raw_scan())).score == before
        assert engine.worker_pid not in {None, pid}
    finally:
        await engine.close()


async def test_a_stuck_worker_of_one_lane_does_not_keep_the_other_lane_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_module, "_PROGRAM", "tests.support.sabotaged_worker")
    trap = tmp_path / "trap"
    folder = write_model(tmp_path / "m", models.sound_model())
    stuck = engine_of(folder, site=f"run-away:{trap}", time_limit_s=8.0)
    sound = engine_of(folder, site="quit:/nowhere/at/all")
    try:
        await asyncio.gather(stuck.start(), sound.start())
        untouched = sound.worker_pid
        trap.touch()
        waiting = asyncio.ensure_future(stuck.read(raw_scan()))
        scores = [(await sound.read(raw_scan())).score for _ in range(3)]
        assert not waiting.done()
        assert len(set(scores)) == 1
        with pytest.raises(ScreeningError, match="did not answer"):
            await waiting
        assert (await stuck.read(raw_scan())).score == scores[0]
        assert sound.worker_pid == untouched
    finally:
        await asyncio.gather(stuck.close(), sound.close())


async def test_two_lanes_with_the_same_bad_model_wait_side_by_side(tmp_path: Path):
    folder, limit_s = write_model(tmp_path / "m", models.slow_model()), 4.0
    lanes = [engine_of(folder, start_limit_s=limit_s, memory_mb=1536) for _ in range(2)]
    try:
        began = time.perf_counter()
        ended = await asyncio.gather(*(lane.read(raw_scan()) for lane in lanes), return_exceptions=True)
        took_s = time.perf_counter() - began
        assert all(isinstance(one, ScreeningError) and "did not answer" in one.what for one in ended)
        assert took_s < 1.75 * limit_s
    finally:
        await asyncio.gather(*(lane.close() for lane in lanes))


async def test_a_piece_does_not_wait_for_a_model_that_hangs_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_module, "_READY_LIMIT_S", 1.0)
    engine = engine_of(write_model(tmp_path / "m", models.slow_model()), start_limit_s=60.0, memory_mb=1536)
    try:
        for _ in range(2):
            with pytest.raises(ScreeningError, match="was not ready within 1 s"):
                await engine.read(raw_scan())
    finally:
        await engine.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "project-key.pub").write_bytes(b"nonsense"),
        lambda folder: (folder / "manifest.json").write_bytes(b"[]"),
        lambda folder: write_model(folder, models.sound_model(), calibration={"unknown": [0.1] * 600 + ["x"]}),
        lambda folder: write_model(folder, models.sound_model(), format=2),
        lambda folder: write_model(folder, models.sound_model(), calibration={"unknown": [float("nan")] * 600}),
    ],
)
async def test_a_spoilt_folder_is_not_loaded(spoil: Spoil, tmp_path: Path):
    folder = write_model(tmp_path / "m", models.sound_model(), signer=Ed25519PrivateKey.generate())
    spoil(folder)
    with pytest.raises(ScreeningError):
        await InlineScreening(folder, alpha=0.05).start()


async def test_only_a_signature_of_a_trusted_key_proves_a_model(tmp_path: Path):
    folder = write_model(tmp_path / "s", models.sound_model(), fitted_site="here", detection_lower_95=0.95, metrics={"alpha": 0.05})
    with pytest.raises(ScreeningError, match="not trusted here"):
        await InlineScreening(folder, alpha=0.05, site="here").start()
    assert (await InlineScreening(folder, alpha=0.05, site="here", trusted_keys=KEYS).start()).proved
    assert load_model(SHIPPED)[0].signed
    # offline tools may look at what nobody vouches for; they say so
    assert not load_model(folder, need_signature=False)[0].signed
    (folder / "manifest.sig").unlink()
    assert not load_model(folder, need_signature=False)[0].signed


async def test_another_model_or_calibration_after_a_restart_is_refused(tmp_path: Path):
    sound = models.sound_model()
    folder = write_model(tmp_path / "m", sound)
    engine = engine_of(folder)
    scores = [0.3] * 800
    try:
        await engine.start()
        for change in (
            lambda: write_model(folder, models.model(*models.heat_nodes(-2.0))),
            lambda: write_model(folder, sound, calibration={"unknown": scores, "envelope": scores}),
        ):
            pid = engine.worker_pid
            assert pid is not None
            change()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ScreeningError):
                await engine.read(raw_scan())
            with pytest.raises(ScreeningError, match="another model or calibration"):
                await engine.read(raw_scan())
            write_model(folder, sound)
            await engine.start()
    finally:
        await engine.close()


async def test_a_kind_without_enough_pieces_of_its_own_says_so(tmp_path: Path):
    engine = InlineScreening(write_model(tmp_path / "m", models.sound_model()), alpha=0.05, trusted_keys=KEYS)
    found = {kind: (await engine.read(raw_scan(kind=kind))).calibration_n for kind in ("envelope", "packet", "parcel", "unknown")}
    assert found == {"envelope": 600, "packet": 20, "parcel": 0, "unknown": 800}
