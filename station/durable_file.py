"""Files that are there whole or not at all, also after a power cut, and are there for good once they were acknowledged."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

TEMPORARY = ".tmp"


def write_durably(files: Mapping[Path, bytes | bytearray], *, mode: int = 0o600) -> None:
    """Write files of one directory, each for its owner alone, in place of what stands there; they appear in the order given.

    Each is written under another name and flushed to the medium; when all are, they are renamed, and the directory is flushed.

    Raises:
        OSError: none, some first ones or all of them are in place, for good or until a power cut; no part of a file ever is.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            temporary = _beside(path)
            written[temporary] = path
            _write(temporary, content, mode)
        for temporary, path in written.items():
            temporary.replace(path)
        for directory in {path.parent for path in files}:
            flush_directory(directory)
    except OSError:
        for temporary in written:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def write_new(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that is not there yet, durably and for its owner alone.

    Raises:
        FileExistsError: there is one, by this moment; it stays as it is.
        OSError: it is there as a whole, or it is not there.
    """
    temporary = _beside(path)
    try:
        _write(temporary, content, mode)
        os.link(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    flush_directory(path.parent)


def make_directory(directory: Path) -> None:
    """A directory for its owner alone, made if missing, as are those above it; durable, also where it was there. Raises `OSError`."""
    if directory.is_dir():
        settle(directory)
        return
    make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    flush_directory(directory.parent)


def settle(path: Path) -> None:
    """Make durable that there is what this process found: whoever made it may have been killed before, or have failed. Raises `OSError`."""
    # Where this user may not look, it made nothing.
    with contextlib.suppress(PermissionError):
        flush_directory(path.parent)


def flush_directory(directory: Path) -> None:
    """Make what was renamed or removed in a directory durable. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(6)}{TEMPORARY}")


def _write(path: Path, content: bytes | bytearray, mode: int) -> None:
    # Made with its mode: between making and narrowing anybody could have opened it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
