"""Hostile models: whatever the file does, the piece is held, the station lives, and a sound model works afterwards."""

import base64
import os
import signal
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from station.domain.errors import ScreeningError
from station.screening.anomaly_model import InlineScreening
from station.screening.worker import WorkerScreening
from tests.support import screening_models as models
from tests.support.screening_models import raw_scan, write_model

NEVER_LOADED = {
    "operator": (models.loop_model, "not allowed"),
    "domain": (models.custom_domain_model, "domain"),
    "graph within": (models.subgraph_model, "graph within"),
    "external data": (models.external_data_model, "another file"),
    "names": (models.wrong_names_model, "inputs and outputs"),
}
NONSENSE = {
    "nan": (models.nan_model, "no number"),
    "outside": (models.outside_model, "outside of"),
    "shape": (models.wrong_shape_model, "shapes"),
}


@pytest.mark.parametrize("name", NEVER_LOADED)
async def test_a_hostile_file_is_not_loaded(name: str, tmp_path: Path):
    make, says = NEVER_LOADED[name]
    folder = write_model(tmp_path / "m", make())
    engine = WorkerScreening(folder, alpha=0.05)
    try:
        with pytest.raises(ScreeningError, match=says):
            await engine.start()
        with pytest.raises(ScreeningError, match=says):
            await engine.read(raw_scan())
        assert engine.worker_pid is None
        write_model(folder, models.sound_model())
        assert (await engine.read(raw_scan())).findings == ()
    finally:
        await engine.close()


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_no_reading(name: str, tmp_path: Path):
    make, says = NONSENSE[name]
    folder = write_model(tmp_path / "m", make())
    engine = InlineScreening(folder, alpha=0.05)
    # the model is sound as a file; that it answers nonsense shows at the first reading, which loading does itself
    await engine.start()
    with pytest.raises(ScreeningError, match=says):
        await engine.read(raw_scan())
    worker = WorkerScreening(folder, alpha=0.05)
    try:
        with pytest.raises(ScreeningError, match=says):
            await worker.start()
    finally:
        await worker.close()


def garbage() -> bytes:
    return b"\x08\x08" + bytes(range(256)) * 40


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "model.onnx").write_bytes(models.nan_model().SerializeToString()),
        lambda folder: (folder / "model.onnx").unlink(),
        lambda folder: (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes().replace(b"0.2", b"0.9", 1)),
        lambda folder: (folder / "manifest.sig").write_bytes(base64.b64encode(bytes(64))),
        lambda folder: (folder / "project-key.pub").write_bytes(b"nonsense"),
        lambda folder: (folder / "manifest.json").write_bytes(b"[]"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: write_model(folder, garbage()),
        lambda folder: write_model(folder, models.sound_model(), model_file="../model.onnx"),
        lambda folder: write_model(folder, models.sound_model(), calibration={"unknown": [0.1] * 499}),
        lambda folder: write_model(folder, models.sound_model(), calibration={"unknown": [0.1] * 600 + ["x"]}),
        lambda folder: write_model(folder, models.sound_model(), format=2),
    ],
)
async def test_a_spoilt_folder_is_not_loaded(spoil: Callable[[Path], object], tmp_path: Path):
    folder = write_model(tmp_path / "m", models.sound_model())
    spoil(folder)
    with pytest.raises(ScreeningError):
        await InlineScreening(folder, alpha=0.05).start()


async def test_an_unsigned_model_loads_and_is_not_proved(tmp_path: Path):
    folder = write_model(tmp_path / "m", models.sound_model(), signed=False, fitted_site="here", detection_lower_95=0.95)
    info = await InlineScreening(folder, alpha=0.05, site="here").start()
    assert not info.proved
    assert "signed" in info.why_not_proved
    signed = write_model(tmp_path / "s", models.sound_model(), fitted_site="here", detection_lower_95=0.95)
    assert (await InlineScreening(signed, alpha=0.05, site="here").start()).proved


async def _fails_then_recovers(bad: onnx.ModelProto, tmp_path: Path, *, time_limit_s: float, memory_mb: int) -> str:
    folder = write_model(tmp_path / "m", bad)
    engine = WorkerScreening(folder, alpha=0.05, time_limit_s=time_limit_s, start_limit_s=time_limit_s, memory_mb=memory_mb)
    try:
        with pytest.raises(ScreeningError) as caught:
            await engine.read(raw_scan())
        write_model(folder, models.sound_model())
        slow = WorkerScreening(folder, alpha=0.05, time_limit_s=60, memory_mb=memory_mb)
        try:
            assert 0 <= (await slow.read(raw_scan())).score <= 1
        finally:
            await slow.close()
        return str(caught.value)
    finally:
        await engine.close()


async def test_a_model_that_never_ends_is_killed(tmp_path: Path):
    said = await _fails_then_recovers(models.slow_model(), tmp_path, time_limit_s=2.0, memory_mb=1024)
    assert "did not answer" in said


async def test_a_model_that_eats_memory_is_stopped(tmp_path: Path):
    said = await _fails_then_recovers(models.memory_bomb_model(), tmp_path, time_limit_s=20.0, memory_mb=400)
    assert "inference failed" in said or "crashed" in said


async def test_another_model_after_a_restart_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / "m", models.sound_model())
    engine = WorkerScreening(folder, alpha=0.05, time_limit_s=60)
    try:
        await engine.start()
        write_model(folder, models.model(*models.heat_nodes(-2.0)))
        pid = engine.worker_pid
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ScreeningError):
            await engine.read(raw_scan())
        with pytest.raises(ScreeningError, match="another model"):
            await engine.read(raw_scan())
    finally:
        await engine.close()
