"""Audit logs to forge: written by the real store, signed, and read back as rows."""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit.checkpoint import LogKey, origin_of
from station.audit.log_check import COMMITMENT_DOMAIN
from station.audit.note import VerifierKey, cosign, split
from station.bootstrap.audit import AuditFiles
from station.ports.store import UnitOfWork
from station.storage.store import DATABASE_NAME, SqliteStore
from tests.support.store_facts import at, opened, permit, scan, unannounced

LOG_KEY = LogKey(origin_of("test"), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEYS = (LOG_KEY.verifier(), VerifierKey(name="", kind=4, public=WITNESS_KEY.public_key().public_bytes_raw()))


def commitment(salt: bytes, content: bytes) -> bytes:
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + content).digest()


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


def write_log(directory: Path, size: int, *, every: int) -> AuditFiles:
    """A database with a log of `size` leaves and a checkpoint after each `every`, closed; each second one is witnessed."""
    with opened(directory) as store:
        for start in range(0, size, every):
            count = min(every, size - start)
            store.write(lambda unit, s=start, n=count: append_facts(unit, s, n)).result(60)
            seal(store, witnessed=(start // every) % 2 == 1)
    return AuditFiles(database=directory / DATABASE_NAME, keys=KEYS)
