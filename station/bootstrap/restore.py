"""Going on from a backup: it is proved, the receiver is asked for the events of the lost time, then it is put in place."""

import asyncio
import errno
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from station.audit.backup_manifest import Manifest
from station.audit.checkpoint import open_checkpoint
from station.audit.findings import Fault, Report
from station.audit.note import MalformedNoteError, VerifierKey
from station.bootstrap.audit import AuditFiles, believed_keys, remembered_file, verify_log
from station.bootstrap.backup import CONFIG, DATA, STATION_FILE, open_manifest, wrong_files
from station.bootstrap.stores import open_store
from station.bootstrap.tracking import open_counterpart
from station.clock import SystemClock
from station.domain.backup import BackedUpFile
from station.domain.errors import ConfigurationError, StoreError
from station.domain.people import responsible
from station.durable_file import flush_directory, make_directory, write_durably
from station.ports.outbox import EventDigest
from station.ports.tracking import ReceiverUnreachableError
from station.settings import Configuration, load
from station.storage.backup_files import copy_files, not_copied, unfinished
from station.storage.store import DATABASE_NAME, SqliteReader
from station.workflow.restoring import Restoration, Settled, events_since, settle

Progress = Callable[[int, int], None]

_ASIDE = ".before-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBackup:
    """What a look at a backup showed: files that are missing or changed, whether its log holds, and who may log in by it."""

    manifest: Manifest
    wrong: tuple[str, ...]
    log: Report | None
    logins: tuple[str, ...]
    tokens: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """True when it can be gone on from."""
        return not self.wrong and self.log is not None and self.log.holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put in place.

    `configuration` are the files that were written, `differing` those that stay as they are: missing, unreadable, or unlike the backup's.

    `set_aside` is the note of the log as it was at the end of the lost time, where there is one; `unreadable` is one that tells nothing any
    more, so that 0 `lost_leaves` mean nothing. `asked` is False where there is no
    receiver that could tell what was lost.
    """

    checked: CheckedBackup
    configuration: tuple[Path, ...]
    differing: tuple[Path, ...]
    settled: Settled
    lost_leaves: int
    asked: bool
    set_aside: Path | None
    unreadable: Path | None


def check_backup(directory: Path, keys: tuple[VerifierKey, ...], progress: Progress) -> CheckedBackup:
    """Read a whole backup and verify the audit log in it; changes nothing.

    Raises:
        StoreError: it is no backup, or its manifest is not signed by one of these keys.
        StoreUnavailableError: it cannot be read now.
    """
    manifest = open_manifest(directory, keys)
    database = directory / DATA / DATABASE_NAME
    wrong = [*wrong_files(directory, manifest.files, progress), *_planted(directory)]
    if any(path.startswith(f"{DATA}/{DATABASE_NAME}") for path in wrong) or not database.is_file():
        return CheckedBackup(manifest=manifest, wrong=tuple(wrong), log=None, logins=(), tokens=())
    log = verify_log(AuditFiles(database=database, keys=keys), progress)
    reader = SqliteReader(database.parent)
    try:
        access = reader.read(lambda view: view.access_state())
    finally:
        reader.close()
    return CheckedBackup(
        manifest=manifest,
        wrong=tuple(wrong),
        log=log,
        logins=tuple(one.user.login for one in access.accounts if not one.user.disabled),
        tokens=tuple(one.token.name for one in access.tokens if not one.token.revoked),
    )


def _planted(directory: Path) -> list[str]:
    """What SQLite would take for a part of the database, though no backup has it: it would show what somebody else wrote."""
    places = (f"{DATA}/{DATABASE_NAME}{end}" for end in ("-wal", "-shm", "-journal"))
    return [place for place in places if (directory / place).is_symlink() or (directory / place).exists()]


def restore(station_file: Path, directory: Path, keys: tuple[VerifierKey, ...], *, person: str, note: str, progress: Progress) -> Restored:
    """Put a backup in place of a data directory that is not there (any more). The configuration is only taken from it where there is none.

    Raises:
        RefusedError: no name of a person.
        ConfigurationError: the configuration cannot be used, or is another site's.
        ReceiverUnreachableError: what was lost could not be asked.
        StoreError: the backup does not hold, or there is data already, or it could not be put in place; then there is none.
    """
    person, note = responsible(person, note)
    checked = check_backup(directory, keys, progress)
    if not checked.holds:
        raise StoreError(
            f"The backup {directory} does not hold",
            consequence="Nothing was put in place",
            remedy="See `station restore --check`, and take another backup",
        )
    written = () if station_file.exists() else _put_configuration(station_file, directory, checked.manifest)
    configuration = load(station_file, demo=True)
    if configuration.station.site != checked.manifest.site:
        raise ConfigurationError(
            f"{station_file} is of site {configuration.station.site}, the backup of {checked.manifest.site}",
            consequence="Nothing was put in place",
            remedy="Name the configuration of that site",
        )
    _refuse_data(configuration.data_dir)
    differing = _differing(station_file, checked.manifest)
    _keep_public_keys(configuration, directory, checked.manifest)
    clock = SystemClock()
    if clock.utc_now() < checked.manifest.made_at:
        raise ConfigurationError(
            f"By this machine's clock the backup will be made at {checked.manifest.made_at.isoformat()}",
            consequence="Nothing was put in place: what was lost could not be asked for",
            remedy="Set the clock",
        )
    there = asyncio.run(_events_there(configuration, checked.manifest.made_at, clock.utc_now()))
    note_kept = _newest_note(remembered_file(configuration.audit_key_file))
    told = None if note_kept is None else _remembered_leaves(configuration, note_kept)
    remembered = told or 0
    # It has no more leaves than the backup, and yet other ones.
    forked = note_kept is not None and 0 < remembered <= checked.manifest.leaves and not _continues(configuration, directory, note_kept)
    given = Restoration(
        backup=checked.manifest.name,
        made_at=checked.manifest.made_at,
        leaves=checked.manifest.leaves,
        lost_leaves=max(0, remembered - checked.manifest.leaves),
        person=person,
        note=note,
    )
    with unfinished(configuration.data_dir.parent, configuration.data_dir.name) as part:
        data = [one for one in checked.manifest.files if one.path.startswith(f"{DATA}/")]
        places = {one.path.removeprefix(f"{DATA}/"): directory / one.path for one in data}
        copied = copy_files(places, part, None, progress)
        if {one.path: one.sha256 for one in copied} != {one.path.removeprefix(f"{DATA}/"): one.sha256 for one in data}:
            raise _changed_meanwhile(directory)
        settled = _settle(replace(configuration, data_dir=part), given, there or (), clock.utc_now())
        # Before the data is in place: with both there, the station would find its log cut off.
        set_aside = _set_aside(configuration, note_kept, given) if note_kept is not None and (given.lost_leaves or forked) else None
    return Restored(
        checked=checked,
        configuration=written,
        differing=differing,
        settled=settled,
        lost_leaves=given.lost_leaves,
        asked=there is not None,
        set_aside=set_aside,
        unreadable=note_kept if told is None else None,
    )


def keys_for(station_file: Path) -> tuple[VerifierKey, ...]:
    """The public keys that a configured station believes. Raises `ConfigurationError` where there are none."""
    keys = believed_keys(load(station_file, demo=True)) if station_file.exists() else ()
    if not keys:
        raise ConfigurationError(
            "No public key of the audit log is known here",
            consequence="Whether the backup is the station's own could not be told",
            remedy="Give the key file that was kept outside: --key FILE",
        )
    return keys


def _configuration_in(station_file: Path, manifest: Manifest) -> list[tuple[BackedUpFile, Path]]:
    """Each file of the configuration with its place here, the one that names the others last: while it is missing nothing else counts."""
    beside = station_file.absolute().parent
    files = [one for one in manifest.files if one.path.startswith(f"{CONFIG}/")]
    files.sort(key=lambda one: one.path == STATION_FILE)
    places = (station_file.absolute() if one.path == STATION_FILE else beside / one.path.removeprefix(f"{CONFIG}/") for one in files)
    return list(zip(files, places, strict=True))


def _put_configuration(station_file: Path, directory: Path, manifest: Manifest) -> tuple[Path, ...]:
    written = []
    for one, path in _configuration_in(station_file, manifest):
        if path.exists():
            continue
        try:
            make_directory(path.parent)
            write_durably({path: _content(directory, one)})
        except OSError as error:
            raise not_copied(path, error) from error
        written.append(path)
    return tuple(written)


def _differing(station_file: Path, manifest: Manifest) -> tuple[Path, ...]:
    """Files of the configuration here that are missing, or not the backup's. Public keys are added to, so they may differ."""
    places = _configuration_in(station_file, manifest)
    return tuple(path for one, path in places if path.suffix != ".pub" and not _says_the_same(path, one))


