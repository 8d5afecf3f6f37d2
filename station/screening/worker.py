"""The screening engine whose model lives in a process of its own, so that no model can stall, crash or take over the station."""

import asyncio
import contextlib
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import structlog

import station
from station.domain.errors import ScreeningError
from station.domain.scan import ImageMatch
from station.ports.screening import ModelInfo, ProjectedReading, RawScan, ScreeningResult, TestPieceResult
from station.ports.xray import raw_sha256
from station.screening import frames
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits
from station.screening.refeed import new_findings

_T = TypeVar("_T")
_log = structlog.get_logger()
_PROGRAM = "station.screening.anomaly_model"
_READY_LIMIT_S = 10.0
"""How long a piece may wait for a worker that is just being started, or that is busy with another piece."""


class WorkerScreening:
    """`ScreeningEngine` over one worker process with a pipe and a memory of its own; each lane has one, so no lane waits for another's.

    It may be shared by several event loops; its reads are done one after the other.

    A worker that crashes, is late, or answers nonsense is killed and started again at once; the read that met it raises `ScreeningError`.
    Times are wall time: they guard a process, not the station's own time. After a restart the model must be the same one.

    Args:
        model_dir: folder with manifest, signature, key and model.
        alpha: false-alarm rate of the conformal thresholds.
        site: the site's name, for judging whether the model was fitted here.
        time_limit_s: for one scan.
        start_limit_s: for starting and loading.
        threads: the runtime's own threads for one scan.
        memory_mb: what the worker may write to; address space is bounded to four times that.
        limits: of the model-free checks.
        trusted_keys: whose signature of a manifest counts besides the project's own (see `manifest.load_model`).
        manifest_sha256: which manifest it must be; empty: whichever is signed.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        alpha: float,
        site: str = "",
        time_limit_s: float = 4.0,
        start_limit_s: float = 30.0,
        threads: int = 1,
        memory_mb: int = 1024,
        limits: ScreeningLimits = DEFAULT_LIMITS,
        trusted_keys: Sequence[str] = (),
        manifest_sha256: str = "",
    ) -> None:
        self._model_dir = model_dir
        self._alpha = alpha
        self._site = site
        self._time_limit_s = time_limit_s
        self._start_limit_s = start_limit_s
        self._threads = threads
        self._memory_mb = memory_mb
        self._limits = limits
        self._trusted_keys = list(trusted_keys)
        self._manifest_sha256 = manifest_sha256
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="screening")
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: socket.socket | None = None
        self._memory_fd = os.memfd_create("screening", os.MFD_CLOEXEC)
        os.ftruncate(self._memory_fd, frames.MEMORY_BYTES)
        self._mapping = mmap.mmap(self._memory_fd, frames.MEMORY_BYTES)
        self._info: ModelInfo | None = None
        self._closed = False

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker that runs, for supervision."""
        process = self._process
        return None if process is None else process.pid

    async def start(self) -> ModelInfo:
        """See `ScreeningEngine`."""
        return await self._in_thread(self._ensure)

    async def read(self, scan: RawScan) -> ScreeningResult:
        """See `ScreeningEngine`."""
        request: frames.Head = {"ask": "read", "scan": frames.scan_head(scan)}
        return await self._answered(request, frames.scan_arrays(scan), self._result)

    def _result(self, answer: frames.Head, arrays: dict[str, frames.Array]) -> ScreeningResult:
        result = frames.result_from(_member(answer, "result"), arrays)
        if self._info is None or result.model_sha256 != self._info.sha256:
            raise frames.nonsense("it read with another model")
        return result

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
        prints = {"cleared": cleared.fingerprint, "new": new.fingerprint}
        distance = await self._answered({"ask": "compare"}, prints, _distance)
        return ImageMatch(
            cleared_scan_sha256=cleared_sha256,
            new_scan_sha256=new_sha256,
            distance=distance,
            bound=bound,
            new_findings=new_findings((*cleared.findings, *cleared.model_findings), (*new.findings, *new.model_findings)),
        )

    async def score_test_piece(self, scan: RawScan) -> TestPieceResult:
        """See `ScreeningEngine`."""
        request: frames.Head = {"ask": "test-piece", "scan": frames.scan_head(scan)}
        return await self._answered(request, frames.scan_arrays(scan), _test_piece)

    async def project(self, scan: RawScan, *, tube_kv: float, seed: int) -> ProjectedReading | None:
        """See `ScreeningEngine`."""
        request: frames.Head = {"ask": "project", "scan": frames.scan_head(scan), "tube_kv": tube_kv, "seed": str(seed)}
        sha256 = raw_sha256(scan.le, scan.he)

        def parse(answer: frames.Head, arrays: dict[str, frames.Array]) -> ProjectedReading | None:
            if answer.get("threat", 0) is None:
                return None
            threat = frames.threat_from(_member(answer, "threat"))
            if threat.scan_sha256 != sha256 or threat.projected_sha256 == sha256:
                raise frames.nonsense("it projected into another scan")
            return ProjectedReading(threat=threat, result=self._result(answer, arrays))

        return await self._answered(request, frames.scan_arrays(scan), parse)

    async def close(self) -> None:
        """End the worker process; further reads raise."""
        self._closed = True
        with self._guard:
            process = self._process
        if process is not None:
            process.kill()
        await asyncio.get_running_loop().run_in_executor(None, self._executor.shutdown)
        self._discard()
        with contextlib.suppress(ValueError, BufferError):
            self._mapping.close()
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        if self._closed:
            raise frames.nonsense("it has been closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _answered(
        self,
        request: frames.Head,
        arrays: Mapping[str, frames.Array],
        parse: Callable[[frames.Head, dict[str, frames.Array]], _T],
    ) -> _T:
        """One exchange, once the worker is ready; a model that hangs while it is loaded keeps no piece waiting until it gives up."""
        if self._closed:
            raise frames.nonsense("it has been closed")
        ensured = self._executor.submit(self._ensure)
        ready = asyncio.wrap_future(ensured)
        # when nobody waits any more, nobody needs to hear how it ended
        ready.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        done, _ = await asyncio.wait({ready}, timeout=_READY_LIMIT_S)
        if not done:
            ensured.cancel()
            raise _failed(f"was not ready within {_READY_LIMIT_S:g} s")
        ready.result()
        return await self._in_thread(lambda: self._exchange(request, arrays, parse))

    def _ensure(self) -> ModelInfo:
        """A running worker with the model loaded; runs in the engine's own thread, as everything below."""
        process = self._process
        if process is not None and process.poll() is None and self._info is not None:
            return self._info
        self._discard()
        if self._closed:
            raise frames.nonsense("it has been closed")
        head: frames.Head = {
            "ask": "load",
            "model_dir": str(self._model_dir.resolve()),
            "alpha": self._alpha,
            "site": self._site,
            "threads": self._threads,
            "limits": asdict(self._limits),
            "trusted_keys": self._trusted_keys,
            "manifest_sha256": self._manifest_sha256,
        }
        try:
            self._launch()
            answer = self._talk(head, {}, self._start_limit_s)[0]
            info = frames.info_from(_member(answer, "info"))
        except ScreeningError:
            self._discard()
            raise
        except OSError as error:
            self._discard()
            raise _failed(f"cannot be started ({error.strerror or error})") from error
        except Exception as error:
            self._discard()
            raise _failed("answered nonsense") from error
        if self._info is not None and info != self._info:
            self._discard()
            raise frames.nonsense("the model folder holds another model or calibration than at the start")
        self._info = info
        return info

    def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(station.__file__).resolve().parent.parent)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "PYTHONPATH": root,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        data_bytes = self._memory_mb * 1024 * 1024
        bounds = [str(theirs.fileno()), str(self._memory_fd), str(data_bytes), str(4 * data_bytes)]
        with theirs, contextlib.ExitStack() as undone:
            undone.callback(ours.close)
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
                [sys.executable, "-m", _PROGRAM, *bounds],
                pass_fds=(theirs.fileno(), self._memory_fd),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # An interrupt at the terminal is for the station, which reads what is on the belts to its end.
                start_new_session=True,
            )
            undone.pop_all()
        with self._guard:
            self._process, self._pipe = process, ours

    def _exchange(
        self,
        head: frames.Head,
        arrays: Mapping[str, frames.Array],
        parse: Callable[[frames.Head, dict[str, frames.Array]], _T],
    ) -> _T:
        """Ask the worker; whatever goes wrong with it ends it, and a new one is started while the error goes its way."""
        self._ensure()
        try:
            return parse(*self._talk(head, arrays, self._time_limit_s))
        except _RefusedScanError:
            raise
        except ScreeningError as error:
            self._begin_anew(error)
            raise
        except Exception as error:
            # whatever a worker that was taken over makes of its answer, one piece is held and the lane goes on
            failure = _failed("answered nonsense")
            self._begin_anew(failure)
            raise failure from error

    def _begin_anew(self, failure: ScreeningError) -> None:
        self._discard()
        _log.warning("the screening worker failed and is started anew", error=failure.what)
        if not self._closed:
            self._executor.submit(self._restart)

    def _restart(self) -> None:
        # the next read tries again and reports what is wrong
        with contextlib.suppress(ScreeningError):
            self._ensure()

    def _talk(
        self,
        head: frames.Head,
        arrays: Mapping[str, frames.Array],
        limit_s: float,
    ) -> tuple[frames.Head, dict[str, frames.Array]]:
        """One request and its answer.

        Raises:
            _RefusedScanError: the worker answered that it could not; it is sound itself.
            ScreeningError: it crashed, was late or answered nonsense.
        """
        pipe = self._pipe
        if pipe is None:
            raise _failed("is not running")
        with memoryview(self._mapping) as memory:
            head["arrays"] = frames.put_arrays(memory, arrays)
            head["time_limit_s"] = limit_s
            answer = frames.decode_head(self._ask(pipe, frames.encode_head(head), limit_s))
            if (error := answer.get("error")) is not None:
                raise _told(error)
            taken = frames.take_arrays(memory, answer.get("arrays", []), copy=True)
        return answer, taken

    def _ask(self, pipe: socket.socket, request: bytes, limit_s: float) -> bytes:
        clock = _Deadline(limit_s)
        try:
            pipe.settimeout(clock.left_s())
            pipe.sendall(request)
            size = frames.HEAD.unpack(_receive(pipe, frames.HEAD.size, clock))[0]
            if size > frames.MAX_HEAD_BYTES:
                raise _failed("answered nonsense")
            return _receive(pipe, size, clock)
        except TimeoutError as error:
            raise _failed(f"did not answer within {limit_s:g} s") from error
        except OSError as error:
            raise _failed("crashed") from error

    def _discard(self) -> None:
        with self._guard:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.wait()


