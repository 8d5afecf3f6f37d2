import asyncio
import math
from datetime import UTC, datetime

import pytest

from station.clock import MAX_SPEED, SystemClock
from station.domain.errors import ConfigurationError
from station.ports.clock import Clock


async def test_a_faster_clock_waits_less_and_counts_more():
    clock: Clock = SystemClock(speed=50)
    loop = asyncio.get_running_loop()
    # The one looks at the other's time from both sides: what comes between two looks is no matter of the clock.
    before, own, begun = loop.time(), clock.monotonic_s(), loop.time()
    await clock.sleep(5.0)
    ended, own, after = loop.time(), clock.monotonic_s() - own, loop.time()
    assert own + 0.05 >= 5.0
    assert 50 * (ended - begun) - 0.05 <= own <= 50 * (after - before) + 0.05
    assert ended - begun < 2.0


async def test_no_time_only_yields():
    await SystemClock().sleep(0)
    await SystemClock().sleep(-3)


def test_time_never_goes_back_and_records_carry_utc():
    clock = SystemClock(4)
    moments = [clock.monotonic_s() for _ in range(1_000)]
    assert moments == sorted(moments)
    assert clock.utc_now().tzinfo is UTC
    assert datetime.now(UTC) <= clock.utc_now() <= datetime.now(UTC)  # noqa: TID251 - the wall is what is compared with
    assert clock.speed == 4


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, math.inf, MAX_SPEED + 1])
def test_an_impossible_speed_is_refused(speed: float):
    with pytest.raises(ConfigurationError, match="speed"):
        SystemClock(speed)
