"""The durable side of a piece's way through a lane: each step is one transaction, and the lane acts only after it.

State change, evidence, audit leaf and outbox event of a step commit together; a step that cannot be made durable raises, and the
lane holds.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import Clearance, Outcome, StationHealth, VisitEvidence, clear
from station.domain.disinfection import DisinfectionResult
from station.domain.events import PieceEvent, PieceStatus
from station.domain.gate import GateRequest, Permit, Refusal, may_open
from station.domain.identifiers import PieceId, Scheme, identify
from station.domain.piece import ON_LANE_STATES, Announcement, Piece, PieceState
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorReading
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.ports.clock import Clock
from station.ports.lane_plc import PassedPiece
from station.ports.store import Store, UnitOfWork
from station.workflow.identification import Arrival, InfeedFacts, recognise
from station.workflow.lane_facts import keep_test_piece, must_stay_frozen, on_belts, passages, permits_of
from station.workflow.lane_piece import LanePiece
from station.workflow.piece_events import event_of_known, event_of_release, event_on_lane, gate_action, identification_of

T = TypeVar("T")


class Journey:
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
    ) -> None:
        self._on_change = on_change
        self._lane_id = lane_id
        self._store = store
        self.policy = policy
        self._clock = clock
        self._health = health
        self._schemes = schemes
        self._ring_key = f"gate-ring:{lane_id}"
        text = store.read(lambda view: view.value(f"test-piece:{lane_id}:passed-at"))
        self._test_piece_passed_at = datetime.fromisoformat(text) if text else None

    async def identify(self, piece: LanePiece, facts: InfeedFacts) -> None:
        """Give the piece its identity for this visit, or a local id; a test piece gets no life of its own."""
        found = identify(facts.barcode, self._schemes)

        def work(uow: UnitOfWork) -> None:
            piece.tag = uow.next_number("tag")
            if isinstance(found, PieceId) and found.is_test:
                self._identify_test_piece(uow, piece, found.value, facts)
            else:
                self._arrive(uow, piece, recognise(uow, found, facts, self._lane_id, self.policy), facts)

        await self._commit(work, piece)
        piece.state = PieceState.ARRIVED

    def _identify_test_piece(self, uow: UnitOfWork, piece: LanePiece, piece_id: str, facts: InfeedFacts) -> None:
        piece.piece_id, piece.is_test = piece_id, True
        piece.announcement = Announcement(piece_id=piece_id, kind="test")
        piece.visit = uow.next_number(f"visit:{piece_id}")
        piece.identification = identification_of(piece, self._clock.utc_now(), facts, (), self._lane_id)

    def _arrive(self, uow: UnitOfWork, piece: LanePiece, arrival: Arrival, facts: InfeedFacts) -> None:
        now = self._clock.utc_now()
        piece.piece_id, piece.visit, piece.announcement = arrival.piece_id, arrival.visit, arrival.announcement
        piece.earlier, piece.second, piece.earlier_holds = arrival.first_clearance, arrival.second_clearance, arrival.earlier_holds
        piece.cleared_reading = arrival.cleared_reading
        if facts.radiation_nsv_per_h > self.policy.radiation_limit_nsv_per_h:
            piece.contradict(Reason.RADIATION)
        piece.identification = identification_of(piece, now, facts, arrival.reasons, self._lane_id)
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
        self._publish(uow, piece, PieceStatus.ARRIVED, now, reasons=arrival.reasons)

    async def scanning(self, piece: LanePiece) -> None:
        """The piece's first lines are due."""
        await self._move(piece, PieceState.SCANNING)

    async def scanned(self, piece: LanePiece, scan: Scan, reading: ModelReading | None, match: ImageMatch | None) -> Clearance:
        """The image is complete and stored; record it with the model's reading, and judge."""
        piece.scan, piece.reading, piece.match = scan, reading, match

        def work(uow: UnitOfWork) -> Clearance:
            now = self._clock.utc_now()
            uow.change_state(piece.known_id, PieceState.SCANNED, now, lane_id=self._lane_id)
            uow.append(scan)
            self._publish(uow, piece, PieceStatus.SCREENED, now)
            if reading is not None:
                uow.append(reading)
            if match is not None:
                uow.append(match)
            return self._judge(uow, piece, now)

        clearance = await self._commit(work, piece)
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

    async def decided(self, piece: LanePiece, reading: OperatorReading | None) -> Clearance:
        """An operator decided, or (None) the window is over: judge again."""
        readings = (*piece.operator_readings, *((reading,) if reading is not None else ()))
        expired = piece.window_expired or reading is None

        def work(uow: UnitOfWork) -> Clearance:
            if reading is not None:
                uow.append(reading)
            evidence = replace(piece.evidence(), operator_readings=readings, window_expired=expired)
            return self._judge(uow, piece, self._clock.utc_now(), evidence)

        # Only what is durable counts: a reading that could not be stored was never given.
        clearance = await self._commit(work, piece)
        piece.operator_readings, piece.window_expired = list(readings), expired
        self._settle(piece, clearance, scanned=False)
        return clearance

    async def disinfecting(self, piece: LanePiece) -> None:
        """The piece may enter the UV field: fix its nonce, durably, before the unit learns it."""
        piece.nonce = secrets.randbelow(0xFFFF_FFFE) + 1
        await self._move(piece, PieceState.DISINFECTING)

    async def disinfected(self, piece: LanePiece, result: DisinfectionResult) -> None:
        """The cycle was judged: disinfected, or held because the dose is not proved."""
        piece.disinfection = result
        new = PieceState.DISINFECTED if result.passed else PieceState.HELD

        def work(uow: UnitOfWork) -> None:
            now = self._clock.utc_now()
            uow.append(result)
            uow.change_state(piece.known_id, new, now, reasons=[r.value for r in result.reasons], lane_id=self._lane_id)
            status = PieceStatus.DISINFECTED if result.passed else PieceStatus.HELD
            self._publish(uow, piece, status, now, reasons=result.reasons)

        await self._commit(work, piece)
        piece.state = new

    async def ask_gate(self, piece: LanePiece, request: GateRequest) -> Permit | Refusal:
        """Ask `may_open` and record the answer; a permit is durable before it is written to the PLC."""

        def work(uow: UnitOfWork) -> Permit | Refusal:
            known = uow.piece(piece.known_id)
            stored = (known.state, known.visit) if known is not None else None
            answer = may_open(request)
            if isinstance(answer, Permit) and stored != (PieceState.DISINFECTED, piece.visit):
                answer = Refusal(piece_id=piece.known_id, visit=piece.visit, at=request.now, reasons=(Reason.WRONG_STATE,))
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
            self._release(uow, permit, piece.announcement, ring_seq=ring_seq, exit_seen=exit_seen)

        await self._commit(work, piece)
        piece.state = PieceState.RELEASED

    async def escaped(self, piece_id: str, detail: str) -> None:
        """A piece was seen past the gate without a permit: incident, alarm, recall event."""
        await self._commit(lambda uow: self._escape(uow, uow.piece(piece_id), detail, subject=piece_id))

    def _escape(self, uow: UnitOfWork, known: Piece | None, detail: str, subject: str = "unknown") -> None:
        now = self._clock.utc_now()
        if known is not None and not known.state.is_terminal:
            uow.change_state(known.piece_id, PieceState.ESCAPED, now, lane_id=self._lane_id)
            uow.publish(self._event(known, PieceStatus.ESCAPED, now))
        uow.raise_alarm(AlarmCode.ESCAPED, AlarmPriority.CRITICAL, known.piece_id if known else subject, detail, now)

    async def freeze(self, piece: LanePiece | None, person: str, reading: OperatorReading | None = None) -> None:
        """Record a freeze, and the operator's reading behind it: the suspect piece is frozen, the others keep their state.

        The alarm may come again; a piece that is frozen already stays so.
        """

        def work(uow: UnitOfWork) -> None:
            now = self._clock.utc_now()
            uow.raise_alarm(AlarmCode.FROZEN, AlarmPriority.CRITICAL, self._lane_id, person, now)
            if reading is not None:
                uow.append(reading)
            known = uow.piece(piece.piece_id) if piece is not None and piece.piece_id is not None else None
            if piece is not None and known is not None and known.state in ON_LANE_STATES:
                uow.change_state(piece.known_id, PieceState.FROZEN, now, lane_id=self._lane_id)
                self._publish(uow, piece, PieceStatus.FROZEN, now)

        await self._commit(work, piece)
        if piece is not None:
            piece.state = PieceState.FROZEN

    def must_stay_frozen(self) -> list[str]:
        """Pieces of this lane that are frozen, or whose scan reached the freeze score and was decided by nobody: the lane must not move."""
        return self._store.read(lambda view: must_stay_frozen(view, self._lane_id, self.policy.freeze_score))

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

    async def hold_everything(self, reason: Reason, *, ring_was_read: bool) -> list[str]:
        """Hold every piece that the store believes to be on this lane's belts; pieces lying cleared in a bin stay so.

        A piece with a permit is left alone until the gate's ring has been read and `settle_permits` has said what left.
        """

        def work(uow: UnitOfWork) -> list[str]:
            now = self._clock.utc_now()
            held = []
            for known in on_belts(uow, self._lane_id):
                if not ring_was_read and known.state is PieceState.DISINFECTED and permits_of(uow, known):
                    continue
                uow.change_state(known.piece_id, PieceState.HELD, now, reasons=[reason.value], lane_id=self._lane_id)
                uow.publish(replace(self._event(known, PieceStatus.HELD, now), reasons=(reason,)))
                held.append(known.piece_id)
            return held

        return await self._commit(work)

    async def settle_permits(self, passed: Sequence[PassedPiece]) -> list[int]:
        """Compare with the PLC's retained ring: what it says of a permit, left; a passage that no permit explains is an escape.

        Returns the tags that escaped. The first ring that a lane ever shows is taken as it is.
        """

        def work(uow: UnitOfWork) -> list[int]:
            seen = uow.value(self._ring_key)
            escaped = []
            for entry, known, permit, is_new in passages(uow, self._lane_id, passed, seen):
                if known is not None and permit is not None and known.state is PieceState.DISINFECTED:
                    self._release(uow, permit, known.announcement, ring_seq=entry.seq, exit_seen=False)
                elif is_new:
                    escaped.append(entry.tag)
                    self._escape(uow, known, f"the gate let tag {entry.tag} pass")
            if passed:
                uow.set_value(self._ring_key, str(passed[-1].seq))
            elif seen is None:
                uow.set_value(self._ring_key, "0")
            return escaped

        return await self._commit(work)

    async def test_piece_scored(self, piece: LanePiece, *, passed: bool, values: str) -> None:
        """Keep the newest result of the test piece."""
        now = self._clock.utc_now()
        await self._commit(lambda uow: keep_test_piece(uow, self._lane_id, now, passed=passed, values=values))
        self._test_piece_passed_at = now if passed else None
        piece.state = PieceState.HELD

    def test_piece_passed_at(self) -> datetime | None:
        """When this lane's test piece passed last; None if never, or if the newest one failed."""
        return self._test_piece_passed_at

    async def check_test_piece(self) -> None:
        """Call for the test piece when none has passed within the policy's time: nothing is cleared until one does."""
        now, passed_at = self._clock.utc_now(), self._test_piece_passed_at
        if passed_at is None or now - passed_at > timedelta(hours=self.policy.test_piece_max_age_h):
            await self.raise_alarm(
                AlarmCode.TEST_PIECE_MISSING, AlarmPriority.MEDIUM, self._lane_id, passed_at.isoformat() if passed_at else ""
            )

    async def raise_alarm(self, code: AlarmCode, priority: AlarmPriority, subject: str, detail: str) -> None:
        """Raise an alarm durably."""
        await self._commit(lambda uow: uow.raise_alarm(code, priority, subject, detail, self._clock.utc_now()))

    async def clear_alarm(self, code: AlarmCode, subject: str) -> None:
        """The cause of an alarm is gone."""
        await self._commit(lambda uow: uow.clear_alarm(code, subject, self._clock.utc_now()))

    async def next_number(self, counter: str) -> int:
        """The next value of a durable counter."""
        return await self._store.write(lambda uow: uow.next_number(counter))

    async def _commit(self, work: Callable[[UnitOfWork], T], piece: LanePiece | None = None) -> T:
        """Make one step durable, then tell the pages: of the piece, or without one of the alarms."""
        result = await self._store.write(work)
        self._on_change(piece.piece_id or "" if piece is not None else "")
        return result

    async def _move(self, piece: LanePiece, state: PieceState) -> None:
        if not piece.is_test:
            await self._store.write(lambda uow: uow.change_state(piece.known_id, state, self._clock.utc_now(), lane_id=self._lane_id))
        piece.state = state

    def _judge(self, uow: UnitOfWork, piece: LanePiece, now: datetime, evidence: VisitEvidence | None = None) -> Clearance:
        clearance = clear(evidence or piece.evidence(), self.policy, self._health(), now)
        if clearance.outcome in {Outcome.AWAITING, Outcome.ATTENTION}:
            return clearance
        uow.append(clearance)
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

    def _release(self, uow: UnitOfWork, permit: Permit, announcement: Announcement | None, *, ring_seq: int, exit_seen: bool) -> None:
        now = self._clock.utc_now()
        uow.append(gate_action(permit, now, ring_seq=ring_seq, exit_seen=exit_seen))
        uow.change_state(permit.piece_id, PieceState.RELEASED, now, lane_id=self._lane_id)
        uow.publish(event_of_release(permit, announcement, now, lane_id=self._lane_id))
        uow.set_value(self._ring_key, str(ring_seq))

    def _publish(
        self,
        uow: UnitOfWork,
        piece: LanePiece,
        status: PieceStatus,
        now: datetime,
        *,
        reasons: tuple[Reason, ...] = (),
        clearance: Clearance | None = None,
    ) -> None:
        uow.publish(
            event_on_lane(piece, status, now, lane_id=self._lane_id, policy_sha256=self.policy.sha256, reasons=reasons, clearance=clearance)
        )

    def _event(self, known: Piece, status: PieceStatus, now: datetime) -> PieceEvent:
        return event_of_known(known, status, now, lane_id=self._lane_id, policy_sha256=self.policy.sha256)
