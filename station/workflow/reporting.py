"""Making a report: read what a period holds page by page, count it, measure the readers, and list the evidence behind a number.

Every page is a read of its own, so that a year's report keeps nobody waiting and holds no long snapshot; a `Snapshot` keeps the pages, and
lists that are asked for later, to what was stored when the report was made.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from station.audit.reading import Progress
from station.domain.access import levels_seen, may_see
from station.domain.alarm import Alarm, AlarmCode
from station.domain.calendar import SHIFT_HOURS, Period, PeriodRefusedError, ReportKind, SiteCalendar
from station.domain.errors import NotFoundError
from station.domain.piece import Piece, PieceState, Secrecy
from station.domain.shift import SHIFT_SUBJECT, OpenCounts, ShiftHandedOver, ShiftTakenOver
from station.ports.reporting import Place, ReportFact, ReportWindow, SentEvent, Snapshot
from station.ports.store import ReadView
from station.reports.catalogue import COUNTED, FIGURES, Key
from station.reports.counting import Figures, Measure, added, count, counts_for
from station.reports.report import AuditStanding, HandedOver, OpenNow, Rate, ReaderLine, Report
from station.review.performance import Interval, Tally, performance
from station.workflow.alarm_sight import alarm_seen
from station.workflow.report_requests import ReportRequest, WantedEvidence

Read = Callable[[Callable[[ReadView], Any]], Any]
"""`Store.read`."""

PAGE = 1000
LISTED = 200
"""So many open pieces and alarms a report names; it counts all."""
MOST_ALARMS = 10_000
_THOUSANDTHS = 1000
_HERE = (PieceState.HELD, PieceState.IN_REVIEW, PieceState.FROZEN, PieceState.REJECTED)
_HANDING = timedelta(hours=SHIFT_HOURS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})\.([0-9]{1,18})")
"""Microseconds since then, up to the year 5138, and a number of 63 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePage:
    """Facts in the order of their time. `next` asks for the page after it; None where that is empty."""

    facts: tuple[ReportFact, ...]
    next: str | None


class ReportMaker:
    """Makes reports from what is stored.

    Args:
        read: `Store.read`, also of a store that another process writes.
        site: the site's name.
        calendar: how the site reckons days and shifts.
    """

    def __init__(self, read: Read, *, site: str, calendar: SiteCalendar) -> None:
        self._read = read
        self._site = site
        self.calendar = calendar

    def report(self, wanted: ReportRequest, progress: Progress = lambda _done, _all: None) -> Report:
        """The report of a period; `progress` is told (done, all) in thousandths. Raises `StoreError`."""
        snapshot = self._read(lambda view: view.report_snapshot(wanted.now))
        window = _window(wanted, snapshot)
        figures: dict[Key, Measure] = {}
        for number, counted in enumerate(COUNTED):
            for page in self._pages(counted, window, None, wanted.clearance):
                figures = added((figures, count(page, wanted.clearance)))
                read = (page[-1].at - window.start) / (window.end - window.start) if len(page) == PAGE else 1.0
                progress(int(_THOUSANDTHS * (number + read) / len(COUNTED)), _THOUSANDTHS)
        period, clearance = wanted.period, wanted.clearance
        is_shift = period.kind is ReportKind.SHIFT
        return Report(
            site=self._site,
            period=period,
            calendar=self.calendar,
            snapshot=snapshot,
            clearance=clearance,
            figures=figures,
            readers=tuple(readers(figures)),
            audit=self._read(audit_standing),
            hand_over=self._read(lambda view: handed_over(view, period, clearance)) if is_shift else None,
            standing=self._read(lambda view: open_now(view, clearance, wanted.now)) if is_shift and is_handed(period, wanted.now) else None,
        )

    def evidence(self, request: ReportRequest, wanted: WantedEvidence) -> EvidencePage:
        """A page of the facts behind a number.

        Raises:
            NotFoundError: no report has that figure or breakdown, or the cursor is none.
            StoreError: the store cannot be read.
        """
        key, figure, clearance = wanted.key, FIGURES.get(wanted.key.figure), request.clearance
        if figure is None or (key.by and key.by not in figure.by):
            raise NotFoundError("No report has such a figure", remedy="Take the address from the report")
        snapshot = wanted.snapshot or self._read(lambda view: view.report_snapshot(request.now))
        found: list[ReportFact] = []
        window = replace(_window(request, snapshot), holds=figure.holds)
        for page in self._pages(figure.counts, window, _place(wanted.after), clearance):
            found += (fact for fact in page if counts_for(fact, key, clearance))
            if len(found) > wanted.limit:
                break
        shown = found[: wanted.limit]
        return EvidencePage(facts=tuple(shown), next=_cursor(shown[-1]) if len(found) > wanted.limit else None)

    def _pages(
        self, counted: type[Any], window: ReportWindow, after: Place | None, clearance: Secrecy | None
    ) -> Iterator[list[ReportFact]]:
        while True:
            page: list[ReportFact] = self._read(partial(_page, counted=counted, window=window, after=after, clearance=clearance))
            yield page
            if len(page) < PAGE:
                return
            after = (page[-1].at, page[-1].number)


def _page(view: ReadView, *, counted: type[Any], window: ReportWindow, after: Place | None, clearance: Secrecy | None) -> list[ReportFact]:
    if counted is Alarm:
        found = view.alarms_between(window, after, PAGE)
        return [replace(fact, content=alarm_seen(view, fact.content, clearance)) for fact in found]
    if counted is SentEvent:
        return view.events_between(window, after, PAGE)
    return view.facts_between(counted, window, after, PAGE)