def _says_the_same(path: Path, file: BackedUpFile) -> bool:
    # Of what cannot be read nobody knows that it is the same.
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    except OSError:
        return False


def _content(directory: Path, file: BackedUpFile) -> bytes:
    """A file of a backup, proved as it is read. Raises `OSError`, and `StoreError` when it is not what the manifest says any more."""
    content = (directory / file.path).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise _changed_meanwhile(directory)
    return content


def _changed_meanwhile(directory: Path) -> StoreError:
    return StoreError(f"{directory} changed while it was read", consequence="Nothing was put in place", remedy="Try again")


def _refuse_data(data_dir: Path) -> None:
    try:
        # An empty one is what a careful administrator makes beforehand.
        data_dir.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise StoreError(
                f"{data_dir} cannot make room for the backup: {error.strerror}",
                consequence="Nothing was put in place",
                remedy="Let the station's user write in the directory above it; where a medium is mounted there, "
                "name a directory on that medium as data_dir",
            ) from error
        raise StoreError(
            f"There is data in {data_dir}",
            consequence="Nothing was put in place: what is there may be all that is left of the lost time",
            remedy=f"Stop the station and keep it: mv {data_dir} {data_dir}.before-restore",
        ) from error


def _keep_public_keys(configuration: Configuration, directory: Path, manifest: Manifest) -> None:
    """Earlier keys of the log stay believed: a new one that is made here could not prove what they signed."""
    public = configuration.audit_key_file.with_suffix(".pub")
    if not public.is_relative_to(configuration.path.parent):
        return
    place = f"{CONFIG}/{public.relative_to(configuration.path.parent).as_posix()}"
    # What lies in the backup and does not stand in its manifest is anybody's.
    saved = next((one for one in manifest.files if one.path == place), None)
    if saved is None:
        return
    try:
        known = public.read_text(encoding="utf-8") if public.exists() else ""
        missing = [line for line in _content(directory, saved).decode().splitlines() if line not in known.splitlines()]
        if missing:
            make_directory(public.parent)
            write_durably({public: "".join(f"{line}\n" for line in [*known.splitlines(), *missing]).encode()})
    except (OSError, ValueError) as error:
        raise not_copied(public, error) from error


