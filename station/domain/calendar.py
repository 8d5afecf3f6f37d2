"""The site's calendar: which moments a shift, a day, a month, half a year and a year are. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum

from station.domain.errors import RefusedError

SHIFT_HOURS = 8
SHIFTS = 24 // SHIFT_HOURS
_FIRST_YEAR, _LAST_YEAR = 2000, 2999
_MONTHS = 12
_HALF = 6


class ReportKind(StrEnum):
    """What a report is about."""

    SHIFT = "shift"
    DAY = "day"
    MONTH = "month"
    HALF_YEAR = "half-year"
    YEAR = "year"


class PeriodRefusedError(RefusedError):
    """There is no such period, or it has not begun."""

    code = "period-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `start` (included) to `end` (not included), both aware UTC. `first_day` is the site's day on which it begins.

    `shift` numbers the shifts that begin on one day, from 1; None of a longer period.
    """

    kind: ReportKind
    first_day: date
    shift: int | None
    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        """The period in figures and dashes alone: `2026-11-20-2`, `2026-11-20`, `2026-11`, `2026-H2`, `2026`."""
        day = self.first_day
        names = {
            ReportKind.SHIFT: f"{day.isoformat()}-{self.shift}",
            ReportKind.DAY: day.isoformat(),
            ReportKind.MONTH: f"{day.year:04}-{day.month:02}",
            ReportKind.HALF_YEAR: f"{day.year:04}-H{1 if day.month <= _HALF else 2}",
            ReportKind.YEAR: f"{day.year:04}",
        }
        return names[self.kind]

    @property
    def serial(self) -> int:
        """Numbers the site's shifts without a gap; only of a shift."""
        return self.first_day.toordinal() * SHIFTS + (self.shift or 1) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCalendar:
    """How the site reckons: its clock is `utc_offset` ahead of UTC all the year, and the day's first shift begins at `first_shift_hour`.

    An offset that never changes makes every day 24 hours and every shift 8 (decision 0110).
    """

    utc_offset: timedelta = timedelta(hours=7)
    first_shift_hour: int = 6

    @property
    def zone(self) -> timezone:
        """The site's time zone."""
        return timezone(self.utc_offset)

    def day_of(self, moment: datetime) -> date:
        """The site's day in which an aware moment lies."""
        return moment.astimezone(self.zone).date()

    def period(self, kind: ReportKind, now: datetime, day: date | None = None, shift: int | None = None) -> Period:
        """The period of that kind in which `day` lies; the running one where no day is given.

        A shift counts to the day on which it begins; of a named day the first one, unless `shift` says which.

        Raises:
            PeriodRefusedError: a shift that is none, or of a report that is about no shift, a day out of range, or a period to come.
        """
        if shift is not None and (kind is not ReportKind.SHIFT or not 1 <= shift <= SHIFTS):
            raise PeriodRefusedError(
                f"There is no shift {shift} in a {kind.value} report", remedy=f"Name a shift from 1 to {SHIFTS}, or none"
            )
        if kind is ReportKind.SHIFT and day is None:
            running = self._shift_at(now)
            day, shift = running if shift is None else (running[0], shift)
        day = day or self.day_of(now)
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise PeriodRefusedError(f"{day} is no day of a report", remedy=f"Name a day of the years {_FIRST_YEAR} to {_LAST_YEAR}")
        period = self._shift(day, shift or 1) if kind is ReportKind.SHIFT else self._days(kind, day)
        if period.start > now:
            raise PeriodRefusedError(
                f"The {kind.value} {period.name} has not begun", consequence="There is nothing to report", remedy="Name an earlier day"
            )
        return period

    def _shift_at(self, now: datetime) -> tuple[date, int]:
        since_first = now.astimezone(self.zone) - timedelta(hours=self.first_shift_hour)
        return since_first.date(), since_first.hour // SHIFT_HOURS + 1

    def _shift(self, day: date, shift: int) -> Period:
        start = self._midnight(day) + timedelta(hours=self.first_shift_hour + (shift - 1) * SHIFT_HOURS)
        return Period(kind=ReportKind.SHIFT, first_day=day, shift=shift, start=start, end=start + timedelta(hours=SHIFT_HOURS))

    def _days(self, kind: ReportKind, day: date) -> Period:
        months = {ReportKind.DAY: 0, ReportKind.MONTH: 1, ReportKind.HALF_YEAR: _HALF, ReportKind.YEAR: _MONTHS}[kind]
        first, after = day, day + timedelta(days=1)
        if months:
            month = (day.month - 1) // months * months
            first = date(day.year, month + 1, 1)
            after = date(day.year + (month + months) // _MONTHS, (month + months) % _MONTHS + 1, 1)
        return Period(kind=kind, first_day=first, shift=None, start=self._midnight(first), end=self._midnight(after))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)
