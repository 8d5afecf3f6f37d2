"""Each day's events compared with what the receiver has of them: once a day by count and Merkle root, and by event where those differ."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TypeVar

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StationError
from station.domain.reconciled import TRACKING_SUBJECT, DayReconciled
from station.ports.clock import Clock
from station.ports.outbox import EventDigest
from station.ports.store import ReadView, Store, UnitOfWork
from station.ports.tracking import Counterpart, ReceiverUnreachableError
from station.tracking.standing import standing_alarms
from station.workflow.day_digest import DayReport, Difference, compare, day_root

T = TypeVar("T")
Read = Callable[[Callable[[ReadView], T]], T]

RECONCILED_KEY = "tracking.reconciled"
_FIRST_DUE_KEY = "tracking.first-due"
_COUNTER = "tracking.reconciled"
_SHOWN = 5
_TRIES = 3
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerSettings:
    """When the reconciler works: `first_s` after the start and then every `every_s`, each day `settle` after its end.

    `most_days`: so many days are caught up with after a station or a line was out of use. `overdue`: so long after its end a day that
    was not compared is told to a person.
    """

    first_s: float = 60.0
    every_s: float = 3600.0
    settle: timedelta = timedelta(minutes=10)
    most_days: int = 31
    overdue: timedelta = timedelta(days=2)


async def reconcile_day(read: "Read[list[EventDigest]]", counterpart: Counterpart, day: date) -> DayReport:
    """Compare one day. Raises `ReceiverUnreachableError` and `StoreError`.

    A day that is not over may be compared too: what had its receipt before must be there, what is there must have been written.
    """
    before = await asyncio.to_thread(_of_day, read, day)
    our_root = day_root(before)
    said = await counterpart.statement(day)
    if (said.events, said.root) == (len(before), our_root):
        return DayReport(day=day, ours=len(before), theirs=said.events, our_root=our_root, their_root=said.root)
    theirs = await events_there(counterpart, day)
    written = await asyncio.to_thread(_of_day, read, day)
    there = {(one.piece_id, one.sequence) for one in theirs}
    return DayReport(
        day=day,
        ours=len(written),
        theirs=len(theirs),
        our_root=day_root(written),
        their_root=day_root(theirs),
        waiting=sum((one.piece_id, one.sequence) not in there and not one.receipted for one in written),
        findings=compare([one for one in before if one.receipted], written, theirs),
    )


async def events_there(counterpart: Counterpart, day: date) -> list[EventDigest]:
    """What the receiver has of a day, by its signed word. Raises `ReceiverUnreachableError`."""
    for _ in range(_TRIES):
        said = await counterpart.statement(day)
        events = await counterpart.events(day, said=said.events)
        # The statement alone is signed. An event that came between is in the next one.
        if (said.events, said.root) == (len(events), day_root(events)):
            return events
    raise ReceiverUnreachableError(
        f"The receiver's list of {day} is not that of its signed statement",
        consequence="The day was not compared",
        remedy="Check the receiver, and who stands between",
    )


def _of_day(read: "Read[list[EventDigest]]", day: date) -> list[EventDigest]:
    start = datetime.combine(day, time(), UTC)
    return read(lambda view: view.event_digests(start, start + timedelta(days=1)))


def in_short(report: DayReport) -> str:
    """What differs, language-free: how many of each kind, and the first few places."""
    counts = Counter(finding.difference for finding in report.findings)
    kinds = ", ".join(f"{kind.value} {counts[kind]}" for kind in Difference if counts[kind])
    places = ", ".join(f"{finding.piece_id} {finding.sequence}" for finding in report.findings[:_SHOWN])
    return f"{report.day}: {kinds} ({places}{', …' if len(report.findings) > _SHOWN else ''})"


class Reconciler:
    """Compares each day once it is over, and a day that differed again every time, until it does not. Run `run` as a task."""

    def __init__(self, store: Store, counterpart: Counterpart, clock: Clock, settings: ReconcilerSettings | None = None) -> None:
        self._store = store
        self._counterpart = counterpart
        self._clock = clock
        self._settings = settings or ReconcilerSettings()

    async def run(self) -> None:
        """Go on until cancelled; what the receiver does not answer now is asked again."""
        wait_s = self._settings.first_s
        try:
            while True:
                await self._clock.sleep(wait_s)
                wait_s = self._settings.every_s
                try:
                    await self.reconcile()
                except StationError as error:
                    _log.warning("a day could not be reconciled; it will be", error=str(error))
                except Exception:  # noqa: BLE001 - a defect, too, must not end the comparing in silence
                    _log.exception("a day could not be reconciled; it will be")
                await self._tell_whether_overdue()
        finally:
            await self._counterpart.close()

    async def reconcile(self) -> list[DayReport]:
        """Compare every day that is due. Raises `ReceiverUnreachableError` and `StoreError`; what was compared before that counts."""
        last = self._last_over()
        if self._first_due(last) is None:
            # Remembered: the days of a receiver that never answers would else be forgotten, one by one.
            await self._store.write(lambda unit: unit.set_value(_FIRST_DUE_KEY, last.isoformat()))
        reports = []
        for day in self._due(last):
            report = await reconcile_day(self._store.read, self._counterpart, day)
            await self._store.write(partial(self._settle, report=report))
            if not report.holds:
                _log.error("the receiver has other events of a day", detail=in_short(report))
            reports.append(report)
        return reports

    async def _tell_whether_overdue(self) -> None:
        try:
            now, first = self._clock.utc_now(), self._first_due(self._last_over())
            late = first is not None and now - _end_of(first) > self._settings.overdue
            await self._store.write(partial(_tell, oldest=first if late else None, now=now))
        except Exception:  # noqa: BLE001 - the comparing goes on whatever becomes of the alarm
            _log.exception("whether days wait to be reconciled could not be told; it will be")

    def _last_over(self) -> date:
        return (self._clock.utc_now() - self._settings.settle).date() - timedelta(days=1)

    def _first_due(self, last: date) -> date | None:
        """The day after the newest that was compared, else the first ever due; None: none was yet, or the clock was wrong."""
        done, first = self._store.read(lambda view: (view.value(RECONCILED_KEY), view.value(_FIRST_DUE_KEY)))
        if done and done <= last.isoformat():
            return date.fromisoformat(done) + timedelta(days=1)
        return date.fromisoformat(first) if first and first <= last.isoformat() else None

    def _due(self, last: date) -> list[date]:
        """Days that differed, then those that ended and were never compared; of a station that never compared any, from its first on."""
        differed = self._store.read(lambda view: standing_alarms(view, AlarmCode.TRACKING_DIFFERS))
        first = max(self._first_due(last) or last, last - timedelta(days=self._settings.most_days - 1))
        new = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return [*map(date.fromisoformat, sorted(differed)), *new]

    def _settle(self, unit: UnitOfWork, *, report: DayReport) -> None:
        now, subject = self._clock.utc_now(), report.day.isoformat()
        unit.append(
            DayReconciled(
                piece_id=TRACKING_SUBJECT,
                visit=unit.next_number(_COUNTER),
                at=now,
                day=subject,
                ours=report.ours,
                theirs=report.theirs,
                agrees=report.holds,
            )
        )
        if report.holds:
            unit.clear_alarm(AlarmCode.TRACKING_DIFFERS, subject, now)
        else:
            unit.raise_alarm(AlarmCode.TRACKING_DIFFERS, AlarmPriority.HIGH, subject, in_short(report), now)
        done = unit.value(RECONCILED_KEY) or ""
        # A day that is yet to come was compared by a clock that was wrong.
        if subject > done or done >= now.date().isoformat():
            unit.set_value(RECONCILED_KEY, subject)
            unit.set_value(_FIRST_DUE_KEY, "")


def _tell(unit: UnitOfWork, *, oldest: date | None, now: datetime) -> None:
    if oldest is None:
        unit.clear_alarm(AlarmCode.TRACKING_UNCOMPARED, TRACKING_SUBJECT, now)
    else:
        unit.raise_alarm(AlarmCode.TRACKING_UNCOMPARED, AlarmPriority.MEDIUM, TRACKING_SUBJECT, oldest.isoformat(), now)


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)
