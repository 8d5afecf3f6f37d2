"""Every forgery at every place of an audit log of many events, and bits of its file turned one at a time: `make forgeries`."""

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pysqlite3.dbapi2

from station.audit.findings import Fault
from station.bootstrap.audit import AuditFiles, newest_checkpoint, verify_log
from station.storage.audit_log import push
from station.storage.store import SqliteReader
from tests.support.audit_logs import write_log
from tests.support.forgeries import FORGERIES, flip_bits, found_everywhere
from tests.support.sealed_starts import check_behind, seal_of

EVERY = 64
MANY = 1_000_000_000


def main() -> None:
    """Run it; what is not found is an assertion error that says where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="length of the log that is forged")
    parser.add_argument("--flips", type=int, default=1_000, help="single bits that are turned")
    parser.add_argument("--flipped-events", type=int, default=1_500, help="length of the log whose bits are turned")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _forge(write_log(directory / "forged", given.events, every=EVERY), directory)
        flipped = write_log(directory / "flipped", given.flipped_events, every=EVERY)
        began = time.process_time()
        flips = flip_bits(flipped, given.flips, given.seed)
        _say(f"{given.flips} bits of {flipped.database.stat().st_size} bytes turned, seed {given.seed}: {flips}", began)
        began, seal = time.process_time(), seal_of(flipped)
        flips = flip_bits(flipped, given.flips, given.seed, lambda files: check_behind(files, seal))
        _say(f"the same bits before a start behind a seal: {flips}", began)


def _forge(files: AuditFiles, directory: Path) -> None:
    began = time.process_time()
    report = verify_log(files)
    assert report.holds
    _say(f"{report.size} events, {report.checkpoints} checkpoints: the whole log holds", began)
    reader = SqliteReader(files.database.parent)
    leaves, facts, signed = reader.read(
        lambda view: (view.audit_leaves(start=0, limit=MANY), view.audit_facts(start=0, limit=MANY), view.checkpoints(above=0, limit=MANY))
    )
    reader.close()
    for forge, fault in FORGERIES.items():
        began = time.process_time()
        found = found_everywhere(leaves, facts, signed, lambda _, forge=forge: [forge])
        _say(f"{forge.__name__} at each of {found} places: every one found ({fault.value})", began)
    saved = directory / "saved.checkpoint"
    saved.write_text(newest_checkpoint(files), encoding="utf-8")
    whole = report.size
    # The saved one is the newest that was witnessed, which may lack the last leaves.
    shorter = (EVERY, whole // 2 // EVERY * EVERY, (whole // EVERY - 2) * EVERY)
    for what, make, fault, sizes in (
        ("cut off", _cut_off, Fault.CUT_OFF, shorter),
        ("written and signed anew", _anew, Fault.SAVED_DIFFERS, (whole, whole + 1)),
    ):
        began = time.process_time()
        for size in sizes:
            other = make(files, directory / f"{make.__name__}{size}", size)
            alone, against = verify_log(other), verify_log(replace(other, saved=saved))
            assert alone.holds, alone
            assert [one.fault for one in against.findings] == [fault], against
        _say(f"{what} ({len(sizes)} sizes): holds alone, found against the saved checkpoint", began)


def _cut_off(files: AuditFiles, directory: Path, size: int) -> AuditFiles:
    """The same log without what came after a checkpoint, and nothing else in the file that tells of it."""
    directory.mkdir()
    copy = directory / files.database.name
    shutil.copy(files.database, copy)
    with closing(pysqlite3.dbapi2.connect(str(copy), isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        frontier: tuple[bytes, ...] = ()
        for index, commitment in connection.execute("SELECT * FROM audit_leaf WHERE leaf_index < ? ORDER BY leaf_index", (size,)):
            frontier = push(frontier, index, commitment)
        for table, key, last in (
            ("evidence", "row_id", size),
            ("audit_leaf", "leaf_index", size - 1),
            ("audit_checkpoint", "size", size),
            ("audit_cosignature", "size", size),
        ):
            connection.execute(f"DELETE FROM {table} WHERE {key} > {last}")  # noqa: S608 - names of this schema
        connection.execute("UPDATE audit_head SET size = ?, frontier = ?", (size, b"".join(frontier)))
        for _, sql in triggers:
            connection.execute(sql)
    return replace(files, database=copy)


def _anew(files: AuditFiles, directory: Path, size: int) -> AuditFiles:
    del files
    return write_log(directory, size, every=EVERY)


def _say(what: str, began: float) -> None:
    sys.stdout.write(f"{what}; {time.process_time() - began:.1f} s of processor\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
