"""Every figure of a report, and what each fact counts for. Pure.

A figure is a number of facts: the list of these facts is its evidence, and the figures of a month are the sums of those of its days.
What each figure means is in docs/reference/reports.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from station.domain.access import may_see
from station.domain.alarm import Alarm, AlarmCode
from station.domain.disinfection import DisinfectionResult
from station.domain.drift import DriftReset, DriftTrip
from station.domain.model_use import ModelInUse
from station.domain.people import people_needed, person_key
from station.domain.piece import UNDECIDED, PieceState, Secrecy
from station.domain.projection import ProjectionResult
from station.domain.reasons import Reason
from station.domain.reconciled import DayReconciled
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision
from station.domain.scan import ModelReading
from station.domain.shift import ShiftHandedOver, ShiftTakenOver
from station.domain.test_piece import TestPieceRun
from station.domain.vault import ImagesDestroyed, ImageViewed, level_name
from station.ports.reporting import ReportFact, SentEvent
from station.ports.store import StateChange

WITHHELD = "withheld"
"""Stands for reasons that would tell what is in a marked piece."""

DEVICE_TROUBLES = frozenset(
    {
        AlarmCode.DEVICE_LOST,
        AlarmCode.PLC_FAULT,
        AlarmCode.GENERATOR_FAULT,
        AlarmCode.UNIT_FAULT,
        AlarmCode.LAMP,
        AlarmCode.CALIBRATION,
    }
)
STOPS = DEVICE_TROUBLES | {
    AlarmCode.ZONE_ACCESSED,
    AlarmCode.TRACK_LOST,
    AlarmCode.PIECE_AT_GATE,
    AlarmCode.ATTENTION,
    AlarmCode.FROZEN,
    AlarmCode.ESCAPED,
    AlarmCode.STORE_FAILING,
    AlarmCode.LANE_DEFECT,
}
"""Alarms with which a lane calls people to itself because it does not go on by itself."""

_UNREAD = frozenset({PieceState.ARRIVED, PieceState.SCANNING, PieceState.SCANNED})


class Key(NamedTuple):
    """Names one number: a figure as a whole (`by` and `value` empty), or its share of one value."""

    figure: str
    by: str = ""
    value: str = ""


class Share(NamedTuple):
    """What one fact adds to a figure, to each of its breakdowns, and, where the figure measures, the amount."""

    figure: str
    values: tuple[tuple[str, str], ...]
    amount: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: the type of fact that it counts, its breakdowns, and the unit of what it measures (empty: it only counts).

    `holds` is a part of the canonical JSON of every fact that counts for it, so that a list need not decode the others.
    """

    name: str
    counts: type[Any]
    by: tuple[str, ...]
    unit: str = ""
    holds: str = ""

    @property
    def section(self) -> str:
        """The part of the report in which it stands."""
        return self.name.partition(".")[0]


_STATES = (
    PieceState.ANNOUNCED,
    PieceState.ARRIVED,
    PieceState.CLEARED,
    PieceState.HELD,
    PieceState.FROZEN,
    PieceState.REJECTED,
    PieceState.RELEASED,
    PieceState.RETURNED,
    PieceState.HANDED_OVER,
    PieceState.ESCAPED,
    PieceState.CANCELLED,
)
_OF_PIECE = ("kind", "level", "lane")
_FIGURES = (
    *(
        Figure(
            name=f"pieces.{state.value.replace('_', '-')}",
            counts=StateChange,
            by=(*_OF_PIECE, "reason") if state is PieceState.HELD else _OF_PIECE,
            holds=f'"after":"{state.value}"',
        )
        for state in _STATES
    ),
    Figure(name="decisions.operator", counts=OperatorReading, by=("decision", "person"), unit="ms"),
    Figure(name="decisions.review", counts=ReviewDecision, by=("outcome", "person"), unit="ms"),
    Figure(name="model.readings", counts=ModelReading, by=("model", "kind")),
    Figure(name="model.alarms", counts=ModelReading, by=("model", "kind")),
    Figure(name="model.blind-sample", counts=OperatorReading, by=("decision",)),
    Figure(name="model.projections", counts=ProjectionResult, by=("model",)),
    Figure(name="model.hits", counts=ProjectionResult, by=("model",)),
    Figure(name="model.drift-trips", counts=DriftTrip, by=()),
    Figure(name="model.drift-resets", counts=DriftReset, by=()),
    Figure(name="model.changes", counts=ModelInUse, by=()),
    Figure(name="exercises.shown", counts=ProjectionResult, by=("answer", "lane")),
    Figure(name="exercises.answered", counts=ProjectionResult, by=("person",)),
    Figure(name="exercises.hits", counts=ProjectionResult, by=("person",)),
    Figure(name="exercises.misses", counts=ProjectionResult, by=("person",)),
    Figure(name="exercises.plain", counts=OperatorReading, by=("person",)),
    Figure(name="exercises.false-alarms", counts=OperatorReading, by=("person",)),
    Figure(name="test-piece.runs", counts=TestPieceRun, by=("result", "lane")),
    Figure(name="devices.troubles", counts=Alarm, by=("code",)),
    Figure(name="devices.stops", counts=Alarm, by=("code",)),
    Figure(name="alarms.raised", counts=Alarm, by=("code", "priority")),
    Figure(name="alarms.acknowledged", counts=Alarm, by=("code",), unit="ms"),
    Figure(name="alarms.waiting", counts=Alarm, by=("code",)),
    Figure(name="disinfection.exposures", counts=DisinfectionResult, by=("unit", "result")),
    Figure(name="disinfection.out-of-limit", counts=DisinfectionResult, by=("unit", "reason")),
    Figure(name="images.views", counts=ImageViewed, by=("rendering", "person", "level")),
    Figure(name="images.destructions", counts=ImagesDestroyed, by=("cause", "level"), unit="images"),
    Figure(name="tracking.events", counts=SentEvent, by=("delivery",)),
    Figure(name="tracking.receipts", counts=SentEvent, by=(), unit="ms"),
    Figure(name="tracking.dead-letters", counts=SentEvent, by=()),
    Figure(name="tracking.days-compared", counts=DayReconciled, by=("agreement",)),
    Figure(name="shifts.handed-over", counts=ShiftHandedOver, by=("person",)),
    Figure(name="shifts.taken-over", counts=ShiftTakenOver, by=("person",)),
)
FIGURES: MappingProxyType[str, Figure] = MappingProxyType({figure.name: figure for figure in _FIGURES})
"""All of them, in the order of the report."""

