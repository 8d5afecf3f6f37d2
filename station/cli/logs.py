"""Where the program's own log goes: structured lines on standard error, or in a file."""

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog


def configure_logs(file: Path | None = None, *, level: int = logging.INFO) -> None:
    """Write one JSON line per event to a file, or short lines to standard error."""
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream: TextIO = file.open("a", encoding="utf-8")
        processors.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    else:
        stream = sys.stderr
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(message)s")
