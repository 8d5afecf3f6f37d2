"""A disk that has no room for some of the vault's files: the kernel itself refuses them, half-way through."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from station import durable_file
from tests.support.vaults import KEYS

NO_ROOM = Path("/dev/full")


class FullDisk:
    """Everything fits but what `refuses` says: of such a file one half is written, and there is no room for the other.

    Args:
        monkeypatch: undoes it.
        refuses: told the path under which a file is written before it gets its name.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuses: Callable[[Path], bool]) -> None:
        self._refuses = refuses
        self.refused: list[str] = []
        self._write = durable_file._write
        monkeypatch.setattr(durable_file, "_write", self._write_what_fits)

    def _write_what_fits(self, path: Path, content: bytes | bytearray, mode: int) -> None:
        if not self._refuses(path):
            self._write(path, content, mode)
            return
        self.refused.append(path.name)
        half = len(content) // 2
        self._write(path, content[:half], mode)
        descriptor = os.open(NO_ROOM, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, content[half:])
        finally:
            os.close(descriptor)

    def make_room(self) -> None:
        """Everything fits from now on."""
        self._refuses = lambda _: False


def of_image(suffix: str) -> Callable[[Path], bool]:
    """The files of images with that suffix: `.scan`, `.views`, or `.key` for the data key."""
    return lambda path: path.parent.parent.name == "images" and f"{suffix}." in path.name


def of_keys(path: Path) -> bool:
    """The keys of days and levels."""
    return path.parent.name == KEYS
