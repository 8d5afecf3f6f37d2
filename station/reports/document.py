"""A report as a PDF document. What it says goes to the typesetter as data, never as its markup."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import typst

from station.reports.report import Report
from station.reports.tables import Cell, ReportTable, Text

TEMPLATE = Path(__file__).parent / "report.typ"


def document(report: Report, title: Text, tables: Sequence[ReportTable]) -> bytes:
    """The bytes of a PDF file, with the fonts that the typesetter brings along."""
    data = {
        "title": _cell(title),
        "name": report.period.name,
        "tables": [
            {
                "name": _cell(table.name),
                "columns": [_cell(column) for column in table.columns],
                "rows": [[_cell(cell) for cell in row] for row in table.rows],
            }
            for table in tables
        ],
    }
    made = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        timestamp=report.snapshot.as_of - timedelta(microseconds=report.snapshot.as_of.microsecond),
    )
    if not isinstance(made, bytes):
        raise TypeError("the typesetter made no single file")
    return made


def _cell(cell: Cell) -> dict[str, str]:
    if isinstance(cell, Text):
        return {"kind": "words", "vi": cell.vi, "en": cell.en}
    if isinstance(cell, int | float):
        return {"kind": "number", "text": str(cell)}
    return {"kind": "text", "text": cell or ""}
