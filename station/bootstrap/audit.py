"""The audit log's keys, its keeper, and its check from outside."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from station.audit.checkpoint import Checkpoint, LogKey, SignedCheckpoint, open_checkpoint, origin_of
from station.audit.findings import Report
from station.audit.log_check import LogCheck
from station.audit.note import LOG, WITNESS, MalformedNoteError, VerifierKey, raw_public, read_verifier_key
from station.audit.reading import Progress, check_log
from station.domain.errors import ConfigurationError, StoreError, StoreUnavailableError
from station.durable_file import settle, write_durably
from station.ports.clock import Clock
from station.ports.store import Store
from station.ports.tracking import Witness
from station.settings import Configuration
from station.storage.store import DATABASE_NAME, SqliteReader
from station.tracking.http import HttpLink, HttpWitness
from station.tracking.signatures import PUBLIC_PREFIX, load_or_create_key, public_from_text
from station.tracking.trust import key_lines
from station.workflow.audit_keeper import AuditKeeper

_MOST_BYTES = 64 << 10
"""A checkpoint has a few hundred bytes, a file of keys a hundred for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFiles:
    """What is checked, and by whose keys. `saved`: a checkpoint that somebody kept elsewhere."""

    database: Path
    keys: tuple[VerifierKey, ...]
    saved: Path | None = None


def log_key(key_file: Path, site: str) -> LogKey:
    """The key that signs a site's audit log; made if missing. Its public half is added to the file beside it, which keeps earlier ones.

    Raises:
        ConfigurationError: the key cannot be read or written.
    """
    key = LogKey(origin_of(site), load_or_create_key(key_file))
    public, line = key_file.with_suffix(".pub"), f"{key.verifier()}\n"
    try:
        known = public.read_text(encoding="utf-8") if public.exists() else ""
        if line not in known:
            # The earlier ones stay: without its key what it signed would count as forged. A half line would keep the station from starting.
            before = known if known.endswith("\n") or not known else f"{known}\n"
            write_durably({public: f"{before}{line}".encode()}, mode=0o644)
        settle(public)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The key file {public} cannot be read or written: {error}", remedy="Let the station's user write it"
        ) from error
    return key


def remembered_file(key_file: Path) -> Path:
    """Where the newest checkpoint is kept outside of the database: whoever cannot read the key cannot write there either."""
    return key_file.with_suffix(".checkpoint")


def remember(path: Path, note: str) -> None:
    """Keep a checkpoint in place of the one before, durably; a power cut leaves one of both. Raises `StoreError`."""
    try:
        write_durably({path: note.encode()})
    except OSError as error:
        raise StoreError(
            f"The newest checkpoint of the audit log cannot be kept in {path}: {error.strerror}",
            consequence="A log that was rolled back would not be noticed at the next start",
            remedy="Let the station's user write beside the key, and make room on the disk",
        ) from error


def seal_file(key_file: Path) -> Path:
    """Where the seal of what was checked is kept: beside the newest checkpoint, for the same reason."""
    return key_file.with_suffix(".seal")


def read_keys(path: Path) -> tuple[VerifierKey, ...]:
    """Public keys from a file, a line each: of logs and witnesses, and receivers' keys, with or without a name.

    Raises:
        ConfigurationError: the file or a line cannot be read.
    """
    try:
        keys = [line.split()[-1] for line in key_lines(_small_text(path))]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The key file {path} cannot be read: {error}", remedy="Name the public key file of the log") from error
    return tuple(map(_read_key, keys))


def believed_keys(configuration: Configuration) -> tuple[VerifierKey, ...]:
    """The keys that the configuration names: the log's own, earlier ones, the receiver's."""
    files = (configuration.audit_key_file.with_suffix(".pub"), configuration.receiver_key_file)
    return tuple(key for path in files if path.is_file() for key in read_keys(path))


def open_keeper(configuration: Configuration, store: Store, clock: Clock) -> AuditKeeper:
    """The audit log's keeper, before its first look. Raises `ConfigurationError`, also for what is no remembered checkpoint."""
    key = log_key(configuration.audit_key_file, configuration.station.site)
    keys = believed_keys(configuration)
    tracking = configuration.station.tracking
    witness: Witness | None = None
    # A witness whose signature could not be checked would prove nothing.
    if tracking.receiver and tracking.transport == "webhook" and any(one.kind == WITNESS for one in keys):
        witness = HttpWitness(HttpLink(tracking.receiver, timeout_s=tracking.timeout_s))
    kept = remembered_file(configuration.audit_key_file)
    try:
        return AuditKeeper(
            store=store,
            clock=clock,
            key=key,
            keys=keys,
            site=configuration.station.site,
            witness=witness,
            remembered=_small_text(kept) if kept.exists() else None,
            remember=partial(remember, kept),
            sealed=_seal_text(seal_file(configuration.audit_key_file)),
            keep_seal=partial(_keep_seal, seal_file(configuration.audit_key_file)),
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{kept} is no checkpoint of this station's log: {error}",
            consequence="Whether the log was cut off or written anew cannot be told, so the station does not start",
            remedy="Verify the log against a checkpoint that was kept elsewhere; if it holds, remove the file",
        ) from error


