"""Reports from a station's own files, and the program of its own in which a running station makes them (decision 0114)."""

import asyncio
import json
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from station.api.report_shapes import evidence_out
from station.api.texts import Texts
from station.audit.reading import Progress
from station.bootstrap.program_apart import NoAnswerError, ProgramApart, answer_questions
from station.domain.calendar import ReportKind, SiteCalendar
from station.domain.piece import Secrecy
from station.ports.reporting import Snapshot
from station.reports.catalogue import Key
from station.reports.document import document
from station.reports.report import members
from station.reports.spreadsheet import spreadsheet
from station.reports.tables import Text, Words, tables
from station.settings import Configuration
from station.storage.store import SqliteReader
from station.workflow.report_requests import ReportFailedError, ReportForm, ReportRequest, WantedEvidence
from station.workflow.reporting import Read, ReportMaker

IDLE_S = 120.0
MOST_S = 300.0
"""A report that takes longer is given up."""
PROGRAM = "station.bootstrap.report_program"
_NICE = 10


def calendar_of(configuration: Configuration) -> SiteCalendar:
    """How the site reckons days and shifts."""
    given = configuration.station.calendar
    hours, minutes = map(int, given.utc_offset[1:].split(":"))
    ahead = timedelta(hours=hours, minutes=minutes)
    return SiteCalendar(utc_offset=-ahead if given.utc_offset.startswith("-") else ahead, first_shift_hour=given.first_shift_hour)


@cache
def _texts() -> Texts:
    return Texts()


def words_of(texts: Texts) -> Words:
    """The words of both languages."""
    return lambda message: Text(vi=texts.text("vi", message), en=texts.text("en", message))


def make_report(
    read: Read, request: ReportRequest, *, site: str, calendar: SiteCalendar, progress: Progress = lambda _done, _all: None
) -> bytes:
    """The report as a file, or a page of its evidence as JSON. Raises `StoreError` and `NotFoundError`."""
    maker, wanted = ReportMaker(read, site=site, calendar=calendar), request.wanted
    if isinstance(wanted, WantedEvidence):
        page = maker.evidence(request, wanted)
        return evidence_out(page.facts, page.next, request.clearance, calendar.zone).model_dump_json().encode()
    report = maker.report(request, progress)
    if wanted is ReportForm.JSON:
        return json.dumps(members(report), ensure_ascii=False).encode()
    words = words_of(_texts())
    shown = tables(report, words)
    if wanted is ReportForm.XLSX:
        return spreadsheet(report, shown)
    return document(report, words(f"report-kind-{report.period.kind.value}"), shown)


def stored_report(configuration: Configuration, request: ReportRequest, progress: Progress) -> bytes:
    """The same from the station's data directory, also beside the running station. Raises `StoreError`: there is no database yet."""
    site, calendar = configuration.station.site, calendar_of(configuration)
    return _from_files(configuration.data_dir, request, site=site, calendar=calendar, progress=progress)


def _from_files(
    directory: Path, request: ReportRequest, *, site: str, calendar: SiteCalendar, progress: Progress = lambda _done, _all: None
) -> bytes:
    reader = SqliteReader(directory)
    try:
        return make_report(reader.read, request, site=site, calendar=calendar, progress=progress)
    finally:
        reader.close()


class ReportsApart:
    """`station.workflow.report_requests.Reports` in programs of their own, for one event loop: long periods keep no shift waiting.

    Args:
        directory: the station's data directory.
        site: its name.
        calendar: how it reckons.
    """

    def __init__(self, directory: Path, *, site: str, calendar: SiteCalendar) -> None:
        self.calendar = calendar
        self._given: dict[str, Any] = {
            "directory": str(directory),
            "site": site,
            "utc_offset_s": int(calendar.utc_offset.total_seconds()),
            "first_shift_hour": calendar.first_shift_hour,
        }
        self._short, self._long = ProgramApart(PROGRAM, nice=_NICE), ProgramApart(PROGRAM, nice=_NICE)

    async def make(self, request: ReportRequest) -> bytes:
        """The report. Raises `StoreError`, `NotFoundError` and `ReportFailedError`."""
        program = self._short if request.period.kind in {ReportKind.SHIFT, ReportKind.DAY} else self._long
        try:
            return await program.ask(json.dumps(self._given | to_members(request)).encode, within_s=MOST_S)
        except TimeoutError as error:
            raise ReportFailedError(f"The report took more than {MOST_S:.0f} s", remedy="Ask for a shorter period") from error
        except NoAnswerError as error:
            raise ReportFailedError("The program that makes reports ended by a defect", consequence="There is no report") from error

    async def close(self) -> None:
        """End the programs."""
        await asyncio.gather(self._short.close(), self._long.close())


def to_members(request: ReportRequest) -> dict[str, Any]:
    """A request as JSON members."""
    period, wanted = request.period, request.wanted
    asked: dict[str, Any] = {
        "kind": period.kind.value,
        "day": period.first_day.isoformat(),
        "shift": period.shift,
        "clearance": request.clearance,
        "now": request.now.isoformat(),
    }
    if isinstance(wanted, ReportForm):
        return asked | {"form": wanted.value}
    snapshot = None if wanted.snapshot is None else wanted.snapshot.token
    return asked | {"key": list(wanted.key), "snapshot": snapshot, "after": wanted.after, "limit": wanted.limit}


def of_members(asked: dict[str, Any], calendar: SiteCalendar) -> ReportRequest:
    """The request that `to_members` wrote."""
    now = datetime.fromisoformat(asked["now"])
    wanted: ReportForm | WantedEvidence
    if "form" in asked:
        wanted = ReportForm(asked["form"])
    else:
        snapshot = None if asked["snapshot"] is None else Snapshot.parse(asked["snapshot"])
        wanted = WantedEvidence(key=Key(*asked["key"]), snapshot=snapshot, after=asked["after"], limit=asked["limit"])
    return ReportRequest(
        period=calendar.period(ReportKind(asked["kind"]), now, date.fromisoformat(asked["day"]), asked["shift"]),
        clearance=None if asked["clearance"] is None else Secrecy(asked["clearance"]),
        now=now,
        wanted=wanted,
    )


def run_program() -> None:
    """Answer requests, a line of JSON each, until standard input ends or nobody has asked for a while."""
    answer_questions(_answer, idle_s=IDLE_S)


def _answer(line: bytes) -> bytes:
    asked = json.loads(line)
    calendar = SiteCalendar(utc_offset=timedelta(seconds=asked["utc_offset_s"]), first_shift_hour=asked["first_shift_hour"])
    return _from_files(Path(asked["directory"]), of_members(asked, calendar), site=asked["site"], calendar=calendar)
