"""Makes the snapshot that a lane shows of itself."""

from collections import deque
from dataclasses import dataclass, field

from station.domain.alarm import Alarm
from station.workflow.deciding import Pending
from station.workflow.equipment import Equipment
from station.workflow.exercises import REVEALING, Exercises
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.says import Says, say
from station.workflow.session import LaneSession
from station.workflow.views import DecisionRequest, DeviceHealth, FreezeProgress, LaneState, LaneView, PieceOnLane

GATE_WORDS = {0: "closed", 1: "open", 2: "moving", 3: "jammed"}
DEVICE_NAMES = ("lane_plc", "xray_generator", "line_detector", "disinfection_unit", "barcode_reader", "gate_reader")
ALL_WELL = tuple(DeviceHealth(name=name, ok=True, detail="") for name in DEVICE_NAMES)
RATE_WINDOW = 50
TIMINGS_KEPT = 5000


@dataclass(slots=True, kw_only=True)
class LaneCounts:
    """Figures of the newest pieces, in seconds of station time.

    `ended_at_s`: when pieces came to their end on the lane (gate exit or hold bin). `decision_s`: piece, visit, and time from the last
    line to the durable verdict. `permit_s`: time from the gate's challenge to the permit's acceptance.
    """

    ended_at_s: deque[float] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))
    decision_s: deque[tuple[str, int, float]] = field(default_factory=lambda: deque(maxlen=TIMINGS_KEPT))
    permit_s: deque[float] = field(default_factory=lambda: deque(maxlen=TIMINGS_KEPT))

    def per_hour(self) -> float:
        """Pieces per hour over the newest pieces; 0 until there are two."""
        if len(self.ended_at_s) < 2 or self.ended_at_s[-1] <= self.ended_at_s[0]:  # noqa: PLR2004 - an interval has two ends
            return 0.0
        return (len(self.ended_at_s) - 1) * 3600.0 / (self.ended_at_s[-1] - self.ended_at_s[0])


def view_of(
    equipment: Equipment,
    journey: Journey,
    session: LaneSession | None,
    exercises: Exercises,
    *,
    state: LaneState,
    detail: str,
    lost: dict[str, str],
    alarm: Alarm | None,
    counts: LaneCounts,
    freeze: FreezeProgress,
) -> LaneView:
    """Build the snapshot; `detail` is shown with the first device that is out of order."""
    status = session.status if session else None
    question = session.decisions.question() if session else None
    if session is not None and state is LaneState.RUNNING:
        if session.decisions.stops:
            state = LaneState.ATTENTION
        elif session.drive is not None and session.drive.waits_for_decision:
            state = LaneState.WAITING
    newest = session.newest if session else None
    return LaneView(
        lane_id=equipment.settings.lane_id,
        at=equipment.clock.utc_now(),
        state=state,
        belt_speeds_mm_s=status.belt_speeds_mm_s if status else (0, 0, 0, 0, 0),
        beam_on=bool(status and status.beam_bits >> 2 & 1),
        lamps_on=bool(session and session.unit and session.unit.lamp_bits),
        gate=GATE_WORDS.get(status.gate, "unknown") if status else "closed",
        frozen=state is LaneState.FROZEN,
        radiation_nsv_per_h=status.radiation_nsv_per_h if status else 0,
        pieces=tuple(_on_lane(piece) for piece in session.pieces if piece.piece_id is not None) if session else (),
        request=_request(equipment, journey, question) if question is not None else None,
        exercise=exercises.view(),
        latest_piece_id=newest.piece_id if newest else None,
        latest_level=newest.level if newest else None,
        latest_scan_sha256=_shown_sha256(newest, exercises) if newest is not None else None,
        devices=_devices(session, state, detail, lost),
        alarm=alarm,
        test_piece_passed_at=journey.test_piece_passed_at(),
        test_piece_run=journey.test_piece_run(),
        pieces_per_hour=counts.per_hour(),
        garbage_bytes=equipment.devices.detector.garbage_bytes,
        freeze=freeze if state is LaneState.FROZEN else None,
    )


def _shown_sha256(piece: LanePiece, exercises: Exercises) -> str | None:
    if exercises.current is not None and exercises.current.piece is piece:
        return exercises.current.shown_sha256
    return piece.scan.sha256 if piece.scan is not None else None


def _on_lane(piece: LanePiece) -> PieceOnLane:
    announcement = piece.announcement
    return PieceOnLane(
        piece_id=piece.known_id,
        visit=piece.visit,
        state=piece.state,
        marked=piece.level is not None,
        secrecy=announcement.secrecy if announcement else None,
        urgency=announcement.urgency if announcement else None,
        destination=announcement.destination if announcement else "",
        head_mm=round(piece.track.head_mm, 1),
        length_mm=round(piece.track.length_mm or 0.0, 1),
        outcome=piece.clearance.outcome.value if piece.clearance else None,
    )


def _request(equipment: Equipment, journey: Journey, pending: Pending) -> DecisionRequest:
    policy, exercise = journey.policy, pending.exercise
    waits = exercise is not None and exercise.state in REVEALING
    passed_s = 0.0 if waits else equipment.clock.monotonic_s() - pending.opened_s
    shown = exercise.shown_reading if exercise is not None else pending.piece.reading
    reading = None if pending.blind else shown
    scan = pending.piece.scan
    reasons = [f.reason.value for f in scan.findings] if scan else []
    if reading is not None:
        reasons += [f.reason.value for f in reading.findings]
    return DecisionRequest(
        piece_id=pending.piece.known_id,
        visit=pending.piece.visit,
        scan_sha256=pending.shown_sha256,
        opened_at=pending.piece.scan.at if pending.piece.scan else equipment.clock.utc_now(),
        seconds_left=max(0.0, policy.decision_window_s + policy.extension_s - passed_s),
        extended=passed_s >= policy.decision_window_s,
        attention=pending.attention,
        blind=pending.blind,
        score=reading.score if reading else None,
        threshold=reading.threshold if reading else None,
        findings=tuple(dict.fromkeys(reasons)),
    )


def _devices(session: LaneSession | None, state: LaneState, detail: str, lost: dict[str, str]) -> tuple[DeviceHealth, ...]:
    if session is not None:
        return (DeviceHealth(name="lane", ok=True, detail=say(Says.DRAINS)), *ALL_WELL) if session.drains else ALL_WELL
    if state is LaneState.STARTING:
        return (DeviceHealth(name="lane", ok=True, detail=detail),)
    return (
        DeviceHealth(name="lane", ok=False, detail=detail),
        *(DeviceHealth(name=name, ok=False, detail=why) for name, why in lost.items()),
    )
