"""A backup of the station, also while it runs: everything that it goes on from, and no private key."""

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from station.audit.backup_manifest import MalformedManifestError, Manifest, is_name, manifest_signed, name_of, read_manifest, sign_manifest
from station.audit.checkpoint import LogKey, origin_of
from station.audit.findings import Report
from station.audit.note import VerifierKey
from station.bootstrap.audit import AuditFiles, believed_keys, verify_log
from station.domain.backup import BackedUpFile
from station.domain.errors import ConfigurationError, StoreError
from station.durable_file import write_durably
from station.settings import Configuration
from station.storage.backup_files import Earlier, copy_database, copy_files, files_in, is_as_described, links_in, not_copied, unfinished
from station.storage.space import MEBIBYTE
from station.storage.store import DATABASE_NAME, SqliteReader
from station.tracking.signatures import load_key

DATA, CONFIG = "data", "config"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
STATION_FILE = f"{CONFIG}/station.toml"
NEWEST = "newest-backup.json"
"""In the data directory: when the newest backup was made, and how it is called."""

_NOT_DATA = (NEWEST, "replays", "log")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedBackup:
    """What bears the name of a backup of this site and cannot be gone on from, and why, as far as can be told without reading it all."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBackup:
    """A finished backup. `linked` files are those that an earlier backup beside it has, too; `left_out` lie elsewhere.

    `log` says whether the audit log in it holds; `removed` are older backups that were to go; `damaged` ones beside it stay, and do not
    count among those kept.
    """

    directory: Path
    manifest: Manifest
    linked: int
    left_out: tuple[Path, ...]
    log: Report
    removed: tuple[str, ...]
    damaged: tuple[DamagedBackup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestBackup:
    """The newest backup that this station made, and the names of damaged ones that it found beside it."""

    name: str
    made_at: datetime
    damaged: tuple[str, ...]


def make_backup(configuration: Configuration, target: Path, *, keep: int | None, at: datetime, progress: Progress) -> MadeBackup:
    """Make a backup in `target`, in a directory of its own; `keep`: how many of this site stay there, the newest ones that are not damaged.

    Neither keys of images nor private keys are in it, nor what they are wrapped or signed with; public keys are.

    Raises:
        ConfigurationError: the target lies in the data, or the audit log's key cannot be used.
        StoreError: there is no database, or the backup could not be made; then nothing of it is left.
    """
    SqliteReader(configuration.data_dir).close()
    if target.resolve().is_relative_to(configuration.data_dir.resolve()):
        raise ConfigurationError(
            f"{target} lies in the data directory",
            consequence="Each backup would hold all others",
            remedy="Name a directory on another medium",
        )
    site = configuration.station.site
    key, keys = LogKey(origin_of(site), load_key(configuration.audit_key_file)), believed_keys(configuration)
    name = name_of(site, at)
    earlier, whole, damaged = _look_at_earlier(target, site, keys)
    named, left_out = configuration_files(configuration)
    left_out += _elsewhere(configuration.data_dir)
    private = _private_files(configuration)
    with unfinished(target, name) as part:
        # Before anything is copied: where backups lie beside the data, the copy of the database alone may make the lanes hold.
        _demand_room(configuration, part, [*_database_files(configuration), *_data_files(configuration, private)], earlier)
        (part / DATA).mkdir(mode=0o700)
        database = copy_database(configuration.data_dir, part / DATA / DATABASE_NAME, f"{DATA}/{DATABASE_NAME}")
        # After the database: a scan that it names was durable before it was named.
        data = _data_files(configuration, private)
        _demand_room(configuration, part, data, earlier)
        places = named | {_place(configuration, path): path for path in data}
        copied = copy_files(places, part, earlier, progress)
        log = verify_log(AuditFiles(database=part / DATA / DATABASE_NAME, keys=keys))
        files = tuple(sorted((database, *copied), key=lambda one: one.path))
        manifest = Manifest(name=name, site=site, made_at=at.replace(microsecond=0), leaves=log.size, files=files)
        content = manifest.content
        write_durably({part / MANIFEST: content, part / SIGNATURE: sign_manifest(content, key).encode()})
        linked = sum(earlier is not None and earlier.files.get(one.path) == one for one in copied)
    _remember(configuration, manifest, damaged)
    # From a log that does not hold nobody can go on: older backups are all there is.
    removed = () if keep is None or not log.holds else _remove_old(whole, keep)
    return MadeBackup(
        directory=target / name, manifest=manifest, linked=linked, left_out=left_out, log=log, removed=removed, damaged=damaged
    )


def configuration_files(configuration: Configuration) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """The configuration's files and public keys by their place in a backup, and those that lie elsewhere and are left out."""
    beside, station = configuration.path.parent, configuration.station
    named = [beside / station.policy, beside / station.checklist]
    named += [beside / path for lane in station.lanes for path in (lane.devices, lane.recipe)]
    named += [configuration.audit_key_file.with_suffix(".pub"), configuration.receiver_key_file]
    found, left_out = {STATION_FILE: configuration.path}, []
    for path in dict.fromkeys(named):
        if path.is_relative_to(beside) and ".." not in path.relative_to(beside).parts:
            if path.is_file():
                found[f"{CONFIG}/{path.relative_to(beside).as_posix()}"] = path
        else:
            left_out.append(path)
    return found, tuple(left_out)


