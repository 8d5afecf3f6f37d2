"""Alarms: one active row per code and subject."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.errors import NotFoundError
from station.storage import tables

_T = tables.alarm
_C = tables.alarm.c


def find(connection: Connection, *, active_only: bool, limit: int) -> list[Alarm]:
    """Alarms that are active or unacknowledged (or all), newest first."""
    query = select(_T).order_by(_C.alarm_id.desc()).limit(limit)
    if active_only:
        query = query.where(or_(_C.cleared_at.is_(None), _C.acknowledged_at.is_(None)))
    return [_alarm(row) for row in connection.execute(query)]


def raise_one(connection: Connection, code: AlarmCode, priority: AlarmPriority, subject: str, detail: str, at: datetime) -> Alarm:
    """The active alarm with that code and subject, raised now if there is none.

    One that stands takes the newest detail (an empty one tells nothing new) and the highest priority. If it was acknowledged and its
    priority rises, it is closed and another is raised: what was seen was less urgent, and stays on record as it was seen.
    """
    row = connection.execute(select(_T).where(_C.code == code.value, _C.subject == subject, _C.cleared_at.is_(None))).one_or_none()
    if row is not None:
        standing = _alarm(row)
        rises = priority.outranks(standing.priority)
        if not rises or standing.acknowledged_at is None:
            return _brought_up(connection, standing, priority if rises else standing.priority, detail or standing.detail)
        clear(connection, code, subject, at)
    inserted = connection.execute(
        insert(_T), {"code": code.value, "priority": priority.value, "subject": subject, "detail": detail, "raised_at": at}
    )
    (alarm_id,) = inserted.inserted_primary_key or (0,)
    return Alarm(alarm_id=alarm_id, code=code, priority=priority, subject=subject, detail=detail, raised_at=at)


def _brought_up(connection: Connection, standing: Alarm, priority: AlarmPriority, detail: str) -> Alarm:
    now = replace(standing, priority=priority, detail=detail)
    if now != standing:
        connection.execute(update(_T).where(_C.alarm_id == standing.alarm_id).values(priority=priority.value, detail=detail))
    return now


def clear(connection: Connection, code: AlarmCode, subject: str, at: datetime) -> bool:
    """Its cause is gone. True when it stood."""
    standing = update(_T).where(_C.code == code.value, _C.subject == subject, _C.cleared_at.is_(None))
    return connection.execute(standing.values(cleared_at=at)).rowcount > 0


def acknowledge(connection: Connection, alarm_id: int, person: str, at: datetime) -> Alarm:
    """A person has seen it (the first one counts). Raises `NotFoundError`."""
    connection.execute(
        update(_T).where(_C.alarm_id == alarm_id, _C.acknowledged_at.is_(None)).values(acknowledged_at=at, acknowledged_by=person)
    )
    row = connection.execute(select(_T).where(_C.alarm_id == alarm_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no alarm {alarm_id}", remedy="Load the list of alarms again")
    return _alarm(row)


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(
        alarm_id=row.alarm_id,
        code=AlarmCode(row.code),
        priority=AlarmPriority(row.priority),
        subject=row.subject,
        detail=row.detail,
        raised_at=row.raised_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        cleared_at=row.cleared_at,
    )
