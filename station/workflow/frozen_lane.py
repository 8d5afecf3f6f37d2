"""Keeps a lane frozen: sets the latch, sets it again when it is cleared without the all clear of two people, has it cleared with it.

What was decided is read from the store at every look, so that a station that dies at any moment goes on from what is durable. The latch
is retained by the PLC, which clears it only while the key switch at the lane is on.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import structlog

from station.domain.errors import DeviceError, StoreError
from station.domain.freeze import Checklist, FreezeOrigin
from station.ports.clock import Clock
from station.ports.lane_plc import Command, CommandResult, LanePlc, LaneStatus
from station.workflow import says
from station.workflow.freeze_records import FreezeRecords
from station.workflow.freeze_steps import FreezeAsked
from station.workflow.views import FreezeProgress

KEY_ON = 1
"""Bit of the status word (contract: lane PLC registers)."""

log = structlog.get_logger()


class FrozenLane:
    """The freezes of one lane. Runs in the lane's own event loop.

    Args:
        plc: holds the latch.
        journey: what is durable of it.
        clock: the station's time.
        checklist: what must be done before an all clear counts.
    """

    def __init__(self, plc: LanePlc, journey: FreezeRecords, clock: Clock, checklist: Checklist) -> None:
        self._plc = plc
        self._journey = journey
        self._clock = clock
        self._checklist = checklist
        self._asked: list[FreezeAsked] = []
        self._times_asked = 0
        self._recording = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None
        self._recorded = False
        self._begun_here = False
        self._seen_set = False
        self._seen_clear: int | None = None
        self._bypassed = False
        self._progress = FreezeProgress()

    @property
    def progress(self) -> FreezeProgress:
        """How far the lane is from being un-frozen, as the newest look showed."""
        return self._progress

    async def freeze(self, asked: FreezeAsked) -> None:
        """Somebody freezes the lane: noted before anything can fail, then the latch is set and seen set.

        Raises:
            DeviceError: the PLC cannot be reached. `look` goes on trying.
        """
        self._note(asked)
        await self._latch()

    def _note(self, asked: FreezeAsked) -> None:
        self._asked.append(asked)
        self._times_asked += 1
        self._seen_clear = None

    async def record(self) -> None:
        """Make durable every freeze that was asked for. Raises `StoreError`."""
        async with self._recording:
            while self._asked:
                self._begun_here |= await self._journey.freeze(self._asked[0])
                self._asked.pop(0)

    def keep_record(self, *, suspect: str | None, present: Sequence[str]) -> None:
        """Have made durable what is not, beside everything else: a disk that hangs must not keep the lane from being watched.

        Args:
            suspect: the piece that is suspected, where nobody named it in a freeze.
            present: the pieces that were followed when the lane stopped.
        """
        behind = self._asked or self._bypassed or not self._recorded
        if behind and not self._is_writing():
            self._writing = asyncio.create_task(self._write(suspect, present))

    def end(self) -> None:
        """The station ends: what is not durable yet is left to the next start."""
        if self._writing is not None:
            self._writing.cancel()

    def _is_writing(self) -> bool:
        return self._writing is not None and not self._writing.done()

    async def _write(self, suspect: str | None, present: Sequence[str]) -> None:
        try:
            await self.record()
            if not self._recorded:
                # The lane stands now: whatever came onto its belts since somebody froze it is there too.
                self._begun_here |= await self._journey.freeze(suspect=suspect, present=present)
                self._recorded = True
            if self._bypassed:
                await self._journey.latch_set_again()
                self._bypassed = False
        except StoreError as error:
            log.warning("a freeze is unrecorded until the store works again", error=str(error))
        except Exception:
            # Nobody waits for this task, and the next try may succeed.
            log.exception("a freeze could not be recorded because of a defect")

    async def look(self) -> bool:
        """Look once, and do what is to be done. True when the freeze is over: the latch is clear, and two people wanted it so."""
        times_asked = self._times_asked
        status = await self._status()
        number = self._all_clear()
        self._progress = FreezeProgress(
            latched=None if status is None else status.freeze_latch,
            key_on=None if status is None else bool(status.status_bits & KEY_ON),
            all_clear=number is not None,
            refused=self._progress.refused if number is not None else "",
            unrecorded=bool(self._asked),
        )
        if status is None:
            return False
        if not status.freeze_latch:
            return await self._found_clear(number, times_asked)
        self._seen_set = True
        if self._seen_clear is not None:
            # It was seen cleared, and somebody has set it since: that is another freeze, whatever people said of this one.
            self._note(FreezeAsked(at=self._clock.utc_now(), origin=FreezeOrigin.AT_LANE))
        elif number is not None and status.status_bits & KEY_ON:
            await self._clear(number, times_asked)
        return False

    async def _status(self) -> LaneStatus | None:
        # A latch that was cleared meanwhile must show before it is set again.
        for look in (self._plc.read_status, self._plc.connect):
            with contextlib.suppress(DeviceError):
                return await look()
        if self._must_be_set():
            with contextlib.suppress(DeviceError):
                return await self._plc.connect(frozen=True)
        return None

    def _must_be_set(self) -> bool:
        """True while nobody may have cleared the latch by right."""
        return self._seen_clear is None and self._all_clear() is None

    def _all_clear(self) -> int | None:
        """The number of the freeze that may end. While something about it is not durable yet, none may."""
        if self._asked or self._bypassed or self._is_writing():
            return None
        try:
            return self._journey.all_clear(self._checklist)
        except StoreError:
            return None

    async def _found_clear(self, number: int | None, times_asked: int) -> bool:
        """The latch is clear. True when two people wanted it so and that is on record; else it is set again.

        Only where nothing but the record lacks it stays clear: nobody did anything wrong, and the lane stands frozen until it is stored.
        """
        if number is None:
            if self._ended_late():
                self._forget()
                return True
            if self._seen_clear is None:
                self._bypassed = self._bypassed or self._seen_set or (not self._begun_here and self._is_on_record() is True)
            await self._set_again()
            return False
        self._seen_clear = number
        over = await self._over(number)
        if times_asked != self._times_asked:
            # Somebody has frozen the lane while that was being stored.
            await self._set_again()
            return False
        if over or self._ended_late():
            self._forget()
            return True
        if self._all_clear() is None:
            await self._set_again()
        return False

    async def _over(self, number: int) -> bool:
        try:
            return await self._journey.unfrozen(number, self._checklist)
        except StoreError as error:
            log.warning("the end of a freeze is unrecorded until the store works again", error=str(error))
            return False

    def _ended_late(self) -> bool:
        """True when a disk that hung has taken the end of the freeze after nobody waited for its answer any more."""
        pending = self._asked or self._is_writing()
        return self._seen_clear is not None and not pending and self._is_on_record() is False

    async def _set_again(self) -> None:
        self._seen_clear = None
        self._seen_set = False
        with contextlib.suppress(DeviceError):
            await self._latch()
            self._seen_set = True

    def _is_on_record(self) -> bool | None:
        """True while the store knows a freeze of this lane; None when it does not answer."""
        try:
            return self._journey.current_freeze() is not None
        except StoreError:
            return None

    async def _clear(self, number: int, times_asked: int) -> None:
        """Ask the PLC to clear its latch."""
        try:
            result = await self._plc.command(Command.CLEAR_FREEZE)
        except DeviceError:
            return
        if times_asked != self._times_asked:
            # Somebody has frozen the lane while the PLC was asked: that is a new freeze, and its latch must stand.
            await self._set_again()
            return
        if result is CommandResult.ACCEPTED:
            self._seen_clear = number
        else:
            log.warning("the PLC does not clear its freeze latch", result=result.name.lower())
            self._progress = replace(self._progress, refused=says.result(result))

    async def _latch(self) -> None:
        """Set the PLC's freeze latch; its link may have been cut off, or given up since it was not believed."""
        try:
            await self._plc.freeze()
        except DeviceError:
            await self._plc.connect(frozen=True)

    def _forget(self) -> None:
        self._recorded = self._begun_here = self._seen_set = self._bypassed = False
        self._seen_clear = None
        self._progress = FreezeProgress()
