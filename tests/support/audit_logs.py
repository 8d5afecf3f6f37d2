"""Audit logs to forge: written by the real store, signed, and read back as rows."""

import hashlib
from contextlib import closing
from pathlib import Path

import pysqlite3.dbapi2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit.checkpoint import LogKey, origin_of
from station.audit.note import VerifierKey, cosign, split
from station.bootstrap.audit import AuditFiles
from station.ports.store import UnitOfWork
from station.storage.audit_log import fact_content, push
from station.storage.store import DATABASE_NAME, SqliteStore
from tests.support.store_facts import at, opened, permit, scan, unannounced

LOG_KEY = LogKey(origin_of("test"), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEYS = (LOG_KEY.verifier(), VerifierKey(name="", kind=4, public=WITNESS_KEY.public_key().public_bytes_raw()))


def append_facts(unit: UnitOfWork, start: int, count: int) -> None:
    """Facts of several kinds: numbers `start` and on."""
    for number in range(start, start + count):
        if number % 5 == 0:
            unit.add_piece(unannounced(f"P{number}", at(number)))
        elif number % 5 == 1:
            unit.append(scan(f"P{number}", hashlib.sha256(b"%d" % number).hexdigest()))
        else:
            unit.append(permit(f"P{number % 97}", number))


def seal(store: SqliteStore, *, witnessed: bool = True) -> str:
    """Sign what the log has; returns the checkpoint, with its witness's signature if it has one."""
    head = store.read(lambda view: view.audit_head())
    note = LOG_KEY.checkpoint(head.size, head.root)
    line = cosign(split(note).text, "witness", WITNESS_KEY, 1_800_000_000 + head.size)
    store.write(lambda unit: unit.add_checkpoint(head.size, note)).result(10)
    if not witnessed:
        return note
    store.write(lambda unit: unit.add_cosignature(head.size, line)).result(10)
    return note + line


def as_before_parts(directory: Path) -> None:
    """Turn every fact of a closed, unsigned log into one from before there were parts: committed to whole, under a salt of its own."""
    with closing(pysqlite3.dbapi2.connect(str(directory / DATABASE_NAME), isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE evidence SET salt = substr(salt, 1, 16)")
        rows = connection.execute("SELECT leaf_index, salt, piece_id, visit, at, kind, payload FROM evidence ORDER BY row_id").fetchall()
        frontier: tuple[bytes, ...] = ()
        for index, salt, piece_id, visit, at_text, kind, payload in rows:
            content = fact_content(piece_id=piece_id, visit=visit, at_text=at_text, kind=kind, payload=payload)
            entry = hashlib.sha256(b"kt1:evidence:v1\0" + salt + content).digest()
            frontier = push(frontier, index, entry)
            connection.execute("UPDATE audit_leaf SET commitment = ? WHERE leaf_index = ?", (entry, index))
        connection.execute("UPDATE audit_head SET frontier = ?", (b"".join(frontier),))
        for _, sql in triggers:
            connection.execute(sql)


def write_log(directory: Path, size: int, *, every: int) -> AuditFiles:
    """A database with a log of `size` leaves and a checkpoint after each `every`, closed; each second one is witnessed."""
    with opened(directory) as store:
        for start in range(0, size, every):
            count = min(every, size - start)
            store.write(lambda unit, s=start, n=count: append_facts(unit, s, n)).result(60)
            seal(store, witnessed=(start // every) % 2 == 1)
    return AuditFiles(database=directory / DATABASE_NAME, keys=KEYS)
