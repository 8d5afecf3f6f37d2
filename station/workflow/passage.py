"""One piece's way through a running lane, written down in the order in which it happens.

Each step waits for the belts, commits what happened, and only then lets the piece go on. Nothing here opens the gate without
`may_open`'s permit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import Clearance, Outcome
from station.domain.errors import ScreeningError
from station.domain.gate import GateRequest, Permit
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.projection import ProjectionEvent
from station.domain.reasons import Reason
from station.domain.scan import ModelReading, Scan
from station.ports.lane_plc import CommandResult, Eye, Zone
from station.ports.screening import RawScan, ScreeningResult
from station.screening.image_quality import quality_of
from station.workflow import exercising, says
from station.workflow.deciding import Pending
from station.workflow.equipment import LaneTrouble
from station.workflow.exit_eye import ExitEye, left_by_itself
from station.workflow.geometry import encoder_delta_mm
from station.workflow.identification import InfeedFacts
from station.workflow.lane_piece import gets_next_tag
from station.workflow.piece_images import compare_with_cleared, store_scan, store_views
from station.workflow.says import Says, say
from station.workflow.scanner import beam_window, cut_scan
from station.workflow.tracker import Branch

if TYPE_CHECKING:
    from station.workflow.lane_piece import LanePiece
    from station.workflow.session import LaneSession

CODE_LIMIT_MM = 330.0
"""A piece whose head is this far past the reader without a code cannot be identified."""

CLEAR_GAP_MM = 140.0
"""With this much way to the piece ahead, the lines before the head show nothing but air."""

PICTURE_LENGTH_MM, PICTURE_LENGTH_SHARE = 40.0, 0.2
"""A picture may be this much shorter or longer than the piece on the belt: a coarse detector loses the edge of a thin cover."""

PERMIT_TRIES = 3


class _InBinError(Exception):
    """The piece fell into a bin: its way on the belts is over."""


class Passage:
    """The steps of one piece in one session."""

    def __init__(self, session: LaneSession, piece: LanePiece) -> None:
        self._session = session
        self._piece = piece
        self._clock = session.equipment.clock
        self._journey = session.journey

    async def run(self) -> None:
        """Follow the piece to its bin, through the gate, or until the session ends."""
        with contextlib.suppress(_InBinError):
            await self._follow()

    async def _until(self, condition: Callable[[], bool], *, timeout_s: float | None = None) -> bool:
        """Wait like the session's `until`, but no longer than the piece is on the belts."""
        held = await self._session.until(lambda: self._piece.in_bin or condition(), timeout_s=timeout_s)
        if self._piece.in_bin:
            raise _InBinError
        return held

    async def _follow(self) -> None:
        piece, track = self._piece, self._piece.track
        await self._identify()
        await self._tag()
        piece.ready_for_xray = True
        await self._until(lambda: Eye.XRAY_IN in track.leading)
        await self._journey.scanning(piece)
        raw, lines_came = await self._raw_scan()
        if piece.is_test:
            await self._score_test_piece(raw)
            track.branch_1 = Branch.BIN
        else:
            clearance = await self._judge(raw)
            if clearance.outcome in {Outcome.AWAITING, Outcome.ATTENTION}:
                clearance = await self._ask_operator(clearance, raw)
            else:
                self._show()
            track.branch_1 = Branch.THROUGH if clearance.outcome is Outcome.CLEARED else Branch.BIN
        if not lines_came:
            # held on record by now; every piece after it would fall into the bin unseen as well
            raise LaneTrouble(Reason.DEVICE_LOST, say(Says.LINES_SILENT))
        if track.branch_1 is Branch.BIN:
            return
        await self._disinfect()
        if track.branch_2 is Branch.THROUGH:
            await self._leave()

    async def _identify(self) -> None:
        piece, session = self._piece, self._session
        limit_mm = session.geometry.infeed_reader_mm + CODE_LIMIT_MM
        radiation = 0

        def measured() -> bool:
            nonlocal radiation
            radiation = max(radiation, session.status.radiation_nsv_per_h if session.status else 0)
            return (piece.code_read and piece.track.length_mm is not None) or piece.track.head_mm >= limit_mm

        await self._until(measured)
        on_lane = frozenset(p.piece_id for p in session.pieces if p is not piece and p.piece_id is not None)
        facts = InfeedFacts(
            barcode=piece.barcode,
            length_mm=piece.track.length_mm,
            weight_g=float(session.status.weight_g) if session.status else None,
            radiation_nsv_per_h=float(radiation),
            on_lane=on_lane,
        )
        await self._journey.identify(piece, facts, max_retries=session.settings.recipe.max_retries)
        if not piece.code_read:
            # a reader that cannot read says so: after silence its codes may be those of the pieces before
            raise LaneTrouble(Reason.DEVICE_LOST, say(Says.READER_SILENT))

    async def _tag(self) -> None:
        if not gets_next_tag(self._piece, self._session.pieces):
            self._piece.contradict(Reason.TRACK_LOST)
            return
        await self._session.equipment.devices.plc.tag_infeed(self._piece.tag)
        self._piece.tagged = True

    async def _raw_scan(self) -> tuple[RawScan | None, bool]:
        """Wait for the piece's last line and cut its scan, None when no line came; False when the lines stay away while the belt runs."""
        piece, session = self._piece, self._session
        await self._until(lambda: Eye.XRAY_IN in piece.track.trailing)
        _, last = beam_window(piece.track, session.lines.info, session.geometry)
        limit_mm = session.geometry.beam_mm + 250.0
        piece.waits_for_lines = True
        await self._until(lambda: session.lines.reached(last) or piece.track.tail_mm(session.geometry.longest_piece_mm) > limit_mm)
        piece.waits_for_lines = False
        came = session.lines.reached(last)
        piece.last_line_s = self._clock.monotonic_s()
        ahead = [p for p in session.pieces if p is not piece and p.track.head_mm > piece.track.head_mm]
        gap_is_free = all(p.track.tail_mm(0.0) - piece.track.head_mm > CLEAR_GAP_MM for p in ahead)
        try:
            scan, session.calibration = cut_scan(
                session.lines,
                piece.track,
                session.calibration,
                piece.watch,
                start=session.prepared.calibration,
                geometry=session.geometry,
                kind=piece.announcement.kind if piece.announcement else "unknown",
                now_s=self._clock.monotonic_s(),
                gap_is_free=gap_is_free,
            )
        except ScreeningError:
            piece.contradict(Reason.SCAN_INCOMPLETE)
            return None, came
        return scan, came

    async def _score_test_piece(self, raw: RawScan | None) -> None:
        session = self._session
        if raw is None:
            await self._journey.test_piece_scored(self._piece, None, error="no scan")
            return
        try:
            result = await session.equipment.screening.score_test_piece(raw)
        except ScreeningError as error:
            await self._journey.test_piece_scored(self._piece, None, error=error.what)
            return
        await self._journey.test_piece_scored(self._piece, result)

    async def _judge(self, raw: RawScan | None) -> Clearance:
        piece = self._piece
        if raw is None:
            return await self._journey.unscanned(piece)
        stored, read = await asyncio.gather(store_scan(self._session, piece, raw), self._read(raw), return_exceptions=True)
        if isinstance(stored, BaseException):
            raise stored
        if stored is None:
            return await self._journey.unscanned(piece)
        if isinstance(read, BaseException):
            raise read
        now = self._clock.utc_now()
        scan = Scan(
            piece_id=piece.known_id,
            visit=piece.visit,
            at=now,
            lane_id=self._session.settings.lane_id,
            sha256=stored,
            acquisition=self._session.lines.acquisition,
            lines=raw.le.shape[0],
            pixels=raw.le.shape[1],
            length_mm=read.length_mm if read else piece.track.length_mm or 0.0,
            width_mm=read.width_mm if read else 0.0,
            kv=self._session.settings.kv,
            ma=self._session.settings.ma,
            findings=read.findings if read else (),
        )
        reading = match = None
        if read is not None:
            self._session.spawn(store_views(self._session, stored, read))
            reading = ModelReading(
                piece_id=piece.known_id,
                visit=piece.visit,
                at=now,
                scan_sha256=stored,
                model_sha256=read.model_sha256,
                score=read.score,
                threshold=read.threshold,
                p_value=read.p_value,
                calibration_n=read.calibration_n,
                kind=raw.kind,
                duration_ms=read.duration_ms,
                findings=read.model_findings,
            )
            match = await compare_with_cleared(self._session, piece, read, stored)
            tracked_mm = piece.track.length_mm
            if tracked_mm is None or abs(read.length_mm - tracked_mm) > max(PICTURE_LENGTH_MM, PICTURE_LENGTH_SHARE * tracked_mm):
                # What the eyes measured and what the picture shows must be the same thing.
                piece.contradict(Reason.SCAN_INCOMPLETE)
        clearance = await self._journey.scanned(piece, scan, reading, match, quality_of(raw))
        # Counted now: the session may end before the piece does.
        self._session.note_decision(piece, self._clock.monotonic_s() - piece.last_line_s)
        return clearance

    def _show(self) -> None:
        """From now on the piece's image is the newest one."""
        if self._piece.scan is not None:
            self._session.newest = self._piece

    async def _read(self, raw: RawScan) -> ScreeningResult | None:
        try:
            return await self._session.equipment.screening.read(raw)
        except ScreeningError as error:
            self._piece.contradict(Reason.MODEL_FAILED)
            await self._journey.raise_alarm(AlarmCode.MODEL_FAILED, AlarmPriority.HIGH, self._session.settings.lane_id, error.what)
            return None

    async def _ask_operator(self, clearance: Clearance, raw: RawScan | None) -> Clearance:
        piece, session, policy = self._piece, self._session, self._journey.policy
        if piece.scan is None:
            return clearance
        exercise = await exercising.prepare(session, piece, raw, clearance, self._until)
        pending = Pending(
            piece=piece,
            scan_sha256=piece.scan.sha256,
            opened_s=self._clock.monotonic_s(),
            attention=clearance.outcome is Outcome.ATTENTION,
            blind=policy.reads_blind(piece.level, piece.scan.sha256),
            takes_two=policy.authority_for(piece.level) is Authority.TWO_PEOPLE,
            exercise=exercise,
        )
        session.decisions.open(pending)
        self._show()
        try:
            if exercise is None or await exercising.reveal(session, pending, exercise, self._until):
                pending.opened_s = self._clock.monotonic_s()
                await self._answer(pending)
        finally:
            session.decisions.pending.remove(pending)
        final = pending.clearance
        if final is None or final.outcome in {Outcome.AWAITING, Outcome.ATTENTION}:
            piece.window_expired = True
            return await self._journey.decided(piece, None)
        return final

    async def _answer(self, pending: Pending) -> None:
        """Wait for the operator; an expired window holds, after an attention stop it freezes."""
        piece, session, policy = self._piece, self._session, self._journey.policy
        if pending.attention:
            await self._journey.raise_alarm(AlarmCode.ATTENTION, AlarmPriority.CRITICAL, piece.known_id, session.settings.lane_id)
        await self._until(lambda: pending.clearance is not None, timeout_s=policy.decision_window_s + policy.extension_s)
        # A decision that is being written down at the end of the window still counts; if it cannot be written, nobody decided.
        await self._until(lambda: pending.clearance is not None or not pending.answered)
        if pending.clearance is not None:
            return
        if session.decisions.silence_freezes(pending):
            raise LaneTrouble(Reason.FROZEN, say(Says.UNDECIDED))
        pending.answered = True
        pending.clearance = await self._journey.decided(piece, None)
        session.decisions.exercises.decided(pending.exercise, ProjectionEvent.WINDOW_OVER)

    async def _disinfect(self) -> None:
        piece, session = self._piece, self._session
        await self._until(lambda: Eye.XRAY_OUT in piece.track.leading and self._uv_turn())
        await self._journey.disinfecting(piece)
        session.announced_nonces.add(piece.nonce)
        await session.equipment.devices.unit.announce_next(tag=piece.tag, nonce=piece.nonce)
        piece.uv_announced = True
        stop_mm = session.geometry.diverter_2_mm - session.geometry.stop_margin_mm
        await self._until(lambda: session.uv.verdict_is_in(piece) or piece.track.head_mm >= stop_mm)
        await self._until(lambda: session.uv.verdict_is_in(piece), timeout_s=session.settings.verdict_wait_s)
        result = session.uv.judge(piece, at=self._clock.utc_now())
        await self._journey.disinfected(piece, result, max_retries=session.settings.recipe.max_retries)
        piece.track.branch_2 = Branch.THROUGH if result.passed else Branch.BIN

    def _uv_turn(self) -> bool:
        """True when every piece that the unit was told of before has entered the field."""
        for other in self._session.pieces:
            ahead = other is not self._piece and other.track.head_mm > self._piece.track.head_mm
            if ahead and other.track.branch_1 is not Branch.BIN and not (other.uv_announced and self._session.uv.has_entered(other)):
                return False
        return True

    async def _leave(self) -> None:
        piece, session = self._piece, self._session
        await self._until(lambda: Eye.GATE in piece.track.leading)
        await self._until(lambda: piece.gate_answered, timeout_s=session.settings.gate_code_wait_s)
        for _ in range(PERMIT_TRIES):
            permit = await self._ask_gate()
            if permit is None:
                return
            result = await session.equipment.devices.plc.permit(tag=permit.tag, challenge=permit.challenge, valid_ms=permit.valid_ms)
            if result is CommandResult.ACCEPTED:
                break
        else:
            await self._refuse(Reason.CHALLENGE_STALE)
            return
        piece.permit_s = self._clock.monotonic_s() - piece.gate_asked_s
        key = (permit.tag, permit.challenge)
        in_ring = await self._until(lambda: any((e.tag, e.challenge) == key for e in session.ring), timeout_s=session.settings.exit_wait_s)
        if not in_ring:
            raise LaneTrouble(Reason.WRONG_STATE, say(Says.PERMIT_UNUSED))
        exit_seen = await self._until(lambda: Eye.EXIT in piece.track.leading, timeout_s=session.settings.exit_wait_s)
        if not exit_seen:
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.EXIT_UNSEEN))
        ring_seq = next(e.seq for e in session.ring if (e.tag, e.challenge) == key)
        # Only the trailing edge says that it is outside.
        if not await self._until(lambda: Eye.EXIT in piece.track.trailing, timeout_s=session.settings.exit_wait_s):
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.STAYS_IN_EXIT))
        way_mm = encoder_delta_mm(piece.track.trailing[Eye.EXIT], piece.track.leading[Eye.EXIT])
        b5_ran = session.status is not None and session.status.belt_speeds_mm_s[4] > 0
        if not left_by_itself(ExitEye(way_mm=way_mm, b5_ran=b5_ran), piece.track.length_mm):
            await self._journey.exit_disbelieved(piece, session.ring)
            raise LaneTrouble(Reason.TRACK_LOST, say(Says.TAKEN_OUT))
        await self._journey.released(piece, ring_seq=ring_seq, exit_seen=exit_seen)
        session.remove(piece)

    async def _ask_gate(self) -> Permit | None:
        piece, session = self._piece, self._session
        status = await session.equipment.devices.plc.read_status()
        piece.gate_asked_s = self._clock.monotonic_s()
        request = GateRequest(
            piece_id=piece.known_id,
            visit=piece.visit,
            state=piece.state,
            identification=piece.identification,
            scan=piece.scan,
            clearance=piece.clearance,
            disinfection=piece.disinfection,
            plc_tag=status.zone_tags[Zone.GATE],
            plc_challenge=status.gate_challenge,
            challenge_used=any(status.gate_challenge == challenge for _, challenge in session.permits),
            gate_barcode=piece.gate_barcode,
            track_intact=piece.track in session.tracker.tracks,
            access=bool(status.access_bits),
            frozen=status.freeze_latch,
            healthy=self._journey.healthy(),
            contradictions=tuple(piece.contradictions),
            policy_sha256=self._journey.policy.sha256,
            valid_ms=session.settings.permit_valid_ms,
            now=self._clock.utc_now(),
        )
        answer = await self._journey.ask_gate(piece, request)
        if isinstance(answer, Permit):
            session.permits.add((answer.tag, answer.challenge))
            # The commit may have taken seconds: what spoke against the piece meanwhile is not in the permit.
            against = piece.contradictions if tuple(piece.contradictions) != request.contradictions else ()
            if not against and self._journey.healthy():
                return answer
            await self._refuse(*(against or (Reason.STATION_UNHEALTHY,)))
            return None
        await self._refuse(*answer.reasons)
        return None

    async def _refuse(self, *reasons: Reason) -> None:
        """The piece stays on B5 with an alarm until a person lifts it out."""
        piece = self._piece
        piece.refused = True
        if piece.permit is not None:
            # Should the gate open all the same, it must show as an escape.
            self._session.permits.discard((piece.permit.tag, piece.permit.challenge))
            piece.permit = None
        if piece.state is not PieceState.HELD:
            await self._journey.hold(piece, *reasons)
        detail = say(Says.REFUSED, reasons=says.reasons(reasons))
        await self._journey.raise_alarm(AlarmCode.PIECE_AT_GATE, AlarmPriority.HIGH, self._session.settings.lane_id, detail)
