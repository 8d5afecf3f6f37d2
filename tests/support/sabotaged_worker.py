"""The real worker with the real runtime, in which a native fault happens once: when the file that the site's name tells of exists.

The site is `<harm>:<file>`; whoever reads next removes the file and suffers the harm in the middle of its inference.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from station.screening import anomaly_model


def segfault() -> None:
    ctypes.string_at(8)


def run_away() -> None:
    while True:
        pass


def exhaust() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 26))


HARMS: dict[str, Callable[[], object]] = {
    "segfault": segfault,
    "abort": os.abort,
    "quit": lambda: os._exit(0),
    "run-away": run_away,
    "exhaust": exhaust,
}

_told: list[str] = []
_load = anomaly_model.load_reader
_infer = anomaly_model.OnnxModel.__call__


def load(*arguments: Any, **named: Any) -> Any:
    _told.append(named["site"])
    return _load(*arguments, **named)


def infer(self: anomaly_model.OnnxModel, channels: Any) -> Any:
    harm, _, file = _told[-1].partition(":")
    result = _infer(self, channels)
    if Path(file).exists():
        Path(file).unlink()
        HARMS[harm]()
    return result


if __name__ == "__main__":
    anomaly_model.load_reader = load
    anomaly_model.OnnxModel.__call__ = infer  # type: ignore[method-assign]
    anomaly_model.main(sys.argv[1:])
