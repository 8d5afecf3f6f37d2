"""Where the program's own log goes: structured lines on standard error, or in a file."""

import contextlib
import logging
import sys
from pathlib import Path
from typing import Any, TextIO, cast

import structlog


class PatientStream:
    """A text stream that takes lines also while they cannot be written: a full disk must not stop who only tells of it.

    When writing works again, a line says that some may be missing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gap = False

    def write(self, text: str) -> int:
        """Write and flush it, or lose it."""
        try:
            if self._gap:
                # First what waits since: while that fails nothing may pile up behind it.
                self._stream.flush()
                self._stream.write('{"level": "warning", "event": "lines before this one may be missing: they could not be written"}\n')
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._gap = True
        else:
            self._gap = False
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def configure_logs(file: Path | None = None, *, level: int = logging.INFO) -> None:
    """Write one JSON line per event to a file, or short lines to standard error."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = cast("TextIO", PatientStream(file.open("a", encoding="utf-8")))
        processors.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    else:
        stream = cast("TextIO", PatientStream(sys.stderr))
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(message)s")
