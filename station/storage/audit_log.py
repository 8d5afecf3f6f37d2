"""Appending to the audit log inside a transaction: commitments per leaf, and the running frontier of the RFC 6962 tree."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, LargeBinary, Select, case, cast, func, insert, select, type_coerce, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from station.domain.canonical import canonical
from station.domain.errors import StoreError
from station.ports.store import AuditFact, AuditHead, AuditLeaf
from station.storage import tables
from station.storage.codec import SCAN
from station.storage.sqlite import store_error

LOWEST = -(2**63)
"""The lowest key that a row can have."""
HASH_SIZE = 32
_LEAF = b"\0"
_NODE = b"\1"
_ADD_LEAVES = insert(tables.audit_leaf)
_MOVE_HEAD = update(tables.audit_head)
_FACT = tables.evidence.c


def _as(column: Column[Any], kind: str) -> ColumnElement[Any]:
    """The column's very bytes (or integer), or NULL where SQLite has another type of value in it."""
    value: ColumnElement[Any] = column if kind == "integer" else cast(column, LargeBinary)
    return case((func.typeof(column) == kind, value))


FACT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _FACT.row_id,
    _as(_FACT.leaf_index, "integer"),
    _as(_FACT.visit, "integer"),
    _as(_FACT.salt, "blob"),
    *(_as(column, "text") for column in (_FACT.piece_id, _FACT.at, _FACT.kind, _FACT.payload)),
    func.typeof(_FACT.scan_sha256),
    cast(_FACT.scan_sha256, LargeBinary),
)
"""The columns of a fact, each as it lies there: `read_fact` takes what they give."""
COMMITMENT = _as(tables.audit_leaf.c.commitment, "blob")
"""A leaf's commitment as it lies there."""
_BARE_ROWS = select(
    *(
        # Without a type each value comes as the database has it.
        type_coerce(column, NullType())
        for column in (
            _FACT.row_id,
            _FACT.leaf_index,
            _FACT.visit,
            _FACT.salt,
            _FACT.piece_id,
            _FACT.at,
            _FACT.kind,
            _FACT.payload,
            _FACT.scan_sha256,
        )
    )
)


def fact_content(*, piece_id: str, visit: int, at_text: str, kind: str, payload: str) -> bytes:
    """RFC 8785 form of one stored fact, as it lies there. `payload` is what was stored."""
    # Keys in RFC 8785 order; the payload is spliced in because it is canonical already.
    head = canonical({"at": at_text, "kind": kind})[:-1]
    tail = canonical({"piece_id": piece_id, "visit": visit})[1:]
    return f'{head},"payload":{payload},{tail}'.encode()


def push(frontier: tuple[bytes, ...], size: int, commitment: bytes) -> tuple[bytes, ...]:
    """Frontier after appending a leaf to a tree of `size` leaves (RFC 6962, section 2.1)."""
    node = hashlib.sha256(_LEAF + commitment).digest()
    roots = list(frontier)
    while size & 1:
        node = hashlib.sha256(_NODE + roots.pop() + node).digest()
        size >>= 1
    return (*roots, node)


def root_of(frontier: tuple[bytes, ...]) -> bytes:
    """RFC 6962 root hash of the tree with that frontier."""
    if not frontier:
        return hashlib.sha256(b"").digest()
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = hashlib.sha256(_NODE + left + node).digest()
    return node


def read_head(connection: Connection) -> AuditHead:
    """Size, root and frontier as of this connection's transaction. Raises `StoreError` when they contradict each other."""
    head = tables.audit_head.c
    row = connection.execute(select(_as(head.size, "integer"), _as(head.frontier, "blob")).where(head.head_id == 1)).one_or_none()
    size, hashes = row or (None, None)
    if size is None or hashes is None or len(hashes) % HASH_SIZE or size < 0 or len(hashes) // HASH_SIZE != size.bit_count():
        raise StoreError(
            "The head of the audit log is damaged",
            consequence="Nothing more can be recorded, so every piece is held",
            remedy="Run `station audit verify` and restore the database from its last good backup",
        )
    frontier = tuple(hashes[start : start + HASH_SIZE] for start in range(0, len(hashes), HASH_SIZE))
    return AuditHead(size=size, root=root_of(frontier), frontier=frontier)


def read_leaves(connection: Connection, *, start: int, limit: int) -> list[AuditLeaf]:
    """Leaves from index `start` on."""
    leaf = tables.audit_leaf.c
    query = select(leaf.leaf_index, COMMITMENT).where(leaf.leaf_index >= max(start, LOWEST)).order_by(leaf.leaf_index).limit(limit)
    return [
        AuditLeaf(leaf_index=_key(index), commitment=commitment if commitment and len(commitment) == HASH_SIZE else None)
        for index, commitment in connection.execute(query)
    ]


