"""Something worse never turns a hold into a clearance, nor a refusal into a permit."""

from dataclasses import replace
from datetime import timedelta

from domain_facts import (
    CLEARANCE,
    DISINFECTION,
    HEALTH,
    IDENTIFICATION,
    MATCH,
    MEASUREMENT,
    NOW,
    OPERATOR,
    READING,
    REQUEST,
    REVIEW,
    SCAN,
    SECOND,
    SECOND_REVIEW,
    ago,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from station.domain.clearance import Outcome, VisitEvidence, clear
from station.domain.gate import Permit, may_open
from station.domain.piece import PieceState, Secrecy
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import Finding

REASONS = st.lists(st.sampled_from([Reason.TRACK_LOST, Reason.UNANNOUNCED, Reason.OPAQUE_AREA]), max_size=1).map(tuple)
FINDINGS = REASONS.map(lambda reasons: tuple(Finding(reason=reason) for reason in reasons))
WHEN = st.sampled_from([ago(1), ago(30), NOW + timedelta(seconds=1)])
SHAS = st.sampled_from([SCAN.sha256] * 4 + ["f" * 64])

identifications = st.builds(
    replace, st.just(IDENTIFICATION), secrecy=st.sampled_from([None, None, Secrecy.B]), reasons=st.just(()), tag=st.sampled_from([7, 7, 0])
)
scans = st.builds(replace, st.just(SCAN), sha256=SHAS, findings=FINDINGS)
readings = st.builds(
    replace,
    st.just(READING),
    score=st.sampled_from([1.0, 1.0, 5.0, 9.0, float("nan")]),
    scan_sha256=SHAS,
    calibration_n=st.sampled_from([500, 499]),
)
operator_readings = st.lists(
    st.builds(
        replace,
        st.sampled_from([OPERATOR, SECOND]),
        decision=st.sampled_from([OperatorDecision.CLEAR, OperatorDecision.CLEAR, OperatorDecision.HOLD]),
        scan_sha256=SHAS,
        projected_sha256=st.sampled_from([None, None, "1" * 64]),
    ),
    max_size=3,
).map(tuple)
FIGURES = st.sampled_from([None, 410.0, 500.0, 990.0, 1000.0, float("nan")])
measurements = st.builds(
    lambda reason, figure, visit: replace(MEASUREMENT, visit=visit, findings=(Finding(reason=reason, measured=figure),)),
    st.sampled_from([Reason.SIZE_DIFFERS, Reason.WEIGHT_DIFFERS, Reason.RADIATION]),
    FIGURES,
    st.sampled_from([1, 1, 2]),
)
facts = st.builds(
    VisitEvidence,
    measurement=st.one_of(st.just(MEASUREMENT), measurements.map(lambda one: replace(one, visit=2)), st.none()),
    reviewed_measurement=st.one_of(measurements, st.none()),
    identification=st.one_of(identifications, identifications, st.none()),
    scan=st.one_of(scans, scans, st.none()),
    model_reading=st.one_of(readings, readings, st.none()),
    operator_readings=operator_readings,
    earlier_clearance=st.sampled_from([None, REVIEW]),
    second_clearance=st.sampled_from([None, SECOND_REVIEW]),
    image_match=st.sampled_from([None, MATCH, replace(MATCH, distance=0.4)]),
    contradictions=st.sampled_from([(), (), (), (Reason.PURGED,)]),
    earlier_holds=st.sampled_from([(), (), (Reason.MODEL_ALARM,), (Reason.PURGED,)]),
    window_expired=st.booleans(),
)
policies = st.builds(
    Policy,
    sha256=st.just("p" * 64),
    freeze_score=st.sampled_from([None, 9.0]),
    authority_unmarked=st.sampled_from(Authority),
    unproved_model=st.booleans(),
    model_on_marked=st.booleans(),
)
healths = st.builds(
    replace, st.just(HEALTH), model_usable=st.booleans(), model_proved=st.booleans(), audit_ok=st.sampled_from([True, True, True, False])
)


def cleared(evidence: VisitEvidence, policy: Policy, health: object) -> bool:
    return clear(evidence, policy, health, NOW).outcome is Outcome.CLEARED  # type: ignore[arg-type]


def _is_clear(reading: OperatorReading, evidence: VisitEvidence) -> bool:
    """True when it speaks for the piece. A clear of another image speaks against it: the facts do not belong together."""
    of_this = evidence.scan is not None and reading.scan_sha256 == evidence.scan.sha256 and reading.projected_sha256 is None
    return of_this and reading.decision is OperatorDecision.CLEAR


def worse_evidence(evidence: VisitEvidence, policy: Policy) -> list[VisitEvidence]:
    """Every single step away from a clearance. A review that stands also excuses alarms, so it is not taken away beside a clear reading."""
    worse = [
        replace(evidence, identification=None),
        replace(evidence, scan=None),
        replace(evidence, measurement=None),
        replace(evidence, reviewed_measurement=None),
        replace(evidence, contradictions=(*evidence.contradictions, Reason.TRACK_LOST)),
        replace(evidence, earlier_holds=(*evidence.earlier_holds, Reason.REVIEW_HOLDS)),
        replace(evidence, window_expired=True),
        replace(evidence, operator_readings=tuple(one for one in evidence.operator_readings if not _is_clear(one, evidence))),
        replace(evidence, operator_readings=(*evidence.operator_readings, replace(SECOND, decision=OperatorDecision.HOLD))),
        replace(evidence, second_clearance=None) if evidence.earlier_clearance else evidence,
        replace(evidence, image_match=None),
    ]
    marked = evidence.identification is not None and evidence.identification.secrecy is not None
    if policy.model_on_marked or not marked:
        worse.append(replace(evidence, model_reading=None))
    if evidence.measurement is not None:
        worse.extend(
            replace(evidence, measurement=replace(evidence.measurement, findings=(*evidence.measurement.findings, finding)))
            for finding in (Finding(reason=Reason.RADIATION, measured=1000.0), Finding(reason=Reason.SIZE_DIFFERS))
        )
    if evidence.scan is not None:
        worse.append(replace(evidence, scan=replace(evidence.scan, findings=(*evidence.scan.findings, Finding(reason=Reason.TWO_PIECES)))))
        worse.append(replace(evidence, scan=replace(evidence.scan, sha256="0" * 64)))
    if evidence.model_reading is not None:
        worse.append(replace(evidence, model_reading=replace(evidence.model_reading, score=float("nan"))))
        worse.append(replace(evidence, model_reading=replace(evidence.model_reading, score=evidence.model_reading.score + 8)))
    if evidence.identification is not None:
        worse.append(replace(evidence, identification=replace(evidence.identification, reasons=(Reason.WEIGHT_DIFFERS,))))
    return worse


@settings(max_examples=400)
@given(evidence=facts, policy=policies, health=healths)
def test_a_hold_never_becomes_a_clearance_by_something_worse(evidence: VisitEvidence, policy: Policy, health: object):
    answer = clear(evidence, policy, health, NOW)  # type: ignore[arg-type]
    assert bool(answer.by) is (answer.outcome is Outcome.CLEARED)
    assert bool(answer.reasons) is (answer.outcome is not Outcome.CLEARED)
    if answer.outcome is Outcome.CLEARED:
        assert evidence.scan is not None
        assert answer.scan_sha256 == evidence.scan.sha256
        return
    for worse in worse_evidence(evidence, policy):
        assert not cleared(worse, policy, health), worse
    for change in ({"model_usable": False}, {"model_proved": False}, {"audit_ok": False}, {"store_ok": False}, {"frozen": True}):
        assert not cleared(evidence, policy, replace(health, **change))  # type: ignore[type-var]
    if policy.authority_unmarked is Authority.OPERATOR:
        assert not cleared(evidence, replace(policy, authority_unmarked=Authority.TWO_PEOPLE), health)


requests = st.builds(
    replace,
    st.just(REQUEST),
    state=st.sampled_from([PieceState.DISINFECTED] * 4 + list(PieceState)),
    clearance=st.sampled_from([CLEARANCE, CLEARANCE, CLEARANCE, None, replace(CLEARANCE, scan_sha256="f" * 64)]),
    disinfection=st.sampled_from([DISINFECTION, DISINFECTION, DISINFECTION, None, replace(DISINFECTION, dose_mj_per_cm2=1.0)]),
    gate_barcode=st.sampled_from([REQUEST.gate_barcode] * 3 + [None, "X"]),
    plc_tag=st.sampled_from([7, 7, 7, 8]),
    challenge_used=st.sampled_from([False, False, False, True]),
    frozen=st.sampled_from([False, False, False, True]),
    healthy=st.sampled_from([True, True, True, False]),
)


@settings(max_examples=300)
@given(request=requests, when=WHEN)
def test_a_refusal_never_becomes_a_permit_by_something_worse(request: object, when: object):
    if isinstance(may_open(request), Permit):  # type: ignore[arg-type]
        return
    for change in (
        {"clearance": None},
        {"disinfection": None},
        {"scan": None},
        {"identification": None},
        {"gate_barcode": None},
        {"challenge_used": True},
        {"frozen": True},
        {"access": True},
        {"track_intact": False},
        {"healthy": False},
        {"contradictions": (Reason.TRACK_LOST,)},
        {"now": ago(60)},
    ):
        assert not isinstance(may_open(replace(request, **change)), Permit)  # type: ignore[type-var]
