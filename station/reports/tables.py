"""The tables of a report, which its document and its spreadsheet both show. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from station.domain.calendar import ReportKind
from station.reports.catalogue import FIGURES, Key
from station.reports.counting import Measure
from station.reports.plain_text import plain
from station.reports.report import HandedOver, OpenNow, Rate, ReaderLine, Report, text_id

MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words in both languages."""

    vi: str
    en: str


Words = Callable[[str], Text]
"""The words of a message id."""
Cell = Text | str | int | float | None
"""Words, a text from outside (already plain), a number, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table. `name` is short, for a sheet's tab; every row has as many cells as there are columns."""

    name: Text
    columns: tuple[Text, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(report: Report, words: Words) -> list[ReportTable]:
    """Every table of a report, in order: what it is about, what is open, the figures section by section, the readers."""
    found = [_about(report, words)]
    if report.period.kind is ReportKind.SHIFT:
        found.append(_handing(report, words))
    if report.standing is not None:
        found += _open(report, report.standing, words)
    sections = dict.fromkeys(figure.section for figure in FIGURES.values())
    rows = report.rows()
    found += [_section(section, [row for row in rows if FIGURES[row[0].figure].section == section], words) for section in sections]
    found.append(_readers(report, words))
    return found


def shown_moment(moment: datetime, report: Report) -> str:
    """A moment as the site's clock shows it, with its offset."""
    return moment.astimezone(report.calendar.zone).strftime("%Y-%m-%d %H:%M:%S %z")


def shown_value(key: Key, words: Words) -> Cell:
    """What a breakdown's value is."""
    message = text_id(key)
    return words(message) if message is not None else plain(key.value)


def _table(name: str, columns: tuple[str, ...], rows: Iterator[tuple[Cell, ...]], words: Words) -> ReportTable:
    return ReportTable(name=words(name), columns=tuple(words(f"report-column-{column}") for column in columns), rows=tuple(rows))


def _about(report: Report, words: Words) -> ReportTable:
    period, audit = report.period, report.audit

    def rows() -> Iterator[tuple[Cell, ...]]:
        yield words("report-about-site"), plain(report.site)
        yield words("report-about-period"), f"{shown_moment(period.start, report)} – {shown_moment(period.end, report)}"
        yield words("report-about-as-of"), shown_moment(report.snapshot.as_of, report)
        yield words("report-about-state"), words("report-is-over" if report.is_over else "report-still-runs")
        yield words("report-about-clearance"), words(f"secrecy-{report.clearance or 'none'}")
        yield words("report-about-hidden"), words("report-hidden-explained")
        yield words("report-about-snapshot"), report.snapshot.token
        yield words("report-about-leaves"), audit.leaves
        yield words("report-about-root"), audit.root
        yield words("report-about-signed"), audit.signed_leaves
        yield words("report-about-witnessed"), audit.witnessed_leaves

    return _table("report-about", ("what", "value"), rows(), words)


def _handing(report: Report, words: Words) -> ReportTable:
    given: HandedOver | None = report.hand_over

    def rows() -> Iterator[tuple[Cell, ...]]:
        if given is None:
            yield words("report-handing-none"), ""
            return
        yield words("report-handed-over-by"), f"{plain(given.person)}, {shown_moment(given.at, report)}"
        yield words("report-note"), words("report-note-hidden") if given.note is None else plain(given.note)
        taken = given.taken_over_by
        if taken is None or given.taken_over_at is None:
            yield words("report-taken-over-by"), words("report-not-taken")
        else:
            yield words("report-taken-over-by"), f"{plain(taken)}, {shown_moment(given.taken_over_at, report)}"

    return _table("report-handing", ("what", "value"), rows(), words)


def _open(report: Report, standing: OpenNow, words: Words) -> list[ReportTable]:
    counts = standing.counts

    def numbers() -> Iterator[tuple[Cell, ...]]:
        yield words("report-open-pieces"), counts.held_pieces
        yield words("report-open-claims"), counts.open_claims
        yield words("report-open-alarms"), counts.standing_alarms
        yield words("report-open-lanes"), counts.frozen_lanes
        yield from ((words("report-frozen-lane"), plain(lane)) for lane in standing.frozen_lanes)

    def pieces() -> Iterator[tuple[Cell, ...]]:
        claimed = {claim.piece_id: claim.person for claim in standing.claims}
        for piece in standing.pieces:
            level = words(f"secrecy-{piece.secrecy or ('unknown' if piece.is_marked else 'none')}")
            person = plain(claimed.get(piece.piece_id, ""))
            yield plain(piece.piece_id), words(f"piece-state-{piece.state}"), level, shown_moment(piece.state_since, report), person

    def alarms() -> Iterator[tuple[Cell, ...]]:
        for alarm in standing.alarms:
            subject = " ".join(part for part in (plain(alarm.subject), plain(alarm.detail)) if part)
            seen = plain(alarm.acknowledged_by or "")
            yield (
                words(f"alarm-{alarm.code}"),
                words(f"alarm-priority-{alarm.priority}"),
                subject,
                shown_moment(alarm.raised_at, report),
                seen,
            )

    return [
        _table("report-open", ("what", "count"), numbers(), words),
        _table("report-open-pieces", ("piece", "state", "level", "since", "person"), pieces(), words),
        _table("report-open-alarms", ("alarm", "priority", "about", "since", "acknowledged"), alarms(), words),
    ]


def _section(section: str, rows: list[tuple[Key, Measure]], words: Words) -> ReportTable:
    columns: tuple[str, ...] = ("figure", "by", "value", "count")
    unit = next((FIGURES[key.figure].unit for key, _ in rows if FIGURES[key.figure].unit), "")
    measures = {"ms": ("mean-s", "greatest-s"), "images": ("images-total",), "": ()}[unit]

    def lines() -> Iterator[tuple[Cell, ...]]:
        for key, measure in rows:
            label = words(f"report-figure-{key.figure.replace('.', '-')}")
            by = words(f"report-by-{key.by}") if key.by else None
            yield label, by, shown_value(key, words) if key.by else None, measure.count, *_amounts(key, measure, unit), _name_of(key)

    return _table(f"report-section-{section}", (*columns, *measures, "code"), lines(), words)


def _amounts(key: Key, measure: Measure, unit: str) -> tuple[Cell, ...]:
    measures = FIGURES[key.figure].unit == unit
    if unit == "ms":
        if not measures or measure.mean is None:
            return None, None
        return round(measure.mean / MILLISECONDS, 1), round(measure.greatest / MILLISECONDS, 1)
    return ((measure.total if measures else None),) if unit else ()


def _name_of(key: Key) -> str:
    return plain(" ".join((key.figure, f"{key.by}={key.value}"))) if key.by else key.figure


def _readers(report: Report, words: Words) -> ReportTable:
    columns = ("reader", "projections", "hits", "hit-rate", "images", "false-alarms", "false-alarm-rate", "sensitivity")

    def lines() -> Iterator[tuple[Cell, ...]]:
        for line in report.readers:
            yield (
                f"{'model ' if line.by_model else ''}{plain(line.name)}",
                line.projections,
                line.hits,
                _percent(line.hit_rate),
                line.images,
                line.false_alarms,
                _percent(line.false_alarm_rate),
                _sensitivity(line),
            )

    return _table("report-readers", columns, lines(), words)


def _percent(rate: Rate | None) -> str:
    return "–" if rate is None else f"{rate.value * 100:.1f} % ({rate.low * 100:.1f}–{rate.high * 100:.1f})"


def _sensitivity(line: ReaderLine) -> str:
    return "–" if line.d_a is None else f"{line.d_a.value:.2f} ({line.d_a.low:.2f}–{line.d_a.high:.2f})"