class _RefusedScanError(ScreeningError):
    """The scan or the model was refused by a worker that is sound itself."""


class _Deadline:
    """Wall time left for one exchange."""

    def __init__(self, limit_s: float) -> None:
        self._ends = time.perf_counter() + limit_s

    def left_s(self) -> float:
        left = self._ends - time.perf_counter()
        if left <= 0:
            raise TimeoutError
        return left


def _failed(what: str) -> ScreeningError:
    return ScreeningError(f"screening worker: it {what}", consequence="the piece is held", remedy="it is started again by itself")


def _told(error: object) -> ScreeningError:
    if not isinstance(error, dict):
        return _failed("answered nonsense")
    return _RefusedScanError(
        str(error.get("what", "screening failed")),
        consequence=str(error.get("consequence", "")),
        remedy=str(error.get("remedy", "")),
    )


def _distance(answer: frames.Head, _: dict[str, frames.Array]) -> float:
    distance = answer.get("distance")
    if not isinstance(distance, float):
        raise frames.nonsense("it answered no distance")
    return distance


def _test_piece(answer: frames.Head, _: dict[str, frames.Array]) -> TestPieceResult:
    return frames.test_piece_from(_member(answer, "test_piece"))


def _member(head: frames.Head, name: str) -> frames.Head:
    value = head.get(name)
    if not isinstance(value, dict):
        raise frames.nonsense(f"its answer holds no {name}")
    return value


def _receive(pipe: socket.socket, count: int, deadline: _Deadline) -> bytes:
    data = b""
    while len(data) < count:
        pipe.settimeout(deadline.left_s())
        part = pipe.recv(min(65536, count - len(data)))
        if not part:
            raise ConnectionResetError
        data += part
    return data
