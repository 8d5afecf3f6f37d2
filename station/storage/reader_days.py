"""What people and models did with images, counted by day as it is stored: nobody has to go through every reading for a month's figures."""

from datetime import UTC, date, datetime

from sqlalchemy import Connection, func, insert, not_, or_, select, update

from station.domain.people import person_key
from station.domain.projection import ProjectionResult
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading
from station.ports.readers import ReaderCounts
from station.storage import codec, tables

_T = tables.reader_day
_C = tables.reader_day.c
_RESULT_KIND = codec.kind_of_type(ProjectionResult)


def count(connection: Connection, fact: object) -> None:
    """Count a fact that is just being stored; most kinds of facts count for nobody. The rules are those of `station.review.performance`.

    A marked piece counts for nobody: no person saw its picture, and the figures are shown to people who may not know of it.
    """
    if isinstance(fact, ProjectionResult):
        if fact.person is not None and fact.answer.counts:
            _add(connection, fact.at, fact.person, by_model=False, projected=True, called=fact.answer.is_hit)
        if fact.model_alarmed is not None and fact.model_sha256 is not None:
            _add(connection, fact.at, fact.model_sha256, by_model=True, projected=True, called=fact.model_alarmed)
    elif isinstance(fact, OperatorReading):
        if fact.projected_sha256 is None and not _was_exercise(connection, fact) and not _is_marked(connection, fact.piece_id):
            called = fact.decision is not OperatorDecision.CLEAR
            _add(connection, fact.at, fact.person, by_model=False, projected=False, called=called)
    elif isinstance(fact, ModelReading) and fact.projected_sha256 is None and not _is_marked(connection, fact.piece_id):
        _add(connection, fact.at, fact.model_sha256, by_model=True, projected=False, called=fact.alarms)


def between(connection: Connection, first: date, last: date) -> list[ReaderCounts]:
    """What each reader did from day to day (UTC, both included), by name."""
    sums = [func.sum(_C[name]).label(name) for name in ("projections", "hits", "plain", "false_alarms")]
    query = (
        select(_C.by_model, func.min(_C.name).label("name"), *sums)
        .where(_C.day >= first.isoformat(), _C.day <= last.isoformat())
        .group_by(_C.by_model, _C.reader)
        .order_by(_C.by_model, _C.reader)
    )
    return [
        ReaderCounts(
            name=row.name,
            by_model=row.by_model,
            projections=int(row.projections),
            hits=int(row.hits),
            plain=int(row.plain),
            false_alarms=int(row.false_alarms),
        )
        for row in connection.execute(query)
    ]


def _was_exercise(connection: Connection, fact: OperatorReading) -> bool:
    kept = tables.evidence.c
    query = select(kept.row_id).where(kept.piece_id == fact.piece_id, kept.visit == fact.visit, kept.kind == _RESULT_KIND).limit(1)
    return connection.execute(query).first() is not None


def _is_marked(connection: Connection, piece_id: str) -> bool:
    known = tables.piece.c
    query = select(known.piece_id).where(known.piece_id == piece_id, or_(not_(known.announced), known.secrecy.is_not(None)))
    return connection.execute(query).first() is not None


def _add(connection: Connection, at: datetime, name: str, *, by_model: bool, projected: bool, called: bool) -> None:
    day, reader = at.astimezone(UTC).date().isoformat(), name if by_model else person_key(name)
    number, of_them = ("projections", "hits") if projected else ("plain", "false_alarms")
    changed = connection.execute(
        update(_T)
        .where(_C.day == day, _C.by_model == by_model, _C.reader == reader)
        .values({number: _C[number] + 1, of_them: _C[of_them] + called})
    )
    if not changed.rowcount:
        none = {"projections": 0, "hits": 0, "plain": 0, "false_alarms": 0}
        counted = {**none, number: 1, of_them: int(called)}
        connection.execute(insert(_T), {"day": day, "by_model": by_model, "reader": reader, "name": name, **counted})
