"""A report as one value, from which every form of it is made; and its JSON form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from station.domain.alarm import Alarm
from station.domain.calendar import Period, SiteCalendar
from station.domain.piece import Piece, Secrecy
from station.domain.shift import OpenCounts
from station.ports.reporting import Snapshot
from station.ports.store import Claim
from station.reports.catalogue import FIGURES, WITHHELD, Key
from station.reports.counting import Figures, Measure
from station.reports.plain_text import plain

_TEXTS: Mapping[str, str] = {
    "reason": "reason-",
    "code": "alarm-",
    "priority": "alarm-priority-",
    "kind": "kind-",
    "decision": "ui-said-",
    "outcome": "ui-said-",
    "level": "secrecy-",
    **{by: f"report-{by}-" for by in ("answer", "result", "rendering", "cause", "delivery", "agreement")},
}
"""Breakdowns whose values have words (`<prefix><value>`); the values of the others are names."""
NAMES = ("lane", "person", "unit", "model")
"""Breakdowns whose values are names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate or a sensitivity with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLine:
    """How well one reader, person or model, found projected threats in the period; None where there was nothing to measure with."""

    name: str
    by_model: bool
    projections: int
    hits: int
    hit_rate: Rate | None
    images: int
    false_alarms: int
    false_alarm_rate: Rate | None
    d_a: Rate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStanding:
    """The audit log as the report saw it: leaves, root (hex), and how many of them are signed and witnessed."""

    leaves: int
    root: str
    signed_leaves: int
    witnessed_leaves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A hand-over of the shift. `note` and `standing` are None for readers with less clearance than whoever wrote it."""

    person: str
    at: datetime
    note: str | None
    standing: OpenCounts | None
    taken_over_by: str | None = None
    taken_over_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNow:
    """What is open at the moment of the report, of what the reader may see. The lists are cut at a length, `counts` are not."""

    counts: OpenCounts
    pieces: tuple[Piece, ...]
    claims: tuple[Claim, ...]
    alarms: tuple[Alarm, ...]
    frozen_lanes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report says. `clearance` is the reader's: pieces above it are in no figure."""

    site: str
    period: Period
    calendar: SiteCalendar
    snapshot: Snapshot
    clearance: Secrecy | None
    figures: Figures
    readers: tuple[ReaderLine, ...]
    audit: AuditStanding
    hand_over: HandedOver | None
    standing: OpenNow | None

    @property
    def is_over(self) -> bool:
        """False while the period still runs."""
        return self.snapshot.as_of >= self.period.end

    def measure(self, key: Key) -> Measure:
        """A figure; zero where no fact counts for it."""
        return self.figures.get(key, Measure())

    def rows(self) -> list[tuple[Key, Measure]]:
        """Every figure in the order of the catalogue, also one that is 0, each with its breakdowns by falling number."""
        found = []
        for figure in FIGURES.values():
            found.append((Key(figure.name), self.measure(Key(figure.name))))
            for by in figure.by:
                parts = [(key, measure) for key, measure in self.figures.items() if (key.figure, key.by) == (figure.name, by)]
                found += sorted(parts, key=lambda part: (-part[1].count, part[0].value))
        return found


def text_id(key: Key) -> str | None:
    """The message that says what a breakdown's value is; None where the value is a name."""
    if not key.by or key.by in NAMES:
        return None
    if key.value == WITHHELD:
        return "report-withheld"
    value = "none" if (key.by, key.value) == ("level", "unmarked") else key.value
    return f"{_TEXTS[key.by]}{value}"


def evidence_path(report: Report, key: Key) -> str:
    """Where the facts behind a number are listed, page by page."""
    asked: dict[str, object] = {"date": report.period.first_day.isoformat()}
    if report.period.shift is not None:
        asked["shift"] = report.period.shift
    asked |= {"figure": key.figure} | ({"by": key.by, "value": key.value} if key.by else {}) | {"snapshot": report.snapshot.token}
    return f"/api/v1/reports/{report.period.kind.value}/evidence?{urlencode(asked)}"


def members(report: Report) -> dict[str, Any]:
    """The report as JSON members; texts from outside without signs that change how the rest is read."""
    period = report.period
    return {
        "site": report.site,
        "kind": period.kind.value,
        "name": period.name,
        "date": period.first_day.isoformat(),
        "shift": period.shift,
        "start": period.start.astimezone(report.calendar.zone).isoformat(),
        "end": period.end.astimezone(report.calendar.zone).isoformat(),
        "is_over": report.is_over,
        "as_of": report.snapshot.as_of.astimezone(report.calendar.zone).isoformat(),
        "snapshot": report.snapshot.token,
        "clearance": report.clearance,
        "figures": [_row(report, key, measure) for key, measure in report.rows()],
        "readers": [asdict(line) | {"name": plain(line.name)} for line in report.readers],
        "audit": asdict(report.audit),
        "hand_over": None if report.hand_over is None else _handed_over(report.hand_over, report.calendar),
        "open": None if report.standing is None else _open(report.standing, report.calendar),
    }


def _row(report: Report, key: Key, measure: Measure) -> dict[str, Any]:
    return {
        "section": FIGURES[key.figure].section,
        "figure": key.figure,
        "by": key.by or None,
        "value": plain(key.value) if key.by else None,
        "text": text_id(key),
        "count": measure.count,
        "unit": FIGURES[key.figure].unit or None,
        "measured": measure.measured,
        "total": measure.total,
        "mean": measure.mean,
        "greatest": measure.greatest if measure.measured else None,
        "evidence": evidence_path(report, key),
    }


def _moment(moment: datetime | None, calendar: SiteCalendar) -> str | None:
    return None if moment is None else moment.astimezone(calendar.zone).isoformat()


def _handed_over(one: HandedOver, calendar: SiteCalendar) -> dict[str, Any]:
    return {
        "person": plain(one.person),
        "at": _moment(one.at, calendar),
        "note": None if one.note is None else plain(one.note),
        "standing": None if one.standing is None else asdict(one.standing),
        "taken_over_by": None if one.taken_over_by is None else plain(one.taken_over_by),
        "taken_over_at": _moment(one.taken_over_at, calendar),
    }


def _open(standing: OpenNow, calendar: SiteCalendar) -> dict[str, Any]:
    return {
        "counts": asdict(standing.counts),
        "pieces": [
            {
                "piece_id": plain(piece.piece_id),
                "state": piece.state.value,
                "since": _moment(piece.state_since, calendar),
                "secrecy": piece.secrecy,
                "restricted": piece.is_marked,
            }
            for piece in standing.pieces
        ],
        "claims": [
            {"piece_id": plain(claim.piece_id), "person": plain(claim.person), "expires_at": _moment(claim.expires_at, calendar)}
            for claim in standing.claims
        ],
        "alarms": [
            {
                "alarm_id": alarm.alarm_id,
                "code": alarm.code.value,
                "priority": alarm.priority.value,
                "subject": plain(alarm.subject),
                "detail": plain(alarm.detail),
                "raised_at": _moment(alarm.raised_at, calendar),
                "acknowledged_by": None if alarm.acknowledged_by is None else plain(alarm.acknowledged_by),
            }
            for alarm in standing.alarms
        ],
        "frozen_lanes": [plain(lane) for lane in standing.frozen_lanes],
    }
