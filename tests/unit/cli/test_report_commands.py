"""`station report`, and the program in which a running station makes reports."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from station.bootstrap import reports
from station.bootstrap.reports import ReportsApart, calendar_of
from station.bootstrap.stores import open_store
from station.domain.calendar import ReportKind, SiteCalendar
from station.domain.errors import NotFoundError, StoreError
from station.domain.piece import Secrecy
from station.reports.catalogue import Key
from station.settings import load, write_shipped
from station.workflow.report_requests import ReportFailedError, ReportForm, ReportRequest, WantedEvidence
from tests.support.store_facts import announcement
from tests.support.terminal import Terminal

AT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
CALENDAR = SiteCalendar()


def request(wanted: ReportForm | WantedEvidence, clearance: Secrecy | None = None) -> ReportRequest:
    return ReportRequest(period=CALENDAR.period(ReportKind.SHIFT, AT), clearance=clearance, now=AT, wanted=wanted)


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    write_shipped(tmp_path)
    return Terminal(monkeypatch, capsys, "report")


def put_pieces(site: Path, count: int, at: datetime) -> None:
    store = open_store(load(site / "station.toml"))
    for number in range(count):
        secrecy = Secrecy.A if number == 0 else None
        store.write(lambda unit, number=number, secrecy=secrecy: unit.announce(announcement(f"P{number}", secrecy=secrecy), at)).result(10)
    store.close()


def test_a_report_is_written_beside_the_station_and_errors_say_what_to_do(report: Terminal, tmp_path: Path):
    assert calendar_of(load(tmp_path / "station.toml")) == CALENDAR
    now = datetime.now(UTC)  # noqa: TID251 - the command takes the machine's own clock
    code, out, err = report.run("day")
    assert (code, out) == (1, "")
    assert "There is no database" in err
    put_pieces(tmp_path, 3, now)
    code, out, _ = report.run("year", "--format", "json")
    found = {(row["figure"], row["by"], row["value"]): row["count"] for row in json.loads(out)["figures"]}
    assert (code, found["pieces.announced", None, None], found["pieces.announced", "level", "A"]) == (0, 3, 1)
    for form, start in (("pdf", b"%PDF"), ("xlsx", b"PK")):
        # Whoever could read what lay there before must not read what comes.
        (tmp_path / f"r.{form}").touch(0o644)
        (tmp_path / f"r.{form}").chmod(0o644)
        assert report.run("half-year", "--format", form, "--out", f"r.{form}")[:2] == (0, f"r.{form}\n")
        assert (tmp_path / f"r.{form}").read_bytes().startswith(start)
        assert (tmp_path / f"r.{form}").stat().st_mode & 0o077 == 0
    tomorrow = (now + timedelta(days=2)).date().isoformat()
    for arguments, what in (
        (("day", "--date", tomorrow), "has not begun"),
        (("day", "--date", "2026-02-30"), "is no day"),
        (("week",), "'week' is not one of"),
        (("day", "--shift", "1"), "There is no shift 1 in a day report"),
        (("day", "--format", "csv"), "'csv' is not one of"),
        (("day", "--out", "no/such/place"), "cannot be written"),
    ):
        code, out, err = report.run(*arguments)
        assert (code, out) == (2, ""), arguments
        assert what in err
        assert "  -> " in err


def test_a_program_of_its_own_makes_the_same_report(tmp_path: Path):
    write_shipped(tmp_path)
    put_pieces(tmp_path, 3, AT)
    apart = ReportsApart(tmp_path / "data", site="site-1", calendar=CALENDAR)

    async def ask() -> tuple[bytes, bytes]:
        first = await apart.make(request(ReportForm.JSON))
        with pytest.raises(NotFoundError, match="No report has such a figure"):
            await apart.make(request(WantedEvidence(key=Key("x"), snapshot=None, after=None, limit=1)))
        apart._given["directory"] = str(tmp_path / "nowhere")
        with pytest.raises(StoreError, match="There is no database"):
            await apart.make(request(ReportForm.JSON))
        apart._given["directory"] = str(tmp_path / "data")
        wanted = WantedEvidence(key=Key("pieces.announced", "kind", "envelope"), snapshot=None, after=None, limit=10)
        listed = await apart.make(request(wanted))
        await apart.close()
        return first, listed

    made, listed = asyncio.run(ask())
    counts = {row["figure"]: row["count"] for row in json.loads(made)["figures"] if row["by"] is None}
    assert counts["pieces.announced"] == 2
    assert [item["piece_id"] for item in json.loads(listed)["items"]] == ["P1", "P2"]


def test_a_program_that_does_not_start_or_takes_too_long_makes_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def ask(words: str) -> None:
        apart = ReportsApart(tmp_path, site="site-1", calendar=CALENDAR)
        with pytest.raises(ReportFailedError, match=words):
            await apart.make(request(ReportForm.JSON))
        await apart.close()

    monkeypatch.setattr(reports, "PROGRAM", "station.no_such_program")
    asyncio.run(ask("ended by a defect"))
    monkeypatch.setattr(reports, "PROGRAM", "tests.support.odd_answers")
    monkeypatch.setattr(reports, "MOST_S", 0.2)
    asyncio.run(ask("more than 0 s"))
