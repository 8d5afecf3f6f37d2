import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passages import status

from station.disinfect.dose import ExposureWindow, PointDose, integrate, least_dose
from station.disinfect.samples import Sample, SampleCollector, newest_sample_ms
from station.ports.disinfection_unit import UnitStatus

UPTIME_WRAP = 1 << 32


def window(entered_ms: float, left_ms: float) -> ExposureWindow:
    return ExposureWindow(entered_ms=entered_ms, left_ms=left_ms)


STEADY = dict.fromkeys(range(0, 10100, 100), 10000)


def test_four_seconds_of_ten_milliwatts():
    assert integrate(STEADY, window(1_000, 5_000), 1.0) == PointDose(dose_mj_per_cm2=40.0, missing_samples=0)
    assert integrate(STEADY, window(1_000, 5_000), 0.5).dose_mj_per_cm2 == 20.0


@pytest.mark.parametrize(
    ("entered", "left", "dose"),
    [(1_000, 1_010, 0.1), (1_049, 1_051, 0.02), (1_050, 1_150, 1.0), (1_049.5, 1_150.5, 1.01), (1_000, 1_050, 0.5), (1_050, 1_060, 0.1)],
)
def test_the_ends_are_weighted(entered: float, left: float, dose: float):
    assert integrate(STEADY, window(entered, left), 1.0).dose_mj_per_cm2 == pytest.approx(dose)


def test_each_sample_stands_for_the_100_ms_around_it():
    samples = {1_000: 1_000, 1_100: 3_000}
    assert integrate(samples, window(950, 1_150), 1.0).dose_mj_per_cm2 == pytest.approx(0.1 + 0.3)
    assert integrate(samples, window(1_040, 1_060), 1.0).dose_mj_per_cm2 == pytest.approx(0.01 + 0.03)


def test_missing_samples_count_as_zero():
    holes = {at: value for at, value in STEADY.items() if at not in (2_000, 3_000)}
    found = integrate(holes, window(1_000, 5_000), 1.0)
    assert found.dose_mj_per_cm2 == pytest.approx(38.0)
    assert found.missing_samples == 2
    assert integrate({}, window(1_000, 1_100), 1.0) == PointDose(dose_mj_per_cm2=0.0, missing_samples=2)
    assert integrate({}, window(1_050, 1_150), 1.0).missing_samples == 1


@given(
    entered=st.floats(0, 5_000),
    length=st.floats(1, 5_000),
    cut=st.floats(0.01, 0.99),
    values=st.lists(st.integers(0, 60_000), min_size=101, max_size=101),
)
def test_a_window_cut_in_two_gives_the_same_dose(entered: float, length: float, cut: float, values: list[int]):
    samples = {100 * number: value for number, value in enumerate(values)}
    middle = entered + cut * length
    parts = integrate(samples, window(entered, middle), 1.0), integrate(samples, window(middle, entered + length), 1.0)
    whole = integrate(samples, window(entered, entered + length), 1.0)
    assert sum(part.dose_mj_per_cm2 for part in parts) == pytest.approx(whole.dose_mj_per_cm2, abs=1e-6)
    assert 0 <= whole.dose_mj_per_cm2 <= 60_000 * length / 1e6 + 1e-9


def test_the_least_exposed_point_counts():
    samples = [Sample(uptime_ms=at, uw_per_cm2=10_000 if at < 3_000 else 5_000) for at in range(0, 6_000, 100)]
    found = least_dose(samples, [window(0, 2_000), window(3_000, 5_000), window(1_000, 3_000)], 1.0)
    assert found.dose_mj_per_cm2 == pytest.approx(10.0, abs=0.3)


def test_the_most_missing_samples_count():
    samples = [Sample(uptime_ms=at, uw_per_cm2=10_000) for at in range(0, 6_000, 100) if at != 4_000]
    assert least_dose(samples, [window(0, 2_000), window(3_000, 5_000)], 1.0).missing_samples == 1