def _seal_text(path: Path) -> str | None:
    """What lies there; None when it cannot be read. It only saves time."""
    try:
        return _small_text(path) if path.exists() else None
    except (OSError, ValueError):
        return None


def _keep_seal(path: Path, seal: str) -> None:
    try:
        write_durably({path: seal.encode()})
    except OSError as error:
        raise StoreError(
            f"The seal of the audit log cannot be kept in {path}: {error.strerror}",
            consequence="The next start checks the log leaf by leaf, which takes longer",
            remedy="Let the station's user write beside the key, and make room on the disk",
        ) from error


def audit_files(configuration: Configuration) -> AuditFiles:
    """The configured database and keys, and the checkpoint that the station remembers."""
    kept = remembered_file(configuration.audit_key_file)
    database = configuration.data_dir / DATABASE_NAME
    return AuditFiles(database=database, keys=believed_keys(configuration), saved=kept if kept.exists() else None)


def verify_log(files: AuditFiles, progress: Progress = lambda _done, _all: None) -> Report:
    """Check a database from outside, also that of a running station, without changing anything in it.

    Raises:
        ConfigurationError: there is no such database, or the saved checkpoint's file is none.
        StoreUnavailableError: it cannot be read now.
    """
    saved, why_not = _saved(files)
    check = LogCheck(files.keys, saved)
    reader = _reader(files)
    try:
        _look(reader, check, progress)
    finally:
        reader.close()
    if why_not is not None:
        check.saved_invalid(why_not)
    return check.report()


def newest_checkpoint(files: AuditFiles) -> str:
    """The newest checkpoint that a witness signed too, else the newest one.

    Raises:
        ConfigurationError: there is no such database.
        StoreError: it holds no checkpoint, or cannot be read.
    """
    reader = _reader(files)
    try:
        found = reader.read(lambda view: view.newest_checkpoint(witnessed=True) or view.newest_checkpoint())
    finally:
        reader.close()
    if found is None:
        raise StoreError(f"{files.database} holds no checkpoint", remedy="Start the station once: it signs what it has")
    return found.note + "".join(found.cosignatures)


def _reader(files: AuditFiles) -> SqliteReader:
    try:
        return SqliteReader(files.database.parent, files.database.name)
    except StoreError as error:
        # Nothing was checked, so nothing is said about whether it holds.
        raise ConfigurationError(error.what, remedy=error.remedy) from error


def _look(reader: SqliteReader, check: LogCheck, progress: Progress) -> None:
    damage = reader.audit_damage()
    try:
        signed = reader.keeps_checkpoints()
        reader.read(lambda view: check_log(view, check, signed=signed, progress=progress))
        check.must_be_signed()
    except StoreUnavailableError:
        raise
    except StoreError as error:
        damage.append(error.what)
    check.file_damaged(damage)


def _saved(files: AuditFiles) -> tuple[Checkpoint | None, str | None]:
    """The saved checkpoint, and why it is not to be believed, if it is not."""
    if files.saved is None:
        return None, None
    try:
        text = _small_text(files.saved)
        opened = open_checkpoint(text, ())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{files.saved} is no checkpoint: {error}", remedy="Give a file that `station audit checkpoint` or the receiver wrote"
        ) from error
    try:
        opened = open_checkpoint(text, files.keys)
    except MalformedNoteError as error:
        return None, str(error)
    return _believed(opened, files.keys)


def _believed(opened: SignedCheckpoint, keys: Iterable[VerifierKey]) -> tuple[Checkpoint | None, str | None]:
    if opened.checkpoint.origin not in {key.name for key in keys if key.kind == LOG}:
        return None, f"another log: {opened.checkpoint.origin[:60]!r}"
    if not opened.signatures:
        return None, "no signature of a known key"
    return opened.checkpoint, None


def _small_text(path: Path) -> str:
    """A file of at most `_MOST_BYTES` as text. Raises `OSError`, and `ValueError` when it is larger or no text."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES >> 10} KiB")
    return content.decode().replace("\r\n", "\n")


def _read_key(text: str) -> VerifierKey:
    if text.startswith(PUBLIC_PREFIX):
        return VerifierKey(name="", kind=WITNESS, public=raw_public(public_from_text(text)))
    return read_verifier_key(text)
