"""The outbox loop: every event reaches the tracking system once in effect, in order, without gaps, however long that takes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StationError, StoreError
from station.ports.clock import Clock
from station.ports.outbox import OutboxEvent
from station.ports.store import ReadView, Store, UnitOfWork
from station.ports.tracking import EventSender
from station.tracking.pacing import Pace
from station.tracking.replay import PAUSED_KEY, RECEIVER_SUBJECT, Replay, ReplayBox, replay
from station.tracking.standing import standing_alarms
from station.tracking.verdict import Again, Block, Pause, Receipted, ReceiptRule, ResendFrom, Verdict, delay_s, judge

_LONGEST_ERROR = 200
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """How the relay works. `concurrency` pieces at a time; `poll_s` between looks at the outbox when nobody pokes.

    `backlog_alarm_s`: age of the oldest event without a receipt at which a person is called, looked at every `watch_s`.
    """

    concurrency: int = 8
    poll_s: float = 0.5
    store_retry_s: float = 1.0
    backlog_alarm_s: float = 600.0
    watch_s: float = 5.0


class Relay:
    """Sends what stands in the outbox. Run `run` as a task; its methods belong to its event loop.

    Per piece, an event is sent only when all earlier ones have their receipts. Nothing is ever given up: an event ends with its receipt,
    or waits blocked for a person. A receiver that says it is gone is asked again with one event every five minutes; a receipt, or a
    person, ends that pause. `box` is where people at a terminal leave replays.
    """

    def __init__(
        self,
        store: Store,
        sender: EventSender,
        clock: Clock,
        chance: random.Random,
        rule: ReceiptRule,
        settings: RelaySettings | None = None,
        box: ReplayBox | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._chance = chance
        self._rule = rule
        self._settings = settings or RelaySettings()
        self._box = box
        self._wake = asyncio.Event()
        self._active: dict[str, asyncio.Task[None]] = {}
        self._paused = store.read(lambda view: view.value(PAUSED_KEY)) or None
        self._alarms = store.read(_blocked)
        self._pace = Pace() if self._paused is None else Pace().told_gone(clock.monotonic_s())
        self._backlog = bool(store.read(lambda view: standing_alarms(view, AlarmCode.TRACKING_BACKLOG)))
        self._next_watch_s = 0.0

    async def run(self) -> None:
        """Send until cancelled, once. Attempts under way are then cut off; their events stay in the outbox."""
        try:
            while True:
                self._wake.clear()
                # Each for itself: a relay that cannot send must still call for a person, and a box that cannot be used slows nothing.
                sends = await self._went_well(self._start_due)
                await self._went_well(self._watch_backlog)
                await self._went_well(self._replay_what_was_left)
                if not sends:
                    await self._clock.sleep(self._settings.store_retry_s)
                await self._wait()
        finally:
            left = list(self._active.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self._sender.close()

    async def _went_well(self, step: Callable[[], Awaitable[None]]) -> bool:
        try:
            await step()
        except StoreError as error:
            _log.warning("tracking relay cannot use the store", error=str(error))
        except Exception:  # noqa: BLE001 - a defect, too, must not end the relay in silence
            _log.exception("a step of the tracking relay failed; it is tried again", step=step.__name__)
        else:
            return True
        return False

    def _age_s(self, oldest: datetime | None) -> float:
        return 0.0 if oldest is None else max(0.0, (self._clock.utc_now() - oldest).total_seconds())

    async def replay(self, wanted: Replay) -> int:
        """A person wants events sent again, or a paused receiver tried; returns how many became due that were not pending."""
        count = await replay(self._store, wanted, self._clock.utc_now())
        self._alarms = self._store.read(_blocked)
        self._paused, self._pace = None, Pace()
        self._wake.set()
        return count

    async def _replay_what_was_left(self) -> None:
        if self._box is None:
            return
        for name, wanted in self._box.waiting():
            count = await self.replay(wanted)
            _log.info("events are sent again", piece_id=wanted.piece_id, since=wanted.since, blocked=wanted.blocked, count=count)
            self._box.done(name, count)

    async def _start_due(self) -> None:
        room = self._pace.room(self._clock.monotonic_s(), most=self._settings.concurrency, active=len(self._active))
        if room == 0:
            return
        now, busy = self._clock.utc_now(), tuple(self._active)
        # The one event that tries a receiver in doubt must not always be one that fails for its own sake.
        fresh = self._pace.in_doubt
        due = self._store.read(lambda view: view.due_events(now, limit=room, excluding=busy, least_tried_first=fresh))
        for event in due:
            task = asyncio.create_task(self._attempt(event), name=f"tracking {event.event_id}")
            self._active[event.piece_id] = task
            task.add_done_callback(partial(self._ended, event.piece_id))

    def _ended(self, piece_id: str, task: asyncio.Task[None]) -> None:
        self._active.pop(piece_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an attempt of the tracking relay failed", piece_id=piece_id, exc_info=error)
        self._wake.set()

    async def _attempt(self, event: OutboxEvent) -> None:
        verdict: Verdict
        try:
            verdict = judge(await self._sender.send(event), event, self._rule)
        except StationError as error:
            verdict = Again(error=error.what)
        except Exception as error:  # noqa: BLE001 - an error in judging, too, must not have the event sent again without a pause
            _log.exception("an attempt of the tracking relay failed", event_id=event.event_id)
            verdict = Again(error=ascii(error)[:_LONGEST_ERROR], alarm=True)
        self._pace = self._pace_after(event, verdict)
        try:
            await self._settle(event, verdict)
        except Exception as error:  # noqa: BLE001 - whatever it is, the event must not be tried again without a pause
            # The event is as it was, and will be sent again: the receiver knows it by its id.
            _log.warning("what became of an event could not be stored", event_id=event.event_id, error=repr(error))
            await self._clock.sleep(self._settings.store_retry_s)

    def _pace_after(self, event: OutboxEvent, verdict: Verdict) -> Pace:
        now_s = self._clock.monotonic_s()
        match verdict:
            case Receipted():
                return Pace()
            case Again(alarm=True, whole_receiver=False):
                # It refuses this event; so it works.
                return self._pace.answered(now_s)
            case Again():
                return self._pace.failed(event.piece_id, now_s, self._chance, retry_after_s=verdict.retry_after_s)
            case Pause():
                return self._pace.told_gone(now_s)
        return self._pace.answered(now_s)

    async def _settle(self, event: OutboxEvent, verdict: Verdict) -> None:
        match verdict:
            case Receipted():
                await self._receipted(event, verdict)
            case Again():
                await self._again(event, verdict)
            case ResendFrom():
                _log.warning("the receiver lacks earlier events", piece_id=event.piece_id, expected=verdict.sequence, sent=event.sequence)
                await self._resend(event, verdict)
            case Block():
                await self._write_with_alarm(
                    lambda unit: unit.mark_blocked(event.piece_id, event.sequence, verdict.error),
                    event.piece_id,
                    f"{event.event_id}: {verdict.error}",
                )
            case Pause():
                self._paused = verdict.error
                paused = partial(_pause, event=event, error=verdict.error, due=self._next_attempt(event))
                await self._write_with_alarm(paused, RECEIVER_SUBJECT, verdict.error)

    async def _receipted(self, event: OutboxEvent, verdict: Receipted) -> None:
        now, was_paused = self._clock.utc_now(), self._paused is not None
        over = self._alarms & {event.piece_id, RECEIVER_SUBJECT}

        def work(unit: UnitOfWork) -> None:
            unit.mark_receipted(event.piece_id, event.sequence, verdict.receipt, now)
            for subject in sorted(over):
                unit.clear_alarm(AlarmCode.TRACKING_BLOCKED, subject, now)
            if was_paused:
                unit.set_value(PAUSED_KEY, "")

        await self._store.write(work)
        self._alarms -= over
        if was_paused:
            _log.info("the receiver is back")
            self._paused = None

    def _next_attempt(self, event: OutboxEvent, *, at_least_s: float = 0.0) -> datetime:
        return self._clock.utc_now() + timedelta(seconds=delay_s(event.attempts, self._chance, at_least_s=at_least_s))

    async def _resend(self, event: OutboxEvent, verdict: ResendFrom) -> None:
        now, due = self._clock.utc_now(), self._next_attempt(event)

        def work(unit: UnitOfWork) -> None:
            # A receiver that takes the earlier ones and lacks them all the same must not be asked without end, without a pause.
            unit.mark_retry(event.piece_id, event.sequence, due, f"the receiver lacks the events from {verdict.sequence} on")
            unit.reopen_events(event.piece_id, verdict.sequence, now)

        await self._store.write(work)

    async def _again(self, event: OutboxEvent, verdict: Again) -> None:
        due = self._next_attempt(event, at_least_s=verdict.retry_after_s)

        def work(unit: UnitOfWork) -> None:
            unit.mark_retry(event.piece_id, event.sequence, due, verdict.error)

        if verdict.alarm:
            subject = RECEIVER_SUBJECT if verdict.whole_receiver else event.piece_id
            await self._write_with_alarm(work, subject, f"{event.event_id}: {verdict.error}")
        else:
            await self._store.write(work)

    async def _write_with_alarm(self, work: Callable[[UnitOfWork], Any], subject: str, detail: str) -> None:
        now = self._clock.utc_now()

        def both(unit: UnitOfWork) -> None:
            work(unit)
            unit.raise_alarm(AlarmCode.TRACKING_BLOCKED, AlarmPriority.HIGH, subject, detail, now)

        await self._store.write(both)
        if subject not in self._alarms:
            self._alarms.add(subject)
            _log.warning("tracking needs a person", subject=subject, detail=detail)

    async def _watch_backlog(self) -> None:
        if self._clock.monotonic_s() < self._next_watch_s:
            return
        self._next_watch_s = self._clock.monotonic_s() + self._settings.watch_s
        oldest = self._store.read(lambda view: view.oldest_pending_at())
        late = self._age_s(oldest) > self._settings.backlog_alarm_s
        if late == self._backlog:
            return
        now = self._clock.utc_now()
        if late:
            await self._store.write(
                lambda unit: unit.raise_alarm(AlarmCode.TRACKING_BACKLOG, AlarmPriority.MEDIUM, RECEIVER_SUBJECT, "oldest event waits", now)
            )
        else:
            await self._store.write(lambda unit: unit.clear_alarm(AlarmCode.TRACKING_BACKLOG, RECEIVER_SUBJECT, now))
        self._backlog = late

    async def _wait(self) -> None:
        """Until something is to be done: an attempt that ended, a person's replay, or the poll."""
        poll = asyncio.ensure_future(self._clock.sleep(self._settings.poll_s))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((poll, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            poll.cancel()
            woken.cancel()


def _pause(unit: UnitOfWork, *, event: OutboxEvent, error: str, due: datetime) -> None:
    unit.set_value(PAUSED_KEY, error)
    # It was tried, so that the next question is about another one: perhaps only this one is answered so.
    unit.mark_retry(event.piece_id, event.sequence, due, error)


def _blocked(view: ReadView) -> set[str]:
    return standing_alarms(view, AlarmCode.TRACKING_BLOCKED)
