"""Wire shapes of reports and of the evidence behind their numbers."""

from collections.abc import Sequence
from datetime import date, datetime, tzinfo

from pydantic import BaseModel, Field

from station.api import shown
from station.api.reader_shapes import ReaderFiguresOut
from station.api.schemas import Asked
from station.domain.access import may_see
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.calendar import ReportKind
from station.domain.piece import PieceState, Secrecy
from station.domain.reconciled import DayReconciled
from station.domain.shift import ShiftHandedOver
from station.ports.reporting import ReportFact, SentEvent
from station.ports.store import EvidenceRow
from station.reports.plain_text import plain


class ReportReaderOut(ReaderFiguresOut):
    """How well one reader found projected threats in the period."""

    by_model: bool


class FigureOut(BaseModel):
    """One number: a figure as a whole (`by` null), or its share of one value.

    `text` is the message that says what the value is; null where it is a name. `unit` is that of `total`, `mean` and `greatest`, over
    the `measured` of the facts. `evidence` lists exactly `count` facts.
    """

    section: str
    figure: str
    by: str | None
    value: str | None
    text: str | None
    count: int
    unit: str | None
    measured: int
    total: int
    mean: float | None
    greatest: int | None
    evidence: str


class AuditStandingOut(BaseModel):
    """The audit log as the report saw it; `root` in hexadecimal."""

    leaves: int
    root: str
    signed_leaves: int
    witnessed_leaves: int


class OpenCountsOut(BaseModel):
    """How much is open."""

    held_pieces: int
    open_claims: int
    standing_alarms: int
    frozen_lanes: int


class HandedOverOut(BaseModel):
    """The newest hand-over of the shift; note and numbers are null for readers with less clearance than whoever wrote it."""

    person: str
    at: datetime
    note: str | None
    standing: OpenCountsOut | None
    taken_over_by: str | None
    taken_over_at: datetime | None


class OpenPieceOut(BaseModel):
    """A piece that is still kept here."""

    piece_id: str
    state: PieceState
    since: datetime
    secrecy: Secrecy | None
    restricted: bool


class OpenClaimOut(BaseModel):
    """A review that is being worked on."""

    piece_id: str
    person: str
    expires_at: datetime


class OpenAlarmOut(BaseModel):
    """An alarm whose cause is not gone."""

    alarm_id: int
    code: AlarmCode
    priority: AlarmPriority
    subject: str
    detail: str
    raised_at: datetime
    acknowledged_by: str | None


class OpenOut(BaseModel):
    """What is open at the moment of the report: all of it in `counts`, the first 200 of each in the lists."""

    counts: OpenCountsOut
    pieces: list[OpenPieceOut]
    claims: list[OpenClaimOut]
    alarms: list[OpenAlarmOut]
    frozen_lanes: list[str]


class ReportOut(BaseModel):
    """A report. Times are the site's. `open` and `hand_over` stand only in a shift's; `snapshot` keeps lists of evidence to its numbers."""

    site: str
    kind: ReportKind
    name: str
    date: date
    shift: int | None
    start: datetime
    end: datetime
    is_over: bool
    as_of: datetime
    snapshot: str
    clearance: Secrecy | None
    figures: list[FigureOut]
    readers: list[ReportReaderOut]
    audit: AuditStandingOut
    hand_over: HandedOverOut | None
    open: OpenOut | None


class EvidenceItemOut(BaseModel):
    """One fact behind a number. `source`: `fact` (of the audit log: row `number`, leaf `leaf_index`), `alarm`, or `event`.

    `piece_id` is null where it is about no piece, or names one that the reader may not see.
    """

    source: str
    number: int
    leaf_index: int | None
    at: datetime
    type: str
    piece_id: str | None
    visit: int | None
    values: dict[str, object]


class EvidenceOut(BaseModel):
    """A page of the facts behind a number, by time."""

    items: list[EvidenceItemOut]
    next: str | None


class HandShiftOverIn(Asked):
    """Words for whoever takes over. No numbers of marked pieces: the words are shown to all who have the clearance of whoever writes."""

    date: date
    shift: int = Field(ge=1, le=3)
    note: str = Field(max_length=1000)


class TakeShiftOverIn(Asked):
    """Which hand-over is taken: `handed_over_at` is its `at`, so that nobody confirms words that they have not read."""

    date: date
    shift: int = Field(ge=1, le=3)
    handed_over_at: datetime


class ShiftHandedOut(BaseModel):
    """What was recorded."""

    shift: str
    handed_over_by: str
    handed_over_at: datetime
    taken_over_by: str | None = None
    taken_over_at: datetime | None = None


def evidence_out(facts: Sequence[ReportFact], cursor: str | None, clearance: Secrecy | None, zone: tzinfo) -> EvidenceOut:
    """Facts as they may be shown to somebody cleared so high: of a marked piece nothing that tells its content. Times are the zone's."""
    return EvidenceOut(items=[_item(fact, clearance, zone) for fact in facts], next=cursor)


def _item(fact: ReportFact, clearance: Secrecy | None, zone: tzinfo) -> EvidenceItemOut:
    content = fact.content
    if isinstance(content, Alarm | SentEvent):
        source, values = ("alarm" if isinstance(content, Alarm) else "event"), shown.plain_values(content)
    else:
        row = EvidenceRow(
            row_id=fact.number, piece_id=fact.piece_id, visit=fact.visit, at=fact.at, evidence=content, leaf_index=fact.number - 1
        )
        source, values = "fact", shown.fact_out(row, restricted=fact.level is not None).values
    if isinstance(content, ShiftHandedOver) and not may_see(clearance, content.clearance):
        values = {name: value for name, value in values.items() if name in {"shift", "person"}}
    if isinstance(content, DayReconciled) and not may_see(clearance, Secrecy.A):
        # A day's number of all events, beside a list of those that may be seen, would tell how many there are of the others.
        values = {name: value for name, value in values.items() if name in {"day", "agrees"}}
    named = fact.piece_id if may_see(clearance, fact.level) else ""
    return EvidenceItemOut(
        source=source,
        number=fact.number,
        leaf_index=fact.number - 1 if source == "fact" else None,
        at=fact.at.astimezone(zone),
        type=type(content).__name__,
        piece_id=plain(named) or None,
        visit=fact.visit if named else None,
        values={name: escaped(value) for name, value in values.items()},
    )


def escaped(value: object) -> object:
    """A fact's member without signs that change how the rest is read."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [escaped(each) for each in value]
    if isinstance(value, dict):
        return {name: escaped(each) for name, each in value.items()}
    return value