COUNTED: tuple[type[Any], ...] = tuple(dict.fromkeys(figure.counts for figure in _FIGURES))
"""Every type of fact that a report reads."""


def shares(fact: ReportFact) -> list[Share]:
    """What a fact counts for; nothing where it would tell who has read a piece that others still have to read."""
    found = list(_SHARES[type(fact.content)](fact))
    return found if found and not _is_untold(fact) else []


def keys(share: Share) -> Iterable[Key]:
    """Every number that a share adds to: the figure as a whole, and each of its breakdowns once."""
    yield Key(share.figure)
    for by, value in dict.fromkeys(share.values):
        if value:
            yield Key(share.figure, by, value)


def may_count(fact: ReportFact, clearance: str | None) -> bool:
    """True when somebody cleared so high may know of it at all; that the model was stopped and went on, everybody may."""
    if isinstance(fact.content, DriftTrip | DriftReset):
        return True
    level = fact.content.level if isinstance(fact.content, ImagesDestroyed) else fact.level
    return may_see(clearance, level)


def _is_untold(fact: ReportFact) -> bool:
    """True of what a person whose reading must be blind could learn here before deciding."""
    if isinstance(fact.content, ReviewDecision | ImageViewed):
        return fact.state in UNDECIDED
    if isinstance(fact.content, OperatorReading):
        return fact.state is PieceState.SCANNED or (fact.state in UNDECIDED and people_needed(fact.level, fact.reasons) > 1)
    return isinstance(fact.content, ModelReading) and fact.state in _UNREAD


def _level(level: Secrecy | None) -> tuple[str, str]:
    return "level", level_name(level)


def _of_step(fact: ReportFact) -> Iterable[Share]:
    step: StateChange = fact.content
    # What a review gives back was held before, and its way back may tell what the first reader said.
    if step.after not in _STATES or (step.after is PieceState.HELD and step.before is PieceState.IN_REVIEW):
        return
    values = [("kind", fact.kind), _level(fact.level), ("lane", step.lane_id or "")]
    if step.after is PieceState.HELD:
        values += [("reason", _reason_told(reason, fact.level)) for reason in step.reasons if reason != Reason.AWAITING_SECOND_PERSON]
    yield Share(f"pieces.{step.after.value.replace('_', '-')}", tuple(values))


def _reason_told(reason: str, level: Secrecy | None) -> str:
    known = {each.value for each in Reason}
    return reason if level is None or (reason in known and not Reason(reason).describes_content) else WITHHELD


def _waited_ms(since: datetime | None, until: datetime) -> int | None:
    # A clock that jumped back would make the wait negative: then nobody knows how long it was.
    return None if since is None or until < since else (until - since) // timedelta(milliseconds=1)


def _of_operator(fact: ReportFact) -> Iterable[Share]:
    reading: OperatorReading = fact.content
    if reading.projected_sha256 is not None:
        return
    person, decision = ("person", person_key(reading.person)), ("decision", reading.decision.value)
    yield Share("decisions.operator", (decision, person), None if fact.exercise else _waited_ms(fact.since, fact.at))
    if fact.level is not None:
        return
    if reading.blind:
        yield Share("model.blind-sample", (decision,))
    if not fact.exercise:
        yield Share("exercises.plain", (person,))
        if reading.decision is not OperatorDecision.CLEAR:
            yield Share("exercises.false-alarms", (person,))


