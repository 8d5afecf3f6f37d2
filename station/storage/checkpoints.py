"""Signed checkpoints of the audit log and their witnesses' signatures: append-only rows."""

from typing import Any

from sqlalchemy import Connection, exists, insert, select

from station.ports.store import StoredCheckpoint
from station.storage.audit_log import LOWEST
from station.storage.tables import audit_checkpoint, audit_cosignature

_C = audit_checkpoint.c
_S = audit_cosignature.c


def add(connection: Connection, size: int, note: str) -> None:
    """Keep a checkpoint, once. A commit that was taken for lost may have gone through: the same note again changes nothing."""
    if connection.execute(select(_C.note).where(_C.size == size)).scalar_one_or_none() != note:
        connection.execute(insert(audit_checkpoint), {"size": size, "note": note})


def add_cosignature(connection: Connection, size: int, line: str) -> None:
    """Keep a witness's line, once."""
    if line not in _lines(connection, size):
        connection.execute(insert(audit_cosignature), {"size": size, "line": line})


def read(connection: Connection, *, above: int, limit: int) -> list[StoredCheckpoint]:
    """Checkpoints of more than `above` leaves, smallest first."""
    above = max(above, LOWEST)
    query = select(_C.size, _C.note).where(_C.size > above).order_by(_C.size).limit(limit)
    found = connection.execute(query).all()
    lines: dict[int, list[str]] = {}
    if found:
        between = select(_S.size, _S.line).where(_S.size > above, _S.size <= found[-1].size).order_by(_S.size, _S.line)
        for size, line in connection.execute(between):
            lines.setdefault(size, []).append(line)
    return [_stored(row.size, row.note, tuple(lines.get(row.size, ()))) for row in found]


def newest(connection: Connection, *, witnessed: bool) -> StoredCheckpoint | None:
    """The checkpoint of the most leaves, or of the most leaves that a witness signed."""
    query = select(_C.size, _C.note).order_by(_C.size.desc()).limit(1)
    if witnessed:
        query = query.where(exists().where(_S.size == _C.size))
    row = connection.execute(query).one_or_none()
    return None if row is None else _stored(row.size, row.note, _lines(connection, row.size))


def _lines(connection: Connection, size: int) -> tuple[str, ...]:
    return tuple(connection.execute(select(_S.line).where(_S.size == size).order_by(_S.line)).scalars())


def _stored(size: int, note: Any, lines: tuple[Any, ...]) -> StoredCheckpoint:
    """As it lies there; what is no text any more holds no signature either."""
    return StoredCheckpoint(
        size=size, note=note if isinstance(note, str) else "", cosignatures=tuple(line if isinstance(line, str) else "" for line in lines)
    )
