"""What may be shown of a fact: the one place that decides it.

Of a marked piece's content nothing passes but to who may see its images; a first reader's view passes to nobody.
"""

import dataclasses
import math
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, cast

from station.api import schemas
from station.api.exercise_shapes import ExerciseOut
from station.api.freeze_shapes import lane_freeze_out
from station.api.scan_shapes import FindingOut, ScanOut
from station.api.sight import Sight, level_on_lane
from station.domain.access import may_see
from station.domain.alarm import Alarm
from station.domain.clearance import Clearance, Identification, Outcome
from station.domain.disinfection import DisinfectionResult
from station.domain.drift import DriftReset, DriftTrip
from station.domain.gate import GateAction, Permit, Refusal
from station.domain.measurement import InfeedMeasurement
from station.domain.people import people_needed
from station.domain.piece import Piece, PieceState, Secrecy
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import Handover, OperatorReading, ReviewDecision
from station.domain.scan import ModelReading, Scan
from station.domain.test_piece import TestPieceRun
from station.domain.vault import ImageLookedAt, ImageViewed
from station.ports.store import Claim, Evidence, EvidenceRow, StateChange
from station.review import rules
from station.workflow.views import DecisionRequest, ExerciseView, LaneView, PieceOnLane

_SAFE_OF_RESTRICTED: dict[type, frozenset[str]] = {
    Identification: frozenset({"lane_id", "tag", "barcode", "weight_g", "reasons"}),
    InfeedMeasurement: frozenset({"lane_id", "length_mm", "weight_g"}),
    Clearance: frozenset({"outcome", "reasons", "authority", "policy_sha256"}),
    OperatorReading: frozenset({"person", "decision"}),
    ReviewDecision: frozenset({"person", "outcome"}),
    DisinfectionResult: frozenset(field.name for field in dataclasses.fields(DisinfectionResult)),
    Permit: frozenset({"tag", "challenge", "valid_ms", "nonce", "policy_sha256"}),
    Refusal: frozenset({"reasons"}),
    GateAction: frozenset({"tag", "challenge", "ring_seq", "exit_seen"}),
    Handover: frozenset({"to", "person"}),
    StateChange: frozenset({"before", "after", "reasons", "lane_id"}),
    ImageViewed: frozenset({"person", "rendering"}),
    ImageLookedAt: frozenset({"person", "shown_ms", "heat_ms"}),
    DriftTrip: frozenset({"lane_id", "model_sha256", "calibration_sha256"}),
    DriftReset: frozenset({"person", "model_sha256", "calibration_sha256"}),
}
"""Members that say nothing about what is inside; of a type that is not here only the fact itself is shown."""


_TOLD_OF_RESTRICTED = frozenset(reason.value for reason in Reason if not reason.describes_content)


def reasons_shown(reasons: Sequence[str], *, restricted: bool) -> list[str]:
    """Reasons without those that would tell a restricted piece's content, or that a first reader has cleared the piece."""
    shown = [str(reason) for reason in reasons if reason != Reason.AWAITING_SECOND_PERSON]
    return [reason for reason in shown if reason in _TOLD_OF_RESTRICTED] if restricted else shown


def piece_out(piece: Piece, sight: Sight) -> schemas.PieceOut:
    """A piece as whoever may see it at all sees it."""
    return schemas.PieceOut.model_validate(_piece_members(piece, sight))


def _piece_members(piece: Piece, sight: Sight) -> dict[str, object]:
    announcement, restricted = piece.announcement, not sight.sees_content(piece.level)
    return {
        "piece_id": piece.piece_id,
        "state": piece.state,
        "visit": piece.visit,
        "state_since": piece.state_since,
        "announced": piece.announced,
        "restricted": restricted,
        "secrecy": piece.secrecy,
        "urgency": announcement.urgency,
        "destination": announcement.destination,
        "sender_unit": announcement.sender_unit,
        "kind": announcement.kind,
        "lane_id": piece.lane_id,
        "reasons": reasons_shown(piece.reasons, restricted=restricted),
        "row_version": piece.row_version,
    }


def _claim_out(claim: Claim | None, now: datetime) -> schemas.ClaimOut | None:
    if claim is None or claim.expires_at <= now:
        return None
    return schemas.ClaimOut(person=claim.person, expires_at=claim.expires_at, seconds_left=(claim.expires_at - now).total_seconds())


def _finite(value: float | None) -> float | None:
    # JSON has no NaN; a figure that is none is shown as none.
    return value if value is not None and math.isfinite(value) else None


