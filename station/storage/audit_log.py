"""Appending to the audit log inside a transaction: commitments per leaf, and the running frontier of the RFC 6962 tree."""

import hashlib

from sqlalchemy import Connection, insert, select, update

from station.domain.errors import StoreError
from station.ports.store import AuditHead, AuditLeaf
from station.storage import tables
from station.storage.codec import canonical
from station.storage.tables import utc_text

COMMITMENT_DOMAIN = b"kt1:evidence:v1\0"
_HASH_SIZE = 32
_LEAF = b"\0"
_NODE = b"\1"


def fact_content(*, piece_id: str, visit: int, at_text: str, kind: str, payload: str) -> bytes:
    """RFC 8785 form of one stored fact; this is what its leaf commits to. `payload` is canonical JSON already."""
    # Keys in RFC 8785 order; the payload is spliced in because it is canonical already.
    head = canonical({"at": at_text, "kind": kind})[:-1]
    tail = canonical({"piece_id": piece_id, "visit": visit})[1:]
    return f'{head},"payload":{payload},{tail}'.encode()


def commitment_of(salt: bytes, content: bytes) -> bytes:
    """Salted, domain-separated SHA-256 of a fact: the data of its RFC 6962 leaf."""
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + content).digest()


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
    row = connection.execute(select(tables.audit_head.c.size, tables.audit_head.c.frontier)).one()
    frontier = tuple(row.frontier[start : start + _HASH_SIZE] for start in range(0, len(row.frontier), _HASH_SIZE))
    if len(row.frontier) % _HASH_SIZE or len(frontier) != row.size.bit_count():
        raise StoreError(
            "The head of the audit log is damaged",
            consequence="Nothing more can be recorded, so every piece is held",
            remedy="Run `station audit verify` and restore the database from its last good backup",
        )
    return AuditHead(size=row.size, root=root_of(frontier), frontier=frontier)


def read_leaves(connection: Connection, *, start: int, limit: int) -> list[AuditLeaf]:
    """Leaves from `start` on with the facts that they commit to."""
    leaf, fact = tables.audit_leaf.c, tables.evidence.c
    query = (
        select(leaf.leaf_index, leaf.commitment, fact.salt, fact.piece_id, fact.visit, fact.at, fact.kind, fact.payload)
        .select_from(tables.audit_leaf.outerjoin(tables.evidence, fact.leaf_index == leaf.leaf_index))
        .where(leaf.leaf_index >= start)
        .order_by(leaf.leaf_index)
        .limit(limit)
    )
    return [
        AuditLeaf(
            leaf_index=row.leaf_index,
            commitment=row.commitment,
            salt=row.salt,
            content=None
            if row.salt is None
            else fact_content(piece_id=row.piece_id, visit=row.visit, at_text=utc_text(row.at), kind=row.kind, payload=row.payload),
        )
        for row in connection.execute(query)
    ]


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
        self._connection.execute(insert(tables.audit_leaf), self._leaves)
        self._connection.execute(update(tables.audit_head).values(size=self._size, frontier=b"".join(self._frontier)))
        self._leaves = []

    def head(self) -> AuditHead:
        """The head with what was added here."""
        if self._head is None:
            return read_head(self._connection)
        return AuditHead(size=self._size, root=root_of(self._frontier), frontier=self._frontier)
