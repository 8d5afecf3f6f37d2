"""The one home of onnxruntime: the session, the reading in-process, and the worker's own program.

`python -m station.screening.anomaly_model` is what `worker.WorkerScreening` starts: a process with bounded memory and time that
reads one scan at a time. It imports nothing of the interface, the store or the drivers.
"""

import mmap
import resource
import signal
import socket
import sys
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from station.domain.errors import ScreeningError
from station.domain.scan import ImageMatch
from station.ports.screening import ModelInfo, ProjectedReading, RawScan, ScreeningResult, TestPieceResult
from station.screening import frames
from station.screening.image import one_thread
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits
from station.screening.manifest import load_model
from station.screening.pipeline import Reader
from station.screening.projected import read_projected
from station.screening.refeed import new_findings

FloatArray = npt.NDArray[np.float32]

INPUT = "channels"
OUTPUTS = ("heat", "score", "classes", "features")
"""Heat (1, 1, h, w) and piece score (1,); since the second model also class logits (1, classes, h, w) and features (1, n, h, w)."""


class OnnxModel:
    """A session over bytes that were proved before; one CPU provider, a fixed number of threads, sequential: deterministic."""

    def __init__(self, data: bytes, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        # an arena grows to the largest piece ever seen and never shrinks; the worker's memory is bounded
        options.enable_cpu_mem_arena = True
        # never guess another format from the bytes: only what was judged is loaded
        options.add_session_config_entry("session.load_model_format", "ONNX")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ScreeningError(
                f"model: the runtime refuses it ({str(error)[:120]})",
                consequence="it is not loaded; every piece is held",
                remedy="install the released model again",
            ) from error
        names = [one.name for one in self._session.get_inputs()], [one.name for one in self._session.get_outputs()]
        if names not in (([INPUT], [*OUTPUTS[:2]]), ([INPUT], [*OUTPUTS])):
            raise ScreeningError(
                f"model: its inputs and outputs are {names}",
                consequence="it is not loaded; every piece is held",
                remedy="install the released model again",
            )

        self._asked = [name for name in names[1] if name != OUTPUTS[3]]
        self._has_features = OUTPUTS[3] in names[1]

    def __call__(self, channels: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        """See `pipeline.Inference`."""
        return self._run(self._asked, channels)

    def features(self, channels: FloatArray) -> FloatArray:
        """What the linear head sees of each cell, (n, rows/4, columns/4); see `site_fit`.

        Raises:
            ScreeningError: the model gives no features, or the runtime fails.
        """
        if not self._has_features:
            raise ScreeningError(
                "model: it gives no features of its cells",
                consequence="it cannot be fitted on this site",
                remedy="install a model that has them",
            )
        return np.asarray(self._run([OUTPUTS[3]], channels)[0][0], np.float32)

    def _run(self, names: list[str], channels: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        try:
            found = self._session.run(names, {INPUT: channels})
        except Exception as error:
            raise ScreeningError(
                f"model: inference failed ({str(error)[:120]})",
                consequence="the piece is held",
                remedy="check the model with `station doctor`",
            ) from error
        return tuple(np.asarray(one) for one in found)


def load_reader(
    model_dir: Path,
    *,
    alpha: float,
    site: str = "",
    threads: int = 1,
    limits: ScreeningLimits = DEFAULT_LIMITS,
    pictures: bool = True,
    trusted_keys: Collection[str] = (),
    need_signature: bool = True,
    manifest_sha256: str = "",
) -> Reader:
    """Load the pinned model of a folder and make a reader of it (keys, signature, which manifest: see `load_model`).

    Raises:
        ScreeningError: the folder does not hold a proved model, or its calibration cannot support `alpha`.
    """
    manifest, data = load_model(model_dir, trusted_keys=trusted_keys, need_signature=need_signature, manifest_sha256=manifest_sha256)
    return Reader(manifest, OnnxModel(data, threads=threads), alpha=alpha, site=site, limits=limits, pictures=pictures)


class InlineScreening:
    """`ScreeningEngine` without a process of its own: for runs on a virtual clock, where nothing may depend on time.

    Without `pictures` the view and the overlay stay empty, which saves a third of the time where nobody looks.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        alpha: float,
        site: str = "",
        limits: ScreeningLimits = DEFAULT_LIMITS,
        pictures: bool = True,
        trusted_keys: Collection[str] = (),
    ) -> None:
        self._pictures = pictures
        self._trusted_keys = trusted_keys
        self._model_dir = model_dir
        self._alpha = alpha
        self._site = site
        self._limits = limits
        self._reader: Reader | None = None

    def _ready(self) -> Reader:
        if self._reader is None:
            one_thread()
            self._reader = load_reader(
                self._model_dir,
                alpha=self._alpha,
                site=self._site,
                limits=self._limits,
                pictures=self._pictures,
                trusted_keys=self._trusted_keys,
            )
        return self._reader

    async def start(self) -> ModelInfo:
        """See `ScreeningEngine`."""
        return self._ready().info()

    async def read(self, scan: RawScan) -> ScreeningResult:
        """See `ScreeningEngine`."""
        return self._ready().read(scan)

    async def compare(
        self,
        cleared: ScreeningResult,
        new: ScreeningResult,
        *,
        cleared_sha256: str,
        new_sha256: str,
        bound: float,
    ) -> ImageMatch:
        """See `ScreeningEngine`."""
        return ImageMatch(
            cleared_scan_sha256=cleared_sha256,
            new_scan_sha256=new_sha256,
            distance=self._ready().compare(cleared.fingerprint, new.fingerprint),
            bound=bound,
            new_findings=new_findings((*cleared.findings, *cleared.model_findings), (*new.findings, *new.model_findings)),
        )

    async def score_test_piece(self, scan: RawScan) -> TestPieceResult:
        """See `ScreeningEngine`."""
        return self._ready().score_test_piece(scan)

    async def project(self, scan: RawScan, *, tube_kv: float, seed: int) -> ProjectedReading | None:
        """See `ScreeningEngine`."""
        return read_projected(self._ready(), scan, tube_kv=tube_kv, seed=seed)

    async def close(self) -> None:
        """See `ScreeningEngine`."""
        self._reader = None


class _Worker:
    """Answers one request after the other until the station closes the pipe."""

    def __init__(self, pipe: socket.socket, memory: memoryview) -> None:
        self._pipe = pipe
        self._memory = memory
        self._reader: Reader | None = None

    def run(self) -> None:
        """Serve; every error that is meant goes back as an answer, any other ends the process."""
        while (head := self._receive()) is not None:
            # the station kills a worker that is late; this is for a station that died while the model runs away
            signal.setitimer(signal.ITIMER_REAL, float(head.get("time_limit_s", 60.0)) * 2)
            try:
                answer = self._answer(head)
            except ScreeningError as error:
                answer = {"error": {"what": error.what, "consequence": error.consequence, "remedy": error.remedy}}
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._pipe.sendall(frames.encode_head(answer))

    def _receive(self) -> frames.Head | None:
        prefix = self._exactly(frames.HEAD.size)
        if prefix is None:
            return None
        data = self._exactly(frames.HEAD.unpack(prefix)[0])
        return None if data is None else frames.decode_head(data)

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            part = self._pipe.recv(count - len(data))
            if not part:
                return None
            data += part
        return data

    def _answer(self, head: frames.Head) -> frames.Head:
        asked = head["ask"]
        if asked == "load":
            self._reader = load_reader(
                Path(head["model_dir"]),
                alpha=head["alpha"],
                site=head["site"],
                threads=head["threads"],
                limits=ScreeningLimits(**head["limits"]),
                trusted_keys=head["trusted_keys"],
                manifest_sha256=head["manifest_sha256"],
            )
            _warm_up(self._reader)
            return {"info": asdict(self._reader.info())}
        if self._reader is None:
            raise frames.nonsense("no model is loaded")
        arrays = frames.take_arrays(self._memory, head["arrays"], copy=False)
        if asked == "compare":
            return {"distance": self._reader.compare(arrays["cleared"], arrays["new"])}
        scan = frames.scan_from(head["scan"], arrays)
        if asked == "test-piece":
            return {"test_piece": asdict(self._reader.score_test_piece(scan))}
        threat: frames.Head = {}
        if asked == "project":
            made = read_projected(self._reader, scan, tube_kv=head["tube_kv"], seed=int(head["seed"]))
            if made is None:
                return {"threat": None}
            threat, result = {"threat": asdict(made.threat)}, made.result
        else:
            result = self._reader.read(scan)
        del arrays, scan
        return {**threat, "result": frames.result_head(result), "arrays": frames.put_arrays(self._memory, frames.result_arrays(result))}


def _warm_up(reader: Reader) -> None:
    """One reading of air, so that the first piece does not pay for the runtime's set-up."""
    air: Any = np.ones((320, 320), np.float32)
    reader.score(air, air)


def main(arguments: list[str]) -> None:
    """The worker's program: bounds first, then serve."""
    pipe_fd, memory_fd, data_bytes, space_bytes = (int(one) for one in arguments)
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (space_bytes, space_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()
    memory = mmap.mmap(memory_fd, frames.MEMORY_BYTES)
    with socket.socket(fileno=pipe_fd) as pipe:
        _Worker(pipe, memoryview(memory)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