def scan_out(scan: Scan, facts: Sequence[Evidence]) -> ScanOut:
    """A scan of a piece whose content may be shown, with the model's newest reading of it."""
    readings = [
        fact for fact in facts if isinstance(fact, ModelReading) and fact.scan_sha256 == scan.sha256 and fact.projected_sha256 is None
    ]
    reading = readings[-1] if readings else None
    findings = [*scan.findings, *(reading.findings if reading else ())]
    return ScanOut(
        sha256=scan.sha256,
        visit=scan.visit,
        at=scan.at,
        lane_id=scan.lane_id,
        lines=scan.lines,
        pixels=scan.pixels,
        length_mm=scan.length_mm,
        width_mm=scan.width_mm,
        kv=scan.kv,
        ma=scan.ma,
        findings=[
            FindingOut(reason=found.reason, box_px=found.box_px, measured=_finite(found.measured), limit=_finite(found.limit))
            for found in findings
        ],
        score=_finite(reading.score) if reading else None,
        threshold=_finite(reading.threshold) if reading else None,
        p_value=_finite(reading.p_value) if reading else None,
        model_sha256=reading.model_sha256 if reading else None,
    )


_ON_ITS_WAY_OUT = {PieceState.CLEARED, PieceState.DISINFECTING, PieceState.DISINFECTED, PieceState.REJECTED}
_SETTLED = frozenset(_ON_ITS_WAY_OUT | {state for state in PieceState if state.is_terminal})


def _without_first_readers(rows: Sequence[EvidenceRow]) -> list[EvidenceRow]:
    """Facts without what people have said since the piece was cleared last: who decides as the second must not learn it."""
    cleared = [n for n, row in enumerate(rows) if isinstance(row.evidence, Clearance) and row.evidence.outcome is Outcome.CLEARED]
    since = cleared[-1] + 1 if cleared else 0
    said = (OperatorReading, ReviewDecision)
    return [row for number, row in enumerate(rows) if number < since or not isinstance(row.evidence, said)]


def piece_detail_out(
    piece: Piece, rows: Sequence[EvidenceRow], claim: Claim | None, now: datetime, sight: Sight, policy: Policy
) -> schemas.PieceDetailOut:
    """A piece with everything that may be shown of it."""
    facts = [row.evidence for row in rows if row.visit == piece.visit]
    open_content = sight.sees_content(piece.level)
    scan = rules.newest_scan(facts) if open_content else None
    people = people_needed(piece.level, rules.standing_reasons(piece.reasons, facts))
    two = people > 1 or policy.authority_for(piece.level) is Authority.TWO_PEOPLE
    shown = _without_first_readers(rows) if two and piece.state not in _SETTLED else rows
    return schemas.PieceDetailOut.model_validate(
        _piece_members(piece, sight)
        | {
            "scan": scan_out(scan, facts) if scan else None,
            "claim": _claim_out(claim, now),
            "people_needed": people,
            "evidence": [fact_out(row, restricted=not open_content) for row in shown],
        }
    )


def queue_item_out(piece: Piece, rows: Sequence[EvidenceRow], claim: Claim | None, now: datetime, sight: Sight) -> schemas.QueueItemOut:
    """A held piece in the queue."""
    facts = [row.evidence for row in rows if row.visit == piece.visit]
    scan = rules.newest_scan(facts) if sight.sees_content(piece.level) else None
    return schemas.QueueItemOut.model_validate(
        _piece_members(piece, sight)
        | {
            "scan_sha256": scan.sha256 if scan else None,
            "claim": _claim_out(claim, now),
            "people_needed": people_needed(piece.level, rules.standing_reasons(piece.reasons, facts)),
        }
    )


def fact_out(row: EvidenceRow, *, restricted: bool) -> schemas.FactOut:
    """One fact; of a restricted piece only the members that are known to say nothing about its content."""
    fact = row.evidence
    names = [field.name for field in dataclasses.fields(fact) if field.name not in {"piece_id", "visit", "at"}]
    if restricted:
        names = [name for name in names if name in _SAFE_OF_RESTRICTED.get(type(fact), frozenset())]
    values = {name: _plain(getattr(fact, name)) for name in names}
    if restricted and "reasons" in values:
        values["reasons"] = reasons_shown(getattr(fact, "reasons", ()), restricted=True)
    return schemas.FactOut(row_id=row.row_id, type=type(fact).__name__, visit=row.visit, at=row.at, values=values)


