"""Copying a data directory while a station works in it, and proving the copy: the database as one snapshot, every other file as it is.

A file that has not changed since an earlier copy beside this one is linked, not copied: one file on the medium in two copies.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pysqlite3.dbapi2

from station.domain.backup import BackedUpFile
from station.domain.errors import ConflictError, StoreError
from station.durable_file import TEMPORARY, flush_directory, make_directory
from station.storage.sqlite import open_reading
from station.storage.store import DATABASE_NAME, LOCK_NAME

PART = ".kt1-unfinished"
_CHUNK = 1 << 20
_OWN = frozenset({DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", f"{DATABASE_NAME}-journal", LOCK_NAME, "reserve.bin"})
"""What the database is made of, and what belongs to the running station alone."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A copy that was made before: where it lies, and its files by path."""

    directory: Path
    files: Mapping[str, BackedUpFile]

    def unchanged(self, place: str, status: os.stat_result) -> BackedUpFile | None:
        """What this copy has in that place, if its original has not changed since; None if it has, or was not there."""
        found = self.files.get(place)
        return found if found is not None and (found.size, found.changed_ns) == (status.st_size, status.st_mtime_ns) else None


def copy_database(directory: Path, target: Path, place: str) -> BackedUpFile:
    """Write one snapshot of the database in `directory` to the file `target`, which is `place` in the backup.

    Everything that was committed is in it, and nothing else. A running station goes on writing; its log grows meanwhile.

    Raises:
        StoreError: there is no database, or it cannot be read or the copy written.
    """
    try:
        source = open_reading(directory / DATABASE_NAME)
        with contextlib.closing(source), contextlib.closing(pysqlite3.dbapi2.connect(str(target), isolation_level=None)) as copy:
            target.chmod(0o600)
            source.backup(copy)
            # One file, with nothing beside it, that is read where nothing can be written.
            copy.execute("PRAGMA journal_mode=DELETE")
        _flush(target)
        return _described(target, place)
    except (pysqlite3.dbapi2.Error, OSError) as error:
        raise not_copied(directory / DATABASE_NAME, error) from error


def files_in(directory: Path, *, leave_out: Iterable[str] = ()) -> list[Path]:
    """The files of a data directory besides its database, sorted; `leave_out` are names in the directory itself. Raises `OSError`."""
    return sorted(path for path in _entries(directory, leave_out) if not path.is_symlink() and path.is_file())


def links_in(directory: Path, *, leave_out: Iterable[str] = ()) -> list[Path]:
    """The symbolic links of a data directory, sorted: what they lead to is not among `files_in`. Raises `OSError`."""
    return sorted(path for path in _entries(directory, leave_out) if path.is_symlink())


def _entries(directory: Path, leave_out: Iterable[str]) -> Iterator[Path]:
    """All that lies in a directory and below it, links to directories among it; no link is followed."""
    without = {directory / name for name in (*_OWN, *leave_out)}
    for folder, folders, names in os.walk(directory, onerror=_raise):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in without]
        for path in (here / name for name in (*folders, *names)):
            if path not in without and not path.name.endswith(TEMPORARY):
                yield path


def copy_files(files: Mapping[str, Path], target: Path, earlier: Earlier | None, progress: Progress) -> list[BackedUpFile]:
    """Copy files to their places below `target`, each durable; one that vanishes meanwhile was removed by the station and is left out.

    Raises:
        StoreError: one cannot be read, or the copy cannot be written.
    """
    copied = []
    for number, (place, source) in enumerate(files.items()):
        progress(number, len(files))
        try:
            copied.append(_copy_or_link(source, place, target, earlier))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise not_copied(source, error) from error
    progress(len(files), len(files))
    return copied


def is_as_described(path: Path, file: BackedUpFile) -> bool:
    """True when that very content lies there, in a file of its own. A medium that cannot be read has not what was put on it."""
    try:
        found = _described(path, file.path)
    except OSError:
        return False
    return not path.is_symlink() and (found.size, found.sha256) == (file.size, file.sha256)


def flush_tree(directory: Path) -> None:
    """Make the names of everything below a directory durable. Raises `OSError`."""
    for folder, _, _ in os.walk(directory, topdown=False, onerror=_raise):
        flush_directory(Path(folder))


@contextlib.contextmanager
def unfinished(directory: Path, name: str) -> Iterator[Path]:
    """A new directory that gets its `name` in `directory` when the work in it is done; else nothing of it stays.

    What a killed work left behind there is removed first.

    Raises:
        ConflictError: there is one of that name.
        StoreError: it cannot be made.
    """
    part = directory / f"{name}{PART}"
    held: int | None = None
    try:
        make_directory(directory)
        _remove_abandoned(directory)
        if (directory / name).exists() or part.exists():
            raise ConflictError(f"{directory / name} is there already", consequence="Nothing was written", remedy="Try again in a second")
        part.mkdir(mode=0o700)
        held = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX)
        yield part
        flush_tree(part)
        part.rename(directory / name)
        flush_directory(directory)
    except OSError as error:
        raise not_copied(directory / name, error) from error
    finally:
        if held is not None:
            shutil.rmtree(part, ignore_errors=True)
            os.close(held)


def not_copied(path: Path, error: Exception) -> StoreError:
    """The station's own words for a copy that could not be made."""
    return StoreError(
        f"{path} could not be copied: {error}",
        consequence="Nothing was left behind, and earlier copies are as they were",
        remedy="Make room on the medium, or let the station's user read here and write there",
    )


def _described(path: Path, place: str) -> BackedUpFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        status = os.fstat(file.fileno())
    return BackedUpFile(path=place, size=status.st_size, sha256=digest, changed_ns=status.st_mtime_ns)


def _copy_or_link(source: Path, place: str, target: Path, earlier: Earlier | None) -> BackedUpFile:
    path = target / place
    if not path.parent.is_dir():
        make_directory(path.parent)
    before = earlier.unchanged(place, source.stat()) if earlier is not None else None
    if earlier is not None and before is not None:
        # Another medium, or a file with too many names: then it is copied.
        with contextlib.suppress(OSError):
            os.link(earlier.directory / place, path)
            return before
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as original:
        status = os.fstat(original.fileno())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            while chunk := original.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return BackedUpFile(path=place, size=size, sha256=digest.hexdigest(), changed_ns=status.st_mtime_ns)


def _remove_abandoned(directory: Path) -> None:
    for part in directory.glob(f"*{PART}"):
        descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(part)
        except BlockingIOError:
            # Somebody is at work in it.
            continue
        finally:
            os.close(descriptor)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    raise error
