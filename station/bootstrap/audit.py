"""The audit log's keys, its keeper, and its check from outside."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from station.audit.checkpoint import Checkpoint, LogKey, SignedCheckpoint, open_checkpoint, origin_of
from station.audit.findings import Report
from station.audit.log_check import LogCheck
from station.audit.note import LOG, WITNESS, MalformedNoteError, VerifierKey, raw_public, read_verifier_key
from station.audit.reading import Progress, check_log
from station.domain.errors import ConfigurationError, StoreError
from station.ports.clock import Clock
from station.ports.store import Store
from station.ports.tracking import Witness
from station.settings import Configuration
from station.storage.store import DATABASE_NAME, SqliteReader
from station.tracking.http import HttpWitness
from station.tracking.signatures import PUBLIC_PREFIX, load_or_create_key, public_from_text
from station.workflow.audit_keeper import AuditKeeper


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
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = LogKey(origin_of(site), load_or_create_key(key_file))
    public, line = key_file.with_suffix(".pub"), f"{key.verifier()}\n"
    known = public.read_text(encoding="utf-8") if public.exists() else ""
    if line not in known:
        public.write_text(known + line, encoding="utf-8")
    return key


def read_keys(path: Path) -> tuple[VerifierKey, ...]:
    """Public keys from a file, a line each: of logs and witnesses, and receivers' keys as they stand in the configuration's files.

    Raises:
        ConfigurationError: the file or a line cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The key file {path} cannot be read: {error}", remedy="Name the public key file of the log") from error
    return tuple(map(_read_key, lines))


def believed_keys(configuration: Configuration) -> tuple[VerifierKey, ...]:
    """The keys that the configuration names: the log's own, earlier ones, the receiver's."""
    files = (configuration.audit_key_file.with_suffix(".pub"), configuration.receiver_key_file)
    return tuple(key for path in files if path.is_file() for key in read_keys(path))


def open_keeper(configuration: Configuration, store: Store, clock: Clock) -> AuditKeeper:
    """The audit log's keeper, before its first look. Raises `ConfigurationError`."""
    key = log_key(configuration.audit_key_file, configuration.station.site)
    keys = believed_keys(configuration)
    tracking = configuration.station.tracking
    witness: Witness | None = None
    # A witness whose signature could not be checked would prove nothing.
    if tracking.receiver and any(one.kind == WITNESS for one in keys):
        witness = HttpWitness(tracking.receiver, timeout_s=tracking.timeout_s)
    return AuditKeeper(store=store, clock=clock, key=key, keys=keys, site=configuration.station.site, witness=witness)


def audit_files(configuration: Configuration) -> AuditFiles:
    """The configured database and keys."""
    return AuditFiles(database=configuration.data_dir / DATABASE_NAME, keys=believed_keys(configuration))


def verify_log(files: AuditFiles, progress: Progress = lambda _done, _all: None) -> Report:
    """Check a database from outside, also that of a running station, without changing anything in it.

    Raises:
        ConfigurationError: there is no such database, or the saved checkpoint's file is none.
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
    try:
        lines = reader.audit_damage()
        if lines:
            check.file_damaged(lines[0].splitlines()[0], len(lines))
        signed = reader.keeps_checkpoints()
        reader.read(lambda view: check_log(view, check, signed=signed, progress=progress))
        if signed:
            check.must_be_signed()
    except StoreError as error:
        check.file_damaged(error.what)


def _saved(files: AuditFiles) -> tuple[Checkpoint | None, str | None]:
    """The saved checkpoint, and why it is not to be believed, if it is not."""
    if files.saved is None:
        return None, None
    try:
        text = files.saved.read_text(encoding="utf-8")
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
        return None, f"another log: {opened.checkpoint.origin}"
    if not opened.signatures:
        return None, "no signature of a known key"
    return opened.checkpoint, None


def _read_key(text: str) -> VerifierKey:
    if text.startswith(PUBLIC_PREFIX):
        return VerifierKey(name="", kind=WITNESS, public=raw_public(public_from_text(text)))
    return read_verifier_key(text)