@pytest.mark.parametrize("broken", [window(5, 5), window(6, 5), window(math.nan, 5), window(0, math.inf), window(-1, 5)])
def test_one_broken_window_leaves_no_dose(broken: ExposureWindow):
    assert not broken.is_valid
    samples = [Sample(uptime_ms=at, uw_per_cm2=10_000) for at in range(0, 6_000, 100)]
    assert least_dose(samples, [window(0, 2_000), broken], 1.0).dose_mj_per_cm2 == 0.0
    assert least_dose(samples, [], 1.0) == PointDose(dose_mj_per_cm2=0.0, missing_samples=0)


def test_a_window_may_begin_at_zero():
    assert window(0, 1).is_valid


def test_samples_of_successive_readings_are_put_together():
    collector = SampleCollector()
    for uptime_ms in (5_050, 6_050, 7_050):
        newest = uptime_ms // 100
        collector.add(status(uptime_ms, samples_uw_per_cm2=tuple(range(newest - 19, newest + 1))))
    found = collector.between(4_000, 7_000)
    assert found == tuple(Sample(uptime_ms=100 * number, uw_per_cm2=number) for number in range(40, 71))
    assert collector.between(5_000, 5_050) == (Sample(uptime_ms=5_000, uw_per_cm2=50),)
    assert [one.uptime_ms for one in collector.between(5_000, 5_050.1)] == [5_000, 5_100]
    assert [one.uptime_ms for one in collector.between(5_049.9, 5_060)] == [5_000, 5_100]


def test_a_gap_stays_a_gap():
    collector = SampleCollector()
    collector.add(status(5_000))
    collector.add(status(8_000))
    assert [one.uptime_ms for one in collector.between(4_900, 6_200)] == [4_900, 5_000, 6_100, 6_200]


def test_the_number_wraps_and_the_uptime_tells_how_often():
    collector = SampleCollector()
    for uptime_ms in (6_553_500, 6_553_600, 6_554_000):
        collector.add(status(uptime_ms))
    assert [one.uptime_ms for one in collector.between(6_553_400, 6_553_800)] == [6_553_400, 6_553_500, 6_553_600, 6_553_700, 6_553_800]
    assert newest_sample_ms(status(6_553_600)) == 6_553_600
    assert newest_sample_ms(status(6_553_600, sample_seq=65_535)) == 6_553_500
    assert newest_sample_ms(status(13_107_200 + 99)) == 13_107_200


