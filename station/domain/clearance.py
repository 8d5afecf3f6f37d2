"""`clear`: may this piece's own scan be called cleared? Hold is the default; each hold has its reasons."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.domain.clearance_case import Case
from station.domain.evidence import Identification, StationHealth, VisitEvidence
from station.domain.identifiers import is_local_id, is_test_id
from station.domain.measurement import was_reviewed
from station.domain.moments import is_known_by
from station.domain.people import JUDGED_BY_PEOPLE, NEEDS_REVIEW, SAID_AGAINST, distinct_people, people_needed
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision

__all__ = ["MIN_CALIBRATION", "Clearance", "Identification", "Outcome", "StationHealth", "VisitEvidence", "clear"]


class Outcome(StrEnum):
    """What became of the question. `awaiting`: a person may still decide within the window; it counts as held until then."""

    CLEARED = "cleared"
    HELD = "held"
    AWAITING = "awaiting"
    ATTENTION = "attention"
    """The score reached the freeze score: belts stop and the operator is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """The answer of `clear`, and on what it stands. `scan_sha256` is the piece's own scan."""

    piece_id: str
    visit: int
    at: datetime
    outcome: Outcome
    reasons: tuple[Reason, ...]
    scan_sha256: str | None
    model_sha256: str | None
    authority: Authority
    by: tuple[str, ...]
    policy_sha256: str


MIN_CALIBRATION = 500
"""Benign pieces behind a threshold before the model may clear on its own (design: threshold with a guarantee)."""

SECONDS_PER_HOUR = 3600


_Check = Callable[[Case], Iterator[Reason]]


def _identity(case: Case) -> Iterator[Reason]:
    found = case.evidence.identification
    if found is None:
        yield Reason.NOT_IDENTIFIED
        return
    if is_test_id(found.piece_id):
        yield Reason.TEST_PIECE
    if is_local_id(found.piece_id) or not found.piece_id or found.visit < 1:
        yield Reason.NOT_IDENTIFIED
    if not found.barcode:
        yield Reason.BARCODE_UNREADABLE
    if found.tag < 1:
        yield Reason.TRACK_LOST
    if found.weight_g is not None and not math.isfinite(found.weight_g):
        yield Reason.WEIGHT_DIFFERS
    yield from found.reasons


def _contradictions(case: Case) -> Iterator[Reason]:
    yield from case.evidence.contradictions


def _earlier_holds(case: Case) -> Iterator[Reason]:
    for reason in case.evidence.earlier_holds:
        if case.secrecy is not None or reason in NEEDS_REVIEW:
            yield reason


def _own_scan(case: Case) -> Iterator[Reason]:
    scan = case.evidence.scan
    if scan is None or not scan.sha256:
        yield Reason.NO_SCAN
        return
    found = case.evidence.identification
    if (scan.piece_id, scan.visit) != (case.piece_id, case.visit) or (found is not None and scan.lane_id != found.lane_id):
        yield Reason.SCAN_NOT_THIS_PIECE
    if scan.lines < 1 or scan.pixels < 1 or not all(math.isfinite(size) and size > 0 for size in (scan.length_mm, scan.width_mm)):
        yield Reason.SCAN_INCOMPLETE
    if not all(math.isfinite(value) and value > 0 for value in (scan.kv, scan.ma)):
        yield Reason.BEAM_OFF_SET_POINT


def _measurement(case: Case) -> Iterator[Reason]:
    """What the infeed measured holds, unless people who cleared the piece had judged the same figure."""
    found, review, reviewed = case.evidence.measurement, case.evidence.earlier_clearance, case.evidence.reviewed_measurement
    if found is None or (found.piece_id, found.visit) != (case.piece_id, case.visit):
        yield Reason.NOT_IDENTIFIED
        return
    if reviewed is not None and (review is None or (reviewed.piece_id, reviewed.visit) != (review.piece_id, review.visit)):
        reviewed = None
    for finding in found.findings:
        if not was_reviewed(finding, reviewed, case.policy):
            yield finding.reason


def _automatic_findings(case: Case) -> Iterator[Reason]:
    findings = case.evidence.scan.findings if case.evidence.scan else ()
    for finding in findings:
        if not (case.refed and finding.reason in JUDGED_BY_PEOPLE):
            yield finding.reason


