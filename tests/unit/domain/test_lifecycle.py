"""The life of a piece as a machine: whatever happens in whatever order, nothing leaves that was not cleared, then disinfected."""

from dataclasses import replace
from datetime import timedelta

import pytest
from domain_facts import CLEARANCE, DISINFECTION, IDENTIFICATION, MEASUREMENT, NOW, REQUEST, SCAN
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from station.domain.clearance import Clearance, Outcome, StationHealth, VisitEvidence, clear
from station.domain.disinfection import DisinfectionResult, doses_agree
from station.domain.errors import TransitionError
from station.domain.gate import Permit, may_open
from station.domain.moments import is_after, is_known_by
from station.domain.piece import FIRST_STATES, TRANSITIONS, PieceState, change_state
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading

S = PieceState


@pytest.mark.parametrize("state", [None, *S])
def test_only_what_the_table_names_is_a_change(state: PieceState | None):
    allowed = FIRST_STATES if state is None else TRANSITIONS[state]
    for new in S:
        if new in allowed:
            assert change_state(state, new) is new
        else:
            with pytest.raises(TransitionError, match="cannot go from"):
                change_state(state, new)


def test_the_ends_of_a_life():
    assert {state for state in S if state.is_terminal} == {S.RELEASED, S.RETURNED, S.HANDED_OVER, S.ESCAPED, S.CANCELLED}


def test_every_way_to_release_passes_clearance_then_disinfection():
    """Remove either state from the table and `released` cannot be reached any more."""
    for needed in (S.CLEARED, S.DISINFECTING, S.DISINFECTED):
        reached, edge = set(FIRST_STATES), set(FIRST_STATES)
        while edge:
            edge = {new for state in edge for new in TRANSITIONS[state] if new is not needed} - reached
            reached |= edge
        assert S.RELEASED not in reached


def test_nothing_known_leads_back_to_announced():
    assert all(S.ANNOUNCED not in targets for targets in TRANSITIONS.values())


def test_moments_without_time_zone_are_never_in_order():
    naive = NOW.replace(tzinfo=None)
    later = NOW + timedelta(microseconds=1)
    assert is_known_by(NOW, NOW)
    assert not is_known_by(later, NOW)
    assert is_after(later, NOW)
    assert not is_after(NOW, NOW)
    for one, other in ((naive, NOW), (NOW, naive), (naive, naive)):
        assert not is_known_by(one, other)
        assert not is_after(one, other)


@pytest.mark.parametrize(
    ("dose", "other", "agree"),
    [(40.0, 38.0, True), (38.0, 40.0, True), (40.0, 37.99, False), (0.0, 0.0, True), (-1.0, -1.0, False), (float("nan"), 1.0, False)],
)
def test_doses_agree_within_a_share_of_the_greater(dose: float, other: float, agree: bool):
    assert doses_agree(dose, other, 0.05) is agree
    assert not doses_agree(dose, float("inf"), 0.05)
    assert not doses_agree(float("inf"), float("inf"), 0.05)


