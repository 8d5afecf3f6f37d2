"""The alarm of a keeper, who looks again and again: neither a full disk nor a defect on the way of the alarm may end the keeper's work."""

from collections.abc import Callable

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork

_log = structlog.get_logger()


class KeeperAlarm:
    """One alarm; what could not be told, or taken back, is to be tried at the next look.

    Args:
        store: takes the alarm.
        clock: station time.
        code: which alarm.
        priority: its priority.
        subject: what it is about.
        stands: True while it may stand, for all that is known: an earlier run may have raised it.
    """

    def __init__(self, *, store: Store, clock: Clock, code: AlarmCode, priority: AlarmPriority, subject: str, stands: bool) -> None:
        self._store = store
        self._clock = clock
        self._code = code
        self._priority = priority
        self._subject = subject
        self.stands = stands

    async def call(self, detail: str) -> None:
        """Raise it, or say anew what it is about. Raises nothing."""
        now = self._clock.utc_now()
        if await self._write(lambda unit: unit.raise_alarm(self._code, self._priority, self._subject, detail, now)):
            self.stands = True

    async def over(self) -> None:
        """Clear it if it may stand. Raises nothing."""
        if not self.stands:
            return
        now = self._clock.utc_now()
        if await self._write(lambda unit: unit.clear_alarm(self._code, self._subject, now)):
            self.stands = False

    async def _write(self, work: Callable[[UnitOfWork], object]) -> bool:
        try:
            await self._store.write(work)
        except StoreError as error:
            _log.warning("an alarm could not be written; it will be", code=self._code.value, error=str(error))
        except Exception:  # noqa: BLE001 - a defect, too, must not end the keeper
            _log.exception("an alarm could not be written; it will be", code=self._code.value)
        else:
            return True
        return False