def _window(wanted: ReportRequest, snapshot: Snapshot) -> ReportWindow:
    return ReportWindow(start=wanted.period.start, end=wanted.period.end, levels=levels_seen(wanted.clearance), snapshot=snapshot)


def _cursor(fact: ReportFact) -> str:
    return f"{(fact.at - _EPOCH) // timedelta(microseconds=1)}.{fact.number}"


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise NotFoundError("There is no such place to go on after", remedy="Start again from the first page")
    return _EPOCH + timedelta(microseconds=int(found[1])), int(found[2])


def is_handed(period: Period, now: datetime) -> bool:
    """True while a shift may be handed over: it runs, or the next one does."""
    return period.start <= now < period.end + _HANDING


def refuse_unless_handed(period: Period, now: datetime) -> None:
    """Raise `PeriodRefusedError` for a shift that is handed over no more."""
    if not is_handed(period, now):
        raise PeriodRefusedError(
            f"The shift {period.name} ended more than {SHIFT_HOURS} hours ago",
            consequence="Nothing was recorded",
            remedy="Write to the shift that runs now",
        )


def open_now(view: ReadView, clearance: Secrecy | None, now: datetime) -> OpenNow:
    """What is open, of what somebody cleared so high may see."""
    pieces = list(_pieces_here(view, clearance))
    claims = [view.claim(piece.piece_id) for piece in pieces if piece.state is PieceState.IN_REVIEW]
    running = tuple(claim for claim in claims if claim is not None and claim.expires_at > now)
    alarms = tuple(alarm for alarm in view.alarms(active_only=True, limit=MOST_ALARMS) if alarm.cleared_at is None)
    frozen = tuple(sorted({alarm.subject for alarm in alarms if alarm.code is AlarmCode.FROZEN}))
    counts = OpenCounts(held_pieces=len(pieces), open_claims=len(running), standing_alarms=len(alarms), frozen_lanes=len(frozen))
    return OpenNow(
        counts=counts,
        pieces=tuple(pieces[:LISTED]),
        claims=running[:LISTED],
        alarms=tuple(alarm_seen(view, alarm, clearance) for alarm in alarms[:LISTED]),
        frozen_lanes=frozen,
    )


def _pieces_here(view: ReadView, clearance: Secrecy | None) -> Iterator[Piece]:
    after = None
    while True:
        page = view.pieces(states=_HERE, after=after, limit=PAGE, levels=levels_seen(clearance))
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].piece_id


def handed_over(view: ReadView, period: Period, clearance: Secrecy | None) -> HandedOver | None:
    """The newest hand-over of a shift; None while there is none."""
    facts = [row.evidence for row in view.evidence(SHIFT_SUBJECT, period.serial)]
    given = next((fact for fact in reversed(facts) if isinstance(fact, ShiftHandedOver)), None)
    if given is None:
        return None
    taken = next((fact for fact in facts if isinstance(fact, ShiftTakenOver)), None)
    told = may_see(clearance, given.clearance)
    return HandedOver(
        person=given.person,
        at=given.at,
        note=given.note if told else None,
        standing=OpenCounts(
            held_pieces=given.held_pieces,
            open_claims=given.open_claims,
            standing_alarms=given.standing_alarms,
            frozen_lanes=given.frozen_lanes,
        )
        if told
        else None,
        taken_over_by=None if taken is None else taken.person,
        taken_over_at=None if taken is None else taken.at,
    )


def audit_standing(view: ReadView) -> AuditStanding:
    """How the audit log stands."""
    head, signed, witnessed = view.audit_head(), view.newest_checkpoint(), view.newest_checkpoint(witnessed=True)
    return AuditStanding(
        leaves=head.size,
        root=head.root.hex(),
        signed_leaves=0 if signed is None else signed.size,
        witnessed_leaves=0 if witnessed is None else witnessed.size,
    )


def readers(figures: Figures) -> Iterator[ReaderLine]:
    """People, then models: the statistics of `station.review.performance` over the counts of the period."""
    for by, by_model, counted in (
        ("person", False, ("exercises.answered", "exercises.hits", "exercises.plain", "exercises.false-alarms")),
        ("model", True, ("model.projections", "model.hits", "model.readings", "model.alarms")),
    ):
        for name in sorted({key.value for key in figures if key.by == by and key.figure in counted}):
            projections, hits, plain, calls = (figures.get(Key(figure, by, name), Measure()).count for figure in counted)
            yield _line(name, Tally(projections=projections, hits=hits, plain=plain, false_alarms=calls), by_model=by_model)


def _line(name: str, tally: Tally, *, by_model: bool) -> ReaderLine:
    found = performance(tally)
    measured = found.sensitivity
    return ReaderLine(
        name=name,
        by_model=by_model,
        projections=tally.projections,
        hits=tally.hits,
        hit_rate=_rate(found.hit_rate, found.hit_interval),
        images=tally.plain,
        false_alarms=tally.false_alarms,
        false_alarm_rate=_rate(found.false_alarm_rate, found.false_alarm_interval),
        d_a=None if measured is None else _rate(measured.d_a, measured.interval),
    )


def _rate(value: float | None, interval: Interval | None) -> Rate | None:
    return None if value is None or interval is None else Rate(value=value, low=interval.low, high=interval.high)
