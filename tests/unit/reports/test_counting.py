"""Figures are sums over facts: those of a month are those of its days, and each is what plain counting finds."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.calendar import ReportKind, SiteCalendar
from station.domain.piece import PieceState, Secrecy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision, ReviewOutcome
from station.domain.scan import ModelReading
from station.domain.vault import DestructionCause, DestructionOrder, ImagesDestroyed, ImageViewed, Rendering
from station.ports.reporting import ReportFact, SentEvent
from station.ports.store import StateChange
from station.reports.catalogue import FIGURES, WITHHELD, Key, shares
from station.reports.counting import Measure, added, count, counts_for

CALENDAR = SiteCalendar()
MONTH = CALENDAR.period(ReportKind.MONTH, datetime(2026, 12, 31, tzinfo=UTC), date(2026, 11, 1))
AT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def step(after: PieceState, before: PieceState | None = PieceState.SCANNED, *, reasons: tuple[str, ...] = (), **more: Any) -> ReportFact:
    change = StateChange(piece_id="P", visit=1, at=AT, before=before, after=after, reasons=reasons, lane_id="lane-1")
    return ReportFact(**{"number": 1, "at": AT, "content": change, "piece_id": "P", "visit": 1, "kind": "envelope", "state": after} | more)


def reading(decision: OperatorDecision, *, blind: bool = False, **more: Any) -> ReportFact:
    said = OperatorReading(piece_id="P", visit=1, at=AT, scan_sha256="a", person="Lan", decision=decision, blind=blind)
    return ReportFact(**{"number": 1, "at": AT, "content": said, "piece_id": "P", "state": PieceState.RELEASED} | more)


def alarm(code: AlarmCode, seen_after_s: float | None = None, **more: Any) -> ReportFact:
    seen = None if seen_after_s is None else AT + timedelta(seconds=seen_after_s)
    raised = Alarm(alarm_id=1, code=code, priority=AlarmPriority.HIGH, subject="", detail="", raised_at=AT, acknowledged_at=seen)
    return ReportFact(**{"number": 1, "at": AT, "content": raised} | more)


LEVELS = st.sampled_from([None, *Secrecy])
MOMENTS = st.integers(0, int((MONTH.end - MONTH.start) / timedelta(microseconds=1)) - 1).map(
    lambda number: MONTH.start + timedelta(microseconds=number)
)
STATES = st.sampled_from(list(PieceState))
REASONS = st.lists(st.sampled_from([*Reason]).map(str), max_size=3).map(tuple)
FACTS = st.one_of(
    st.builds(step, STATES, st.one_of(st.none(), STATES), reasons=REASONS, level=LEVELS, at=MOMENTS),
    st.builds(
        reading,
        st.sampled_from(list(OperatorDecision)),
        blind=st.booleans(),
        level=LEVELS,
        at=MOMENTS,
        exercise=st.booleans(),
        since=st.one_of(st.none(), MOMENTS),
    ),
    st.builds(alarm, st.sampled_from(list(AlarmCode)), st.one_of(st.none(), st.floats(-5, 5000)), at=MOMENTS),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FACTS, max_size=30), st.sampled_from([None, *Secrecy]))
def test_a_months_figures_are_the_sums_of_its_days_and_of_plain_counting(facts: list[ReportFact], clearance: Secrecy | None):
    whole = count(facts, clearance)
    days = [CALENDAR.period(ReportKind.DAY, MONTH.end, MONTH.first_day + timedelta(days=number)) for number in range(30)]
    assert (days[0].start, days[-1].end) == (MONTH.start, MONTH.end)
    assert added(count([fact for fact in facts if day.start <= fact.at < day.end], clearance) for day in days) == whole
    heights = [None, "C", "B", "A"]
    seen = [fact for fact in facts if heights.index(fact.level) <= heights.index(clearance)]
    steps = [fact for fact in seen if isinstance(fact.content, StateChange)]
    held = [one for one in steps if one.content.after == "held" and one.content.before != "in_review"]
    readings = [fact for fact in seen if isinstance(fact.content, OperatorReading)]
    alarms = [fact for fact in seen if isinstance(fact.content, Alarm)]
    plain = {
        Key("pieces.released"): len([one for one in steps if one.content.after == "released"]),
        Key("pieces.held"): len(held),
        Key("pieces.held", "level", "unmarked"): len([one for one in held if one.level is None]),
        Key("pieces.held", "reason", "dose-short"): len([one for one in held if "dose-short" in one.content.reasons]),
        Key("pieces.held", "reason", "model-alarm"): len(
            [one for one in held if one.level is None and "model-alarm" in one.content.reasons]
        ),
        Key("decisions.operator", "decision", "hold"): len([one for one in readings if one.content.decision == "hold"]),
        Key("exercises.plain"): len([one for one in readings if one.level is None and not one.exercise]),
        Key("model.blind-sample"): len([one for one in readings if one.level is None and one.content.blind]),
        Key("alarms.raised"): len(alarms),
        Key("alarms.waiting"): len([one for one in alarms if one.content.acknowledged_at is None]),
    }
    assert {key: whole.get(key, Measure()).count for key in plain} == plain
    for key, measure in whole.items():
        assert measure.count == len([fact for fact in facts if counts_for(fact, key, clearance)]) > 0
        assert key.figure in FIGURES
        assert not key.by or key.by in FIGURES[key.figure].by


def test_reasons_of_marked_pieces_that_tell_content_are_withheld():
    reasons = ("opaque-area", "dose-short", "awaiting-second-person", "never-heard-of")
    told = {key.value for key in count([step(PieceState.HELD, reasons=reasons, level=Secrecy.C)], "A") if key.by == "reason"}
    assert told == {WITHHELD, "dose-short"}


def test_what_would_tell_a_blind_reader_is_not_counted_yet():
    decision = ReviewDecision(piece_id="P", visit=1, at=AT, scan_sha256="a", person="Thu", outcome=ReviewOutcome.CLEAR)
    view = ImageViewed(piece_id="P", visit=1, at=AT, person="Thu", scan_sha256="a", rendering=Rendering.STANDARD)
    model = ModelReading(
        piece_id="P",
        visit=1,
        at=AT,
        scan_sha256="a",
        model_sha256="m",
        score=0.7,
        threshold=0.5,
        p_value=0.1,
        calibration_n=1,
        kind="",
        duration_ms=1.0,
    )
    for content, states in (
        (decision, {"arrived", "scanning", "scanned", "held", "in_review", "frozen"}),
        (view, {"arrived", "scanning", "scanned", "held", "in_review", "frozen"}),
        (reading(OperatorDecision.CLEAR).content, {"scanned"}),
        (model, {"arrived", "scanning", "scanned"}),
    ):
        told = {state for state in PieceState if not shares(ReportFact(number=1, at=AT, content=content, piece_id="P", state=state))}
        assert told == states
    assert shares(step(PieceState.HELD, PieceState.IN_REVIEW)) == []
    for level, states in ((None, {"scanned"}), (Secrecy.C, {"arrived", "scanning", "scanned", "held", "in_review", "frozen"})):
        told = {state for state in PieceState if not shares(reading(OperatorDecision.CLEAR, level=level, state=state))}
        assert told == states


def test_times_are_measured_where_a_clock_says_them():
    waited = [reading(OperatorDecision.CLEAR, since=AT - timedelta(seconds=seconds)) for seconds in (2, 5, -3)]
    waited += [reading(OperatorDecision.CLEAR), reading(OperatorDecision.CLEAR, since=AT - timedelta(seconds=99), exercise=True)]
    assert count(waited, None)[Key("decisions.operator")] == Measure(count=5, measured=2, total=7000, greatest=5000)
    seen = count([alarm(AlarmCode.FROZEN, 90), alarm(AlarmCode.FROZEN, -1), alarm(AlarmCode.LAMP)], None)
    assert seen[Key("alarms.acknowledged")] == Measure(count=2, measured=1, total=90_000, greatest=90_000)
    assert seen[Key("devices.stops")].count == 3
    assert seen[Key("devices.troubles")].count == 1


@pytest.mark.parametrize(("clearance", "seen"), [(None, 1), ("C", 2), ("B", 3), ("A", 4)])
def test_nobody_is_told_of_what_is_above_their_clearance(clearance: str | None, seen: int):
    order = DestructionOrder(cause=DestructionCause.RETENTION, person="", note="", policy_sha256="")
    gone = ImagesDestroyed(piece_id="IMAGES", visit=1, at=AT, key_id="", level=None, images=3, roll_sha256="", order=order)
    facts = [ReportFact(number=1, at=AT, content=replace(gone, level=level)) for level in (None, *Secrecy)]
    event = SentEvent(piece_id="P", sequence=1, event_id="e", state="blocked", attempts=0, receipted_at=None)
    facts += [ReportFact(number=1, at=AT, content=event, piece_id="P", level=level) for level in (None, *Secrecy)]
    figures = count(facts, clearance)
    assert figures[Key("images.destructions")] == Measure(count=seen, measured=seen, total=3 * seen, greatest=3)
    assert figures[Key("tracking.dead-letters")].count == seen
