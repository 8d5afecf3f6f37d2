"""Reports from a station's own files, and the program of its own in which a running station makes them (decision 0114)."""

import asyncio
import contextlib
import json
import os
import sys
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from station.api.report_shapes import evidence_out
from station.api.texts import Texts
from station.domain.calendar import ReportKind, SiteCalendar
from station.domain.errors import NotFoundError, StationError, StoreError, StoreUnavailableError
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

MOST_S = 300.0
"""A report that takes longer is given up."""
PROGRAM = "station.bootstrap.report_program"
_NICE = 10
_ERRORS: dict[str, type[StationError]] = {kind.__name__: kind for kind in (NotFoundError, StoreError, StoreUnavailableError)}


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


def make_report(read: Read, request: ReportRequest, *, site: str, calendar: SiteCalendar) -> bytes:
    """The report as a file, or a page of its evidence as JSON. Raises `StoreError` and `NotFoundError`."""
    maker, wanted = ReportMaker(read, site=site, calendar=calendar), request.wanted
    if isinstance(wanted, WantedEvidence):
        page = maker.evidence(request, wanted)
        return evidence_out(page.facts, page.next, request.clearance).model_dump_json().encode()
    report = maker.report(request)
    if wanted is ReportForm.JSON:
        return json.dumps(members(report), ensure_ascii=False).encode()
    words = words_of(_texts())
    shown = tables(report, words)
    if wanted is ReportForm.XLSX:
        return spreadsheet(report, shown)
    return document(report, words(f"report-kind-{report.period.kind.value}"), shown)


def stored_report(configuration: Configuration, request: ReportRequest) -> bytes:
    """The same from the station's data directory, also beside the running station. Raises `StoreError`: there is no database yet."""
    return _from_files(configuration.data_dir, request, site=configuration.station.site, calendar=calendar_of(configuration))


def _from_files(directory: Path, request: ReportRequest, *, site: str, calendar: SiteCalendar) -> bytes:
    reader = SqliteReader(directory)
    try:
        return make_report(reader.read, request, site=site, calendar=calendar)
    finally:
        reader.close()


class ReportsApart:
    """`station.workflow.report_requests.Reports` in a program of its own for each, one at a time and of low priority.

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
        self._one = asyncio.Semaphore(1)

    async def make(self, request: ReportRequest) -> bytes:
        """The report. Raises `StoreError`, `NotFoundError` and `ReportFailedError`."""
        async with self._one:
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-m", PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            try:
                async with asyncio.timeout(MOST_S):
                    made, said = await program.communicate(json.dumps(self._given | to_members(request)).encode())
            except TimeoutError as error:
                raise ReportFailedError(f"The report took more than {MOST_S:.0f} s", remedy="Ask for a shorter period") from error
            finally:
                # Also when whoever asked has gone away.
                with contextlib.suppress(ProcessLookupError):
                    program.kill()
        if program.returncode == 0:
            return made
        raise _error(said)


def _error(said: bytes) -> StationError:
    try:
        error = json.loads(said.decode(errors="replace").splitlines()[-1])
        return _ERRORS.get(error["kind"], ReportFailedError)(error["what"], consequence=error["consequence"], remedy=error["remedy"])
    except (ValueError, LookupError, TypeError):
        # A traceback may name a piece or a file: it stays in the log.
        return ReportFailedError("The program that makes reports ended by a defect", consequence="There is no report")


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


def run_program() -> int:
    """Read one request from standard input, write what was asked to standard output or why not to standard error; the exit code."""
    os.nice(_NICE)
    asked = json.load(sys.stdin)
    calendar = SiteCalendar(utc_offset=timedelta(seconds=asked["utc_offset_s"]), first_shift_hour=asked["first_shift_hour"])
    try:
        made = _from_files(Path(asked["directory"]), of_members(asked, calendar), site=asked["site"], calendar=calendar)
    except StationError as error:
        said = {"kind": type(error).__name__, "what": error.what, "consequence": error.consequence, "remedy": error.remedy}
        sys.stderr.write(json.dumps(said) + "\n")
        return 1
    sys.stdout.buffer.write(made)
    return 0
