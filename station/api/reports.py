"""`/reports`: what a shift, a day, a month, half a year or a year amounted to, the facts behind each number, and handing a shift over."""

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.report_shapes import EvidenceOut, HandShiftOverIn, ReportOut, ShiftHandedOut, TakeShiftOverIn
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.domain.calendar import Period, ReportKind
from station.domain.errors import NotFoundError
from station.ports.reporting import Snapshot
from station.reports.catalogue import Key
from station.workflow.once import Answer
from station.workflow.report_requests import ReportForm, ReportRequest, WantedEvidence

SeesReports = Annotated[Caller, Depends(Needs(Action.SEE_REPORTS))]
HandsOver = Annotated[Caller, Depends(Needs(Action.HAND_OVER_SHIFT))]
Day = Annotated[date | None, Query(alias="date", description="A day of the site in the period; the running one unless given.")]
Shift = Annotated[int | None, Query(ge=1, le=3, description="Which shift of the day; of a named day the first unless given.")]
Name = Annotated[str, Query(max_length=200)]

_MEDIA = {
    ReportForm.JSON: "application/json",
    ReportForm.PDF: "application/pdf",
    ReportForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def _file_answer(form: ReportForm) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {_MEDIA[form]: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file."}}


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/reports", tag="reports")
    reports, clock = context.reports, context.clock

    def period(kind: ReportKind, day: date | None, shift: int | None) -> Period:
        return reports.calendar.period(kind, clock.utc_now(), day, shift)

    async def make(caller: Caller, asked: Period, wanted: ReportForm | WantedEvidence) -> bytes:
        request = ReportRequest(period=asked, clearance=context.sight(caller).clearance, now=clock.utc_now(), wanted=wanted)
        made = await reports.make(request)
        context.demand_still(caller)
        return made

    async def file(caller: Caller, asked: Period, form: ReportForm) -> Response:
        name = f"kt1-{asked.kind.value}-{asked.name}.{form.value}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(await make(caller, asked, form), media_type=_MEDIA[form], headers=headers)

    @routes.get("/{kind}", responses={200: {"model": ReportOut}}, response_class=Response)
    async def report(caller: SeesReports, kind: ReportKind, day: Day = None, shift: Shift = None) -> Response:
        """The figures of a period, of all pieces that the caller is cleared for; no other piece is in any number."""
        content = await make(caller, period(kind, day, shift), ReportForm.JSON)
        return Response(content, media_type=_MEDIA[ReportForm.JSON])

    @routes.get("/{kind}/pdf", responses=_file_answer(ReportForm.PDF), response_class=Response)
    async def pdf(caller: SeesReports, kind: ReportKind, day: Day = None, shift: Shift = None) -> Response:
        """The same as a document, in both languages."""
        return await file(caller, period(kind, day, shift), ReportForm.PDF)

    @routes.get("/{kind}/xlsx", responses=_file_answer(ReportForm.XLSX), response_class=Response)
    async def xlsx(caller: SeesReports, kind: ReportKind, day: Day = None, shift: Shift = None) -> Response:
        """The same as a spreadsheet, in both languages."""
        return await file(caller, period(kind, day, shift), ReportForm.XLSX)

    @routes.get("/{kind}/evidence", responses={200: {"model": EvidenceOut}}, response_class=Response)
    async def evidence(
        caller: SeesReports,
        kind: ReportKind,
        figure: Name,
        day: Day = None,
        shift: Shift = None,
        by: Name = "",
        value: Name = "",
        snapshot: Annotated[str | None, Query(max_length=80, description="`snapshot` of the report; as of now unless given.")] = None,
        after: Annotated[str | None, Query(max_length=40, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """The facts behind one number of a report: exactly as many as the number says."""
        wanted = WantedEvidence(key=Key(figure, by, value), snapshot=_snapshot(snapshot), after=after, limit=limit)
        content = await make(caller, period(kind, day, shift), wanted)
        return Response(content, media_type=_MEDIA[ReportForm.JSON])

    @routes.post("/shift/hand-over", status_code=HTTPStatus.CREATED, response_model=ShiftHandedOut)
    async def hand_over(caller: HandsOver, body: HandShiftOverIn, once: OnceKey) -> Answer:
        """Hand a shift over, with words for whoever comes. Until somebody has taken it over, new words go before older ones."""
        asked = period(ReportKind.SHIFT, body.date, body.shift)
        return await context.handlers.hand_shift_over(asked, by=caller, note=body.note, once=once)

    @routes.post("/shift/take-over", status_code=HTTPStatus.CREATED, response_model=ShiftHandedOut)
    async def take_over(caller: HandsOver, body: TakeShiftOverIn, once: OnceKey) -> Answer:
        """Confirm to have taken a shift over: another person than the one who handed it over, and one who may read what was written."""
        asked = period(ReportKind.SHIFT, body.date, body.shift)
        return await context.handlers.take_shift_over(asked, by=caller, handed_over_at=body.handed_over_at, once=once)

    return routes


def _snapshot(token: str | None) -> Snapshot | None:
    try:
        return None if token is None else Snapshot.parse(token)
    except ValueError as error:
        raise NotFoundError("There is no such snapshot", remedy="Take the address from the report") from error
