"""Calls people while a medium still has room: a full one holds every piece."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork
from station.workflow.equipment import RunBlocking

ROUND_S = 60.0
ENOUGH_SHARE = 1.1
"""The alarm ends with a tenth more than its limit: what is written and removed all day must not raise it again and again."""
MEBIBYTE = 1 << 20
_log = structlog.get_logger()


class Medium(Protocol):
    """What a directory lies on."""

    directory: Path
    warn_bytes: int

    def free_bytes(self) -> int:
        """Free space; 0 when it cannot be asked."""
        ...


class SpaceWatch:
    """Looks every minute how much is left.

    Args:
        store: takes the alarms.
        media: by what lies on them, which is what the alarms are about; None: that lies where something else does.
        clock: station time.
        run_blocking: asks a medium.
    """

    def __init__(self, *, store: Store, media: Mapping[str, Medium | None], clock: Clock, run_blocking: RunBlocking) -> None:
        self._store = store
        self._media = media
        self._clock = clock
        self._run = run_blocking
        # What an earlier run said is not known: it is said once anew, which changes nothing where it holds.
        self._said: dict[str, bool] = {}

    async def run(self) -> None:
        """Look every minute, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                _log.warning("free space could not be told of; it is tried again", error=str(error))
            await self._clock.sleep(ROUND_S)

    async def look(self) -> None:
        """Raise the alarm of each medium that has too little left, and end it where there is enough again.

        Raises:
            StoreError: it could not be recorded.
        """
        for subject, medium in self._media.items():
            if medium is None:
                await self._clear(subject)
                continue
            free_bytes = await self._run(medium.free_bytes)
            if free_bytes < medium.warn_bytes:
                detail = f"{free_bytes // MEBIBYTE} MiB < {medium.warn_bytes // MEBIBYTE} MiB: {medium.directory}"
                await self._raise(subject, detail)
            elif free_bytes >= medium.warn_bytes * ENOUGH_SHARE:
                await self._clear(subject)

    async def _raise(self, subject: str, detail: str) -> None:
        if self._said.get(subject) is True:
            return
        now = self._clock.utc_now()
        await self._store.write(lambda uow: uow.raise_alarm(AlarmCode.DISK_LOW, AlarmPriority.MEDIUM, subject, detail, now))
        self._said[subject] = True
        _log.warning("little space is left on a disk", on=subject, left=detail)

    async def _clear(self, subject: str) -> None:
        if self._said.get(subject) is False:
            return
        now = self._clock.utc_now()

        def work(uow: UnitOfWork) -> None:
            uow.clear_alarm(AlarmCode.DISK_LOW, subject, now)

        await self._store.write(work)
        self._said[subject] = False