def _of_review(fact: ReportFact) -> Iterable[Share]:
    decision: ReviewDecision = fact.content
    yield Share(
        "decisions.review", (("outcome", decision.outcome.value), ("person", person_key(decision.person))), _waited_ms(fact.since, fact.at)
    )


def _of_model(fact: ReportFact) -> Iterable[Share]:
    reading: ModelReading = fact.content
    if fact.level is not None or reading.projected_sha256 is not None:
        return
    values = (("model", reading.model_sha256), ("kind", fact.kind))
    yield Share("model.readings", values)
    if reading.alarms:
        yield Share("model.alarms", values)


def _of_projection(fact: ReportFact) -> Iterable[Share]:
    result: ProjectionResult = fact.content
    yield Share("exercises.shown", (("answer", result.answer.value), ("lane", result.lane_id)))
    if result.person is not None and result.answer.counts:
        person = (("person", person_key(result.person)),)
        yield Share("exercises.answered", person)
        yield Share("exercises.hits" if result.answer.is_hit else "exercises.misses", person)
    if result.model_alarmed is not None and result.model_sha256 is not None:
        model = (("model", result.model_sha256),)
        yield Share("model.projections", model)
        if result.model_alarmed:
            yield Share("model.hits", model)


def _of_alarm(fact: ReportFact) -> Iterable[Share]:
    alarm: Alarm = fact.content
    code = ("code", alarm.code.value)
    if alarm.code in DEVICE_TROUBLES:
        yield Share("devices.troubles", (code,))
    if alarm.code in STOPS:
        yield Share("devices.stops", (code,))
    yield Share("alarms.raised", (code, ("priority", alarm.priority.value)))
    if alarm.acknowledged_at is None:
        yield Share("alarms.waiting", (code,))
    else:
        yield Share("alarms.acknowledged", (code,), _waited_ms(alarm.raised_at, alarm.acknowledged_at))


def _of_disinfection(fact: ReportFact) -> Iterable[Share]:
    result: DisinfectionResult = fact.content
    unit = ("unit", result.unit_id)
    yield Share("disinfection.exposures", (unit, ("result", "passed" if result.passed else "failed")))
    if not result.passed:
        yield Share("disinfection.out-of-limit", (unit, *(("reason", reason.value) for reason in result.reasons)))


def _of_view(fact: ReportFact) -> Iterable[Share]:
    view: ImageViewed = fact.content
    yield Share("images.views", (("rendering", view.rendering.value), ("person", person_key(view.person)), _level(fact.level)))


def _of_destruction(fact: ReportFact) -> Iterable[Share]:
    gone: ImagesDestroyed = fact.content
    yield Share("images.destructions", (("cause", gone.order.cause.value), _level(gone.level)), gone.images)


def _of_event(fact: ReportFact) -> Iterable[Share]:
    event: SentEvent = fact.content
    yield Share("tracking.events", (("delivery", event.state),))
    if event.state == "blocked":
        yield Share("tracking.dead-letters", ())
    if event.receipted_at is not None:
        yield Share("tracking.receipts", (), _waited_ms(fact.at, event.receipted_at))


def _plainly(figure: str, *values: Callable[[Any], tuple[str, str]]) -> Callable[[ReportFact], Iterable[Share]]:
    return lambda fact: (Share(figure, tuple(value(fact.content) for value in values)),)


_SHARES: MappingProxyType[type[Any], Callable[[ReportFact], Iterable[Share]]] = MappingProxyType(
    {
        StateChange: _of_step,
        OperatorReading: _of_operator,
        ReviewDecision: _of_review,
        ModelReading: _of_model,
        ProjectionResult: _of_projection,
        Alarm: _of_alarm,
        DisinfectionResult: _of_disinfection,
        ImageViewed: _of_view,
        ImagesDestroyed: _of_destruction,
        SentEvent: _of_event,
        TestPieceRun: _plainly(
            "test-piece.runs", lambda run: ("result", "passed" if run.passed else "failed"), lambda run: ("lane", run.lane_id)
        ),
        DriftTrip: _plainly("model.drift-trips"),
        DriftReset: _plainly("model.drift-resets"),
        ModelInUse: _plainly("model.changes"),
        DayReconciled: _plainly("tracking.days-compared", lambda one: ("agreement", "agrees" if one.agrees else "differs")),
        ShiftHandedOver: _plainly("shifts.handed-over", lambda one: ("person", person_key(one.person))),
        ShiftTakenOver: _plainly("shifts.taken-over", lambda one: ("person", person_key(one.person))),
    }
)