def _elsewhere(data_dir: Path) -> tuple[Path, ...]:
    """What somebody put on another medium with a link: it is in no backup, and a backup without the images must not look whole."""
    try:
        return tuple(links_in(data_dir, leave_out=_NOT_DATA))
    except OSError as error:
        raise not_copied(data_dir, error) from error


def _database_files(configuration: Configuration) -> list[Path]:
    """What the copy of the database is made of: the log beside it ends in it."""
    return [configuration.data_dir / name for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal")]


def _data_files(configuration: Configuration, private: frozenset[Path]) -> list[Path]:
    """The data's files besides the database, as they are now. Raises `StoreError`."""
    try:
        return [path for path in files_in(configuration.data_dir, leave_out=_NOT_DATA) if path.resolve() not in private]
    except OSError as error:
        raise not_copied(configuration.data_dir, error) from error


def _place(configuration: Configuration, path: Path) -> str:
    return f"{DATA}/{path.relative_to(configuration.data_dir).as_posix()}"


def _demand_room(configuration: Configuration, part: Path, data: list[Path], earlier: Earlier | None) -> None:
    """Refuse what would fill the medium, and with it perhaps the station's own."""
    needed = 0
    for path in data:
        with contextlib.suppress(OSError):
            status = path.stat()
            place = _place(configuration, path)
            needed += status.st_size if earlier is None or earlier.unchanged(place, status) is None else 0
    free = shutil.disk_usage(part).free - configuration.station.storage.free_floor_mb * MEBIBYTE
    if needed > free:
        raise StoreError(
            f"The backup needs {needed >> 20} MiB more, and {part.parent} has {max(0, free) >> 20} MiB to give",
            consequence="No backup was made, and earlier ones are as they were",
            remedy="Make room, keep fewer backups (--keep), or name another medium",
        )


def _private_files(configuration: Configuration) -> frozenset[Path]:
    """What must be in no backup, wherever somebody put it."""
    model_key = configuration.path.parent / configuration.station.screening.signing_key_file
    named = (configuration.signing_key_file, *configuration.further_signing_key_files, *configuration.secret_files, model_key)
    others = (configuration.audit_key_file, configuration.token_file, configuration.tls_key_file)
    return frozenset(path.resolve() for path in (*named, *others) if path is not None)


def open_manifest(directory: Path, keys: tuple[VerifierKey, ...]) -> Manifest:
    """The manifest of a backup, by the signature of one of these keys. Raises `StoreError`."""
    try:
        content = (directory / MANIFEST).read_bytes()
        signature = (directory / SIGNATURE).read_text(encoding="utf-8")
        manifest = read_manifest(content)
    except (OSError, UnicodeDecodeError, MalformedManifestError) as error:
        raise StoreError(
            f"{directory} is no backup: {error}", consequence="Nothing was changed", remedy="Name the directory that `station backup` made"
        ) from error
    if not manifest_signed(content, signature, keys, manifest.site):
        raise StoreError(
            f"The manifest of {directory} is not signed by a key of the audit log of {manifest.site}",
            consequence="Whoever made or changed it is not known, so nothing of it is used",
            remedy="Give the public key that was kept outside (--key), or another backup",
        )
    return manifest


def newest_backup(configuration: Configuration) -> NewestBackup | None:
    """The newest backup that was made of this station; None for one that was never backed up, as far as it knows.

    Raises:
        StoreError: what it knows cannot be read.
    """
    path = configuration.data_dir / NEWEST
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        name, made_at = str(members["name"]), datetime.fromisoformat(members["made_at"]).astimezone(UTC)
        return NewestBackup(name=name, made_at=made_at, damaged=tuple(map(str, members.get("damaged", ()))))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}",
            consequence="When the newest backup was made is not known",
            remedy="Run this as the station's user; make a backup, which writes it anew: `station backup DIR`",
        ) from error