def plain_values(fact: object) -> dict[str, object]:
    """The members of a dataclass as JSON can have them."""
    return {field.name: _plain(getattr(fact, field.name)) for field in dataclasses.fields(cast("Any", fact))}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def lane_out(view: LaneView, sight: Sight) -> schemas.LaneOut:
    """A lane's snapshot. A piece that the lane does not list any more counts as one of the highest level: which it has is not known here.

    A piece that the viewer may not see is there, for it lies on the belts, without anything that would tell which it is.
    """
    levels = {piece.piece_id: level_on_lane(piece) for piece in view.pieces}
    request = None
    if view.request is not None:
        level = levels.get(view.request.piece_id, Secrecy.A)
        seen = may_see(sight.clearance, level)
        request = _request_out(view.request, restricted=not sight.sees_content(level)) if seen else _hidden_request(view.request)
    latest_seen, latest_open = may_see(sight.clearance, view.latest_level), sight.sees_content(view.latest_level)
    return schemas.LaneOut(
        lane_id=view.lane_id,
        at=view.at,
        state=view.state,
        belt_speeds_mm_s=view.belt_speeds_mm_s,
        beam_on=view.beam_on,
        lamps_on=view.lamps_on,
        gate=view.gate,
        frozen=view.frozen,
        radiation_nsv_per_h=view.radiation_nsv_per_h,
        pieces=[_on_lane_out(piece, sight) if sight.may_see_on_lane(piece) else _hidden_on_lane(piece) for piece in view.pieces],
        request=request,
        exercise=_exercise_out(view.exercise) if view.exercise and may_see(sight.clearance, view.exercise.level) else None,
        latest_piece_id=view.latest_piece_id if latest_seen else None,
        latest_restricted=not latest_open,
        latest_scan_sha256=view.latest_scan_sha256 if latest_open else None,
        devices=[schemas.DeviceOut(name=device.name, ok=device.ok, detail=device.detail) for device in view.devices],
        test_piece_passed_at=view.test_piece_passed_at,
        test_piece=_stand_out(view.test_piece_run) if view.test_piece_run else None,
        pieces_per_hour=view.pieces_per_hour if math.isfinite(view.pieces_per_hour) else 0.0,
        freeze=lane_freeze_out(view.freeze),
    )


def _exercise_out(view: ExerciseView) -> ExerciseOut:
    return ExerciseOut(**{field.name: getattr(view, field.name) for field in dataclasses.fields(view) if field.name != "level"})


def _hidden_on_lane(piece: PieceOnLane) -> schemas.PieceOnLaneOut:
    """That something lies there: whoever stands at the lane sees as much."""
    return schemas.PieceOnLaneOut(
        piece_id=None,
        visit=None,
        state=None,
        restricted=True,
        marked=True,
        secrecy=None,
        urgency=None,
        destination="",
        head_mm=piece.head_mm,
        length_mm=0.0,
        outcome=None,
    )


def _hidden_request(request: DecisionRequest) -> schemas.DecisionRequestOut:
    """That the lane waits for somebody who is cleared for the piece, and for how long."""
    return schemas.DecisionRequestOut(
        piece_id=None,
        visit=None,
        restricted=True,
        scan_sha256=None,
        opened_at=None,
        seconds_left=request.seconds_left,
        extended=request.extended,
        attention=request.attention,
        blind=True,
        score=None,
        threshold=None,
        findings=[],
    )


def _stand_out(run: TestPieceRun) -> schemas.TestPieceStandOut:
    failed = [one.name for one in run.values if not one.passed]
    return schemas.TestPieceStandOut(at=run.at, passed=run.passed, failed=failed, drifting=[one.name for one in run.warnings])


def test_piece_run_out(run: TestPieceRun) -> schemas.TestPieceRunOut:
    """A run of the test piece with every value."""
    return schemas.TestPieceRunOut(
        lane_id=run.lane_id,
        piece_id=run.piece_id,
        at=run.at,
        passed=run.passed,
        values=[schemas.TestValueOut(name=one.name, measured=one.measured, limit=one.limit, passed=one.passed) for one in run.values],
        not_asked=list(run.not_asked),
        warnings=[
            schemas.TrendWarningOut(name=one.name, reference=one.reference, newest=one.newest, rises=one.rises) for one in run.warnings
        ],
        error=run.error,
    )


def _on_lane_out(piece: PieceOnLane, sight: Sight) -> schemas.PieceOnLaneOut:
    return schemas.PieceOnLaneOut(
        piece_id=piece.piece_id,
        visit=piece.visit,
        state=piece.state,
        restricted=not sight.sees_content(level_on_lane(piece)),
        marked=piece.marked,
        secrecy=piece.secrecy,
        urgency=piece.urgency,
        destination=piece.destination,
        head_mm=piece.head_mm,
        length_mm=piece.length_mm,
        outcome=piece.outcome,
    )


def _request_out(request: DecisionRequest, *, restricted: bool) -> schemas.DecisionRequestOut:
    hidden = restricted or request.blind
    return schemas.DecisionRequestOut(
        piece_id=request.piece_id,
        visit=request.visit,
        restricted=restricted,
        scan_sha256=None if restricted else request.scan_sha256,
        opened_at=request.opened_at,
        seconds_left=request.seconds_left,
        extended=request.extended,
        attention=request.attention,
        blind=request.blind,
        score=None if hidden else _finite(request.score),
        threshold=None if hidden else _finite(request.threshold),
        findings=[] if hidden else list(request.findings),
    )


def alarm_out(alarm: Alarm) -> schemas.AlarmOut:
    """An alarm; without a subject it is about a piece that the viewer may not see."""
    members = {field.name: getattr(alarm, field.name) for field in dataclasses.fields(alarm)}
    return schemas.AlarmOut(**members, restricted=not alarm.subject)