def _model_reading(case: Case) -> Iterator[Reason]:
    """A reading that is missing, broken, or not of this scan holds, whoever clears: it may hide an alarm."""
    reading = case.model_reading
    if reading is None:
        if case.secrecy is None or case.policy.model_on_marked:
            yield Reason.NO_MODEL_READING
        return
    scan = case.evidence.scan
    if (reading.piece_id, reading.visit) != (case.piece_id, case.visit) or scan is None or reading.scan_sha256 != scan.sha256:
        yield Reason.SCAN_NOT_THIS_PIECE
    if reading.projected_sha256 is not None:
        yield Reason.PROJECTED_IMAGE
    figures = (reading.score, reading.threshold, reading.p_value, reading.duration_ms)
    if not reading.model_sha256 or not all(math.isfinite(figure) for figure in figures) or not 0 <= reading.p_value <= 1:
        yield Reason.MODEL_FAILED
    for finding in reading.findings:
        if finding.reason not in JUDGED_BY_PEOPLE:
            yield finding.reason


def _model_alarm(case: Case) -> Iterator[Reason]:
    """On the belt one operator who was shown the model's alarm may clear an unmarked piece; a marked piece takes two people."""
    marked = case.secrecy is not None
    if case.refed or not (case.model_alarms or (marked and case.freezes)):
        return
    if case.authority is Authority.MODEL or case.sampled or (marked and case.authority is not Authority.TWO_PEOPLE):
        yield Reason.MODEL_ALARM


def _new_alarm(case: Case) -> Iterator[Reason]:
    """People who cleared a scan without an alarm have not judged the alarm of the next one."""
    if not case.refed:
        return
    new_freeze = case.secrecy is not None and case.freezes and not case.freeze_was_known
    if new_freeze or (case.model_alarms and not case.alarm_was_known):
        yield Reason.NEW_FINDING


def _model_authority(case: Case) -> Iterator[Reason]:
    if case.authority is not Authority.MODEL or case.refed:
        return
    if not case.health.model_usable:
        yield Reason.MODEL_STALE
    reading = case.model_reading
    proved = case.health.model_proved or case.policy.unproved_model
    if reading is None:
        yield Reason.NO_MODEL_READING
    elif not proved or reading.calibration_n < MIN_CALIBRATION:
        yield Reason.MODEL_NOT_PROVED


def _operator(case: Case) -> Iterator[Reason]:
    scan = case.evidence.scan
    for reading in case.operator_readings:
        if (reading.piece_id, reading.visit) != (case.piece_id, case.visit) or scan is None or reading.scan_sha256 != scan.sha256:
            yield Reason.SCAN_NOT_THIS_PIECE
        if reading.decision is OperatorDecision.HOLD:
            yield Reason.OPERATOR_HOLDS
        elif reading.decision is OperatorDecision.FREEZE:
            yield Reason.FROZEN
        elif not reading.blind and case.policy.reads_blind(case.secrecy, reading.scan_sha256):
            yield Reason.READ_NOT_BLIND


def _review(case: Case) -> Iterator[Reason]:
    """A piece that people cleared in the bin: the decisions, how many people, and that this is the piece they saw."""
    decision = case.evidence.earlier_clearance
    if decision is None:
        return
    second = case.evidence.second_clearance
    decisions = (decision,) if second is None else (decision, second)
    for one in decisions:
        if one.outcome in SAID_AGAINST:
            yield SAID_AGAINST[one.outcome]
        if one.piece_id != case.piece_id or one.visit >= case.visit:
            yield Reason.SCAN_NOT_THIS_PIECE
    scan = case.evidence.scan
    measured = case.evidence.measurement
    judged = [finding.reason for source in (scan, measured) if source for finding in source.findings]
    needed = 2 if case.authority is Authority.TWO_PEOPLE else people_needed(case.secrecy, judged)
    if len(distinct_people(one.person for one in decisions)) < needed:
        yield Reason.AWAITING_SECOND_PERSON
    match = case.evidence.image_match
    if match is None or scan is None or not decision.scan_sha256:
        yield Reason.IMAGE_NOT_COMPARED
        return
    same_images = {one.scan_sha256 for one in decisions} == {match.cleared_scan_sha256} and match.new_scan_sha256 == scan.sha256
    if not (same_images and 0 <= match.distance <= match.bound and match.distance <= case.policy.image_match_bound):
        yield Reason.IMAGE_MISMATCH
    if match.new_findings:
        yield Reason.NEW_FINDING


def _station(case: Case) -> Iterator[Reason]:
    health = case.health
    if not health.audit_ok:
        yield Reason.AUDIT_BROKEN
    if not health.store_ok:
        yield Reason.STORE_FAILING
    if health.frozen:
        yield Reason.FROZEN
    passed_at = health.test_piece_passed_at
    limit_s = case.policy.test_piece_max_age_h * SECONDS_PER_HOUR
    if passed_at is None or not (is_known_by(passed_at, case.now) and (case.now - passed_at).total_seconds() <= limit_s):
        yield Reason.TEST_PIECE_MISSING


