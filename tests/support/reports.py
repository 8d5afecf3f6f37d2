"""Reports made in the test's own process."""

import asyncio
from dataclasses import replace

from station.api.texts import Texts
from station.bootstrap.reports import make_report, words_of
from station.domain.calendar import SiteCalendar
from station.ports.store import Store
from station.reports.tables import tables
from station.workflow.report_requests import ReportForm, ReportRequest
from station.workflow.reporting import ReportMaker

SITE = "site-1"


class ReportsHere:
    """`station.workflow.report_requests.Reports` over an open store. `in_clear`: files come as the text that would stand in them."""

    def __init__(self, store: Store, calendar: SiteCalendar | None = None, *, in_clear: Texts | None = None) -> None:
        self._store = store
        self._in_clear = in_clear
        self.calendar = calendar or SiteCalendar()

    async def make(self, request: ReportRequest) -> bytes:
        return await asyncio.to_thread(self._make, request)

    async def close(self) -> None:
        pass

    def _make(self, request: ReportRequest) -> bytes:
        if self._in_clear is not None and request.wanted in {ReportForm.PDF, ReportForm.XLSX}:
            report = ReportMaker(self._store.read, site=SITE, calendar=self.calendar).report(replace(request, wanted=ReportForm.JSON))
            return repr(tables(report, words_of(self._in_clear))).encode()
        return make_report(self._store.read, request, site=SITE, calendar=self.calendar)
