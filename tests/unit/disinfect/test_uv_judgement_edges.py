"""Edges that only a passage of odd times shows."""

import hashlib
from dataclasses import replace

import pytest
from passages import NOW, PASSAGE, RECIPE, SAMPLES, STATUSES, WINDOWS, status

from station.disinfect.dose import ExposureWindow
from station.disinfect.judgement import TunnelPassage, judge_tunnel
from station.disinfect.samples import Sample
from station.domain.disinfection import DisinfectionResult
from station.domain.reasons import Reason

R = Reason


def judged(**changes: object) -> DisinfectionResult:
    return judge_tunnel(replace(PASSAGE, **changes), RECIPE, NOW)


def faulty(*uptimes: int, of: tuple = STATUSES) -> tuple:
    return tuple(replace(one, faults=1) if one.uptime_ms in uptimes else one for one in of)


@pytest.mark.parametrize("lamp", range(4))
def test_each_lamp_must_burn(lamp: int):
    statuses = tuple(replace(one, lamp_bits=0b1111 & ~(1 << lamp)) for one in STATUSES)
    assert judged(statuses=statuses).reasons == (R.LAMP_FAULT,)


def test_new_lamps_have_burnt_no_hours():
    assert judged(statuses=tuple(replace(one, lamp_hours=0.0) for one in STATUSES)).passed
    assert judged(statuses=tuple(replace(one, lamp_hours=0.5) for one in STATUSES)).passed
    assert judged(statuses=tuple(replace(one, lamp_hours=-0.1) for one in STATUSES)).reasons == (R.LAMP_FAULT,)


def test_the_unit_must_be_seen_before_the_head_and_after_the_tail():
    late = (status(10_001), *STATUSES[2:])
    assert judged(statuses=late).reasons == (R.DEVICE_LOST,)
    early = (*STATUSES[:11], status(14_999))
    assert early[-2].uptime_ms == 14_500
    assert judged(statuses=early).reasons == (R.DEVICE_LOST,)
    assert judged(statuses=(status(10_000), *STATUSES[2:11], status(15_000))).passed


def test_the_same_moment_may_be_read_twice():
    assert judged(statuses=(*STATUSES[:4], STATUSES[3], *STATUSES[4:])).passed


def test_only_readings_around_the_passage_count():
    assert judged(statuses=faulty(9_500)).passed
    assert judged(statuses=faulty(15_500)).passed
    dense = tuple(status(at) for at in range(9_500, 16_000, 100))
    assert judged(statuses=faulty(10_000, of=dense)).reasons == (R.UNIT_FAULT,)
    assert judged(statuses=faulty(15_000, of=dense)).reasons == (R.UNIT_FAULT,)
    assert judged(statuses=faulty(9_900, 15_100, of=dense)).passed


def test_the_reading_before_the_head_counts_and_the_one_after_the_tail():
    statuses = tuple(status(at) for at in range(9_450, 16_000, 500))
    assert judged(statuses=faulty(9_950, of=statuses)).reasons == (R.UNIT_FAULT,)
    assert judged(statuses=faulty(15_450, of=statuses)).reasons == (R.UNIT_FAULT,)
    assert judged(statuses=faulty(9_450, 15_950, of=statuses)).passed


def test_what_was_seen_of_a_unit_that_was_not_seen_throughout_counts_too():
    assert set(judged(statuses=faulty(11_000, of=STATUSES[3:])).reasons) == {R.DEVICE_LOST, R.UNIT_FAULT}
    assert set(judged(statuses=faulty(14_500, of=STATUSES[:11])).reasons) == {R.DEVICE_LOST, R.UNIT_FAULT}


def test_without_a_track_every_reading_counts():
    assert R.UNIT_FAULT in judged(windows=(), statuses=faulty(9_500)).reasons


def shifted(by_ms: float) -> tuple[ExposureWindow, ...]:
    return tuple(ExposureWindow(entered_ms=one.entered_ms + by_ms, left_ms=one.left_ms + by_ms) for one in WINDOWS)


def dark_at(*uptimes: int) -> tuple[Sample, ...]:
    return tuple(Sample(uptime_ms=one.uptime_ms, uw_per_cm2=0) if one.uptime_ms in uptimes else one for one in SAMPLES)


@pytest.mark.parametrize(
    ("shift_ms", "dark", "counts"),
    [
        (0, 9_900, False),
        (0, 10_000, True),
        (0, 15_100, False),
        (0, 15_000, True),
        (40, 10_000, True),
        (50, 10_000, False),
        (-40, 15_000, True),
        (-50, 15_000, False),
    ],
)
def test_a_sample_counts_when_any_of_its_100_ms_do(shift_ms: float, dark: int, counts: bool):
    result = judged(windows=shifted(shift_ms), samples=dark_at(dark))
    assert (R.LAMP_FAULT in result.reasons) is counts
    assert result.min_irradiance_uw_per_cm2 == (0.0 if counts else 10_000.0)


def test_the_hash_can_be_made_again_from_the_samples():
    text = "".join(f"{at}:10000\n" for at in range(10_000, 15_100, 100))
    assert judged().samples_sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_without_samples_there_is_no_light():
    result = judged(samples=())
    assert (result.min_irradiance_uw_per_cm2, result.max_irradiance_uw_per_cm2, result.dose_mj_per_cm2) == (0.0, 0.0, 0.0)


def test_a_dose_of_exactly_the_target_is_enough():
    dose = judged().dose_mj_per_cm2
    assert judge_tunnel(PASSAGE, replace(RECIPE, target_mj_per_cm2=dose), NOW).passed


def test_one_point_is_enough_of_a_track():
    alone: TunnelPassage = replace(PASSAGE, windows=(ExposureWindow(entered_ms=10_000.0, left_ms=15_000.0),))
    slot = replace(PASSAGE.first_slot, dose_mj_per_cm2=49.0)  # type: ignore[type-var]
    assert judge_tunnel(replace(alone, first_slot=slot, second_slot=slot), RECIPE, NOW).passed
