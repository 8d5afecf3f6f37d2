"""Milliseconds for one scan: through the station's model process, against the bare runtime on the same channels.

The difference is correction, registration, findings, pictures, and the way to the process and back. Mail as it comes, one piece after
another; and scans of 1500 lines and 1024 pixels, all covered, that are handed over for two lanes at the same moment.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

import station.screening
from firmware_sims.mail import NEWEST_GENERATION, draw_mail, draw_piece
from station.ports.screening import RawScan
from station.screening.anomaly_model import OUTPUTS, OnnxModel
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
LARGE_ROUNDS = 100
LANES = 2
TIME_LIMIT_S, MEMORY_MB = 5.0, 1500
"""What a station gives its model."""
COVERED_BELOW = 0.95
LEAST_OF_SIDE = 0.05
"""A pixel lies on a thing below that transmission of LE; a line or column belongs to it if so much of it does."""


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


def _engine() -> WorkerScreening:
    return WorkerScreening(MODEL, alpha=ALPHA, site=SITE, time_limit_s=TIME_LIMIT_S, memory_mb=MEMORY_MB)


async def _read_ms(engine: WorkerScreening, scan: RawScan) -> float:
    began_s = time.perf_counter()
    await engine.read(scan)
    return 1000 * (time.perf_counter() - began_s)


async def _station_ms(scans: list[RawScan]) -> list[float]:
    engine = _engine()
    try:
        await engine.start()
        return [await _read_ms(engine, scan) for _ in range(ROUNDS) for scan in scans]
    finally:
        await engine.close()


def _bare(data: bytes) -> Callable[[npt.NDArray[np.float32]], float]:
    """A function that runs the bare runtime on channels, for the outputs that the station asks for, and says how long it took, ms."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    asked = [one.name for one in session.get_outputs() if one.name != OUTPUTS[3]]
    return lambda channels: _ms(lambda: session.run(asked, {name: channels}))


def _ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began_s)


def _p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100, method="inclusive")[98]


def _large_scans() -> list[RawScan]:
    """Bags side by side and behind one another, so that no place is empty."""
    bench = Bench(2, pixels=LARGE_PIXELS)
    rng = np.random.default_rng(2)
    scans = []
    for number in range(LARGE_SCANS):
        bag = draw_piece(rng, serial=number + 1, piece_id=f"BAG-{number}", kind="baggage_like", generation=NEWEST_GENERATION)
        scan = bench.scan(bag)
        seen = (scan.le - scan.dark_le) / (scan.air_le - scan.dark_le) < COVERED_BELOW
        rows, columns = (np.flatnonzero(seen.mean(axis=axis) > LEAST_OF_SIDE) for axis in (1, 0))
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        le = _filled(scan.le, scan.dark_le, scan.air_le, part)
        scans.append(replace(scan, le=le, he=_filled(scan.he, scan.dark_he, scan.air_he, part)))
    return scans


def _filled(
    counts: npt.NDArray[np.uint16], dark: npt.NDArray[np.float32], air: npt.NDArray[np.float32], part: tuple[slice, slice]
) -> npt.NDArray[np.uint16]:
    """A whole scan of what lies in `part`, again and again, as every pixel would have counted it."""
    through = ((counts - dark) / (air - dark))[part]
    again = [-(-size // side) for size, side in zip((LARGE_LINES, LARGE_PIXELS), through.shape, strict=True)]
    everywhere = np.tile(through, again)[:LARGE_LINES, :LARGE_PIXELS]
    whole: npt.NDArray[np.uint16] = np.clip(everywhere * (air - dark) + dark, 0, 65_535).astype(np.uint16)
    return whole


async def _together_ms(scans: list[RawScan]) -> tuple[list[float], float]:
    """From handing over a scan on each lane to each result, and the most memory that a worker had, MB."""
    engines = [_engine() for _ in range(LANES)]
    taken: list[float] = []
    try:
        await asyncio.gather(*(engine.start() for engine in engines))
        for turn in range(LARGE_ROUNDS + 1):
            both = await asyncio.gather(*(_read_ms(engine, scans[(turn + lane) % len(scans)]) for lane, engine in enumerate(engines)))
            # the first turn warms up
            taken += both if turn else []
        if any(engine.restarts for engine in engines):
            raise RuntimeError("a worker ended during the measurement: its figures mean nothing")
        return taken, max(_most_resident_mb(engine.worker_pid) for engine in engines)
    finally:
        for engine in engines:
            await engine.close()


def _most_resident_mb(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _bare_together_ms(data: bytes, channels: list[npt.NDArray[np.float32]]) -> list[float]:
    """The bare runtime on as many lanes at the same moment."""
    lanes = [_bare(data) for _ in range(LANES)]
    taken: list[float] = []
    with ThreadPoolExecutor(LANES) as pool:
        for turn in range(LARGE_ROUNDS + 1):
            both = [pool.submit(run_ms, channels[(turn + lane) % len(channels)]) for lane, run_ms in enumerate(lanes)]
            taken += [one.result() for one in both] if turn else []
    return taken


def _inference_ratio(data: bytes, channels: list[npt.NDArray[np.float32]]) -> float:
    """The station's session to the bare runtime in one process, turn by turn; of medians."""
    model, bare_ms = OnnxModel(data), _bare(data)

    def ours_ms(one: npt.NDArray[np.float32]) -> float:
        return _ms(lambda: model(one))

    taken: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(ROUNDS + 1):
        for at, one in enumerate(channels):
            # each comes first as often as second; the first turn warms up
            for ours in (True, False) if (turn + at) % 2 else (False, True):
                took_ms = ours_ms(one) if ours else bare_ms(one)
                taken[ours] += [took_ms] if turn else []
    return statistics.median(taken[True]) / statistics.median(taken[False])


def run() -> dict[str, float]:
    """Measure one after the other; `ratio` is station / bare runtime, of medians; `large_…` are of the large scans on two lanes at once."""
    bench = Bench(1)
    scans = [bench.scan(piece) for piece in draw_mail(np.random.default_rng(1), PIECES)]
    data, channels = _channels(scans)
    run_ms = _bare(data)
    bare = [run_ms(one) for _ in range(ROUNDS) for one in channels]
    station_ms = asyncio.run(_station_ms(scans))
    large = _large_scans()
    _, seen = _channels(large)
    together_ms, most_mb = asyncio.run(_together_ms(large))
    return {
        "pieces": PIECES,
        "bare_p50_ms": statistics.median(bare),
        "station_p50_ms": statistics.median(station_ms),
        "station_p99_ms": _p99(station_ms),
        "ratio": statistics.median(station_ms) / statistics.median(bare),
        "large_cells": statistics.median(one.shape[2] * one.shape[3] for one in seen),
        "large_p50_ms": statistics.median(together_ms),
        "large_p99_ms": _p99(together_ms),
        "large_bare_p99_ms": _p99(_bare_together_ms(data, seen)),
        "inference_ratio": _inference_ratio(data, seen),
        "worker_most_mb": most_mb,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))  # noqa: T201 - its answer
