"""Calling people by an alarm, whether or not they have seen the one before."""

from datetime import datetime

from station.domain.alarm import AlarmCode, AlarmPriority
from station.ports.store import UnitOfWork


def call_anew(uow: UnitOfWork, code: AlarmCode, priority: AlarmPriority, subject: str, detail: str, at: datetime) -> None:
    """Raise the alarm; one with that code and subject that people have acknowledged is closed, and another raised."""
    # Without the detail first: what was acknowledged stays on record as it was seen.
    if uow.raise_alarm(code, priority, subject, "", at).acknowledged_at is not None:
        uow.clear_alarm(code, subject, at)
    uow.raise_alarm(code, priority, subject, detail, at)
