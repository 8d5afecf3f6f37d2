"""A lane: prepares, runs, and after trouble makes safe and waits for a person to start it again.

The lane lives in its own thread and event loop. `Lane` implements `LaneControl`: what people ask is handed over to that loop, in
one place (`_in_lane`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ConflictError, DeviceError, RefusedError, StationError, StoreError
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.ports.lane_plc import Command, CommandResult, Zone
from station.workflow.equipment import Equipment, FreezeLatched, LaneTrouble, RecalibrationDue
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.lane_view import LaneCounts, view_of
from station.workflow.preparation import prepare
from station.workflow.safe_state import make_safe
from station.workflow.says import Says, say
from station.workflow.session import LaneSession
from station.workflow.views import LaneCommand, LaneState, LaneView

T = TypeVar("T")

FROZEN_POLL_S = 0.25
SHOW_S = 0.4
RESTART_S = 1.0

log = structlog.get_logger()

_ALARM_OF = {
    Reason.ZONE_ACCESSED: AlarmCode.ZONE_ACCESSED,
    Reason.TRACK_LOST: AlarmCode.TRACK_LOST,
    Reason.TAILGATE: AlarmCode.TRACK_LOST,
    Reason.LAMP_FAULT: AlarmCode.LAMP,
    Reason.UNIT_NOT_READY: AlarmCode.LAMP,
    Reason.CALIBRATION_STALE: AlarmCode.CALIBRATION,
    Reason.BEAM_OFF_SET_POINT: AlarmCode.CALIBRATION,
    Reason.PURGED: AlarmCode.PIECE_AT_GATE,
    Reason.STORE_FAILING: AlarmCode.STORE_FAILING,
    Reason.FROZEN: AlarmCode.FROZEN,
}


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
        self._start = asyncio.Event()
        self._stop_asked = False
        self._again = False
        self._freeze_asked = False
        self._state = LaneState.OFFLINE
        self._detail = ""
        self._lost: dict[str, str] = {}
        self.counts = LaneCounts()
        self._view = self._new_view()

    @property
    def lane_id(self) -> str:
        """The lane's name."""
        return self._equipment.settings.lane_id

    def view(self) -> LaneView:
        """The newest snapshot."""
        return self._view

    async def run(self) -> None:
        """Prepare and run, again and again, until cancelled."""
        self._loop = asyncio.get_running_loop()
        hold_reason = Reason.RESTARTED
        ticking = asyncio.create_task(self._keep_showing())
        try:
            while True:
                self._start.clear()
                self._stop_asked = self._again = False
                await self._one_session(hold_reason)
                hold_reason = Reason.PURGED
                if not self._again:
                    await self._start.wait()
                await self._equipment.clock.sleep(RESTART_S)
        finally:
            ticking.cancel()
            await make_safe(self._equipment, frozen=self._state is LaneState.FROZEN)
            await self._close_devices()

    async def _keep_showing(self) -> None:
        """A view that stands still looks live on no page, so a new one is made even while nothing happens."""
        while True:
            await asyncio.sleep(SHOW_S)
            self._publish()

    async def decide(self, *, piece_id: str, visit: int, scan_sha256: str, decision: OperatorDecision, person: str) -> None:
        """See `LaneControl.decide`."""
        session = self._session
        if session is None:
            raise ConflictError("The lane is not running", consequence="Nothing was decided", remedy="Review the piece in the hold bin")
        await self._in_lane(session.decide(piece_id=piece_id, visit=visit, scan_sha256=scan_sha256, decision=decision, person=person))

    async def freeze(self, *, person: str) -> None:
        """See `LaneControl.freeze`."""
        await self._in_lane(self._freeze(person))

    async def command(self, command: LaneCommand, *, person: str) -> None:
        """See `LaneControl.command`."""
        log.info("lane command", lane=self.lane_id, command=command.value, person=person)
        await self._in_lane(self._command(command))

    async def _freeze(self, person: str) -> None:
        self._freeze_asked = True
        if self._session is not None:
            try:
                await self._session.freeze(person=person)
            except DeviceError:
                # The link may have been cut off in the middle of a request; the key must work all the same.
                await self._equipment.devices.plc.connect()
                await self._session.freeze(person=person)
            return
        try:
            await self._equipment.devices.plc.freeze()
        except DeviceError:
            await self._equipment.devices.plc.connect()
            await self._equipment.devices.plc.freeze()
        await self._journey.freeze(None, person)
        # A standing lane looks at the latch when it prepares, and stays frozen.
        self._start.set()

    async def _command(self, command: LaneCommand) -> None:
        standing = self._state in {LaneState.STOPPED, LaneState.OFFLINE}
        if self._state is LaneState.FROZEN:
            raise RefusedError("The lane is frozen in place", consequence="Nothing moves", remedy="Follow the freeze checklist")
        if command is LaneCommand.CLEAR_ACCESS:
            if not standing:
                raise RefusedError("The lane runs; there is no access to clear", remedy="Stop the lane first")
            await self._clear_access()
        elif command is LaneCommand.STOP:
            self._end(LaneTrouble(Reason.PURGED, say(Says.STOPPED_BY_PERSON)))
        elif standing:
            # Start and purge are the same from a standstill: every start empties the belts.
            self._start.set()
        elif command is LaneCommand.PURGE:
            self._end(LaneTrouble(Reason.PURGED, say(Says.PURGE_ASKED)))
            self._again = True

    def _end(self, trouble: LaneTrouble) -> None:
        self._stop_asked = True
        self._again = False
        if self._session is not None:
            self._session.end(trouble)

    async def _clear_access(self) -> None:
        plc = self._equipment.devices.plc
        status = await plc.connect()
        for zone in Zone:
            if status.access_bits >> zone & 1:
                result = await plc.command(Command.CLEAR_ACCESS, int(zone))
                if result is not CommandResult.ACCEPTED:
                    raise RefusedError(
                        f"The PLC does not clear zone {zone.name.lower()}: {result.name.lower()}",
                        consequence="The lane stays stopped",
                        remedy="Take everything out of the zone and close its hood",
                    )

    async def _in_lane(self, work: Coroutine[Any, Any, T]) -> T:
        """The bridge from any thread's loop to the lane's own."""
        if self._loop is None:
            work.close()
            raise ConflictError("The lane has not started", remedy="Start the station's lane process")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _one_session(self, hold_reason: Reason) -> None:
        """Prepare and run until trouble; returns with the lane made safe and its pieces held."""
        frozen = False
        try:
            self._set_state(LaneState.STARTING, "")
            prepared = await prepare(self._equipment, self._journey, hold_reason, self._note)
            await self._clear_alarms()
            self._lost.clear()
            await self._journey.check_test_piece()
            self._session = LaneSession(
                self._equipment,
                self._journey,
                prepared,
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
            reason, detail, self._again = Reason.CALIBRATION_STALE, say(Says.RECALIBRATION_DUE), not self._stop_asked
        except* LaneTrouble as group:
            reason, detail = _first(group, LaneTrouble).reason, _first(group, LaneTrouble).detail
        except* DeviceError as group:
            reason, detail = Reason.DEVICE_LOST, str(_first(group, DeviceError))
        except* StoreError as group:
            log.warning("a record could not be made", lane=self.lane_id, error=str(_first(group, StoreError)))
            reason, detail = Reason.STORE_FAILING, say(Says.STORE_FAILS)
        except* StationError as group:
            reason, detail = Reason.DEVICE_LOST, str(_first(group, StationError))
        except* Exception as group:
            log.exception("lane ended by a defect", lane=self.lane_id)
            reason, detail = Reason.DEVICE_LOST, repr(_first(group, Exception))
        try:
            await self._settle(reason, detail, frozen=frozen)
        except Exception:
            # A lane whose end cannot be settled must still be able to start again.
            log.exception("lane could not be settled", lane=self.lane_id)
            self._set_state(LaneState.OFFLINE, detail)

    def _count_end(self, piece: LanePiece) -> None:
        self.counts.ended_at_s.append(self._equipment.clock.monotonic_s())
        if piece.permit_s is not None:
            self.counts.permit_s.append(piece.permit_s)

    def _count_decision(self, piece: LanePiece, seconds: float) -> None:
        self.counts.decision_s.append((piece.known_id, piece.visit, seconds))

    async def _settle(self, reason: Reason, detail: str, *, frozen: bool) -> None:
        session, self._session = self._session, None
        log.warning("lane stopped", lane=self.lane_id, reason=reason.value, detail=detail)
        suspect = (session.suspect or session.undecided_attention()) if session else None
        frozen = frozen or await self._frozen_all_the_same(suspect)
        self._set_state(LaneState.FROZEN if frozen else LaneState.STOPPED, detail)
        for name in await make_safe(self._equipment, frozen=frozen):
            self._lost[name] = detail
        if frozen:
            await self._record(self._journey.freeze(suspect, ""))
            await self._wait_while_frozen()
            self._freeze_asked = False
            # Once more: the store may have failed while the lane was freezing.
            await self._record(self._journey.freeze(suspect, ""))
            reason = Reason.FROZEN
        await self._record(self._journey.hold_everything(reason, ring_was_read=False))
        alarm = _ALARM_OF.get(reason, AlarmCode.DEVICE_LOST)
        await self._record(self._journey.raise_alarm(alarm, AlarmPriority.HIGH, self.lane_id, detail))
        self._set_state(LaneState.STOPPED if reason is not Reason.DEVICE_LOST else LaneState.OFFLINE, detail)

    async def _record(self, step: Awaitable[object]) -> None:
        """Try to make something durable; when the store fails, the next start does it before anything moves."""
        try:
            await step
        except StoreError as error:
            log.warning("unrecorded until the store works again", lane=self.lane_id, error=str(error))

    async def _frozen_all_the_same(self, suspect: LanePiece | None) -> bool:
        """True when the trouble came with a freeze: the latch is set, was asked for, or an attention stop was still undecided."""
        plc = self._equipment.devices.plc
        for reconnect in (False, True):
            try:
                status = await plc.connect() if reconnect else await plc.read_status()
                if not status.freeze_latch and (self._freeze_asked or suspect is not None):
                    await plc.freeze()
                    return True
            except DeviceError:
                continue
            return status.freeze_latch
        return self._freeze_asked or suspect is not None

    async def _wait_while_frozen(self) -> None:
        """Nothing on the lane moves or shines until the latch is cleared at the lane itself."""
        plc, unit = self._equipment.devices.plc, self._equipment.devices.unit
        while True:
            try:
                status = await plc.read_status()
                await unit.heartbeat()
            except DeviceError:
                try:
                    status = await plc.connect()
                except DeviceError:
                    await self._equipment.clock.sleep(1.0)
                    continue
            self._publish()
            if not status.freeze_latch:
                return
            await self._equipment.clock.sleep(FROZEN_POLL_S)

    async def _clear_alarms(self) -> None:
        for code in {*_ALARM_OF.values(), AlarmCode.DEVICE_LOST}:
            await self._journey.clear_alarm(code, self.lane_id)

    async def _close_devices(self) -> None:
        devices = self._equipment.devices
        for device in (devices.plc, devices.generator, devices.detector, devices.unit, devices.infeed_reader, devices.gate_reader):
            await device.close()

    def _note(self, step: str) -> None:
        if self._stop_asked:
            raise LaneTrouble(Reason.PURGED, say(Says.STOPPED_BY_PERSON))
        self._set_state(LaneState.STARTING, step)

    def _set_state(self, state: LaneState, detail: str) -> None:
        self._state, self._detail = state, detail
        self._publish()

    def _publish(self) -> None:
        self._view = self._new_view()
        self._on_view(self._view)

    def _new_view(self) -> LaneView:
        return view_of(
            self._equipment, self._journey, self._session, state=self._state, detail=self._detail, lost=self._lost, counts=self.counts
        )


E = TypeVar("E", bound=BaseException)


def _first(group: BaseExceptionGroup[E], kind: type[E]) -> E:
    """The first exception of that kind in a group of them."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup):
            return _first(error, kind)  # type: ignore[no-any-return]  # isinstance cannot carry the group's parameter
    raise RuntimeError("an exception group without an exception")
