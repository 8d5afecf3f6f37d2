"""When a lane's X-ray tube was on last: kept in the store, because a tube that was off for long must be warmed also after a restart."""

from datetime import datetime, timedelta

from station.domain.moments import is_known_by
from station.ports.store import ReadView, UnitOfWork

NOTED_EVERY_S = 3600.0
"""How old the note of a tube that is on may get: after a restart the tube counts as off for at most so much longer than it was."""


def note_tube_on(uow: UnitOfWork, lane_id: str, at: datetime) -> None:
    """Keep that the lane's tube was on, at its working point, at this moment."""
    uow.set_value(_key(lane_id), at.isoformat())


def idle_days(view: ReadView, lane_id: str, now: datetime, *, unknown_days: float) -> float:
    """For how many days the lane's tube has been off; `unknown_days` when nothing is noted, or what is noted cannot be."""
    try:
        last = datetime.fromisoformat(view.value(_key(lane_id)) or "")
    except ValueError:
        return unknown_days
    return (now - last) / timedelta(days=1) if is_known_by(last, now) else unknown_days


def _key(lane_id: str) -> str:
    return f"tube.on:{lane_id}"
