"""Documents and spreadsheets: the figures as they are, and hostile text as text."""

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import typst

from station.api.texts import Texts
from station.bootstrap.reports import words_of
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.calendar import ReportKind, SiteCalendar
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.shift import OpenCounts
from station.ports.reporting import Snapshot
from station.ports.store import Claim
from station.reports import catalogue, document
from station.reports.catalogue import Key
from station.reports.counting import Measure
from station.reports.plain_text import LONGEST, plain
from station.reports.report import NAMES, AuditStanding, HandedOver, OpenNow, Rate, ReaderLine, Report, members, text_id
from station.reports.spreadsheet import spreadsheet
from station.reports.tables import tables

NOW = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)
HOSTILE = (
    '=HYPERLINK("http://evil","x")',
    "+1+1",
    "-1",
    "@SUM(1)",
    "<script>alert(1)</script>",
    '#panic("read as markup") *bold* $x$ \\ / term: x',
    "a\r\nb\tc\x00d",
    "\u202egnp.exe",
    "\u2066x\u2069\u200f",
    "../../etc/passwd",
    "y" * 5000,
    "_x000D_",
)


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts()


def report() -> Report:
    """A shift's report with a hostile text wherever one can come from outside."""
    calendar = SiteCalendar()
    pieces = tuple(
        Piece(
            piece_id=text,
            state=PieceState.IN_REVIEW,
            visit=1,
            state_since=NOW,
            announcement=Announcement(piece_id=text),
            announced=True,
        )
        for text in HOSTILE
    )
    alarms = tuple(
        Alarm(alarm_id=1, code=AlarmCode.LAMP, priority=AlarmPriority.HIGH, subject=text, detail=text, raised_at=NOW, acknowledged_by=text)
        for text in HOSTILE
    )
    rate = Rate(value=0.5, low=0.25, high=0.75)
    line = ReaderLine(
        name=HOSTILE[0],
        by_model=False,
        projections=2,
        hits=1,
        hit_rate=rate,
        images=3,
        false_alarms=0,
        false_alarm_rate=None,
        d_a=rate,
    )
    figures = {Key("pieces.released"): Measure(count=7)}
    figures |= {Key("pieces.released", "lane", text): Measure(count=1) for text in HOSTILE}
    figures |= {Key("decisions.operator"): Measure(count=2, measured=2, total=3000, greatest=2000)}
    counts = OpenCounts(held_pieces=99, open_claims=1, standing_alarms=2, frozen_lanes=1)
    return Report(
        site="site-1",
        period=calendar.period(ReportKind.SHIFT, NOW),
        calendar=calendar,
        snapshot=Snapshot(leaves=5, alarms=4, events=3, as_of=NOW),
        clearance=None,
        figures=figures,
        readers=(line,),
        audit=AuditStanding(leaves=5, root="ab", signed_leaves=4, witnessed_leaves=3),
        hand_over=HandedOver(
            person=HOSTILE[1], at=NOW, note="".join(HOSTILE), standing=counts, taken_over_by=HOSTILE[7], taken_over_at=NOW
        ),
        standing=OpenNow(
            counts=counts,
            pieces=pieces,
            claims=(Claim(piece_id=HOSTILE[0], person=HOSTILE[3], expires_at=NOW),),
            alarms=alarms,
            frozen_lanes=HOSTILE,
        ),
    )


def _parsed(book: zipfile.ZipFile, name: str) -> ET.Element:
    return ET.fromstring(book.read(name))  # noqa: S314 - made by the test itself


