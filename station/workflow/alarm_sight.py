"""What of an alarm somebody may be shown: it calls people to the lane all the same, but it names no piece that they may not see."""

from dataclasses import replace

from station.domain.access import may_see
from station.domain.alarm import Alarm, AlarmCode
from station.domain.piece import Secrecy
from station.ports.store import ReadView

NAMES_ANY_PIECE = frozenset({AlarmCode.TRACKING_BLOCKED, AlarmCode.TRACKING_BACKLOG, AlarmCode.TRACKING_DIFFERS})
"""Alarms whose detail may name a piece that is not their subject."""


def alarm_seen(view: ReadView, alarm: Alarm, clearance: Secrecy | None) -> Alarm:
    """The alarm as somebody cleared so high sees it: about a hidden piece without subject and detail."""
    if may_see(clearance, Secrecy.A):
        return alarm
    # Its detail is the piece, for those who saw its image must be told of which piece it was not.
    about = view.piece(alarm.detail if alarm.code is AlarmCode.EXERCISE_UNCONFIRMED else alarm.subject)
    if about is not None and not may_see(clearance, about.level):
        return replace(alarm, subject="", detail="")
    if alarm.code in NAMES_ANY_PIECE:
        return replace(alarm, detail="")
    return alarm
