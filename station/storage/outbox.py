"""The outbox: events to the tracking system, one gap-free sequence per piece, strictly in order."""

import hashlib
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, insert, or_, select, union_all, update

from station.ports.outbox import LONGEST_WAIT, EventDigest, OutboxEvent, OutboxStatus
from station.ports.store import RenderedEvent
from station.storage import tables

PENDING = "pending"
RECEIPTED = "receipted"
BLOCKED = "blocked"
_T = tables.outbox
_C = tables.outbox.c
_E = tables.event_elsewhere.c

# Made once: every event asks.
_NUMBERS = union_all(
    select(func.max(_C.sequence).label("sequence")).where(_C.piece_id == bindparam("piece")),
    select(func.max(_E.sequence)).where(_E.piece_id == bindparam("piece")),
).subquery()
_LAST_NUMBER = select(func.coalesce(func.max(_NUMBERS.c.sequence), 0))


def next_sequence(connection: Connection, piece_id: str) -> int:
    """The piece's next sequence number, from 1."""
    return int(connection.execute(_LAST_NUMBER, {"piece": piece_id}).scalar_one()) + 1


def append(connection: Connection, piece_id: str, sequence: int, event: RenderedEvent, at: datetime) -> None:
    """Append a pending event that is due at once."""
    connection.execute(
        insert(_T),
        {
            "piece_id": piece_id,
            "sequence": sequence,
            "event_id": event.event_id,
            "body": event.body,
            "created_at": at,
            "state": PENDING,
            "attempts": 0,
            "next_attempt_at": at,
            "last_error": "",
        },
    )


def _is_head() -> ColumnElement[bool]:
    earlier = _T.alias("earlier")
    open_before = and_(earlier.c.piece_id == _C.piece_id, earlier.c.sequence < _C.sequence, earlier.c.receipted_at.is_(None))
    return and_(_C.receipted_at.is_(None), _C.state == PENDING, ~exists().where(open_before))


# Made once: the relay asks with every receipt, and making them costs more than their answer.
_HEADS = select(_T).where(_is_head())
_OLDEST = select(_C.created_at).where(_C.receipted_at.is_(None)).order_by(_C.position).limit(1)


def due(connection: Connection, now: datetime, *, limit: int, excluding: Collection[str], least_tried_first: bool) -> list[OutboxEvent]:
    """Pending heads of line that are due, oldest first, or those first that were tried least."""
    order = (_C.attempts, _C.position) if least_tried_first else (_C.position,)
    is_due = or_(_C.next_attempt_at <= now, _C.next_attempt_at > now + LONGEST_WAIT)
    query = _HEADS.where(is_due).order_by(*order).limit(limit)
    if excluding:
        query = query.where(_C.piece_id.not_in(excluding))
    return [_event(row) for row in connection.execute(query)]


def of_piece(connection: Connection, piece_id: str) -> list[OutboxEvent]:
    """All events of a piece in order."""
    return [_event(row) for row in connection.execute(select(_T).where(_C.piece_id == piece_id).order_by(_C.sequence))]


def troubled(connection: Connection, *, limit: int) -> list[OutboxEvent]:
    """Events that are blocked, or were tried in vain: blocked ones first, then oldest first."""
    in_vain = and_(_C.receipted_at.is_(None), or_(_C.state == BLOCKED, _C.attempts > 0))
    query = select(_T).where(in_vain).order_by((_C.state != BLOCKED), _C.position).limit(limit)
    return [_event(row) for row in connection.execute(query)]


def first_of_each(connection: Connection, *, piece_id: str | None, since: datetime | None, blocked_only: bool) -> list[tuple[str, int]]:
    """For each piece (or the named one) the sequence of its first event that was written since then, or is blocked."""
    query = select(_C.piece_id, func.min(_C.sequence)).group_by(_C.piece_id).order_by(func.min(_C.position))
    if piece_id is not None:
        query = query.where(_C.piece_id == piece_id)
    if since is not None:
        query = query.where(_C.created_at >= since)
    if blocked_only:
        query = query.where(_C.receipted_at.is_(None), _C.state == BLOCKED)
    return [(row[0], row[1]) for row in connection.execute(query)]