class Life(RuleBasedStateMachine):
    """One piece, its evidence, and a wild order of events. The model keeps the facts that make a release lawful by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.state: PieceState | None = None
        self.visit = 0
        self.now = NOW
        self.policy = Policy(sha256="p" * 64, authority_unmarked=Authority.OPERATOR)
        self.begin_visit()

    def begin_visit(self) -> None:
        self.evidence: VisitEvidence | None = None
        self.clearance: Clearance | None = None
        self.disinfection: DisinfectionResult | None = None
        self.scanned = self.read_by_operator = self.model_read = self.contradicted = False
        self.lit_while: PieceState | None = None
        self.released = False

    def tick(self) -> None:
        self.now += timedelta(seconds=1)

    def to(self, state: PieceState) -> bool:
        before = self.state
        try:
            self.state = change_state(self.state, state)
        except TransitionError:
            assert self.state is before
            return False
        return True

    @rule()
    def feed(self) -> None:
        self.tick()
        if self.to(S.ARRIVED):
            self.visit += 1
            self.begin_visit()
            self.evidence = VisitEvidence(
                identification=replace(IDENTIFICATION, visit=self.visit, tag=self.visit, at=self.now),
                measurement=replace(MEASUREMENT, visit=self.visit, at=self.now),
            )

    @precondition(lambda self: self.evidence is not None)
    @rule(complete=st.booleans())
    def scan(self, complete: bool) -> None:
        self.tick()
        assert self.evidence is not None
        if self.to(S.SCANNING) and complete and self.to(S.SCANNED):
            self.scanned = True
            self.evidence = replace(self.evidence, scan=replace(SCAN, visit=self.visit, at=self.now, sha256=f"{self.visit:064d}"))

    @precondition(lambda self: self.scanned and self.state is S.SCANNED)
    @rule(score=st.sampled_from([1.0, 4.9, 5.0, 20.0, float("nan")]), stale=st.booleans())
    def read(self, score: float, stale: bool) -> None:
        self.tick()
        assert self.evidence is not None
        assert self.evidence.scan is not None
        scan = f"{self.visit - 1:064d}" if stale else self.evidence.scan.sha256
        reading = ModelReading(
            piece_id=SCAN.piece_id,
            visit=self.visit,
            at=self.now,
            scan_sha256=scan,
            model_sha256="c" * 64,
            score=score,
            threshold=5.0,
            p_value=0.4,
            calibration_n=900,
            kind="envelope",
            duration_ms=90.0,
        )
        self.model_read = not stale and score == score  # noqa: PLR0124 - not a NaN
        self.evidence = replace(self.evidence, model_reading=reading)

    @precondition(lambda self: self.scanned and self.state is S.SCANNED)
    @rule(decision=st.sampled_from(OperatorDecision), stale=st.booleans())
    def decide(self, decision: OperatorDecision, stale: bool) -> None:
        self.tick()
        assert self.evidence is not None
        assert self.evidence.scan is not None
        scan = f"{self.visit - 1:064d}" if stale else self.evidence.scan.sha256
        reading = OperatorReading(
            piece_id=SCAN.piece_id, visit=self.visit, at=self.now, scan_sha256=scan, person="lan", decision=decision, blind=True
        )
        if stale or decision is not OperatorDecision.CLEAR:
            self.contradicted = True
        else:
            self.read_by_operator = True
        self.evidence = replace(self.evidence, operator_readings=(*self.evidence.operator_readings, reading))

    @precondition(lambda self: self.evidence is not None)
    @rule(reason=st.sampled_from([Reason.TRACK_LOST, Reason.ZONE_ACCESSED, Reason.RADIATION]))
    def contradict(self, reason: Reason) -> None:
        self.tick()
        assert self.evidence is not None
        self.contradicted = True
        self.evidence = replace(self.evidence, contradictions=(*self.evidence.contradictions, reason))

    @precondition(lambda self: self.evidence is not None)
    @rule(healthy=st.booleans())
    def judge(self, healthy: bool) -> None:
        self.tick()
        assert self.evidence is not None
        health = StationHealth(
            model_usable=True, model_proved=False, audit_ok=healthy, store_ok=True, frozen=False, test_piece_passed_at=self.now
        )
        answer = clear(self.evidence, self.policy, health, self.now)
        if answer.outcome is Outcome.CLEARED:
            assert healthy
            assert self.scanned
            assert self.read_by_operator
            assert self.model_read
            assert not self.contradicted
        if self.state is S.SCANNED:
            if answer.outcome is Outcome.CLEARED and self.to(S.CLEARED):
                self.clearance = answer
            elif answer.outcome is Outcome.HELD:
                self.to(S.HELD)

    @rule(dose=st.sampled_from([10.0, 35.0]))
    def disinfect(self, dose: float) -> None:
        self.lit_while = self.state
        if not self.to(S.DISINFECTING):
            return
        self.tick()
        started = self.now
        self.tick()
        ended = self.now
        self.tick()
        reasons = () if dose >= 30 else (Reason.DOSE_SHORT,)
        self.disinfection = replace(
            DISINFECTION,
            visit=self.visit,
            at=self.now,
            dose_mj_per_cm2=dose,
            unit_dose_mj_per_cm2=dose,
            started_at=started,
            ended_at=ended,
            reasons=reasons,
        )
        self.to(S.HELD if reasons else S.DISINFECTED)

    @rule(
        barcode=st.sampled_from([SCAN.piece_id, "RR473124829VN", None]),
        challenge=st.sampled_from([0, 5]),
        wrong_tag=st.booleans(),
        forged=st.booleans(),
    )
    def open_gate(self, barcode: str | None, challenge: int, wrong_tag: bool, forged: bool) -> None:
        self.tick()
        evidence = self.evidence or VisitEvidence(identification=None)
        request = replace(
            REQUEST,
            visit=self.visit,
            state=self.state or S.ANNOUNCED,
            identification=evidence.identification,
            scan=evidence.scan,
            clearance=replace(CLEARANCE, visit=self.visit, at=NOW) if forged else self.clearance,
            disinfection=self.disinfection,
            plc_tag=self.visit + wrong_tag,
            plc_challenge=challenge,
            gate_barcode=barcode,
            contradictions=evidence.contradictions,
            now=self.now,
        )
        answer = may_open(request)
        if isinstance(answer, Permit):
            assert not forged
            assert not wrong_tag
            assert challenge
            assert barcode == SCAN.piece_id
            assert self.state is S.DISINFECTED
            assert self.clearance is not None
            assert self.disinfection is not None
            assert self.disinfection.passed
            assert self.disinfection.started_at > self.clearance.at
            assert not self.contradicted
            self.to(S.RELEASED)
            self.released = True

    @rule()
    def go_on(self) -> None:
        """The next right step, so that the end is reached often."""
        if self.state is S.ARRIVED:
            self.scan(complete=True)
        elif self.state is S.SCANNED and not self.model_read:
            self.read(score=1.0, stale=False)
        elif self.state is S.SCANNED and not self.read_by_operator:
            self.decide(decision=OperatorDecision.CLEAR, stale=False)
        elif self.state is S.SCANNED:
            self.judge(healthy=True)
        elif self.state is S.CLEARED:
            self.disinfect(dose=35.0)
        elif self.state is S.DISINFECTED:
            self.open_gate(barcode=SCAN.piece_id, challenge=5, wrong_tag=False, forged=False)
        else:
            self.feed()

    @rule(
        state=st.sampled_from([S.HELD, S.FROZEN, S.IN_REVIEW, S.REJECTED, S.ESCAPED, S.CANCELLED, S.RETURNED, S.HANDED_OVER, S.ANNOUNCED])
    )
    def something_else(self, state: PieceState) -> None:
        self.tick()
        self.to(state)

    @invariant()
    def nothing_leaves_unproved(self) -> None:
        if self.state is S.RELEASED:
            assert self.released

    @invariant()
    def nothing_uncleared_is_disinfected(self) -> None:
        if self.state in (S.DISINFECTING, S.DISINFECTED):
            assert self.clearance is not None
            assert self.lit_while in (S.CLEARED, S.DISINFECTING, S.DISINFECTED)


def test_the_right_steps_lead_to_release():
    life = Life()
    for _ in range(7):
        life.go_on()
    assert life.state is S.RELEASED
    life.go_on()
    assert life.state is S.RELEASED


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40)