async def _events_there(configuration: Configuration, since: datetime, now: datetime) -> Sequence[tuple[date, EventDigest]] | None:
    """What the receiver has since then; None where there is none that keeps its side."""
    counterpart = open_counterpart(configuration, SystemClock().utc_now) if configuration.station.tracking.receiver else None
    if counterpart is None:
        return None
    try:
        return await events_since(counterpart, since, now)
    except ReceiverUnreachableError as error:
        raise ReceiverUnreachableError(
            f"What the receiver has of the lost time could not be asked: {error.what}",
            consequence="Nothing was put in place: events of that time would get numbers that are given",
            remedy=f"{error.remedy.rstrip('.')}, then restore again",
        ) from error
    finally:
        await counterpart.close()


def _newest_note(kept: Path) -> Path | None:
    """The note of the log as the station here last signed it; an earlier restore may have set it aside, and no station have run since."""
    if kept.exists():
        return kept
    aside = kept.parent.glob(f"{kept.stem}{_ASIDE}*")
    return max(aside, key=lambda path: path.stat().st_mtime_ns, default=None)


def _remembered_leaves(configuration: Configuration, note: Path) -> int | None:
    """How many leaves the log had when the station here last signed it; None where the note does not tell any more."""
    try:
        return open_checkpoint(note.read_text(encoding="utf-8"), believed_keys(configuration)).checkpoint.size
    except (OSError, ValueError, MalformedNoteError):
        return None


def _continues(configuration: Configuration, directory: Path, note: Path) -> bool:
    """False when the note is of another continuation of the log than the one in the backup, which another restore had begun."""
    files = AuditFiles(database=directory / DATA / DATABASE_NAME, keys=believed_keys(configuration), saved=note)
    return all(one.fault is not Fault.SAVED_DIFFERS for one in verify_log(files).findings)


def _settle(configuration: Configuration, given: Restoration, there: Sequence[tuple[date, EventDigest]], now: datetime) -> Settled:
    store = open_store(configuration)
    try:
        return store.write(
            lambda uow: settle(
                uow,
                given,
                there,
                lane_ids=[lane.lane_id for lane in configuration.lanes],
                policy_sha256=configuration.policy.sha256,
                site=configuration.station.site,
                now=now,
            )
        ).result()
    finally:
        store.close()


def _set_aside(configuration: Configuration, note: Path, given: Restoration) -> Path:
    kept = remembered_file(configuration.audit_key_file)
    if note != kept:
        return note
    aside, number = kept.with_suffix(f"{_ASIDE}{given.backup}"), 1
    # Gone on from once more: what the first time lost is proved by the note that lies there.
    while aside.exists():
        number += 1
        aside = kept.with_suffix(f"{_ASIDE}{given.backup}-{number}")
    try:
        kept.rename(aside)
        flush_directory(kept.parent)
    except OSError as error:
        raise StoreError(
            f"{kept} cannot be renamed: {error.strerror}",
            consequence="The station would find its log cut off, so nothing was put in place",
            remedy="Let the station's user write beside the key",
        ) from error
    return aside
