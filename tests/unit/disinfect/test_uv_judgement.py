"""Every limit of the recipe, flipped alone and in pairs: anything odd is not disinfected."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations

import pytest
from passages import NOW, PASSAGE, RECIPE, SAMPLES, SLOT, STATUSES, WINDOWS, status

from station.disinfect.dose import ExposureWindow
from station.disinfect.judgement import TunnelPassage, judge_tunnel
from station.disinfect.recipes import TunnelRecipe
from station.disinfect.samples import Sample
from station.domain.reasons import Reason

R = Reason
Flip = Callable[[TunnelPassage, TunnelRecipe], tuple[TunnelPassage, TunnelRecipe]]


def passage(**changes: object) -> Flip:
    return lambda facts, recipe: (replace(facts, **changes), recipe)


def recipe(**changes: object) -> Flip:
    return lambda facts, rules: (facts, replace(rules, **changes))


def slots(**changes: object) -> Flip:
    return passage(first_slot=replace(SLOT, **changes), second_slot=replace(SLOT, **changes))


def one_status(**changes: object) -> Flip:
    statuses = tuple(replace(one, **changes) if one.uptime_ms == 12_000 else one for one in STATUSES)
    return passage(statuses=statuses)


def without_samples(*uptimes: int) -> Flip:
    return passage(samples=tuple(sample for sample in SAMPLES if sample.uptime_ms not in uptimes))


def sample_of(value: int) -> Flip:
    return passage(samples=tuple(Sample(uptime_ms=one.uptime_ms, uw_per_cm2=value) if one.uptime_ms == 12_000 else one for one in SAMPLES))


NAN_WINDOW = (ExposureWindow(entered_ms=math.nan, left_ms=14_000.0), *WINDOWS[1:])

FAILURES: list[tuple[str, Flip, Reason]] = [
    ("no track", passage(windows=()), R.TRACK_LOST),
    ("track not a number", passage(windows=NAN_WINDOW), R.TRACK_LOST),
    ("newer finding", passage(contradictions=(R.ZONE_ACCESSED,)), R.ZONE_ACCESSED),
    ("no slot", passage(first_slot=None), R.NONCE_DIFFERS),
    ("no slot at the second reading", passage(second_slot=None), R.NONCE_DIFFERS),
    ("another nonce", slots(nonce=78), R.NONCE_DIFFERS),
    ("another nonce at the second reading", passage(second_slot=replace(SLOT, nonce=78)), R.NONCE_DIFFERS),
    (
        "nonce 0",
        lambda f, r: (replace(f, nonce=0, first_slot=replace(SLOT, nonce=0), second_slot=replace(SLOT, nonce=0)), r),
        R.NONCE_DIFFERS,
    ),
    ("another tag", slots(tag=8), R.TAG_DIFFERS),
    ("tag 0", lambda f, r: (replace(f, tag=0, first_slot=replace(SLOT, tag=0), second_slot=replace(SLOT, tag=0)), r), R.TAG_DIFFERS),
    ("unit still busy", slots(verdict=0), R.UNIT_NOT_READY),
    ("unit failed it", slots(verdict=2), R.DOSE_SHORT),
    ("unit's verdict unknown", slots(verdict=9), R.DOSE_SHORT),
    ("readings of the dose differ", passage(second_slot=replace(SLOT, dose_mj_per_cm2=39.9)), R.DOSE_DISAGREES),
    ("unit's dose 6 % above", slots(dose_mj_per_cm2=39.2 / 0.94), R.DOSE_DISAGREES),
    ("unit's dose 6 % below", slots(dose_mj_per_cm2=39.2 * 0.94), R.DOSE_DISAGREES),
    ("unit's dose not a number", slots(dose_mj_per_cm2=math.nan), R.DOSE_DISAGREES),
    ("slot entered at another time", slots(entered_ms=10_501), R.TRACK_LOST),
    ("slot left at another time", slots(left_ms=14_499), R.TRACK_LOST),
    ("target above the dose", recipe(target_mj_per_cm2=39.3), R.DOSE_SHORT),
    ("target not a number", recipe(target_mj_per_cm2=math.nan), R.DOSE_SHORT),
    ("factor not a number", recipe(calibration_factor=math.nan), R.DOSE_SHORT),
    ("three samples missing", without_samples(11_000, 12_000, 13_000), R.SAMPLES_MISSING),
    ("all samples missing", passage(samples=()), R.SAMPLES_MISSING),
    ("a dark sample", sample_of(5_999), R.LAMP_FAULT),
    ("a sample too bright", sample_of(20_001), R.PARAMETER_OUT_OF_WINDOW),
    ("unit never seen", passage(statuses=()), R.DEVICE_LOST),
    ("seen too late", passage(statuses=STATUSES[3:]), R.DEVICE_LOST),
    ("seen not long enough", passage(statuses=STATUSES[:-3]), R.DEVICE_LOST),
    ("a gap in the contact", passage(statuses=STATUSES[:3] + STATUSES[6:]), R.DEVICE_LOST),
    ("readings out of order", passage(statuses=(STATUSES[1], STATUSES[0], *STATUSES[2:])), R.DEVICE_LOST),
    ("rebooted", one_status(boot_count=4), R.DEVICE_LOST),
    ("fault", one_status(faults=1 << 10), R.UNIT_FAULT),
    *((f"door bits {bits}", one_status(door_bits=bits), R.UNIT_FAULT) for bits in (0b00, 0b01, 0b10, 0b111, 0b1011)),
    ("lamps warming", one_status(phase=1), R.UNIT_NOT_READY),
    ("phase unknown", one_status(phase=99), R.UNIT_NOT_READY),
    ("one lamp out", one_status(lamp_bits=0b1101), R.LAMP_FAULT),
    ("lamps too old", one_status(lamp_hours=9_000.1), R.LAMP_FAULT),
    ("lamp hours not a number", one_status(lamp_hours=math.nan), R.LAMP_FAULT),
    ("too cold", one_status(temperature_c=4.9), R.PARAMETER_OUT_OF_WINDOW),
    ("too hot", one_status(temperature_c=55.1), R.PARAMETER_OUT_OF_WINDOW),
    ("temperature not a number", one_status(temperature_c=math.nan), R.PARAMETER_OUT_OF_WINDOW),
    ("too humid", one_status(humidity_percent=90.1), R.PARAMETER_OUT_OF_WINDOW),
    ("humidity negative", one_status(humidity_percent=-0.1), R.PARAMETER_OUT_OF_WINDOW),
    ("ozone", one_status(ozone_ppb=101), R.PARAMETER_OUT_OF_WINDOW),
    ("sensor overdue", recipe(sensor_calibrated_on=date(2025, 5, 31)), R.SENSOR_OVERDUE),
    ("sensor calibrated in the future", recipe(sensor_calibrated_on=date(2026, 6, 2)), R.SENSOR_OVERDUE),
]


def test_a_good_passage_passes():
    result = judge_tunnel(PASSAGE, RECIPE, NOW)
    assert result.passed
    assert result.dose_mj_per_cm2 == pytest.approx(39.2)
    assert (result.unit_dose_mj_per_cm2, result.target_mj_per_cm2) == (40.0, 30.0)
    assert (result.min_irradiance_uw_per_cm2, result.max_irradiance_uw_per_cm2) == (10_000.0, 10_000.0)
    assert (result.piece_id, result.visit, result.nonce, result.unit_id, result.at) == ("EE473124829VN", 1, 77, "uvc-1", NOW)
    assert (result.started_at, result.ended_at, result.recipe_sha256) == (PASSAGE.started_at, PASSAGE.ended_at, "r" * 64)


@pytest.mark.parametrize(("name", "flip", "reason"), FAILURES, ids=[failure[0] for failure in FAILURES])
def test_each_limit_alone_fails_a_passage(name: str, flip: Flip, reason: Reason):
    result = judge_tunnel(*flip(PASSAGE, RECIPE), NOW)
    assert not result.passed
    assert reason in result.reasons
    assert len(set(result.reasons)) == len(result.reasons)


def test_no_pair_of_failures_passes():
    for (_, one, _), (_, other, _) in combinations(FAILURES, 2):
        assert not judge_tunnel(*one(*other(PASSAGE, RECIPE)), NOW).passed


@pytest.mark.parametrize(
    "flip",
    [
        lambda f, r: slots(dose_mj_per_cm2=38.0)(*without_samples(11_000, 12_000)(f, r)),
        sample_of(6_000),
        sample_of(20_000),
        slots(entered_ms=10_500, left_ms=14_500),
        slots(dose_mj_per_cm2=39.2 / 0.9501),
        slots(dose_mj_per_cm2=39.2 * 0.951),
        recipe(target_mj_per_cm2=39.19),
        one_status(phase=2),
        one_status(lamp_bits=0xFF),
        one_status(lamp_hours=9_000.0),
        one_status(temperature_c=5.0),
        one_status(temperature_c=55.0),
        one_status(humidity_percent=0.0),
        one_status(humidity_percent=90.0),
        one_status(ozone_ppb=100),
        passage(statuses=STATUSES[1:]),
        passage(statuses=STATUSES[:-1]),
        passage(statuses=STATUSES[:3] + STATUSES[5:]),
        passage(tag=1, first_slot=replace(SLOT, tag=1), second_slot=replace(SLOT, tag=1)),
        passage(nonce=1, first_slot=replace(SLOT, nonce=1), second_slot=replace(SLOT, nonce=1)),
        passage(statuses=(status(9_000, faults=1), *STATUSES)),
        passage(statuses=(*STATUSES, status(16_000, phase=0))),
        recipe(sensor_calibrated_on=date(2026, 6, 1)),
        recipe(sensor_calibrated_on=date(2025, 6, 1)),
    ],
)
def test_the_edge_of_each_limit_passes(flip: Flip):
    assert judge_tunnel(*flip(PASSAGE, RECIPE), NOW).reasons == ()


def test_the_hash_is_over_exactly_the_samples_that_count():
    base = judge_tunnel(PASSAGE, RECIPE, NOW).samples_sha256
    outside = (Sample(uptime_ms=8_000, uw_per_cm2=1), *PASSAGE.samples)
    assert judge_tunnel(replace(PASSAGE, samples=outside), RECIPE, NOW).samples_sha256 == base
    assert judge_tunnel(*sample_of(10_001)(PASSAGE, RECIPE), NOW).samples_sha256 != base


def test_the_unit_is_judged_between_the_readings_around_the_passage():
    before = tuple(replace(one, faults=1) if one.uptime_ms == 10_000 else one for one in STATUSES)
    assert judge_tunnel(replace(PASSAGE, statuses=before), RECIPE, NOW).reasons == (R.UNIT_FAULT,)
    after = tuple(replace(one, faults=1) if one.uptime_ms == 15_000 else one for one in STATUSES)
    assert judge_tunnel(replace(PASSAGE, statuses=after), RECIPE, NOW).reasons == (R.UNIT_FAULT,)


def test_without_a_slot_the_units_dose_is_zero():
    assert judge_tunnel(replace(PASSAGE, first_slot=None), RECIPE, NOW).unit_dose_mj_per_cm2 == 0.0


def test_a_judgement_at_another_time_of_day():
    assert judge_tunnel(PASSAGE, RECIPE, NOW + timedelta(hours=5)).passed
