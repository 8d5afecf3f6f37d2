"""What a disk, or whoever is at it, does to a file that was whole."""

from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path], None]
"""Damages the file at a path."""


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """The last byte is missing."""
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    """The name stands there, and nothing under it."""
    path.write_bytes(b"")


def remove(path: Path) -> None:
    """Nothing stands there."""
    path.unlink()


def make_unreadable(path: Path) -> None:
    """What stands there cannot be read at all: the system itself says so."""
    path.unlink()
    path.mkdir()


def link(path: Path) -> None:
    """The content lies elsewhere, and only a link to it stands there."""
    moved = path.with_name(f"{path.name}.moved")
    path.rename(moved)
    path.symlink_to(moved)


def mend(path: Path, content: bytes) -> None:
    """The file comes back from a backup."""
    if path.is_dir():
        path.rmdir()
    path.write_bytes(content)
