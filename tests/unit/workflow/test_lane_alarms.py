"""What people are called with when a lane stops."""

import pytest

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.reasons import Reason
from station.workflow.lane_alarms import OVER_WHEN_PREPARED, alarm_of_stop
from station.workflow.says import Says, say
from tests.support.api_station import START

CALLS = {
    Reason.DEVICE_LOST: AlarmCode.DEVICE_LOST,
    Reason.PLC_FAULT: AlarmCode.PLC_FAULT,
    Reason.BEAM_OFF_SET_POINT: AlarmCode.GENERATOR_FAULT,
    Reason.CALIBRATION_STALE: AlarmCode.CALIBRATION,
    Reason.LAMP_FAULT: AlarmCode.LAMP,
    Reason.UNIT_FAULT: AlarmCode.UNIT_FAULT,
    Reason.UNIT_NOT_READY: AlarmCode.UNIT_FAULT,
    Reason.ZONE_ACCESSED: AlarmCode.ZONE_ACCESSED,
    Reason.TRACK_LOST: AlarmCode.TRACK_LOST,
    Reason.TAILGATE: AlarmCode.TRACK_LOST,
    Reason.STORE_FAILING: AlarmCode.STORE_FAILING,
    Reason.STATION_UNHEALTHY: AlarmCode.LANE_DEFECT,
    Reason.FROZEN: AlarmCode.FROZEN,
}


@pytest.mark.parametrize(("reason", "code"), CALLS.items())
def test_each_reason_calls_with_its_own_remedy(reason: Reason, code: AlarmCode):
    alarm = alarm_of_stop(reason, lane_id="lane-1", detail="said", at=START)
    assert alarm is not None
    assert (alarm.code, alarm.subject, alarm.detail, alarm.raised_at) == (code, "lane-1", "said", START)
    assert alarm.priority is (AlarmPriority.CRITICAL if reason is Reason.FROZEN else AlarmPriority.HIGH)
    # a lane that could be prepared again has nothing of this left
    assert code in OVER_WHEN_PREPARED


def test_whoever_stopped_the_lane_is_not_called():
    assert alarm_of_stop(Reason.PURGED, lane_id="lane-1", detail=say(Says.STOPPED_BY_PERSON), at=START) is None


def test_a_lane_that_calibrates_anew_calls_nobody():
    assert alarm_of_stop(Reason.CALIBRATION_STALE, lane_id="lane-1", detail=say(Says.RECALIBRATION_DUE), at=START) is None


def test_a_freeze_calls_whatever_else_was_due():
    alarm = alarm_of_stop(Reason.FROZEN, lane_id="lane-1", detail=say(Says.RECALIBRATION_DUE), at=START)
    assert alarm is not None
    assert alarm.code is AlarmCode.FROZEN
