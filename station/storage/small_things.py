"""Leases, counters, small values and answered requests."""

from collections.abc import Collection

from sqlalchemy import Connection, case, delete, insert, select, update

from station.domain.errors import ConflictError
from station.ports.store import Claim
from station.storage import tables


def claim_on(connection: Connection, piece_id: str) -> Claim | None:
    """The lease on a piece, expired or not."""
    return claims_on(connection, [piece_id]).get(piece_id)


def claims_on(connection: Connection, piece_ids: Collection[str]) -> dict[str, Claim]:
    """The leases on these pieces, expired or not, by piece."""
    rows = connection.execute(select(tables.claim).where(tables.claim.c.piece_id.in_(piece_ids)))
    return {row.piece_id: Claim(piece_id=row.piece_id, person=row.person, expires_at=row.expires_at) for row in rows}


def set_claim(connection: Connection, claim: Claim | None, piece_id: str) -> None:
    """Replace or drop the lease on a piece. Raises `ConflictError` when the lease names another piece."""
    if claim is not None and claim.piece_id != piece_id:
        raise ConflictError(f"A lease on {claim.piece_id} is none on {piece_id}", consequence="Nothing was changed")
    connection.execute(delete(tables.claim).where(tables.claim.c.piece_id == piece_id))
    if claim is not None:
        connection.execute(insert(tables.claim), {"piece_id": piece_id, "person": claim.person, "expires_at": claim.expires_at})


def next_number(connection: Connection, name: str, at_least: int = 1) -> int:
    """The next value of a durable counter, from `at_least` on. A rolled-back transaction gives its numbers back, so there are no gaps."""
    given = tables.counter.c.number
    following = case((given >= at_least, given + 1), else_=at_least)
    number = connection.execute(
        update(tables.counter).where(tables.counter.c.name == name).values(number=following).returning(given)
    ).scalar_one_or_none()
    if number is None:
        number = at_least
        connection.execute(insert(tables.counter), {"name": name, "number": number})
    return int(number)


def value_of(connection: Connection, key: str) -> str | None:
    """A small persistent value."""
    return connection.execute(select(tables.value.c.content).where(tables.value.c.key == key)).scalar_one_or_none()


def set_value(connection: Connection, key: str, content: str) -> None:
    """Set a small persistent value."""
    changed = connection.execute(update(tables.value).where(tables.value.c.key == key).values(content=content))
    if not changed.rowcount:
        connection.execute(insert(tables.value), {"key": key, "content": content})


def answer_for(connection: Connection, key: str) -> tuple[str, str] | None:
    """(fingerprint, answer) of an earlier request with this key."""
    row = connection.execute(select(tables.request).where(tables.request.c.key == key)).one_or_none()
    return None if row is None else (row.fingerprint, row.answer)


def remember_request(connection: Connection, key: str, fingerprint: str, answer: str) -> None:
    """Store the answer to a request. Raises `ConflictError` when the key was used for another one."""
    known = answer_for(connection, key)
    if known == (fingerprint, answer):
        return
    if known is not None:
        raise ConflictError(
            f"The idempotency key {key!r} was used for another request", consequence="Nothing was changed", remedy="Send a fresh key"
        )
    connection.execute(insert(tables.request), {"key": key, "fingerprint": fingerprint, "answer": answer})


def forget_request(connection: Connection, key: str) -> None:
    """Take an answer back; nothing happens where there is none."""
    connection.execute(delete(tables.request).where(tables.request.c.key == key))