def after_wraps(wraps: int, uptime_ms: int, **changes: object) -> UnitStatus:
    """What a unit that never rebooted reads when its uptime has wrapped so often; its samples go on being counted."""
    return status(uptime_ms, sample_seq=(wraps * UPTIME_WRAP + uptime_ms) // 100 % 65_536, **changes)


@pytest.mark.parametrize("wraps", [0, 1, 2, 3, 24, 25, 26, 100])
@pytest.mark.parametrize(("uptime_ms", "late"), [(0, 0), (3, 0), (5, 0), (99, 0), (100_000, 0), (5_000_000, 10), (UPTIME_WRAP - 1, 1)])
def test_the_moment_of_a_sample_is_found_however_often_the_uptime_has_wrapped(wraps: int, uptime_ms: int, late: int):
    one = after_wraps(wraps, uptime_ms)
    found = newest_sample_ms(replace(one, sample_seq=(one.sample_seq - late) % 65_536))
    since_boot_ms = wraps * UPTIME_WRAP + uptime_ms
    assert found == uptime_ms - since_boot_ms % 100 - 100 * late


@given(since_boot_ms=st.integers(0, 200 * UPTIME_WRAP), late=st.integers(0, 10))
def test_no_uptime_makes_samples_and_uptime_contradict_each_other(since_boot_ms: int, late: int):
    uptime_ms = since_boot_ms % UPTIME_WRAP
    found = newest_sample_ms(status(uptime_ms, sample_seq=(since_boot_ms // 100 - late) % 65_536))
    assert found == uptime_ms - since_boot_ms % 100 - 100 * late


@given(at_ms=st.integers(0, UPTIME_WRAP - 1))
def test_a_unit_that_counts_its_samples_by_the_wrapped_uptime_is_understood_too(at_ms: int):
    assert newest_sample_ms(status(at_ms, sample_seq=at_ms // 100 % 65_536)) == at_ms - at_ms % 100


@given(wraps=st.integers(1, 30), entered_ms=st.floats(3_000, 20_000), stay_ms=st.floats(100, 5_000))
def test_samples_of_after_a_wrap_give_the_whole_dose(wraps: int, entered_ms: float, stay_ms: float):
    collector = SampleCollector()
    for uptime_ms in (UPTIME_WRAP - 500, *range(450, 27_000, 1_000)):
        collector.add(after_wraps(wraps - (uptime_ms > 27_000), uptime_ms))
    window = ExposureWindow(entered_ms=entered_ms, left_ms=entered_ms + stay_ms)
    found = least_dose(collector.between(window.entered_ms, window.left_ms), [window], 1.0)
    assert found.missing_samples == 0
    assert found.dose_mj_per_cm2 == pytest.approx(stay_ms / 100)


def test_what_was_sampled_before_a_wrap_is_dropped_by_it():
    collector = SampleCollector()
    collector.add(after_wraps(0, UPTIME_WRAP - 150))
    collector.add(after_wraps(1, 350))
    assert [one.uptime_ms for one in collector.between(0, UPTIME_WRAP)] == [4, 104, 204, 304]


def test_samples_off_the_beat_count_as_missing():
    collector = SampleCollector()
    collector.add(status(5_000))
    collector.add(after_wraps(1, 8_000))
    found = least_dose(collector.between(4_000, 7_000), [ExposureWindow(entered_ms=4_000, left_ms=7_000)], 1.0)
    assert found.missing_samples == 20


@pytest.mark.parametrize(("behind", "newest_ms"), [(0, 10_000), (1, 9_900), (10, 9_000), (11, None), (-1, None), (30_000, None)])
def test_a_number_that_contradicts_the_uptime_is_refused(behind: int, newest_ms: int | None):
    odd = status(10_000, sample_seq=(100 - behind) % 65_536)
    assert newest_sample_ms(odd) == newest_ms
    collector = SampleCollector()
    collector.add(odd)
    assert bool(collector.between(0, 20_000)) is (newest_ms is not None)


def test_contradictory_samples_count_as_missing():
    collector = SampleCollector()
    collector.add(status(5_000))
    collector.add(status(5_100, samples_uw_per_cm2=(10_000,) * 18 + (9_999, 10_000)))
    assert 5_000 not in [one.uptime_ms for one in collector.between(4_000, 5_100)]
    collector.add(status(5_200))
    assert 5_000 not in [one.uptime_ms for one in collector.between(4_000, 5_200)]


def test_a_reboot_drops_what_came_before():
    collector = SampleCollector()
    collector.add(status(5_000))
    collector.add(status(1_000, boot_count=4))
    assert [one.uptime_ms for one in collector.between(0, 9_000)] == list(range(0, 1_100, 100))


def test_old_samples_are_forgotten():
    collector = SampleCollector(keep_ms=2_000)
    collector.add(status(5_000, samples_uw_per_cm2=(1,) * 20))
    collector.add(status(5_100, samples_uw_per_cm2=(2,) * 20))
    collector.add(status(9_000))
    assert [one.uptime_ms for one in collector.between(0, 9_000)] == list(range(7_100, 9_100, 100))
    collector.add(status(7_500, samples_uw_per_cm2=(10_000,) * 20))
    assert collector.between(7_400, 7_400)[0].uw_per_cm2 == 10_000
