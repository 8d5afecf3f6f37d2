"""`station report shift|day|month|half-year|year`."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from station.bootstrap.reports import calendar_of, stored_report
from station.cli.options import ConfigOption, configuration_path
from station.cli.output import FOR_ITS_OWNER, put_file
from station.cli.progress import bar
from station.domain.calendar import PeriodRefusedError, ReportKind
from station.domain.errors import ConfigurationError
from station.domain.piece import Secrecy
from station.settings import load
from station.workflow.report_requests import ReportForm, ReportRequest


def report(
    kind: Annotated[ReportKind, typer.Argument(help="Ca, ngày, tháng, 6 tháng, năm / what the report is about.")],
    day: Annotated[
        str | None, typer.Option("--date", metavar="D", help="A day of the site in it, like 2026-11-20; else the running one.")
    ] = None,
    shift: Annotated[int | None, typer.Option(metavar="N", help="Which shift of the day, 1 to 3; of a named day the first.")] = None,
    form: Annotated[ReportForm, typer.Option("--format", help="pdf, xlsx, json.")] = ReportForm.JSON,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; else to standard output.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write a report from the station's own files, also beside a running station. It counts pieces of every level: keep it accordingly."""
    configuration = load(configuration_path(config), demo=True)
    now = datetime.now(UTC)  # noqa: TID251 - this is the root of a program of its own
    try:
        period = calendar_of(configuration).period(kind, now, None if day is None else _day(day), shift)
    except PeriodRefusedError as error:
        raise ConfigurationError(error.what, consequence=error.consequence, remedy=error.remedy) from error
    if out is None and form is not ReportForm.JSON and sys.stdout.isatty():
        raise ConfigurationError(
            f"A {form.value} file cannot be shown on a terminal", consequence="Nothing was made", remedy="Name a file by --out FILE"
        )
    request = ReportRequest(period=period, clearance=Secrecy.A, now=now, wanted=form)
    with bar("Báo cáo / report") as progress:
        made = stored_report(configuration, request, progress)
    if out is None:
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()
        return
    # It may count what few may know of.
    put_file(out, made, mode=FOR_ITS_OWNER, consequence="There is no report")
    typer.echo(str(out))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--date {text} is no day", consequence="Nothing was made", remedy="Write it like 2026-11-20") from error
