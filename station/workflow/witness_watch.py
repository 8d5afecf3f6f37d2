"""Calls for a person once a witness has signed nothing for a day: until then the log is proved by the station's own word alone."""

from datetime import datetime, timedelta

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork

SILENT_SINCE = "audit.witness-silent-since"
_log = structlog.get_logger()


class WitnessWatch:
    """Since when the witness is silent is kept in the store: a station that is off at night must not begin anew each morning.

    Args:
        store: takes the alarm.
        clock: station time.
        site: what the alarm is about.
        limit: so long a witness may be silent.
    """

    def __init__(self, store: Store, clock: Clock, site: str, limit: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._site = site
        self._limit = limit

    async def silent(self) -> None:
        """What it was shown has no answer. Raises nothing: signing goes on whatever becomes of the alarm."""
        try:
            now = self._clock.utc_now()
            stored = self._store.read(lambda view: view.value(SILENT_SINCE))
            # A time that is yet to come was noted by a clock that was wrong.
            since = min(now, datetime.fromisoformat(stored)) if stored else now
            if not stored or since == now or now - since > self._limit:
                await self._store.write(lambda unit: self._note(unit, since, now))
        except Exception:  # noqa: BLE001 - a defect, too, must not end what shows the log
            _log.exception("the silence of the audit log's witness could not be noted")

    async def answered(self) -> None:
        """It answered, or nothing waits for it. Raises nothing."""
        try:
            if self._store.read(lambda view: view.value(SILENT_SINCE)):
                await self._store.write(self._forget)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("the silence of the audit log's witness could not be taken back")

    def _note(self, unit: UnitOfWork, since: datetime, now: datetime) -> None:
        unit.set_value(SILENT_SINCE, since.isoformat())
        if now - since > self._limit:
            unit.raise_alarm(AlarmCode.WITNESS_SILENT, AlarmPriority.MEDIUM, self._site, since.isoformat(timespec="minutes"), now)

    def _forget(self, unit: UnitOfWork) -> None:
        unit.set_value(SILENT_SINCE, "")
        unit.clear_alarm(AlarmCode.WITNESS_SILENT, self._site, self._clock.utc_now())
