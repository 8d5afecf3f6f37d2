"""The audit log in its real file: what SQL, a hex editor, an older program or a read-only medium can do to it."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pysqlite3.dbapi2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import DBAPIError

from station.audit.checkpoint import LogKey
from station.audit.findings import Fault, Report
from station.bootstrap.audit import AuditFiles, log_key, newest_checkpoint, read_keys, verify_log
from station.cli.errors import EXIT_UNREACHABLE, exit_code_of
from station.domain.errors import ConfigurationError, StoreError, StoreUnavailableError
from station.storage.migrations.versions import r0005_reports
from station.storage.sqlite import damage
from station.storage.store import APPEND_ONLY, AUDIT_TABLES, DATABASE_NAME
from tests.support.audit_logs import KEYS, LOG_KEY, append_facts, as_before_parts, seal, write_log
from tests.support.forged_files import FORGED, tamper
from tests.support.forgeries import flip_bits
from tests.support.store_facts import check_audit, opened

SIZE = 120


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> AuditFiles:
    return write_log(tmp_path_factory.mktemp("log"), SIZE, every=30)


@pytest.fixture
def files(written: AuditFiles, tmp_path: Path) -> AuditFiles:
    """A copy of its own of a log that holds."""
    copy = tmp_path / DATABASE_NAME
    shutil.copy(written.database, copy)
    return replace(written, database=copy)


def faults(report: Report) -> dict[Fault, tuple[int | None, int]]:
    return {one.fault: (one.leaf, one.count) for one in report.findings}


def test_the_triggers_that_say_append_only_must_be_there(files: AuditFiles):
    with closing(pysqlite3.dbapi2.connect(str(files.database), isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER evidence_no_update")
        assert faults(verify_log(files)) == {Fault.FILE_DAMAGED: (None, 1)}
        connection.execute("CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence WHEN 0 BEGIN SELECT RAISE(ABORT, ''); END")
    assert set(faults(verify_log(files))) == {Fault.FILE_DAMAGED}


def test_a_log_holds_from_outside_and_tells_what_is_signed(files: AuditFiles):
    told: list[tuple[int, int]] = []
    report = verify_log(files, lambda done, whole: told.append((done, whole)))
    assert report.holds
    assert (report.size, report.checkpoints, report.signed, report.witnessed) == (SIZE, 4, SIZE, SIZE)
    assert told[-1] == (SIZE, SIZE)


@pytest.mark.parametrize(("statement", "fault"), FORGED)
def test_what_somebody_does_with_sql_is_found(files: AuditFiles, statement: str, fault: Fault | None):
    before = files.database.read_bytes()
    tamper(files, statement)
    assert files.database.read_bytes() != before
    report = verify_log(files)
    if "'another'" in statement:
        # A witness's signature does not cover its name: under another name its key is not known any more, and nothing is witnessed by it.
        assert report.holds
        return
    assert not report.holds
    if fault is not None:
        assert fault in faults(report)
    if fault in {Fault.FACT_CHANGED, Fault.FACT_MISSING, Fault.FACT_MISPLACED, Fault.LEAF_MISSING}:
        assert report.first_wrong_leaf in {-1001, 41 if "row_id = 42" in statement else 42}


def test_a_cut_off_log_holds_alone_and_not_against_a_saved_checkpoint(files: AuditFiles, tmp_path: Path):
    saved = tmp_path / "saved.checkpoint"
    saved.write_text(newest_checkpoint(files), encoding="utf-8")
    shorter = write_log(tmp_path / "shorter", 60, every=30)
    assert verify_log(shorter).holds
    assert verify_log(replace(files, saved=saved)).holds
    assert faults(verify_log(replace(shorter, saved=saved))) == {Fault.CUT_OFF: (60, 60)}


def test_a_log_that_the_keys_holder_wrote_anew_holds_alone_and_not_against_a_saved_checkpoint(files: AuditFiles, tmp_path: Path):
    saved = tmp_path / "saved.checkpoint"
    saved.write_text(newest_checkpoint(files), encoding="utf-8")
    anew = write_log(tmp_path / "anew", SIZE + 30, every=30)
    assert verify_log(anew).holds
    assert faults(verify_log(replace(anew, saved=saved))) == {Fault.SAVED_DIFFERS: (0, SIZE)}


def test_a_saved_checkpoint_must_be_believable(files: AuditFiles, tmp_path: Path):
    saved = tmp_path / "saved.checkpoint"
    checked = replace(files, saved=saved)
    good = newest_checkpoint(files)
    root = verify_log(files).root
    assert root is not None
    other = LogKey("other", LOG_KEY.key)
    stranger = LogKey(LOG_KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    for text in (
        stranger.checkpoint(SIZE, root),
        good.replace(f"\n{SIZE}\n", "\n119\n"),
        other.checkpoint(SIZE, root),
    ):
        saved.write_text(text, encoding="utf-8")
        assert set(faults(verify_log(checked))) == {Fault.SAVED_INVALID}
    hostile = (
        b"no checkpoint",
        b"",
        good.encode() + b"\0",
        b"\xff" + good.encode(),
        good.encode() + good.splitlines()[-1].encode() * 40_000 + b"\n",
        good.encode() + "".join(f"\u2014 n{number} AAAAAAA=\n" for number in range(70)).encode(),
        good.replace(" ", "\u202e", 2).encode(),
    )
    for content in hostile:
        saved.write_bytes(content)
        with pytest.raises(ConfigurationError, match="is no checkpoint") as told:
            verify_log(checked)
        assert len(str(told.value)) < 500 + len(str(saved))
        assert str(told.value).isprintable() or "\n" in str(told.value)
    # As it comes back by mail.
    saved.write_bytes(good.replace("\n", "\r\n").encode())
    assert verify_log(checked).holds
    # Nothing of it is shown as it stands: it could turn a terminal's text around.
    saved.write_text(LogKey("urn:\u202e\x9b" + "x" * 5000, LOG_KEY.key).checkpoint(SIZE, root), encoding="utf-8")
    (finding,) = verify_log(checked).findings
    assert finding.detail.isprintable()
    assert len(finding.detail) < 200
    # The log's own signature is enough, and so is a witness's.
    own, witness = good.splitlines(keepends=True)[-2:]
    for line in (own, witness):
        saved.write_text(good.replace(own + witness, line), encoding="utf-8")
        assert verify_log(checked).holds


def test_a_running_station_is_checked_without_being_disturbed(tmp_path: Path):
    files = AuditFiles(database=tmp_path / DATABASE_NAME, keys=KEYS)
    with opened(tmp_path) as store:
        store.write(lambda unit: append_facts(unit, 0, 10)).result(10)
        with pytest.raises(StoreError, match="holds no checkpoint"):
            newest_checkpoint(files)
        assert set(faults(verify_log(files))) == {Fault.UNSIGNED}
        note = seal(store, witnessed=False)
        store.write(lambda unit: append_facts(unit, 10, 5)).result(10)
        report = verify_log(files)
        assert report.holds
        assert (report.size, report.signed, report.witnessed) == (15, 10, 0)
        assert newest_checkpoint(files) == note
        assert check_audit(store) == 15
    # Closed, everything is in the one file that people copy.
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(files.database, copy / "evidence.db")
    copy.chmod(0o500)
    try:
        assert verify_log(replace(files, database=copy / "evidence.db")).size == 15
    finally:
        copy.chmod(0o700)


def test_a_copy_that_cannot_be_read_where_it_lies_is_not_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path) as store:
        store.write(lambda unit: append_facts(unit, 0, 5)).result(10)
        seal(store)
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal"):
            shutil.copy(tmp_path / name, copy)
    files = AuditFiles(database=copy / DATABASE_NAME, keys=KEYS)
    with monkeypatch.context() as read_only:
        read_only.setattr("station.storage.sqlite.os.access", lambda *_: False)
        with pytest.raises(ConfigurationError, match="nothing can be written"):
            verify_log(files)
    assert verify_log(files).size == 5


def test_checkpoints_are_append_only(tmp_path: Path):
    with opened(tmp_path) as store:
        store.write(lambda unit: append_facts(unit, 0, 3)).result(10)
        seal(store)
        (kept,) = store.read(lambda view: view.checkpoints(above=0, limit=9))
        store.write(lambda unit: unit.add_cosignature(3, kept.cosignatures[0])).result(10)
        assert store.read(lambda view: view.newest_checkpoint(witnessed=True)) == kept
        # The same again, after a commit that was taken for lost; another one of that size is refused.
        seal(store)
        assert store.read(lambda view: view.checkpoints(above=0, limit=9)) == [kept]
        with pytest.raises(StoreError):
            store.write(lambda unit: unit.add_checkpoint(3, LOG_KEY.checkpoint(3, bytes(32)))).result(10)
        for table in ("audit_checkpoint", "audit_cosignature"):
            for change in (f"UPDATE {table} SET size = 4", f"DELETE FROM {table}"):  # noqa: S608 - names of this test
                with pytest.raises(StoreError, match="append-only"):
                    store.write(lambda unit, change=change: unit._connection.exec_driver_sql(change)).result(10)


def test_a_database_from_before_checkpoints_is_read_and_brought_up(tmp_path: Path):
    files = AuditFiles(database=tmp_path / DATABASE_NAME, keys=KEYS)
    with opened(tmp_path) as store:
        store.write(lambda unit: append_facts(unit, 0, 7)).result(10)
    later = ("event_elsewhere", "reader_day", "user_account", "session", "machine_token", "one_time_link", "known_browser", "tries")
    tamper(
        files,
        *(f"DROP TABLE {table}" for table in (*later, "audit_cosignature", "audit_checkpoint")),
        *(f"DROP INDEX {name}" for name, _, _ in r0005_reports.INDEXES),
        "UPDATE alembic_version SET version_num = '0001'",
    )
    report = verify_log(files)
    # Whoever reckons every hash anew can make any log look like one from before there were signatures.
    assert faults(report) == {Fault.UNSIGNED: (0, 7)}
    assert (report.size, report.checkpoints, report.signed) == (7, 0, 0)
    with opened(tmp_path) as store:
        assert check_audit(store) == 7
        seal(store)
    assert verify_log(files).signed == 7


def test_facts_from_before_there_were_parts_still_hold(tmp_path: Path):
    files = AuditFiles(database=tmp_path / DATABASE_NAME, keys=KEYS)
    with opened(tmp_path) as store:
        store.write(lambda unit: append_facts(unit, 0, 7)).result(10)
    as_before_parts(tmp_path)
    with opened(tmp_path) as store:
        seal(store)
        # Of the same pieces, too.
        store.write(lambda unit: append_facts(unit, 97, 8)).result(10)
        seal(store)
        salts = [len(fact.salt or b"") for fact in store.read(lambda view: view.audit_facts(start=0, limit=99))]
    assert salts == [16] * 7 + [32] * 8
    report = verify_log(files)
    assert (report.findings, report.signed) == ((), 15)
    tamper(files, "UPDATE evidence SET visit = 9 WHERE row_id IN (3, 12)")
    assert faults(verify_log(files))[Fault.FACT_CHANGED] == (2, 2)
    # Nor does a salt of the other length make another reading of the same fact.
    tamper(files, "UPDATE evidence SET salt = substr(salt, 1, 16) WHERE row_id BETWEEN 9 AND 15")
    assert faults(verify_log(files))[Fault.FACT_CHANGED] == (2, 8)


def test_flipped_bits_in_audit_rows_are_found(files: AuditFiles):
    flips = flip_bits(files, 40, seed=3)
    assert flips.changed
    assert flips.harmless


def test_what_is_no_database_any_more_does_not_hold(files: AuditFiles, tmp_path: Path):
    files.database.write_bytes(b"\0" * 8192)
    assert set(faults(verify_log(files))) == {Fault.FILE_DAMAGED}
    with pytest.raises(ConfigurationError, match="no database"):
        verify_log(replace(files, database=tmp_path / "nothing.db"))


def test_the_public_half_keeps_earlier_keys(tmp_path: Path):
    key_file = tmp_path / "keys" / "audit.key"
    first = log_key(key_file, "here")
    assert log_key(key_file, "here").verifier() == first.verifier()
    key_file.unlink()
    public = key_file.with_suffix(".pub")
    # A person put an old key back with an editor that ends no line.
    public.write_text(public.read_text(encoding="utf-8").rstrip(), encoding="utf-8")
    second = log_key(key_file, "here")
    assert read_keys(public) == (first.verifier(), second.verifier())
    assert key_file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "bad").write_text("nonsense", encoding="utf-8")
    for path in (tmp_path / "bad", tmp_path / "nowhere"):
        with pytest.raises(ConfigurationError):
            read_keys(path)


class Medium:
    """An engine whose every connection fails with one of SQLite's errors."""

    def __init__(self, name: str) -> None:
        self._error = pysqlite3.dbapi2.OperationalError(name)
        self._error.sqlite_errorname = name

    def connect(self) -> None:
        raise DBAPIError("SELECT", None, self._error)


@pytest.mark.parametrize("name", ["SQLITE_BUSY_RECOVERY", "SQLITE_IOERR_READ", "SQLITE_NOMEM", "SQLITE_FULL"])
def test_what_may_pass_is_no_damage(files: AuditFiles, name: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(StoreUnavailableError):
        damage(Medium(name), AUDIT_TABLES, APPEND_ONLY)
    assert damage(Medium("SQLITE_CORRUPT"), AUDIT_TABLES, APPEND_ONLY) == ["SQLITE_CORRUPT"]
    monkeypatch.setattr(
        "station.storage.store.reading_engine", lambda _: SimpleNamespace(connect=Medium(name).connect, dispose=lambda: None)
    )
    with pytest.raises(StoreUnavailableError) as told:
        verify_log(files)
    assert exit_code_of(told.value) == EXIT_UNREACHABLE
