"""What reports count, read by kind and time through indexes, a page at a time."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Label, Row, Select, and_, exists, func, literal, null, or_, select

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.disinfection import DisinfectionResult
from station.domain.piece import Secrecy
from station.domain.projection import ProjectionResult
from station.domain.review import OperatorReading, ReviewDecision
from station.domain.scan import ModelReading
from station.domain.vault import ImageViewed
from station.ports.reporting import Place, ReportFact, ReportWindow, SentEvent, Snapshot
from station.ports.store import StateChange
from station.storage import codec, pieces, tables

_T, _C = tables.evidence, tables.evidence.c
_P, _A, _O = tables.piece.c, tables.alarm.c, tables.outbox.c
_ABOUT_PIECES = frozenset({StateChange, OperatorReading, ReviewDecision, ModelReading, ProjectionResult, DisinfectionResult, ImageViewed})
_TOLD_LATER = frozenset({OperatorReading, ReviewDecision, ModelReading, ImageViewed})
_EARLIER = _T.alias("earlier")
_E = _EARLIER.c


def snapshot(connection: Connection, as_of: datetime) -> Snapshot:
    """Everything that is stored."""
    numbers = (_C.row_id, _A.alarm_id, _O.position)
    leaves, alarms, events = (connection.execute(select(func.coalesce(func.max(number), 0))).scalar_one() for number in numbers)
    return Snapshot(leaves=leaves, alarms=alarms, events=events, as_of=as_of)


def facts(connection: Connection, kind: type[Any], window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
    """Facts of one type."""
    stored = codec.kind_of_type(kind)
    columns = (_C.row_id, _C.piece_id, _C.visit, _C.at, _C.payload, _since(kind), _exercise(kind), _step(kind, window.snapshot))
    bounds = [_C.kind == stored, *_between(_C.at, _C.row_id, window, after), _C.row_id <= window.snapshot.leaves]
    if window.holds:
        bounds.append(_C.payload.contains(window.holds, autoescape=True))
    if kind not in _ABOUT_PIECES:
        query: Select[Any] = select(*columns).where(*bounds)
        found = connection.execute(query.order_by(_C.at, _C.row_id).limit(limit))
        return [_fact(row, codec.from_json(stored, row.payload)) for row in found]
    query = select(*columns, *_PIECE).join(tables.piece, _P.piece_id == _C.piece_id).where(*bounds, *pieces.of_levels(window.levels))
    found = connection.execute(query.order_by(_C.at, _C.row_id).limit(limit))
    return [_fact(row, codec.from_json(stored, row.payload), **_piece_of(row)) for row in found]


def alarms(connection: Connection, window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
    """Alarms by the time at which they were raised; seen or gone only if they were at the snapshot's moment."""
    query = select(tables.alarm).where(*_between(_A.raised_at, _A.alarm_id, window, after), _A.alarm_id <= window.snapshot.alarms)
    return [
        ReportFact(number=row.alarm_id, at=row.raised_at, content=_alarm(row, window.snapshot.as_of))
        for row in connection.execute(query.order_by(_A.raised_at, _A.alarm_id).limit(limit))
    ]