def digests(connection: Connection, start: datetime, end: datetime) -> list[EventDigest]:
    """Every event that was written from `start` on and before `end`, by piece and sequence; with those of whole days that are elsewhere."""
    columns = (_C.piece_id, _C.sequence, _C.event_id, _C.body, _C.receipted_at)
    query = select(*columns).where(_C.created_at >= start, _C.created_at < end).execution_options(yield_per=1000)
    found = [
        EventDigest(
            piece_id=row.piece_id,
            sequence=row.sequence,
            event_id=row.event_id,
            body_sha256=hashlib.sha256(row.body.encode()).hexdigest(),
            receipted=row.receipted_at is not None,
        )
        for row in connection.execute(query)
    ]
    within = (_E.day >= start.date().isoformat(), _E.day < end.date().isoformat())
    found += [
        EventDigest(piece_id=row.piece_id, sequence=row.sequence, event_id=row.event_id, body_sha256=row.body_sha256)
        for row in connection.execute(select(tables.event_elsewhere).where(*within))
    ]
    return sorted(found, key=lambda one: (one.piece_id, one.sequence))


def leave_elsewhere(connection: Connection, event: EventDigest, day: date) -> bool:
    """Keep the number of an event that only the receiver has; False when this store has an event of that number, or keeps it already."""
    if event.sequence < next_sequence(connection, event.piece_id):
        return False
    values = {"piece_id": event.piece_id, "sequence": event.sequence, "event_id": event.event_id, "body_sha256": event.body_sha256}
    connection.execute(insert(tables.event_elsewhere), values | {"day": day.isoformat()})
    return True


def oldest_pending_at(connection: Connection) -> datetime | None:
    """When the oldest event without a receipt was written."""
    return connection.execute(_OLDEST).scalar_one_or_none()


def status(connection: Connection) -> OutboxStatus:
    """The outbox in figures."""
    written = connection.execute(select(func.count()).select_from(_T)).scalar_one()
    is_open = _C.receipted_at.is_(None)
    counts = {row.state: row.n for row in connection.execute(select(_C.state, func.count().label("n")).where(is_open).group_by(_C.state))}
    pending, blocked = counts.get(PENDING, 0), counts.get(BLOCKED, 0)
    oldest = oldest_pending_at(connection)
    return OutboxStatus(written=written, receipted=written - pending - blocked, blocked=blocked, pending=pending, oldest_pending_at=oldest)


def mark_receipted(connection: Connection, piece_id: str, sequence: int, receipt: str, at: datetime) -> None:
    """Close an event with the receiver's receipt; a second one changes nothing."""
    connection.execute(
        update(_T)
        .where(_C.piece_id == piece_id, _C.sequence == sequence, _C.receipted_at.is_(None))
        .values(state=RECEIPTED, receipt=receipt, receipted_at=at, last_error="")
    )


def mark_retry(connection: Connection, piece_id: str, sequence: int, next_attempt_at: datetime, error: str) -> None:
    """Count a failed attempt of a pending event."""
    connection.execute(
        update(_T)
        .where(_C.piece_id == piece_id, _C.sequence == sequence, _C.state == PENDING)
        .values(attempts=_C.attempts + 1, next_attempt_at=next_attempt_at, last_error=error)
    )


def mark_blocked(connection: Connection, piece_id: str, sequence: int, error: str) -> None:
    """Set a pending event aside; what follows it waits."""
    connection.execute(
        update(_T)
        .where(_C.piece_id == piece_id, _C.sequence == sequence, _C.state == PENDING)
        .values(state=BLOCKED, attempts=_C.attempts + 1, last_error=error)
    )


def reopen(connection: Connection, piece_id: str, from_sequence: int, at: datetime) -> int:
    """Make events from that sequence on pending and due, their receipts kept; returns how many changed."""
    result = connection.execute(
        update(_T)
        .where(_C.piece_id == piece_id, _C.sequence >= from_sequence, _C.state != PENDING)
        .values(state=PENDING, receipted_at=None, next_attempt_at=at, attempts=0)
    )
    return result.rowcount


def hasten(connection: Connection, at: datetime) -> None:
    """Make every pending event due."""
    connection.execute(update(_T).where(_C.receipted_at.is_(None), _C.state == PENDING, _C.next_attempt_at > at).values(next_attempt_at=at))


def _event(row: Row[Any]) -> OutboxEvent:
    return OutboxEvent(
        piece_id=row.piece_id,
        sequence=row.sequence,
        event_id=row.event_id,
        body=row.body,
        created_at=row.created_at,
        state=row.state,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
        receipt=row.receipt,
    )
