"""Milliseconds for one scan: through the station's model process, against the bare runtime on the same channels.

The difference is correction, registration, findings, pictures, and the way to the process and back. Mail as it comes, one piece after
another; and scans of 1500 lines and 1024 pixels that are full of things and end on two lanes at the same moment, each time.
"""

import asyncio
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

import station.screening
from firmware_sims.mail import NEWEST_GENERATION, draw_mail, draw_piece
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
LARGE_LINES, LARGE_PIXELS = 1500, 1024
LARGE_SCANS = 4
LARGE_ROUNDS = 25
LANES = 2


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


def _session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _bare_ms(data: bytes, channels: list[npt.NDArray[np.float32]]) -> list[float]:
    session = _session(data)
    name = session.get_inputs()[0].name
    taken: list[float] = []
    for _ in range(ROUNDS):
        for one in channels:
            began_s = time.perf_counter()
            session.run(None, {name: one})
            taken.append(1000 * (time.perf_counter() - began_s))
    return taken


def _large_scans() -> list[RawScan]:
    """Bags close behind one another, as long as a scan may be."""
    bench = Bench(2, pixels=LARGE_PIXELS)
    rng = np.random.default_rng(2)
    scans = []
    for number in range(LARGE_SCANS):
        bag = draw_piece(rng, serial=number + 1, piece_id=f"BAG-{number}", kind="baggage_like", generation=NEWEST_GENERATION)
        scan = bench.scan(bag)
        le, he = (np.resize(counts, (LARGE_LINES, LARGE_PIXELS)) for counts in (scan.le, scan.he))
        scans.append(replace(scan, le=le, he=he))
    return scans


async def _together_ms(scans: list[RawScan]) -> tuple[list[float], float]:
    """From the end of both lanes' scans to each one's verdict, and the most memory that a worker ever had, MB."""
    engines = [WorkerScreening(MODEL, alpha=ALPHA, site=SITE) for _ in range(LANES)]
    taken: list[float] = []

    async def read(engine: WorkerScreening, scan: RawScan) -> None:
        began_s = time.perf_counter()
        await engine.read(scan)
        taken.append(1000 * (time.perf_counter() - began_s))

    try:
        await asyncio.gather(*(engine.start() for engine in engines))
        for turn in range(LARGE_ROUNDS):
            await asyncio.gather(*(read(engine, scans[(turn + lane) % len(scans)]) for lane, engine in enumerate(engines)))
        most_mb = max(_most_resident_mb(engine.worker_pid) for engine in engines)
    finally:
        for engine in engines:
            await engine.close()
    return taken, most_mb


def _most_resident_mb(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _inference_ratio(data: bytes, channels: list[npt.NDArray[np.float32]]) -> float:
    """The station's session to the bare runtime on the same channels, turn by turn; medians."""
    model, session = OnnxModel(data), _session(data)
    name = session.get_inputs()[0].name
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        for one in channels:
            for taken, work in ((ours, lambda one=one: model(one)), (bare, lambda one=one: session.run(None, {name: one}))):
                began_s = time.perf_counter()
                work()
                taken.append(time.perf_counter() - began_s)
    return statistics.median(ours) / statistics.median(bare)


def run() -> dict[str, float]:
    """Measure one after the other; `ratio` is station / bare runtime, of medians; `large_…` are of the large scans on two lanes at once."""
    bench = Bench(1)
    scans = [bench.scan(piece) for piece in draw_mail(np.random.default_rng(1), PIECES)]
    data, channels = _channels(scans)
    bare, station_ms = _bare_ms(data, channels), asyncio.run(_station_ms(scans))
    large = _large_scans()
    together_ms, most_mb = asyncio.run(_together_ms(large))
    return {
        "pieces": PIECES,
        "bare_p50_ms": statistics.median(bare),
        "station_p50_ms": statistics.median(station_ms),
        "station_p99_ms": statistics.quantiles(station_ms, n=100)[98],
        "ratio": statistics.median(station_ms) / statistics.median(bare),
        "large_p50_ms": statistics.median(together_ms),
        "large_p99_ms": statistics.quantiles(together_ms, n=100)[98],
        "large_inference_ratio": _inference_ratio(data, _channels(large)[1]),
        "worker_most_mb": most_mb,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201 - its answer
