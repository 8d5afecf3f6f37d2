"""Going on from a backup: it is proved, the receiver is asked for the events of the lost time, then it is put in place."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from station.audit.backup_manifest import Manifest
from station.audit.checkpoint import open_checkpoint
from station.audit.findings import Report
from station.audit.note import MalformedNoteError, VerifierKey
from station.bootstrap.audit import AuditFiles, believed_keys, remembered_file, verify_log
from station.bootstrap.backup import CONFIG, DATA, STATION_FILE, open_manifest, wrong_files
from station.bootstrap.stores import open_store
from station.bootstrap.tracking import open_counterpart
from station.clock import SystemClock
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
    """What was put in place. `configuration` are the files that were written.

    `set_aside` is the note of the log as it was at the end of the lost time, where there is one. `asked` is False where there is no
    receiver that could tell what was lost.
    """

    checked: CheckedBackup
    configuration: tuple[Path, ...]
    settled: Settled
    lost_leaves: int
    asked: bool
    set_aside: Path | None


def check_backup(directory: Path, keys: tuple[VerifierKey, ...], progress: Progress) -> CheckedBackup:
    """Read a whole backup and verify the audit log in it; changes nothing.

    Raises:
        StoreError: it is no backup, or its manifest is not signed by one of these keys.
        StoreUnavailableError: it cannot be read now.
    """
    manifest = open_manifest(directory, keys)
    database = directory / DATA / DATABASE_NAME
    wrong = wrong_files(directory, manifest.files, progress)
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
    _keep_public_keys(configuration, directory)
    clock = SystemClock()
    if clock.utc_now() < checked.manifest.made_at:
        raise ConfigurationError(
            f"By this machine's clock the backup will be made at {checked.manifest.made_at.isoformat()}",
            consequence="Nothing was put in place: what was lost could not be asked for",
            remedy="Set the clock",
        )
    there = asyncio.run(_events_there(configuration, checked.manifest.made_at, clock.utc_now()))
    remembered = _remembered_leaves(configuration, checked.manifest.name)
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
        if {one.sha256 for one in copied} != {one.sha256 for one in data}:
            raise StoreError(f"{directory} changed while it was read", consequence="Nothing was put in place", remedy="Try again")
        settled = _settle(replace(configuration, data_dir=part), given, there or (), clock.utc_now())
        # Before the data is in place: with both there, the station would find its log cut off.
        set_aside = _set_aside(configuration, given) if given.lost_leaves else None
    return Restored(
        checked=checked,
        configuration=written,
        settled=settled,
        lost_leaves=given.lost_leaves,
        asked=there is not None,
        set_aside=set_aside,
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


def _put_configuration(station_file: Path, directory: Path, manifest: Manifest) -> tuple[Path, ...]:
    beside, written = station_file.absolute().parent, []
    for one in manifest.files:
        if not one.path.startswith(f"{CONFIG}/"):
            continue
        path = station_file.absolute() if one.path == STATION_FILE else beside / one.path.removeprefix(f"{CONFIG}/")
        if path.exists():
            continue
        try:
            make_directory(path.parent)
            write_durably({path: (directory / one.path).read_bytes()})
        except OSError as error:
            raise not_copied(path, error) from error
        written.append(path)
    return tuple(written)


def _refuse_data(data_dir: Path) -> None:
    try:
        # An empty one is what a careful administrator makes beforehand.
        data_dir.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"There is data in {data_dir}",
            consequence="Nothing was put in place: what is there may be all that is left of the lost time",
            remedy=f"Stop the station and keep it: mv {data_dir} {data_dir}.before-restore",
        ) from error


def _keep_public_keys(configuration: Configuration, directory: Path) -> None:
    """Earlier keys of the log stay believed: a new one that is made here could not prove what they signed."""
    public = configuration.audit_key_file.with_suffix(".pub")
    if not public.is_relative_to(configuration.path.parent):
        return
    saved = directory / CONFIG / public.relative_to(configuration.path.parent)
    try:
        known = public.read_text(encoding="utf-8") if public.exists() else ""
        missing = [line for line in saved.read_text(encoding="utf-8").splitlines() if line not in known.splitlines()]
        if missing:
            make_directory(public.parent)
            write_durably({public: "".join(f"{line}\n" for line in [*known.splitlines(), *missing]).encode()})
    except FileNotFoundError:
        return
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


def _remembered_leaves(configuration: Configuration, backup: str) -> int:
    """How many leaves the log had when the station here last signed it; 0 where that is not known."""
    kept, known = remembered_file(configuration.audit_key_file), 0
    # A restore that was cut off may have set the note aside already.
    for path in (kept, _aside(kept, backup)):
        with contextlib.suppress(OSError, ValueError, MalformedNoteError):
            known = max(known, open_checkpoint(path.read_text(encoding="utf-8"), believed_keys(configuration)).checkpoint.size)
    return known


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


def _set_aside(configuration: Configuration, given: Restoration) -> Path:
    kept = remembered_file(configuration.audit_key_file)
    aside = _aside(kept, given.backup)
    try:
        if kept.exists():
            kept.rename(aside)
            flush_directory(kept.parent)
    except OSError as error:
        raise StoreError(
            f"{kept} cannot be renamed: {error.strerror}",
            consequence="The station would find its log cut off, so nothing was put in place",
            remedy="Let the station's user write beside the key",
        ) from error
    return aside


def _aside(kept: Path, backup: str) -> Path:
    return kept.with_suffix(f".before-{backup}")
