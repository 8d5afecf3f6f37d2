"""What somebody asks of the reports, and who answers."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from station.domain.calendar import Period, SiteCalendar
from station.domain.errors import StationError
from station.domain.piece import Secrecy
from station.ports.reporting import Snapshot
from station.reports.catalogue import Key


class ReportForm(StrEnum):
    """In what form a report comes."""

    JSON = "json"
    PDF = "pdf"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedEvidence:
    """Which facts: those behind a number, after the `next` of the page before, at most `limit`. No snapshot: as of now."""

    key: Key
    snapshot: Snapshot | None
    after: str | None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """A report in some form, or a page of its evidence, for somebody cleared so high; `now` is aware UTC."""

    period: Period
    clearance: Secrecy | None
    now: datetime
    wanted: ReportForm | WantedEvidence


class ReportFailedError(StationError):
    """The program that makes reports ended without one, or took too long."""

    code = "report-failed"


class Reports(Protocol):
    """Makes reports where it keeps nobody waiting. `calendar` says what periods there are."""

    calendar: SiteCalendar

    async def make(self, request: ReportRequest) -> bytes:
        """The report as a file, or the page of evidence as JSON. Raises `StationError`."""
        ...

    async def close(self) -> None:
        """Nothing is asked any more."""
        ...
