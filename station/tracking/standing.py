"""What people were called for and is not over."""

from station.domain.alarm import AlarmCode
from station.ports.store import ReadView

_MOST_ALARMS = 10_000


def standing_alarms(view: ReadView, code: AlarmCode) -> set[str]:
    """The subjects of the alarms of a code whose cause is not gone."""
    return {alarm.subject for alarm in view.alarms(limit=_MOST_ALARMS) if alarm.code is code and alarm.cleared_at is None}
