"""The alarm that a lane raises when it stops, composed before anything can be stored. Pure."""

from datetime import datetime

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.reasons import Reason

_CODE_OF = {
    Reason.ZONE_ACCESSED: AlarmCode.ZONE_ACCESSED,
    Reason.TRACK_LOST: AlarmCode.TRACK_LOST,
    Reason.TAILGATE: AlarmCode.TRACK_LOST,
    Reason.LAMP_FAULT: AlarmCode.LAMP,
    Reason.UNIT_NOT_READY: AlarmCode.LAMP,
    Reason.CALIBRATION_STALE: AlarmCode.CALIBRATION,
    Reason.BEAM_OFF_SET_POINT: AlarmCode.CALIBRATION,
    Reason.STORE_FAILING: AlarmCode.STORE_FAILING,
    Reason.FROZEN: AlarmCode.FROZEN,
}

OVER_WHEN_PREPARED = frozenset(
    {
        *_CODE_OF.values(),
        AlarmCode.FREEZE_BYPASSED,
        AlarmCode.DEVICE_LOST,
        AlarmCode.PIECE_AT_GATE,
        AlarmCode.BIN_FULL,
        AlarmCode.EXERCISE_UNCONFIRMED,
    }
)
"""Alarms whose cause is gone when a lane has been prepared again."""


def alarm_of_stop(reason: Reason, *, lane_id: str, detail: str, at: datetime) -> Alarm | None:
    """What a lane that stopped for that reason calls people with; None where whoever stopped it knows."""
    if reason is Reason.PURGED:
        return None
    priority = AlarmPriority.CRITICAL if reason is Reason.FROZEN else AlarmPriority.HIGH
    return Alarm(
        alarm_id=None,
        code=_CODE_OF.get(reason, AlarmCode.DEVICE_LOST),
        priority=priority,
        subject=lane_id,
        detail=detail,
        raised_at=at,
    )