def read_facts(connection: Connection, *, start: int, limit: int) -> list[AuditFact]:
    """Facts from that of leaf `start` on, each column as it lies there: no conversion may hide what somebody changed."""
    number = tables.evidence.c.row_id
    query = _facts_as_they_lie().where(number >= max(start + 1, LOWEST)).order_by(number).limit(limit)
    return [read_fact(row) for row in connection.execute(query)]


def read_rows(connection: Connection, *, start: int, limit: int) -> tuple[int, bytes] | None:
    """(place after the last one, their `AuditFact.row`s) of facts from that of leaf `start` on; None when there are no more.

    Raises:
        StoreError: they cannot be read, or hold text that is no text.
    """
    try:
        rows = connection.execute(_BARE_ROWS.where(_FACT.row_id >= max(start + 1, LOWEST)).order_by(_FACT.row_id).limit(limit)).all()
    except DBAPIError as error:
        raise store_error(error) from error
    return (_key(rows[-1][0]), "".join(map(_written, rows)).encode()) if rows else None


def _written(row: Sequence[Any]) -> str:
    # Python writes each type of value in a way of its own, with quotes and brackets where it ends.
    return repr(tuple(row))


def read_facts_of(connection: Connection, piece_id: str) -> list[AuditFact]:
    """Every fact about a piece, in the order in which they were stored, read in the same way."""
    fact = tables.evidence.c
    query = _facts_as_they_lie().where(fact.piece_id == piece_id).order_by(fact.row_id)
    return [read_fact(row) for row in connection.execute(query)]


def _facts_as_they_lie() -> Select[Any]:
    return select(*FACT_COLUMNS)


def read_fact(row: Sequence[Any]) -> AuditFact:
    """A fact of what `FACT_COLUMNS` gave."""
    row_id, leaf_index, visit, salt, *texts, scan_type, scan_sha256 = row
    content, written = None, b""
    if visit is not None and None not in texts:
        try:
            piece_id, at_text, kind, payload = (text.decode() for text in texts)
            if (scan_type, scan_sha256) == _scan_column(kind, payload):
                content = fact_content(piece_id=piece_id, visit=visit, at_text=at_text, kind=kind, payload=payload)
                scan = None if scan_sha256 is None else scan_sha256.decode()
                written = _written((row_id, leaf_index, visit, salt, piece_id, at_text, kind, payload, scan)).encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            content = None
    return AuditFact(row_id=_key(row_id), leaf_index=leaf_index, salt=salt, content=content, row=written)


def _key(value: Any) -> int:
    # In a table of the station's own making a row's number can be nothing else.
    if type(value) is not int:
        raise StoreError(
            f"A row of the audit log is numbered {str(value)[:40]!r}",
            consequence="The table is not the station's, and every piece is held",
            remedy="Run `station audit verify` and restore the database from its last good backup",
        )
    return value


def _scan_column(kind: str, payload: str) -> tuple[str, bytes | None]:
    """What the column beside the payload must hold, by which a scan is found: its hash, and for everything else nothing."""
    return ("text", json.loads(payload)["sha256"].encode()) if kind == SCAN else ("null", None)


class AuditAppender:
    """Leaves that one transaction adds. They are written together just before the commit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._head: AuditHead | None = None
        self._size = 0
        self._frontier: tuple[bytes, ...] = ()
        self._leaves: list[dict[str, int | bytes]] = []

    def append(self, commitment: bytes) -> int:
        """Add a leaf; returns its index."""
        if self._head is None:
            self._head = read_head(self._connection)
            self._size, self._frontier = self._head.size, self._head.frontier
        index = self._size
        self._leaves.append({"leaf_index": index, "commitment": commitment})
        self._frontier = push(self._frontier, index, commitment)
        self._size += 1
        return index

    def mark(self) -> tuple[int, int, tuple[bytes, ...]]:
        """Where the log stands, for `undo`."""
        return len(self._leaves), self._size, self._frontier

    def undo(self, mark: tuple[int, int, tuple[bytes, ...]]) -> None:
        """Drop what was added since `mark`, with the savepoint that it belonged to."""
        if mark[1] == 0 and not mark[0]:
            # Nothing had been added before the mark: read the head again when it is needed.
            self._head = None
        count, self._size, self._frontier = mark
        del self._leaves[count:]

    def flush(self) -> None:
        """Write leaves and head."""
        if not self._leaves:
            return
        self._connection.execute(_ADD_LEAVES, self._leaves)
        self._connection.execute(_MOVE_HEAD, {"size": self._size, "frontier": b"".join(self._frontier)})
        self._leaves = []

    def head(self) -> AuditHead:
        """The head with what was added here."""
        if self._head is None:
            return read_head(self._connection)
        return AuditHead(size=self._size, root=root_of(self._frontier), frontier=self._frontier)
