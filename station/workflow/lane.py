"""A lane: prepares, runs, and after trouble makes safe and waits for a person to start it again.

The lane lives in its own thread and event loop. `Lane` implements `LaneControl`: what people ask is handed over to that loop, in
one place (`_in_lane`).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ConflictError, DeviceError, RefusedError, StationError, StoreError
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.ports.lane_plc import Command, CommandResult, Zone
from station.workflow.equipment import Equipment, FreezeLatched, LaneTrouble
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.lane_view import LaneCounts, view_of
from station.workflow.preparation import make_safe, prepare
from station.workflow.session import LaneSession
from station.workflow.views import LaneCommand, LaneState, LaneView

T = TypeVar("T")

FROZEN_POLL_S = 0.25
SHOW_S = 0.4

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
                trouble = await self._one_session(hold_reason)
                hold_reason = Reason.PURGED
                if trouble is not Reason.CALIBRATION_STALE:
                    self._start.clear()
                    await self._start.wait()
                else:
                    await self._equipment.clock.sleep(1.0)
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
        if self._session is not None:
            await self._session.freeze(person=person)
        else:
            await self._equipment.devices.plc.freeze()
            await self._journey.freeze(None, person)

    async def _command(self, command: LaneCommand) -> None:
        running = self._session is not None
        if self._state is LaneState.FROZEN:
            raise RefusedError("The lane is frozen in place", consequence="Nothing moves", remedy="Follow the freeze checklist")
        if command is LaneCommand.START:
            self._stop_asked = False
            self._start.set()
        elif command is LaneCommand.STOP:
            self._stop_asked = True
            if self._session is not None:
                self._session.end(LaneTrouble(Reason.PURGED, "stopped by a person"))
        elif command is LaneCommand.PURGE:
            if self._session is not None:
                self._session.end(LaneTrouble(Reason.PURGED, "purge asked by a person"))
                await asyncio.sleep(0)
            self._start.set()
        elif running:
            raise RefusedError("The lane runs; there is no access to clear", remedy="Stop the lane first")
        else:
            await self._clear_access()

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

    async def _one_session(self, hold_reason: Reason) -> Reason:
        """Prepare and run until trouble; returns why it ended, with the lane made safe and its pieces held."""
        frozen = False
        try:
            self._set_state(LaneState.STARTING, "")
            prepared = await prepare(self._equipment, self._journey, hold_reason, self._note)
            await self._clear_alarms()
            self._lost.clear()
            await self._journey.check_test_piece()
            self._session = LaneSession(self._equipment, self._journey, prepared, on_poll=self._publish, on_end=self._count_end)
            self._set_state(LaneState.RUNNING, "")
            await self._session.run()
            reason, detail = Reason.RESTARTED, "ended"
        except* FreezeLatched:
            frozen, reason, detail = True, Reason.FROZEN, "freeze latch"
        except* LaneTrouble as group:
            reason, detail = _first(group, LaneTrouble).reason, _first(group, LaneTrouble).detail
        except* DeviceError as group:
            reason, detail = Reason.DEVICE_LOST, str(_first(group, DeviceError))
        except* StoreError as group:
            reason, detail = Reason.STORE_FAILING, str(_first(group, StoreError))
        except* StationError as group:
            reason, detail = Reason.DEVICE_LOST, str(_first(group, StationError))
        except* Exception as group:
            log.exception("lane ended by a defect", lane=self.lane_id)
            reason, detail = Reason.DEVICE_LOST, repr(_first(group, Exception))
        await self._settle(reason, detail, frozen=frozen)
        return reason

    def _count_end(self, piece: LanePiece) -> None:
        self.counts.ended_at_s.append(self._equipment.clock.monotonic_s())
        if piece.decision_s is not None and piece.piece_id is not None:
            self.counts.decision_s.append((piece.piece_id, piece.visit, piece.decision_s))
        if piece.permit_s is not None:
            self.counts.permit_s.append(piece.permit_s)

    async def _settle(self, reason: Reason, detail: str, *, frozen: bool) -> None:
        session, self._session = self._session, None
        log.warning("lane stopped", lane=self.lane_id, reason=reason.value, detail=detail)
        self._set_state(LaneState.FROZEN if frozen else LaneState.STOPPED, detail)
        for name in await make_safe(self._equipment, frozen=frozen):
            self._lost[name] = detail
        if frozen:
            await self._wait_while_frozen()
            reason = Reason.FROZEN
        try:
            waiting = frozenset(p.known_id for p in session.pieces if p.permit is not None) if session else frozenset()
            await self._journey.hold_everything(reason, except_ids=waiting)
            await self._journey.raise_alarm(_ALARM_OF.get(reason, AlarmCode.DEVICE_LOST), AlarmPriority.HIGH, self.lane_id, detail)
        except StoreError as error:
            log.warning("pieces stay unrecorded until the store works again", lane=self.lane_id, error=str(error))
        self._set_state(LaneState.STOPPED if reason is not Reason.DEVICE_LOST else LaneState.OFFLINE, detail)

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
