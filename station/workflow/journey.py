"""The durable side of a piece's way through a lane: each step is one transaction, and the lane acts only after it.

State change, evidence, audit leaf and outbox event of a step commit together; a step that cannot be made durable raises, and the
lane holds.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from station.domain.access import Action, Caller, Role
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import Clearance, Outcome, StationHealth, VisitEvidence, clear
from station.domain.disinfection import DisinfectionResult
from station.domain.events import PieceStatus
from station.domain.gate import GateRequest, Permit, Refusal, may_open
from station.domain.identifiers import PieceId, Scheme, identify
from station.domain.piece import ON_LANE_STATES, Announcement, Piece, PieceState, Secrecy
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.domain.test_piece import TestPieceRun
from station.ports.clock import Clock
from station.ports.lane_plc import PassedPiece
from station.ports.screening import TestPieceResult
from station.ports.store import Store, UnitOfWork
from station.screening.image_quality import ImageQuality
from station.workflow import test_pieces
from station.workflow.access_steps import demand_person, still_may
from station.workflow.freeze_records import FreezeRecords
from station.workflow.identification import Arrival, InfeedFacts, recognise
from station.workflow.lane_piece import LanePiece
from station.workflow.piece_alarms import call_for_dose, call_for_radiation, escape_over
from station.workflow.piece_events import announced_meanwhile, identification_of, measurement_of
from station.workflow.refusals import NotPermittedError
from station.workflow.tube_use import NOTED_EVERY_S, note_tube_on


class Journey(FreezeRecords):
    """The steps of one lane's pieces."""

    def __init__(
        self,
        *,
        lane_id: str,
        store: Store,
        policy: Policy,
        clock: Clock,
        health: Callable[[], StationHealth],
        schemes: tuple[Scheme, ...],
        on_change: Callable[[str], None] = lambda _: None,
        watch: Callable[[UnitOfWork, Scan, ModelReading, ImageQuality], None] | None = None,
    ) -> None:
        super().__init__(lane_id=lane_id, store=store, policy=policy, clock=clock, on_change=on_change)
        self._health = health
        self._schemes = schemes
        self._watch = watch
        self._tube_noted_s: float | None = None
        self._called_for_pass: datetime | None = None
        self._test_piece_passed_at = store.read(lambda view: test_pieces.passed_at(view, lane_id))
        self._test_piece_run = store.read(lambda view: test_pieces.newest_run(view, lane_id))

    async def identify(self, piece: LanePiece, facts: InfeedFacts, *, max_retries: int) -> None:
        """Give the piece its identity for this visit, or a local id; a test piece gets no life of its own.

        `max_retries` is the recipe's: a piece whose disinfection failed more often is held until people have reviewed it.
        """
        found = identify(facts.barcode, self._schemes)

        def work(uow: UnitOfWork) -> bool:
            piece.tag = uow.next_number("tag")
            if isinstance(found, PieceId) and found.is_test:
                self._identify_test_piece(uow, piece, found.value, facts)
                return False
            arrival = recognise(uow, found, facts, self._lane_id, self.policy, max_retries=max_retries)
            return self._arrive(uow, piece, arrival, facts)

        if await self._commit(work, piece):
            self.tell_alarms()
        piece.state = PieceState.ARRIVED

    def _identify_test_piece(self, uow: UnitOfWork, piece: LanePiece, piece_id: str, facts: InfeedFacts) -> None:
        piece.piece_id, piece.is_test = piece_id, True
        piece.announcement, piece.announced = Announcement(piece_id=piece_id, kind="test"), True
        piece.visit = uow.next_number(f"visit:{piece_id}")
        piece.identification = identification_of(piece, self._clock.utc_now(), facts, (), self._lane_id)

    def _arrive(self, uow: UnitOfWork, piece: LanePiece, arrival: Arrival, facts: InfeedFacts) -> bool:
        """Record the piece with what was measured of it; True when an alarm about it begins or ends."""
        now = self._clock.utc_now()
        piece.piece_id, piece.visit = arrival.piece_id, arrival.visit
        piece.announcement, piece.announced = arrival.announcement, arrival.known is not None and arrival.known.announced
        piece.earlier, piece.second, piece.earlier_holds = arrival.first_clearance, arrival.second_clearance, arrival.earlier_holds
        piece.cleared_reading, piece.reviewed_measurement = arrival.cleared_reading, arrival.reviewed_measurement
        piece.failed_cycles = arrival.failed_cycles
        piece.identification = identification_of(piece, now, facts, arrival.reasons, self._lane_id)
        piece.measurement = measurement_of(piece, now, facts, self.policy, self._lane_id)
        found = escape_over(uow, arrival.piece_id, now)
        if arrival.known is None:
            uow.add_piece(
                Piece(
                    piece_id=arrival.piece_id,
                    state=PieceState.ARRIVED,
                    visit=arrival.visit,
                    state_since=now,
                    announcement=arrival.announcement,
                    announced=False,
                    lane_id=self._lane_id,
                )
            )
        else:
            uow.change_state(arrival.piece_id, PieceState.ARRIVED, now, lane_id=self._lane_id, visit=arrival.visit)
            uow.set_claim(None, arrival.piece_id)
        uow.append(piece.identification)
        uow.append(piece.measurement)
        against = (*arrival.reasons, *(finding.reason for finding in piece.measurement.findings))
        self._publish(uow, piece, PieceStatus.ARRIVED, now, reasons=against)
        return call_for_radiation(uow, piece.measurement, piece.reviewed_measurement, self.policy) or found

    async def scanning(self, piece: LanePiece) -> None:
        """The piece's first lines are due."""
        await self._move(piece, PieceState.SCANNING)

    async def scanned(
        self, piece: LanePiece, scan: Scan, reading: ModelReading | None, match: ImageMatch | None, quality: ImageQuality | None = None
    ) -> Clearance:
        """The image is complete and stored; record it with the model's reading, watch the model for drift, and judge."""
        piece.scan, piece.reading, piece.match = scan, reading, match

        def work(uow: UnitOfWork) -> tuple[Clearance, bool]:
            now = self._clock.utc_now()
            uow.change_state(piece.known_id, PieceState.SCANNED, now, lane_id=self._lane_id)
            uow.append(scan)
            self._publish(uow, piece, PieceStatus.SCREENED, now)
            if reading is not None:
                uow.append(reading)
                if self._watch is not None and quality is not None:
                    self._watch(uow, scan, reading, quality)
            if match is not None:
                uow.append(match)
            reads_again = reading is not None and uow.clear_alarm(AlarmCode.MODEL_FAILED, self._lane_id, now)
            return self._judge(uow, piece, now), reads_again

        clearance, reads_again = await self._commit(work, piece)
        if reads_again:
            self.tell_alarms()
        self._settle(piece, clearance, scanned=True)
        return clearance

    async def unscanned(self, piece: LanePiece) -> Clearance:
        """No usable image came of the piece: judge it without a scan, which holds it."""
        clearance = await self._commit(lambda uow: self._judge(uow, piece, self._clock.utc_now()), piece)
        self._settle(piece, clearance, scanned=False)
        return clearance

    def healthy(self) -> bool:
        """True when nothing in the station itself speaks against opening a gate."""
        health = self._health()
        return health.store_ok and health.audit_ok and not health.frozen

    async def decided(self, piece: LanePiece, reading: OperatorReading | None, by: Caller | None = None) -> Clearance:
        """An operator decided, or (None) the window is over: judge again.

        Raises:
            RefusedError: `by` may not decide about this piece (any more), or clearing it takes a fresh confirmation.
        """
        readings = (*piece.operator_readings, *((reading,) if reading is not None else ()))
        expired = piece.window_expired or reading is None

        def work(uow: UnitOfWork) -> Clearance:
            now = self._clock.utc_now()
            if by is not None:
                lifts = reading is not None and reading.decision is OperatorDecision.CLEAR and piece.level is not None
                demand_person(uow, by, Action.DECIDE_ON_LANE, level=piece.level, confirmed_at=now if lifts else None)
                if lifts and piece.operator_readings:
                    self._demand_pair(uow, piece, by)
            if reading is not None:
                uow.append(reading)
            evidence = replace(piece.evidence(), operator_readings=readings, window_expired=expired)
            return self._judge(uow, piece, now, evidence)

        # Only what is durable counts: a reading that could not be stored was never given.
        clearance = await self._write(work)
        if clearance.outcome is not Outcome.AWAITING:
            # News of the first of two would tell the second person what the first decided.
            self._on_change(piece.known_id)
        piece.operator_readings, piece.window_expired = list(readings), expired
        self._settle(piece, clearance, scanned=False)
        return clearance

    @staticmethod
    def _demand_pair(uow: UnitOfWork, piece: LanePiece, by: Caller) -> None:
        """Raise unless whoever cleared the piece before still may, and of two people for level A one is a reviewer."""
        first = still_may(uow, (reading.person for reading in piece.operator_readings), Action.DECIDE_ON_LANE, level=piece.level)
        second = still_may(uow, [by.name], Action.DECIDE_ON_LANE, level=piece.level)
        roles = {role for user in (*first, *second) for role in user.roles}
        if not first or (piece.level is Secrecy.A and Role.REVIEWER not in roles):
            raise NotPermittedError(
                f"Piece {piece.known_id} takes two people, of whom one is a reviewer where it is of level A",
                consequence="Nothing was decided",
                remedy="Let a reviewer decide before the time is over; else it is held, and reviewed",
            )

    async def disinfecting(self, piece: LanePiece) -> None:
        """The piece may enter the UV field: fix its nonce, durably, before the unit learns it."""
        piece.nonce = secrets.randbelow(0xFFFF_FFFE) + 1
        await self._move(piece, PieceState.DISINFECTING)

    async def disinfected(self, piece: LanePiece, result: DisinfectionResult, *, max_retries: int) -> None:
        """The cycle was judged: disinfected, or held because the dose is not proved. After the last try the hold says so."""
        piece.disinfection = result
        new = PieceState.DISINFECTED if result.passed else PieceState.HELD
        last = not result.passed and piece.failed_cycles >= max_retries
        reasons = (*result.reasons, Reason.RETRIES_USED_UP) if last else result.reasons

        def work(uow: UnitOfWork) -> bool:
            now = self._clock.utc_now()
            uow.append(result)
            uow.change_state(piece.known_id, new, now, reasons=[r.value for r in reasons], lane_id=self._lane_id)
            status = PieceStatus.DISINFECTED if result.passed else PieceStatus.HELD
            self._publish(uow, piece, status, now, reasons=reasons)
            return call_for_dose(uow, result, self._lane_id)

        if await self._commit(work, piece):
            self.tell_alarms()
        piece.state = new

    async def ask_gate(self, piece: LanePiece, request: GateRequest) -> Permit | Refusal:
        """Ask `may_open` and record the answer; a permit is durable before it is written to the PLC."""

        def work(uow: UnitOfWork) -> Permit | Refusal:
            known = uow.piece(piece.known_id)
            stored = (known.state, known.visit) if known is not None else None
            answer = may_open(request)
            if isinstance(answer, Permit) and stored != (PieceState.DISINFECTED, piece.visit):
                answer = Refusal(piece_id=piece.known_id, visit=piece.visit, at=request.now, reasons=(Reason.WRONG_STATE,))
            elif isinstance(answer, Permit) and announced_meanwhile(known, piece):
                answer = Refusal(piece_id=piece.known_id, visit=piece.visit, at=request.now, reasons=(Reason.UNANNOUNCED,))
            uow.append(answer)
            if isinstance(answer, Refusal) and not piece.is_test:
                self._hold(uow, piece, answer.reasons)
            return answer

        answer = await self._commit(work, piece)
        if isinstance(answer, Permit):
            piece.permit = answer
        else:
            piece.state = PieceState.HELD
        return answer

    async def released(self, piece: LanePiece, *, ring_seq: int, exit_seen: bool) -> None:
        """The permit was used and the piece was seen to leave."""
        permit = piece.permit
        if permit is None:
            raise RuntimeError("released without a permit")

        def work(uow: UnitOfWork) -> None:
            self._release(uow, permit, ring_seq=ring_seq, exit_seen=exit_seen)

        await self._commit(work, piece)
        piece.state = PieceState.RELEASED

    async def hold(self, piece: LanePiece, *reasons: Reason) -> None:
        """Newer evidence speaks against the piece."""
        for reason in reasons:
            piece.contradict(reason)
        if piece.piece_id is None or piece.is_test:
            return

        def work(uow: UnitOfWork) -> None:
            self._hold(uow, piece, reasons)

        await self._commit(work, piece)
        piece.state = PieceState.HELD

    async def exit_disbelieved(self, piece: LanePiece, ring: Sequence[PassedPiece]) -> None:
        """The exit eye told of a piece that was not there yet, or did not leave: what the ring says of its permit is not believed."""
        permit = piece.permit
        piece.contradict(Reason.TRACK_LOST)
        entry = next((e for e in ring if permit is not None and (e.tag, e.challenge) == (permit.tag, permit.challenge)), None)
        if entry is not None:
            # Before it is durable: a store that fails must not let the next start believe the ring.
            self.disbelieve([entry])

        def work(uow: UnitOfWork) -> None:
            self._hold(uow, piece, (Reason.TRACK_LOST,))
            if entry is not None:
                # Judged now, so that the next start takes it neither for a release nor for an escape.
                uow.set_value(self._ring_key, str(entry.seq))

        await self._commit(work, piece)
        piece.state = PieceState.HELD

    async def test_piece_scored(self, piece: LanePiece, result: TestPieceResult | None, *, error: str = "") -> None:
        """Keep the newest run of the test piece; one that was not scored has failed."""
        now, lane_id = self._clock.utc_now(), self._lane_id
        if result is None or not result.passed:
            # Before it is durable: a store that fails must not leave an older pass standing.
            self._test_piece_passed_at = None

        def work(uow: UnitOfWork) -> TestPieceRun:
            trend = test_pieces.stored_trend(uow, lane_id)
            run, stepped = test_pieces.run_of(
                result, piece_id=piece.known_id, visit=piece.visit, at=now, lane_id=lane_id, trend=trend, error=error
            )
            test_pieces.keep_run(uow, run, stepped)
            return run

        run = await self._commit(work)
        self._test_piece_run = run
        self._test_piece_passed_at = now if run.passed else None
        piece.state = PieceState.HELD

    def test_piece_run(self) -> TestPieceRun | None:
        """The newest run of this lane's test piece."""
        return self._test_piece_run

    def test_piece_passed_at(self) -> datetime | None:
        """When this lane's test piece passed last; None if never, or if the newest one failed."""
        return self._test_piece_passed_at

    async def check_test_piece(self) -> None:
        """Call for the test piece when none has passed within the policy's time: nothing is cleared until one does."""
        passed_at = self._test_piece_passed_at
        if passed_at is None or self._is_overdue(passed_at):
            self._called_for_pass = passed_at
            await self.raise_alarm(
                AlarmCode.TEST_PIECE_MISSING, AlarmPriority.MEDIUM, self._lane_id, passed_at.isoformat() if passed_at else ""
            )

    async def call_when_test_piece_falls_due(self) -> None:
        """Call for the test piece at the moment from which on nothing is cleared; once for each pass. A run that failed has called."""
        passed_at = self._test_piece_passed_at
        if passed_at is not None and passed_at != self._called_for_pass and self._is_overdue(passed_at):
            await self.check_test_piece()

    def _is_overdue(self, passed_at: datetime) -> bool:
        return self._clock.utc_now() - passed_at > timedelta(hours=self.policy.test_piece_max_age_h)

    async def _move(self, piece: LanePiece, state: PieceState) -> None:
        if not piece.is_test:
            await self._write(lambda uow: uow.change_state(piece.known_id, state, self._clock.utc_now(), lane_id=self._lane_id))
        piece.state = state

    def _judge(self, uow: UnitOfWork, piece: LanePiece, now: datetime, evidence: VisitEvidence | None = None) -> Clearance:
        evidence = evidence or piece.evidence()
        if announced_meanwhile(uow.piece(piece.known_id), piece):
            # What tracking says of the piece now was not what it was identified, measured and read by.
            evidence = replace(evidence, contradictions=(*evidence.contradictions, Reason.UNANNOUNCED))
        clearance = clear(evidence, self.policy, self._health(), now)
        if clearance.outcome is Outcome.AWAITING:
            return clearance
        uow.append(clearance)
        if clearance.outcome is Outcome.ATTENTION:
            # Durable although nothing is decided: whatever happens to the lane now, this piece must not be moved.
            return clearance
        uow.clear_alarm(AlarmCode.ATTENTION, piece.known_id, now)
        if clearance.outcome is Outcome.CLEARED:
            uow.change_state(piece.known_id, PieceState.CLEARED, now, lane_id=self._lane_id)
            self._publish(uow, piece, PieceStatus.CLEARED, now, clearance=clearance)
        else:
            self._hold(uow, piece, clearance.reasons, clearance)
        return clearance

    def _settle(self, piece: LanePiece, clearance: Clearance, *, scanned: bool) -> None:
        if scanned:
            piece.state = PieceState.SCANNED
        if clearance.outcome is Outcome.CLEARED:
            piece.clearance, piece.state = clearance, PieceState.CLEARED
        elif clearance.outcome is Outcome.HELD:
            piece.clearance, piece.state = clearance, PieceState.HELD

    def _hold(self, uow: UnitOfWork, piece: LanePiece, reasons: tuple[Reason, ...], clearance: Clearance | None = None) -> None:
        known = uow.piece(piece.known_id)
        if known is None or known.visit != piece.visit or known.state not in ON_LANE_STATES:
            return
        now = self._clock.utc_now()
        uow.change_state(piece.known_id, PieceState.HELD, now, reasons=[r.value for r in reasons], lane_id=self._lane_id)
        self._publish(uow, piece, PieceStatus.HELD, now, reasons=reasons, clearance=clearance)

    async def tube_is_on(self) -> None:
        """Note it for the next start of the program, now and then."""
        now_s = self._clock.monotonic_s()
        if self._tube_noted_s is None or now_s - self._tube_noted_s >= NOTED_EVERY_S:
            at = self._clock.utc_now()
            await self._write(lambda uow: note_tube_on(uow, self._lane_id, at))
            self._tube_noted_s = now_s