def _moments(case: Case) -> Iterator[Reason]:
    """Nothing may be dated after now: a clock that jumped must not make old facts look fresh."""
    evidence = case.evidence
    visit = (evidence.identification, evidence.measurement, evidence.scan, evidence.model_reading)
    facts = (*visit, evidence.earlier_clearance, evidence.second_clearance, *evidence.operator_readings)
    if not all(is_known_by(fact.at, case.now) for fact in facts if fact is not None):
        yield Reason.EVIDENCE_STALE


_CHECKS: tuple[_Check, ...] = (
    _identity,
    _contradictions,
    _earlier_holds,
    _own_scan,
    _measurement,
    _automatic_findings,
    _model_reading,
    _model_alarm,
    _new_alarm,
    _model_authority,
    _operator,
    _review,
    _station,
    _moments,
)


def _alarms_of_model(case: Case) -> tuple[Reason, ...]:
    """What a valid reading says against the piece, unless people have judged it in a review that still stands."""
    if case.model_reading is None or any(_model_reading(case)):
        return ()
    if case.refed and not any(_review(case)):
        return (Reason.ATTENTION_SCORE,) if case.freezes and not case.freeze_was_known else ()
    return (*((Reason.ATTENTION_SCORE,) if case.freezes else ()), *((Reason.MODEL_ALARM,) if case.model_alarms else ()))


def _missing_decision(case: Case) -> tuple[Reason, ...]:
    """The person whose decision is missing, if the policy or the sample demands people and no review has cleared the piece."""
    if case.refed or (case.authority is Authority.MODEL and not case.sampled):
        return ()
    people = case.clearing_people
    if not people:
        return (Reason.AWAITING_OPERATOR,)
    lacks_second = case.authority is Authority.TWO_PEOPLE and len(people) < 2  # noqa: PLR2004 - two people are two people
    return (Reason.AWAITING_SECOND_PERSON,) if lacks_second else ()


def _judge(case: Case) -> tuple[Outcome, tuple[Reason, ...]]:
    against = tuple(dict.fromkeys(reason for check in _CHECKS for reason in check(case)))
    alarms = _alarms_of_model(case)
    expired = case.evidence.window_expired
    may_ask = not (case.operator_readings or expired or case.health.frozen or is_test_id(case.piece_id))
    if Reason.ATTENTION_SCORE in alarms and may_ask:
        # Before any hold: a hold would carry a suspected device to the bin, an attention stop leaves it where it is.
        return Outcome.ATTENTION, tuple(dict.fromkeys((*alarms, *against)))
    missing = _missing_decision(case)
    if case.reads_blind and missing and not expired and against == (Reason.MODEL_ALARM,):
        # It will be held, but who reads blind must not learn from being asked that the model found nothing.
        return Outcome.AWAITING, missing
    if against or (missing and expired):
        # Named, so that the review asks for as many people as the window did.
        second = (Reason.AWAITING_SECOND_PERSON,) if case.authority is Authority.TWO_PEOPLE else ()
        late = (Reason.DECISION_TIMEOUT, *second) if missing and expired else ()
        return Outcome.HELD, tuple(dict.fromkeys((*against, *late, *alarms)))
    return (Outcome.AWAITING, missing) if missing else (Outcome.CLEARED, ())


def _cleared_by(case: Case) -> tuple[str, ...]:
    if case.evidence.earlier_clearance is not None:
        second = case.evidence.second_clearance
        return distinct_people([case.evidence.earlier_clearance.person, *([second.person] if second else [])])
    return (*(("model",) if case.authority is Authority.MODEL else ()), *case.clearing_people)


def clear(evidence: VisitEvidence, policy: Policy, health: StationHealth, now: datetime) -> Clearance:
    """Judge one visit. Never raises on odd evidence: what cannot be understood is held.

    Cleared only if nothing speaks against the piece and the demanded authority cleared exactly this visit's scan, or people cleared
    the piece in the bin on an earlier visit and this visit's scan shows the same piece. An attention stop comes before a hold.

    Args:
        evidence: facts of this visit; anything missing speaks for holding.
        policy: the site's rules.
        health: the station's own condition at `now`.
        now: aware UTC.
    """
    case = Case(evidence=evidence, policy=policy, health=health, now=now)
    outcome, reasons = _judge(case)
    scan, reading = evidence.scan, case.model_reading
    return Clearance(
        piece_id=case.piece_id,
        visit=case.visit,
        at=now,
        outcome=outcome,
        reasons=reasons,
        scan_sha256=scan.sha256 if scan else None,
        model_sha256=reading.model_sha256 if reading else None,
        authority=case.authority,
        by=_cleared_by(case) if outcome is Outcome.CLEARED else (),
        policy_sha256=policy.sha256,
    )
