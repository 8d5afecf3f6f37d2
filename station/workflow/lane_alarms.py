"""The alarm that a lane raises when it stops, composed before anything can be stored. Pure."""

from datetime import datetime

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.reasons import Reason
from station.workflow.says import Says, say

_CODE_OF = {
    Reason.ZONE_ACCESSED: AlarmCode.ZONE_ACCESSED,
    Reason.TRACK_LOST: AlarmCode.TRACK_LOST,
    Reason.TAILGATE: AlarmCode.TRACK_LOST,
    Reason.LAMP_FAULT: AlarmCode.LAMP,
    Reason.UNIT_FAULT: AlarmCode.UNIT_FAULT,
    Reason.UNIT_NOT_READY: AlarmCode.UNIT_FAULT,
    Reason.CALIBRATION_STALE: AlarmCode.CALIBRATION,
    Reason.BEAM_OFF_SET_POINT: AlarmCode.GENERATOR_FAULT,
    Reason.PLC_FAULT: AlarmCode.PLC_FAULT,
    Reason.STATION_UNHEALTHY: AlarmCode.LANE_DEFECT,
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
    """What a lane that stopped for that reason calls people with; None where whoever stopped it knows, or it only calibrates anew."""
    if reason is Reason.PURGED or (reason is Reason.CALIBRATION_STALE and detail == say(Says.RECALIBRATION_DUE)):
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
