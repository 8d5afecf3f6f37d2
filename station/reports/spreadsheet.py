"""A report as a spreadsheet: a sheet for each table. Every text is a text cell, never a formula, link or number."""

import io
import re
from collections.abc import Sequence
from typing import Any

import xlsxwriter

from station.reports.report import Report
from station.reports.tables import Cell, ReportTable, Text

_LONGEST_NAME = 31
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\']")
_MOST_WIDTH = 60


def spreadsheet(report: Report, tables: Sequence[ReportTable]) -> bytes:
    """The bytes of an `.xlsx` file; the same for the same report."""
    content = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, options) as book:
        made = report.snapshot.as_of.replace(tzinfo=None, microsecond=0)
        book.set_properties({"title": f"KT1 {report.period.name}", "created": made})
        head = book.add_format({"bold": True, "text_wrap": True, "bottom": 1})
        plain = book.add_format({"num_format": "@"})
        for table in tables:
            sheet = book.add_worksheet(_NOT_IN_NAMES.sub(" ", table.name.vi)[:_LONGEST_NAME])
            for column, words in enumerate(table.columns):
                sheet.write_string(0, column, _both(words), head)
                widest = max((len(_shown(row[column])) for row in table.rows), default=0)
                sheet.set_column(column, column, min(_MOST_WIDTH, max(12, widest + 2)))
            for number, row in enumerate(table.rows, start=1):
                for column, cell in enumerate(row):
                    _write(sheet, number, column, cell, plain)
            sheet.freeze_panes(1, 0)
    return content.getvalue()


def _write(sheet: Any, row: int, column: int, cell: Cell, plain: Any) -> None:
    if isinstance(cell, int | float):
        sheet.write_number(row, column, cell)
    elif cell is not None:
        sheet.write_string(row, column, _shown(cell), plain)


def _shown(cell: Cell) -> str:
    return "" if cell is None else _both(cell) if isinstance(cell, Text) else str(cell)


def _both(words: Text) -> str:
    return f"{words.vi} / {words.en}"
