"""Milliseconds for one scan: through the station's model process, against the bare runtime on the same channels.

The difference is correction, registration, findings, pictures, and the way to the process and back.
"""

import asyncio
import json
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

import station.screening
from firmware_sims.mail import draw_mail
from station.ports.screening import RawScan
from station.screening.anomaly_model import OnnxModel
from station.screening.manifest import load_model
from station.screening.pipeline import Reader
from station.screening.worker import WorkerScreening
from training.bench import Bench

MODEL = Path(station.screening.__file__).parent / "models"
PIECES = 16
ROUNDS = 4
ALPHA = 0.05
SITE = "benchmark"


class _Recorder:
    """Passes channels on to the model and keeps them."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self.seen: list[npt.NDArray[np.float32]] = []

    def __call__(self, channels: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.generic], ...]:
        self.seen.append(channels)
        return self._model(channels)


def _channels(scans: list[RawScan]) -> tuple[bytes, list[npt.NDArray[np.float32]]]:
    manifest, data = load_model(MODEL)
    recorder = _Recorder(OnnxModel(data))
    reader = Reader(manifest, recorder, alpha=ALPHA, pictures=False)
    for scan in scans:
        reader.read(scan)
    return data, recorder.seen


async def _station_ms(scans: list[RawScan]) -> list[float]:
    engine = WorkerScreening(MODEL, alpha=ALPHA, site=SITE, time_limit_s=30.0, memory_mb=1500)
    taken: list[float] = []
    try:
        await engine.start()
        for _ in range(ROUNDS):
            for scan in scans:
                began_s = time.perf_counter()
                await engine.read(scan)
                taken.append(1000 * (time.perf_counter() - began_s))
    finally:
        await engine.close()
    return taken


def _bare_ms(data: bytes, channels: list[npt.NDArray[np.float32]]) -> list[float]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    taken: list[float] = []
    for _ in range(ROUNDS):
        for one in channels:
            began_s = time.perf_counter()
            session.run(None, {name: one})
            taken.append(1000 * (time.perf_counter() - began_s))
    return taken


def run() -> dict[str, float]:
    """Measure one after the other on the same drawn pieces; `ratio` is station / bare runtime, of medians."""
    bench = Bench(1)
    scans = [bench.scan(piece) for piece in draw_mail(np.random.default_rng(1), PIECES)]
    data, channels = _channels(scans)
    bare, station_ms = _bare_ms(data, channels), asyncio.run(_station_ms(scans))
    return {
        "pieces": PIECES,
        "bare_p50_ms": statistics.median(bare),
        "station_p50_ms": statistics.median(station_ms),
        "station_p99_ms": statistics.quantiles(station_ms, n=100)[98],
        "ratio": statistics.median(station_ms) / statistics.median(bare),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201 - its answer
