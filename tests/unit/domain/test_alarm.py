"""Which alarm calls sooner."""

from itertools import product

import pytest

from station.domain.alarm import AlarmPriority

SOONEST_FIRST = (AlarmPriority.CRITICAL, AlarmPriority.HIGH, AlarmPriority.MEDIUM, AlarmPriority.LOW)


@pytest.mark.parametrize(("one", "other"), list(product(range(4), repeat=2)))
def test_an_alarm_outranks_those_that_may_wait_longer_and_no_other(one: int, other: int):
    assert SOONEST_FIRST[one].outranks(SOONEST_FIRST[other]) == (one < other)
