"""Files that are there whole or not at all, also after a power cut."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

TEMPORARY = ".tmp"


def write_durably(files: Mapping[Path, bytes | bytearray]) -> None:
    """Write files of one directory, each readable by its owner alone, in place of what stands there; they appear in the order given.

    Each is written under another name and flushed to the medium; when all are, they are renamed, and the directory is flushed.

    Raises:
        OSError: none, some first ones or all of them are in place; no part of a file ever is.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}{TEMPORARY}")
            written[temporary] = path
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in written.items():
            temporary.replace(path)
        for directory in {path.parent for path in files}:
            flush_directory(directory)
    except OSError:
        for temporary in written:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def make_directory(directory: Path) -> None:
    """A directory for its owner alone, made durably if missing, as are those above it. Raises `OSError`."""
    if not directory.is_dir():
        make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        flush_directory(directory.parent)


def flush_directory(directory: Path) -> None:
    """Make what was renamed or removed in a directory durable. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