def backups_in(target: Path, site: str) -> list[Path]:
    """What bears the name of a backup of a site in a directory, the oldest first. Raises `StoreError`."""
    try:
        return sorted(path for path in target.iterdir() if is_name(path.name, site))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise not_copied(target, error) from error


def _look_at_earlier(
    target: Path, site: str, keys: tuple[VerifierKey, ...]
) -> tuple[Earlier | None, list[Path], tuple[DamagedBackup, ...]]:
    """The newest backup that is not damaged, all of those, the oldest first, and the damaged ones."""
    newest, whole, damaged = None, [], []
    for directory in backups_in(target, site):
        try:
            # Nothing that somebody else may have written gets into what is signed here.
            manifest = open_manifest(directory, keys)
        except StoreError as error:
            why = error.what
        else:
            lost = [one.path for one in manifest.files if not _is_there(directory / one.path, one)]
            if not lost:
                newest = Earlier(directory=directory, files={one.path: one for one in manifest.files})
                whole.append(directory)
                continue
            why = f"{len(lost)} of its files are missing or have another size, {lost[0]} among them"
        damaged.append(DamagedBackup(name=directory.name, why=why))
    return newest, whole, tuple(damaged)


def _is_there(path: Path, file: BackedUpFile) -> bool:
    # Its size only: to read all backups each night would take longer than to make one.
    try:
        return path.stat().st_size == file.size
    except OSError:
        return False


def _remember(configuration: Configuration, manifest: Manifest, damaged: tuple[DamagedBackup, ...]) -> None:
    members = {"name": manifest.name, "made_at": manifest.made_at.isoformat(), "damaged": [one.name for one in damaged]}
    path = configuration.data_dir / NEWEST
    try:
        write_durably({path: json.dumps(members).encode()})
    except OSError as error:
        raise StoreError(
            f"The backup is whole, but {path} cannot be written: {error.strerror}",
            remedy="Run the backup as the station's user, and make room on its disk",
        ) from error


def _remove_old(others: list[Path], keep: int) -> tuple[str, ...]:
    """Remove the oldest of these backups, made before the newest one, but for `keep - 1`."""
    # The new one is not among them: one that was made while the clock was ahead would be called newer.
    old = others[: max(0, len(others) - (keep - 1))]
    try:
        for directory in old:
            # Without its signature it is no backup any more, should the rest of it stay.
            (directory / SIGNATURE).unlink()
            shutil.rmtree(directory)
    except OSError as error:
        raise StoreError(f"The new backup is whole, but an old one could not be removed: {error}", remedy="Remove it by hand") from error
    return tuple(directory.name for directory in old)


def wrong_files(directory: Path, files: tuple[BackedUpFile, ...], progress: Progress) -> list[str]:
    """The files of a backup that are missing or not as its manifest says, by path."""
    wrong = []
    for number, one in enumerate(files):
        progress(number, len(files))
        if not is_as_described(directory / one.path, one):
            wrong.append(one.path)
    progress(len(files), len(files))
    return wrong
