"""Where the program's own log goes: one line per event, on standard error and in a file, without secrets.

Everything goes one way: the station's events (structlog) and those of the libraries (standard logging: uvicorn, pymodbus, httpx) are
masked where they happen, and written by a thread of their own, so that a lane never waits for a disk or a journal that hangs.
"""

import copy
import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from station.masking import mask_event, mask_long

MOST_BYTES = 8 << 20
KEPT_BEFORE = 3
"""How large the file grows before it is put aside, and how many of those are kept."""
_MOST_WAITING = 10_000
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
log = structlog.get_logger()


def configure_logs(file: Path | None = None, *, stream: TextIO | None = None, as_json: bool = True, level: int = logging.INFO) -> None:
    """Write every event of the station from `level` on, and warnings of the libraries, from now on there; and nowhere else.

    Args:
        file: JSON lines are added to it, by its owner alone; it is put aside when it is large. One that cannot be written is told about.
        stream: lines for people, or JSON lines, go there.
        as_json: whether it is JSON on `stream`.
        level: of the station's own events.
    """
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, LogQueue)]:
        root.removeHandler(earlier)
        earlier.close()
    writers: list[logging.Handler] = []
    trouble = ""
    if stream is not None:
        writers.append(_Stream(stream))
        writers[-1].setFormatter(_JsonLine() if as_json else _HumanLine(colours=stream.isatty()))
    if file is not None:
        try:
            writers.append(_File(file))
            writers[-1].setFormatter(_JsonLine())
        except OSError as error:
            trouble = f"{file}: {error.strerror}"
    root.addHandler(LogQueue(writers))
    root.setLevel(logging.WARNING)
    logging.getLogger("station").setLevel(level)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    if trouble:
        log.warning("the station's own log cannot be kept in its file", detail=trouble)


def log_defects() -> None:
    """Have what ends a thread, or the program, logged like everything else instead of printed as it is."""

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("the program ended by a defect", exc_info=(kind, error, trace))

    def thread_ended(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            thread = told.thread.name if told.thread is not None else ""
            log.critical("a thread ended by a defect", thread=thread, exc_info=(told.exc_type, told.exc_value, told.exc_traceback))

    def failed_unseen(told: "sys.UnraisableHookArgs") -> None:
        trouble = told.exc_value if told.exc_value is not None else told.exc_type()
        log.error("something failed where nobody could be told", exc_info=(told.exc_type, trouble, told.exc_traceback))

    sys.excepthook = ended
    threading.excepthook = thread_ended
    sys.unraisablehook = failed_unseen


class LogQueue(QueueHandler):
    """Masks what is logged in the thread that logs it, and hands it to the thread that writes. Neither waits nor raises."""

    def __init__(self, writers: list[logging.Handler]) -> None:
        waiting: queue.Queue[Any] = queue.Queue(_MOST_WAITING)
        super().__init__(waiting)
        self._writers = writers
        self._thread = QueueListener(waiting, *writers)
        self._thread.start()
        self._open = True
        self._lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as a masked event that holds on to nothing."""
        ready = copy.copy(record)
        ready.msg, ready.args, ready.exc_info, ready.exc_text, ready.stack_info = _event_of(record), None, None, None, None
        for name in ("_logger", "_name"):
            ready.__dict__.pop(name, None)
        if self._lost:
            ready.msg["lines_lost_before"] = self._lost
        return ready

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand it over; raises `queue.Full`."""
        super().enqueue(record)
        self._lost -= record.__dict__["msg"].get("lines_lost_before", 0)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """What cannot be masked is not written, only that it was there; for what has no room any more, not even that."""
        self._lost += 1
        if not isinstance(sys.exception(), queue.Full):
            told = logging.LogRecord(record.name, logging.ERROR, "", 0, "a line of the log could not be made", None, None)
            try:
                self.enqueue(self.prepare(told))
            except queue.Full:
                self._lost += 1

    def close(self) -> None:
        """Write what waits, and let go of file and stream."""
        if self._open:
            self._open = False
            self._thread.stop()
            for writer in self._writers:
                writer.close()
        super().close()


def _event_of(record: logging.LogRecord) -> dict[str, Any]:
    given: Mapping[Any, Any] = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
    event = mask_event({name: value for name, value in given.items() if name not in {"exc_info", "stack_info", "exception"}})
    exception = _exception_of(given.get("exc_info") or record.exc_info)
    if exception is not None:
        event["exception"] = mask_long("".join(traceback.format_exception(*exception)).rstrip())
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": at, "level": record.levelname.lower(), "logger": record.name} | {
        name: value for name, value in event.items() if name not in {"timestamp", "level", "logger"}
    }


def _exception_of(given: Any) -> _ExcInfo | None:
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    found = given if isinstance(given, tuple) else sys.exc_info() if given else (None, None, None)
    return found if found[1] is not None else None


class _Quiet(logging.StreamHandler[TextIO]):
    """There is nowhere left to say that a log cannot be written; that the disk is full is told by an alarm."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say nothing."""
        del record


class _Stream(_Quiet):
    """A stream that somebody else closes."""


class _File(RotatingFileHandler, _Quiet):
    """A file of bounded size that its owner alone reads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=KEPT_BEFORE, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> Any:
        # Not `Path.open`, which knows no opener.
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_for_its_owner)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        return json.dumps(record.msg, ensure_ascii=False, default=str)


class _HumanLine(logging.Formatter):
    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._render = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)

    def format(self, record: logging.LogRecord) -> str:
        """A line, and what belongs to it, for a person."""
        # Whatever begins a line was written here: a text from outside must not look like an event.
        event: dict[str, Any] = dict(record.msg)  # type: ignore[arg-type]  # the record holds an event by now
        event = {name: value.replace("\n", "\n    ") if isinstance(value, str) else value for name, value in event.items()}
        return self._render(None, record.levelname, event)
