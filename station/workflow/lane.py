"""A lane: prepares, runs, and after trouble makes safe and waits for a person to start it again.

The lane lives in its own thread and event loop. `Lane` implements `LaneControl`: what people ask is handed over to that loop, in
one place (`_in_lane`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

import structlog

from station.domain.access import Action, Caller
from station.domain.alarm import Alarm, AlarmCode
from station.domain.errors import ConflictError, DeviceError, RefusedError, StationError, StoreError
from station.domain.freeze import FreezeOrigin
from station.domain.projection import ProjectionEvent
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.workflow.equipment import Equipment, FreezeLatched, LaneTrouble, RecalibrationDue
from station.workflow.exercises import Exercise, Exercises
from station.workflow.failures import first, tried
from station.workflow.freeze_steps import FreezeAsked
from station.workflow.frozen_lane import FrozenLane
from station.workflow.journey import Journey
from station.workflow.lane_alarms import OVER_WHEN_PREPARED, alarm_of_stop
from station.workflow.lane_piece import LanePiece
from station.workflow.lane_view import LaneCounts, view_of
from station.workflow.preparation import Prepared, prepare
from station.workflow.safe_state import close_devices, make_safe
from station.workflow.says import Says, say
from station.workflow.session import LaneSession
from station.workflow.views import LaneCommand, LaneDecided, LaneState, LaneView, ProjectedImage
from station.workflow.zone_access import clear_access

FROZEN_POLL_S = 0.25
SHOW_S = 0.4
RESTART_S = 1.0

log = structlog.get_logger()
T = TypeVar("T")


class Lane:
    """One lane from start to end of the program."""

    def __init__(self, equipment: Equipment, journey: Journey, *, on_view: Callable[[LaneView], None] = lambda _: None) -> None:
        """Build a lane that does nothing yet.

        Args:
            equipment: its devices and services.
            journey: its durable side.
            on_view: told every new view, in the lane's thread.
        """
        self._equipment = equipment
        self._journey = journey
        self._on_view = on_view
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: LaneSession | None = None
        self._preparing: asyncio.Task[Prepared] | None = None
        self._start = asyncio.Event()
        self._ending: LaneTrouble | None = None
        self._again = False
        self._freeze_asked = False
        self._suspect: str | None = None
        self._exercises = Exercises()
        self._frozen = FrozenLane(equipment.devices.plc, journey, equipment.clock, equipment.checklist)
        self._state = LaneState.OFFLINE
        self._detail = ""
        self._lost: dict[str, str] = {}
        self._alarm: Alarm | None = None
        self.counts = LaneCounts()
        self._view = self._new_view()

    @property
    def lane_id(self) -> str:
        """The lane's name."""
        return self._equipment.settings.lane_id

    def view(self) -> LaneView:
        """The newest snapshot."""
        return self._view

    def projected_image(self) -> ProjectedImage | None:
        """See `LaneControl.projected_image`."""
        return self._exercises.image

    async def run(self) -> None:
        """Prepare and run, again and again, until cancelled."""
        self._loop = asyncio.get_running_loop()
        hold_reason = Reason.RESTARTED
        ticking = asyncio.create_task(self._keep_showing())
        try:
            await self._record(self._journey.recall_exercise())
            while True:
                await self._one_session(hold_reason)
                hold_reason = Reason.PURGED
                await self._equipment.clock.sleep(RESTART_S)
                if not self._again:
                    await self._start.wait()
                # From here on whatever is asked is about the session that begins now.
                self._start.clear()
                self._again, self._ending = False, None
        finally:
            ticking.cancel()
            self._frozen.end()
            await make_safe(self._equipment, frozen=self._state is LaneState.FROZEN)
            await close_devices(self._equipment)

    async def _keep_showing(self) -> None:
        """A view that stands still looks live on no page, so a new one is made even while nothing happens."""
        while True:
            await asyncio.sleep(SHOW_S)
            try:
                self._publish()
            except Exception:
                # Nobody waits for this task, and the next view may succeed.
                log.exception("the lane could not be shown", lane=self.lane_id)

    async def decide(self, *, piece_id: str, visit: int, scan_sha256: str, decision: OperatorDecision, by: Caller) -> LaneDecided:
        """See `LaneControl.decide`."""
        if decision is OperatorDecision.FREEZE:
            return LaneDecided.DECIDED if await self.freeze(by=by, piece_id=piece_id) else LaneDecided.EXERCISE
        session = self._session
        if session is None:
            raise ConflictError("The lane is not running", consequence="Nothing was decided", remedy="Review the piece in the hold bin")
        decided = session.decisions.decide(piece_id=piece_id, visit=visit, scan_sha256=scan_sha256, decision=decision, by=by)
        return await self._in_lane(decided)

    async def freeze(self, *, by: Caller, piece_id: str | None = None) -> bool:
        """See `LaneControl.freeze`."""
        return await self._in_lane(self._freeze(by, piece_id))

    async def confirm_exercise(self, *, piece_id: str, visit: int, by: Caller) -> bool:
        """See `LaneControl.confirm_exercise`."""
        return await self._in_lane(self._confirm_exercise(piece_id, visit, by))

    async def command(self, command: LaneCommand, *, person: str) -> None:
        """See `LaneControl.command`."""
        log.info("lane command", lane=self.lane_id, command=command.value, person=person)
        await self._in_lane(self._command(command))

    async def _confirm_exercise(self, piece_id: str, visit: int, by: Caller) -> bool:
        if not self._exercises.confirm(piece_id, visit, by.name, self._equipment.clock.utc_now()):
            return False
        if self._session is not None:
            self._session.wake()
        await self._journey.clear_alarm(AlarmCode.EXERCISE_UNCONFIRMED, self.lane_id)
        return True

    async def _freeze(self, by: Caller, piece_id: str | None) -> bool:
        session = self._session
        if session is not None and by.may(Action.DECIDE_ON_LANE) and self._exercises.takes_freeze(piece_id):
            self._exercises.happened(ProjectionEvent.FREEZE, now_s=self._equipment.clock.monotonic_s(), person=by.name)
            session.wake()
            return False
        # Noted before anything can fail: whatever ends the session now ends it as a freeze.
        self._freeze_asked = True
        self._suspect = piece_id if session is not None and any(p.piece_id == piece_id for p in session.pieces) else self._suspect
        asked = FreezeAsked(
            at=self._equipment.clock.utc_now(),
            origin=FreezeOrigin.CONSOLE,
            person=by.name,
            suspect=self._suspect,
            reading=session.decisions.freeze_reading(self._suspect, by) if session is not None else None,
            on_belts=_followed(session),
        )
        try:
            await self._frozen.freeze(asked)
        finally:
            self._end(LaneTrouble(Reason.FROZEN, say(Says.FREEZE_LATCH)))
            # A standing lane wakes up to stay frozen.
            self._start.set()
        await self._record(self._frozen.record())
        return True

    async def _command(self, command: LaneCommand) -> None:
        standing = self._state in {LaneState.STOPPED, LaneState.OFFLINE}
        if self._state is LaneState.FROZEN:
            raise RefusedError("The lane is frozen in place", consequence="Nothing moves", remedy="Follow the freeze checklist")
        if command is LaneCommand.CLEAR_ACCESS:
            if not standing:
                raise RefusedError("The lane runs; there is no access to clear", remedy="Stop the lane first")
            await clear_access(self._equipment.devices.plc)
        elif command is LaneCommand.STOP:
            self._end(LaneTrouble(Reason.PURGED, say(Says.STOPPED_BY_PERSON)))
        elif standing:
            # Start and purge are the same from a standstill: every start empties the belts.
            self._start.set()
        elif command is LaneCommand.PURGE:
            self._end(LaneTrouble(Reason.PURGED, say(Says.PURGE_ASKED)))
            self._again = True

    def _end(self, trouble: LaneTrouble) -> None:
        """End what the lane does, as if it had run into that trouble; a start that was asked for before is forgotten."""
        self._ending = trouble
        self._again = False
        self._start.clear()
        if self._preparing is not None:
            self._preparing.cancel()

    def _check(self) -> None:
        if self._ending is not None:
            raise self._ending

    async def _in_lane(self, work: Coroutine[Any, Any, T]) -> T:
        """The bridge from any thread's loop to the lane's own."""
        if self._loop is None:
            work.close()
            raise ConflictError("The lane has not started", remedy="Start the station's lane process")
        result, failure = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(tried(work), self._loop))
        if failure is not None:
            raise failure
        return cast("T", result)

    async def _one_session(self, hold_reason: Reason) -> None:
        """Prepare and run until trouble; returns with the lane made safe and its pieces held."""
        frozen = False
        try:
            self._set_state(LaneState.STARTING, "")
            prepared = await self._prepare(hold_reason)
            self._journey.belts_ran_empty()
            await self._clear_alarms()
            self._lost.clear()
            await self._journey.check_test_piece()
            self._session = LaneSession(
                self._equipment,
                self._journey,
                prepared,
                self._exercises,
                check=self._check,
                on_poll=self._publish,
                on_end=self._count_end,
                on_decision=self._count_decision,
            )
            self._set_state(LaneState.RUNNING, "")
            await self._session.run()
            reason, detail = Reason.RESTARTED, say(Says.ENDED)
        except* FreezeLatched:
            frozen, reason, detail = True, Reason.FROZEN, say(Says.FREEZE_LATCH)
        except* RecalibrationDue:
            reason, detail = Reason.CALIBRATION_STALE, say(Says.RECALIBRATION_DUE)
        except* LaneTrouble as group:
            reason, detail = first(group, LaneTrouble).reason, first(group, LaneTrouble).detail
        except* DeviceError as group:
            reason, detail = Reason.DEVICE_LOST, str(first(group, DeviceError))
        except* StoreError as group:
            log.warning("a record could not be made", lane=self.lane_id, error=str(first(group, StoreError)))
            reason, detail = Reason.STORE_FAILING, say(Says.STORE_FAILS)
        except* StationError as group:
            reason, detail = Reason.STATION_UNHEALTHY, str(first(group, StationError))
        except* Exception as group:
            log.exception("lane ended by a defect", lane=self.lane_id)
            reason, detail = Reason.STATION_UNHEALTHY, repr(first(group, Exception))
        if detail == say(Says.RECALIBRATION_DUE) and self._ending is None:
            # Nothing else was wrong, and nobody asked for anything: it starts by itself.
            self._again = True
        try:
            await self._settle(reason, detail, frozen=frozen)
        except Exception:
            # A lane whose end cannot be settled must still be able to start again.
            log.exception("lane could not be settled", lane=self.lane_id)
            self._set_state(LaneState.OFFLINE, detail)

    async def _prepare(self, hold_reason: Reason) -> Prepared:
        """Prepare the lane; ends at once, wherever it is, when somebody asks for it."""
        self._check()
        if self._freeze_asked:
            # Its PLC may not have heard of it: a lane that somebody freezes must not start for it.
            raise FreezeLatched
        preparing = self._preparing = asyncio.create_task(prepare(self._equipment, self._journey, hold_reason, self._note))
        try:
            await asyncio.wait({preparing})
        finally:
            self._preparing = None
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        if preparing.cancelled():
            self._check()
        return preparing.result()

    def _count_end(self, piece: LanePiece) -> None:
        self.counts.ended_at_s.append(self._equipment.clock.monotonic_s())
        if piece.permit_s is not None:
            self.counts.permit_s.append(piece.permit_s)

    def _count_decision(self, piece: LanePiece, seconds: float) -> None:
        self.counts.decision_s.append((piece.known_id, piece.visit, seconds))

    async def _settle(self, reason: Reason, detail: str, *, frozen: bool) -> None:
        session, self._session = self._session, None
        self._journey.left_lying(_followed(session))
        log.warning("lane stopped", lane=self.lane_id, reason=reason.value, detail=detail)
        self._suspect = self._exercises.suspect or self._suspect
        frozen = frozen or self._freeze_asked or self._exercises.suspect is not None or await self._must_freeze()
        shown = self._exercises.interrupt(frozen=frozen, now_s=self._equipment.clock.monotonic_s())
        # Shown before it is stored: a disk that hangs keeps no alarm from the pages.
        at, why = self._equipment.clock.utc_now(), Reason.FROZEN if frozen else reason
        alarm = self._alarm = None if self._again and not frozen else alarm_of_stop(why, lane_id=self.lane_id, detail=detail, at=at)
        self._set_state(LaneState.FROZEN if frozen else LaneState.STOPPED, detail)
        self._journey.tell_alarms()
        over = frozen and await self._frozen.look()
        if over:
            # Whoever freezes from here on begins another one.
            self._freeze_asked, self._suspect = False, None
        for name in await make_safe(self._equipment, frozen=frozen):
            self._lost[name] = detail
        if frozen:
            if not over or self._freeze_asked:
                await self._stay_frozen(shown, _followed(session))
            self._freeze_asked, self._suspect = False, None
            # Nothing that was asked for before or during a freeze starts the lane after it.
            self._start.clear()
            self._again = False
            reason = Reason.FROZEN
        await self._record(self._journey.hold_everything(reason, ring_was_read=False))
        await self._record(self._journey.exercise_cut_off(shown))
        if alarm is not None:
            await self._record(self._journey.raise_alarm(alarm.code, alarm.priority, alarm.subject, alarm.detail))
        self._set_state(LaneState.STOPPED if reason is not Reason.DEVICE_LOST else LaneState.OFFLINE, detail)

    async def _record(self, step: Awaitable[object]) -> None:
        """Try to make something durable; when the store fails, the next start does it before anything moves."""
        try:
            await step
        except StoreError as error:
            log.warning("unrecorded until the store works again", lane=self.lane_id, error=str(error))

    async def _must_freeze(self) -> bool:
        """True when the trouble came with a freeze: the latch is set, or an attention stop was still undecided."""
        plc = self._equipment.devices.plc
        for reconnect in (False, True):
            try:
                if (await plc.connect() if reconnect else await plc.read_status()).freeze_latch:
                    return True
                break
            except DeviceError:
                continue
        try:
            return self._journey.must_stay_frozen()
        except StoreError:
            # Unknown is taken for the worse: the lane stands anyway, and a freeze moves nothing.
            return True

    async def _stay_frozen(self, shown: Exercise | None, present: Sequence[str]) -> None:
        """Nothing on the lane moves or shines until two people have given the all clear and the latch is cleared."""
        self._frozen.keep_record(suspect=self._suspect, present=present)
        await self._record(self._journey.exercise_cut_off(shown))
        while not await self._frozen.look():
            self._publish()
            self._frozen.keep_record(suspect=self._suspect, present=present)
            with contextlib.suppress(DeviceError):
                await self._equipment.devices.unit.heartbeat()
            await self._equipment.clock.sleep(FROZEN_POLL_S)

    async def _clear_alarms(self) -> None:
        self._alarm = None
        for code in OVER_WHEN_PREPARED:
            await self._journey.clear_alarm(code, self.lane_id)

    def _note(self, step: str) -> None:
        self._set_state(LaneState.STARTING, step)

    def _set_state(self, state: LaneState, detail: str) -> None:
        self._state, self._detail = state, detail
        self._publish()

    def _publish(self) -> None:
        self._view = self._new_view()
        self._on_view(self._view)

    def _new_view(self) -> LaneView:
        return view_of(
            self._equipment,
            self._journey,
            self._session,
            self._exercises,
            state=self._state,
            detail=self._detail,
            lost=self._lost,
            alarm=self._alarm,
            counts=self.counts,
            freeze=self._frozen.progress,
        )


def _followed(session: LaneSession | None) -> tuple[str, ...]:
    """The pieces that the session follows on its belts."""
    return tuple(piece.piece_id for piece in session.pieces if piece.piece_id is not None) if session is not None else ()
