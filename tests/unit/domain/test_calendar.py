"""Shifts, days, months, half years and years of a site whose clock never changes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.calendar import PeriodRefusedError, ReportKind, SiteCalendar

HANOI = SiteCalendar()
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "day", "shift", "name", "start", "end"),
    [
        (ReportKind.SHIFT, None, None, "2026-11-21-2", "2026-11-21T07:00", "2026-11-21T15:00"),
        (ReportKind.SHIFT, date(2026, 11, 20), None, "2026-11-20-1", "2026-11-19T23:00", "2026-11-20T07:00"),
        (ReportKind.SHIFT, date(2026, 11, 20), 3, "2026-11-20-3", "2026-11-20T15:00", "2026-11-20T23:00"),
        (ReportKind.DAY, None, None, "2026-11-21", "2026-11-20T17:00", "2026-11-21T17:00"),
        (ReportKind.MONTH, date(2024, 2, 29), None, "2024-02", "2024-01-31T17:00", "2024-02-29T17:00"),
        (ReportKind.MONTH, date(2025, 12, 31), None, "2025-12", "2025-11-30T17:00", "2025-12-31T17:00"),
        (ReportKind.HALF_YEAR, date(2026, 6, 30), None, "2026-H1", "2025-12-31T17:00", "2026-06-30T17:00"),
        (ReportKind.HALF_YEAR, date(2025, 7, 1), None, "2025-H2", "2025-06-30T17:00", "2025-12-31T17:00"),
        (ReportKind.YEAR, None, None, "2026", "2025-12-31T17:00", "2026-12-31T17:00"),
    ],
)
def test_periods_begin_and_end_by_the_sites_clock(kind: ReportKind, day: date, shift: int, name: str, start: str, end: str):
    period = HANOI.period(kind, NOW, day, shift)
    assert (period.name, period.start.isoformat()[:16], period.end.isoformat()[:16]) == (name, start, end)


@pytest.mark.parametrize(
    ("kind", "day", "shift"),
    [
        (ReportKind.DAY, date(2026, 11, 22), None),
        (ReportKind.SHIFT, date(2026, 11, 21), 3),
        (ReportKind.MONTH, date(2026, 12, 1), None),
        (ReportKind.SHIFT, None, 0),
        (ReportKind.SHIFT, None, 4),
        (ReportKind.DAY, date(2026, 11, 20), 1),
        (ReportKind.YEAR, date(1, 1, 1), None),
        (ReportKind.YEAR, date(9999, 12, 31), None),
    ],
)
def test_what_has_not_begun_or_is_none_is_refused(kind: ReportKind, day: date | None, shift: int | None):
    with pytest.raises(PeriodRefusedError):
        HANOI.period(kind, NOW, day, shift)


@given(
    st.integers(0, 900 * 365 * 86_400).map(lambda seconds: datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
    st.integers(-13 * 60, 14 * 60),
    st.integers(0, 7),
)
def test_every_moment_lies_in_one_period_of_each_kind(moment: datetime, ahead_min: int, first_hour: int):
    calendar = SiteCalendar(utc_offset=timedelta(minutes=ahead_min), first_shift_hour=first_hour)
    for kind in ReportKind:
        period = calendar.period(kind, moment)
        assert period.start <= moment < period.end
        next_one = calendar.period(kind, period.end)
        assert next_one.start == period.end
        assert calendar.period(kind, period.end, period.first_day, period.shift) == period
        if kind is ReportKind.SHIFT:
            assert next_one.serial == period.serial + 1