def cells(content: bytes) -> list[tuple[str, str]]:
    """(type, text) of every cell; fails where a formula stands."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        shared = ["".join(one.itertext()) for one in _parsed(book, "xl/sharedStrings.xml")]
        for name in book.namelist():
            assert b"<hyperlink " not in book.read(name)
            if name.startswith("xl/worksheets/sheet"):
                for cell in _parsed(book, name).iter(f"{space}c"):
                    assert cell.find(f"{space}f") is None
                    value = cell.findtext(f"{space}v") or ""
                    kind = cell.get("t", "n")
                    found.append((kind, shared[int(value)] if kind == "s" else value))
    return found


def test_a_spreadsheet_holds_texts_and_numbers_and_never_a_formula(texts: Texts):
    made = report()
    content = spreadsheet(made, tables(made, words_of(texts)))
    found = cells(content)
    shown = {text for kind, text in found if kind == "s"}
    for text in HOSTILE:
        # The sheet writes `_x005F_` for an underscore that would else be read as an escape.
        assert plain(text).replace("_x000D_", "_x005F_x000D_") in shown
    assert {"7", "99", "1.5", "2"} <= {text for kind, text in found if kind == "n"}
    assert not any(sign in text for text in shown for sign in "\u202e\u2066\x00\r\n")
    assert spreadsheet(made, tables(made, words_of(texts))) == content


def test_a_document_takes_hostile_text_as_data(texts: Texts, monkeypatch: pytest.MonkeyPatch):
    made, given = report(), {}
    compiled = typst.compile

    def compile_and_look(*where: Any, **how: Any) -> Any:
        given.update(json.loads(how["sys_inputs"]["data"]))
        return compiled(*where, **how)

    monkeypatch.setattr(document.typst, "compile", compile_and_look)
    words = words_of(texts)
    content = document.document(made, words("report-kind-shift"), tables(made, words))
    assert content.startswith(b"%PDF-")
    told = json.dumps(given, ensure_ascii=False)
    assert all(json.dumps(plain(text), ensure_ascii=False)[1:-1] in told for text in HOSTILE)
    assert (document.TEMPLATE.read_text(encoding="utf-8").count("eval"), content.count(b"/JavaScript")) == (0, 0)


def test_the_json_form_escapes_what_hides_and_names_its_evidence():
    made = members(report())
    whole = json.dumps(made, ensure_ascii=False)
    assert not any(sign in whole for sign in "\u202e\u2066\u200f\x00\r")
    assert all(row["evidence"].startswith("/api/v1/reports/shift/evidence?date=2026-11-21&shift=2&figure=") for row in made["figures"])
    assert all("snapshot=5.4.3.1795248000123456" in row["evidence"] for row in made["figures"])


def test_plain_text_is_one_line_that_hides_nothing():
    assert plain("Trạm soi – Hỏa tốc 😀") == "Trạm soi – Hỏa tốc 😀"
    assert plain("a\r\n\u202eb\u2028\ud800\U000e0001") == "a\\u000d\\u000a\\u202eb\\u2028\\ud800\\U000e0001"
    assert len(plain("x" * 9999)) == LONGEST


def test_every_word_of_a_report_is_in_both_languages(texts: Texts):
    made = report()
    for table in tables(made, words_of(texts)):
        for cell in (table.name, *table.columns, *(cell for row in table.rows for cell in row)):
            if not isinstance(cell, str | int | float | None):
                assert not cell.vi.startswith(("report-", "reason-", "alarm-")), cell
                assert cell.vi != cell.en or cell.vi.startswith("d_a")
    names = {table.name.vi[:31] for table in tables(made, words_of(texts))}
    assert len(names) == len(tables(made, words_of(texts)))
    for figure in catalogue.FIGURES.values():
        for by in figure.by:
            assert texts.has(f"report-by-{by}")
            if by not in NAMES:
                assert texts.has(str(text_id(Key(figure.name, by, SAMPLES[by])))), by
    for type_name in ("Alarm", "SentEvent", "StateChange"):
        assert texts.has(f"fact-{type_name}")


SAMPLES = {
    "kind": "envelope",
    "level": "unmarked",
    "reason": "dose-short",
    "decision": "clear",
    "outcome": "reject",
    "answer": "missed",
    "result": "passed",
    "code": "lamp",
    "priority": "high",
    "rendering": "heat",
    "cause": "early",
    "delivery": "pending",
    "agreement": "differs",
}
