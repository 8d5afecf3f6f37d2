"""Facts and stores for tests of the system of record."""

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from station.domain.commitment import commitment_of
from station.domain.events import PieceEvent, PieceStatus
from station.domain.gate import Permit
from station.domain.piece import Announcement, Piece, PieceState, Secrecy, Urgency
from station.domain.scan import Scan
from station.ports.store import RenderedEvent, Store
from station.storage.store import SqliteStore

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def at(seconds: float = 0.0) -> datetime:
    return NOON + timedelta(seconds=seconds)


def render(event: PieceEvent, sequence: int) -> RenderedEvent:
    return RenderedEvent(event_id=f"test:{event.piece_id}:{sequence}", body=f'{{"status":"{event.status.value}","sequence":{sequence}}}')


@contextmanager
def opened(directory: Path, **options: Any):
    store = SqliteStore(directory, **{"render": render, "reserve_bytes": 1 << 16, "floor_bytes": 0, "warn_bytes": 0, **options})
    try:
        yield store
    finally:
        store.close()


def written(store: SqliteStore, work: Any) -> Any:
    """What the work gives, once it is durable."""
    return store.write(work).result(20)


def announcement(
    piece_id: str, *, secrecy: Secrecy | None = None, urgency: Urgency | None = None, weight_g: float | None = None
) -> Announcement:
    return Announcement(piece_id=piece_id, secrecy=secrecy, urgency=urgency, destination="Hà Nội", kind="envelope", weight_g=weight_g)


def unannounced(piece_id: str, came_at: datetime) -> Piece:
    return Piece(
        piece_id=piece_id,
        state=PieceState.ARRIVED,
        visit=1,
        state_since=came_at,
        announcement=Announcement(piece_id=piece_id),
        announced=False,
        lane_id="1",
    )


def permit(piece_id: str, number: int, visit: int = 1) -> Permit:
    return Permit(
        piece_id=piece_id,
        visit=visit,
        at=at(number),
        tag=number,
        challenge=number + 1,
        valid_ms=500,
        scan_sha256="ab" * 32,
        nonce=7,
        policy_sha256="cd" * 32,
    )


def scan(piece_id: str, sha256: str, visit: int = 1) -> Scan:
    return Scan(
        piece_id=piece_id,
        visit=visit,
        at=at(),
        lane_id="1",
        sha256=sha256,
        acquisition=1,
        lines=10,
        pixels=20,
        length_mm=8.0,
        width_mm=16.5,
        kv=160.0,
        ma=0.4,
    )


def event(piece_id: str, status: PieceStatus = PieceStatus.ARRIVED, seconds: float = 0.0) -> PieceEvent:
    return PieceEvent(piece_id=piece_id, visit=1, status=status, at=at(seconds), lane_id="1", secrecy=None)


def arrive(store: SqliteStore, piece_id: str) -> None:
    store.write(lambda unit: unit.announce(announcement(piece_id), at())).result(10)
    store.write(lambda unit: unit.change_state(piece_id, PieceState.ARRIVED, at(1), lane_id="1", visit=1)).result(10)


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, written down as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()


def check_audit(store: Store) -> int:
    """Assert that every leaf commits to its stored fact and that the head's root is that of the leaves; returns the size."""
    head, leaves, facts = store.read(
        lambda view: (view.audit_head(), view.audit_leaves(start=0, limit=10**6), view.audit_facts(start=0, limit=10**6))
    )
    assert [leaf.leaf_index for leaf in leaves] == [fact.leaf_index for fact in facts] == list(range(head.size))
    for leaf, fact in zip(leaves, facts, strict=True):
        assert fact.salt is not None
        assert fact.content is not None
        assert commitment_of(fact.salt, fact.content) == leaf.commitment
    assert merkle_root([leaf.commitment for leaf in leaves]) == head.root
    return head.size