def events(connection: Connection, window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
    """Events by the time at which they were written; receipted only if they were at the snapshot's moment."""
    columns: list[ColumnElement[Any]] = [_O.position, _O.piece_id, _O.sequence, _O.event_id, _O.created_at, _O.attempts, _O.receipted_at]
    query: Select[Any] = (
        select(*columns, _O.state.label("stands"), *_PIECE)
        .join(tables.piece, _P.piece_id == _O.piece_id)
        .where(
            *_between(_O.created_at, _O.position, window, after),
            _O.position <= window.snapshot.events,
            *pieces.of_levels(window.levels),
        )
    )
    return [
        ReportFact(
            number=row.position, at=row.created_at, content=_event(row, window.snapshot.as_of), piece_id=row.piece_id, **_piece_of(row)
        )
        for row in connection.execute(query.order_by(_O.created_at, _O.position).limit(limit))
    ]


_PIECE = (_P.kind.label("piece_kind"), _P.secrecy, _P.announced)


def _between(
    moment: ColumnElement[Any], number: ColumnElement[Any], window: ReportWindow, after: Place | None
) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = [moment >= (window.start if after is None else after[0]), moment < window.end]
    if after is not None:
        bounds.append(or_(moment > after[0], number > after[1]))
    return bounds


def _since(kind: type[Any]) -> Label[Any]:
    """When what the person decided about had begun to wait: the newest scan, or step of the piece's life, before the decision."""
    before = {OperatorReading: codec.SCAN, ReviewDecision: codec.STATE_CHANGE}.get(kind)
    if before is None:
        return null().label("since")
    earlier = and_(_E.piece_id == _C.piece_id, _E.row_id < _C.row_id, _E.visit == _C.visit, _E.kind == before)
    return select(_E.at).where(earlier).order_by(_E.row_id.desc()).limit(1).scalar_subquery().label("since")


def _exercise(kind: type[Any]) -> Label[Any]:
    if kind is not OperatorReading:
        return literal(value=False).label("exercise")
    shown = codec.kind_of_type(ProjectionResult)
    return exists().where(_E.piece_id == _C.piece_id, _E.visit == _C.visit, _E.kind == shown).label("exercise")


def _step(kind: type[Any], snapshot: Snapshot) -> Label[Any]:
    """The newest step of the piece's life in the snapshot, for what would tell a reader who must read blind."""
    if kind not in _TOLD_LATER:
        return null().label("step")
    steps = and_(_E.piece_id == _C.piece_id, _E.row_id <= snapshot.leaves, _E.kind == codec.STATE_CHANGE)
    return select(_E.payload).where(steps).order_by(_E.row_id.desc()).limit(1).scalar_subquery().label("step")


def _piece_of(row: Row[Any]) -> dict[str, Any]:
    level = (None if row.secrecy is None else Secrecy(row.secrecy)) if row.announced else Secrecy.A
    return {"kind": row.piece_kind, "level": level}


def _fact(row: Row[Any], content: Any, **of_piece: Any) -> ReportFact:
    return ReportFact(
        number=row.row_id,
        at=row.at,
        content=content,
        piece_id=row.piece_id,
        visit=row.visit,
        since=row.since,
        exercise=bool(row.exercise),
        state=None if row.step is None else codec.from_json(codec.STATE_CHANGE, row.step).after,
        **of_piece,
    )


def _alarm(row: Row[Any], as_of: datetime) -> Alarm:
    seen = row.acknowledged_at is not None and row.acknowledged_at <= as_of
    return Alarm(
        alarm_id=row.alarm_id,
        code=AlarmCode(row.code),
        priority=AlarmPriority(row.priority),
        subject=row.subject,
        detail=row.detail,
        raised_at=row.raised_at,
        acknowledged_at=row.acknowledged_at if seen else None,
        acknowledged_by=row.acknowledged_by if seen else None,
        cleared_at=row.cleared_at if row.cleared_at is not None and row.cleared_at <= as_of else None,
    )


def _event(row: Row[Any], as_of: datetime) -> SentEvent:
    later = row.receipted_at is not None and row.receipted_at > as_of
    return SentEvent(
        piece_id=row.piece_id,
        sequence=row.sequence,
        event_id=row.event_id,
        state="pending" if later else row.stands,
        attempts=row.attempts,
        receipted_at=None if later else row.receipted_at,
    )


class SqlReportView:
    """`station.ports.reporting.ReportView` over one connection."""

    _connection: Connection

    def report_snapshot(self, as_of: datetime) -> Snapshot:
        """Everything that is stored."""
        return snapshot(self._connection, as_of)

    def facts_between(self, kind: type[Any], window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
        """Facts of one type by time."""
        return facts(self._connection, kind, window, after, limit)

    def alarms_between(self, window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
        """Alarms by the time at which they were raised."""
        return alarms(self._connection, window, after, limit)

    def events_between(self, window: ReportWindow, after: Place | None, limit: int) -> list[ReportFact]:
        """Events by the time at which they were written."""
        return events(self._connection, window, after, limit)
