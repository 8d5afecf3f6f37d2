"""Between a program and the files below one directory: its calls are written down in order, and chosen ones fail (`disk_shim.c`)."""

import ctypes
import functools
import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
_BUILD = Path(__file__).parents[2] / "build"
_HEAD = struct.Struct("<BiqqII")


@dataclass(frozen=True, slots=True)
class Record:
    """One call, or a note of the program; what `a`, `b` and the two byte strings mean stands in `disk_shim.c`."""

    op: str
    fd: int
    a: int
    b: int
    one: bytes
    two: bytes


@functools.cache
def library() -> Path | None:
    """The shim, built; None where there is no C compiler with the C library's headers."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    made = _BUILD / f"disk_shim-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    if not made.exists():
        _BUILD.mkdir(exist_ok=True)
        part = made.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(part), str(SOURCE)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        part.replace(made)
    return made


WHY_NOT = "no C compiler with the C library's headers here (Debian packages gcc and libc6-dev)"


def environment(library: Path) -> dict[str, str]:
    """Environment of a process whose calls go through the shim."""
    return {**os.environ, "LD_PRELOAD": str(library), "PYTHONDONTWRITEBYTECODE": "1"}


class Shim:
    """The shim in this very process.

    Raises:
        RuntimeError: this process was not started with `environment`.
    """

    def __init__(self) -> None:
        self._calls = ctypes.CDLL(None)
        self._log: int | None = None
        try:
            self._calls.disk_calls.restype = ctypes.c_long
        except AttributeError:
            raise RuntimeError("This process does not run on the shim") from None

    def watch(self, root: Path, log: Path) -> None:
        """Write down in `log`, which lies elsewhere, what happens below `root`; calls are counted from 1 on."""
        before, self._log = self._log, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._calls.disk_watch(os.fsencode(root), self._log)
        if before is not None:
            os.close(before)

    def fail(self, first: int, last: int, error: int) -> None:
        """Calls `first` to `last` fail with that errno."""
        self._calls.disk_fail(ctypes.c_long(first), ctypes.c_long(last), error)

    def heal(self) -> None:
        """No call fails any more."""
        self.fail(0, 0, 0)

    def calls(self) -> int:
        """How many calls there were."""
        return int(self._calls.disk_calls())

    def note(self, text: str) -> None:
        """Put a line between the calls."""
        self._calls.disk_note(text.encode())

    def writes_down(self) -> bool:
        """False once a record could not be written."""
        return bool(self._calls.disk_writes_down())


def records(log: Path) -> Iterator[Record]:
    """What was written down, in order."""
    data, at = log.read_bytes(), 0
    while at < len(data):
        op, fd, a, b, one, two = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield Record(chr(op), fd, a, b, data[at : at + one], data[at + one : at + one + two])
        at += one + two
