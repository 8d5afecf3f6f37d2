from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from station.domain.errors import ScreeningError
from station.screening.correction import MAX_TRANSMISSION, answering, can_stand_in, correct, correct_scan, register
from station.screening.limits import DEFAULT_LIMITS
from tests.support.screening_models import raw_scan

DARK = np.asarray([1000, 1000, 900, 1100], np.float32)
AIR = np.asarray([41000, 31000, 40900, 41100], np.float32)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([41000, 31000, 40900, 41100], [1, 1, 1, 1]),
        ([21000, 16000, 20900, 21100], [0.5, 0.5, 0.5, 0.5]),
        ([1000, 1000, 900, 1100], [DEFAULT_LIMITS.min_transmission] * 4),
        ([0, 0, 0, 0], [DEFAULT_LIMITS.min_transmission] * 4),
        ([65535, 65535, 65535, 65535], [MAX_TRANSMISSION] * 4),
        ([11000, 31000, 900, 41100], [0.25, 1, DEFAULT_LIMITS.min_transmission, 1]),
    ],
)
def test_transmission_table(raw: list[int], expected: list[float]):
    found = correct(np.asarray([raw], np.uint16), DARK, AIR)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(expected, abs=1e-6)


@given(
    raw=hnp.arrays(np.uint16, (5, 24)),
    dark=hnp.arrays(np.float32, 24, elements=st.floats(0, 3000, width=32)),
    gain=hnp.arrays(np.float32, 24, elements=st.floats(20000, 60000, width=32)),
)
def test_transmission_is_always_a_bounded_number(raw: np.ndarray, dark: np.ndarray, gain: np.ndarray):
    found = correct(raw, dark, dark + gain)
    assert np.isfinite(found).all()
    assert found.min() >= np.float32(DEFAULT_LIMITS.min_transmission)
    assert found.max() <= np.float32(MAX_TRANSMISSION)


@given(st.data())
def test_more_light_never_means_less_transmission(data: st.DataObject):
    raw = data.draw(hnp.arrays(np.uint16, (1, 4), elements=st.integers(0, 60000)))
    more = raw + data.draw(st.integers(0, 5000))
    assert (correct(more.astype(np.uint16), DARK, AIR) >= correct(raw, DARK, AIR)).all()


def calibration(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(pixels, 1000, np.float32), np.full(pixels, 41000, np.float32)


@pytest.mark.parametrize("wrong", [1000.0, 1200.0, np.nan, np.inf, -5.0])
@pytest.mark.parametrize("column", [0, 17, 199])
def test_a_dead_pixel_is_filled_from_its_neighbours(wrong: float, column: int):
    dark, air = calibration(200)
    air[column] = wrong
    raw = np.tile(np.linspace(21000, 41000, 200).astype(np.uint16), (3, 1))
    found = correct(raw, dark, air)
    assert np.isfinite(found).all()
    assert found[0, column] == pytest.approx(0.5 + 0.5 * column / 199, abs=0.01)


@pytest.mark.parametrize("dead", [range(50, 54), range(0, 200, 10)])
def test_too_many_dead_pixels_hold(dead: range):
    dark, air = calibration(200)
    air[list(dead)] = 1000
    with pytest.raises(ScreeningError, match="do not answer"):
        correct(np.zeros((3, 200), np.uint16), dark, air)


def test_no_light_in_the_air_calibration_holds():
    dark, _ = calibration(200)
    with pytest.raises(ScreeningError, match="not brighter"):
        correct(np.zeros((3, 200), np.uint16), dark, dark)


@pytest.mark.parametrize("shape", [(3, 4), (3,), (2, 2, 4)])
def test_shapes_that_do_not_belong_together_hold(shape: tuple[int, ...]):
    dark, air = calibration(5)
    with pytest.raises(ScreeningError):
        correct(np.zeros(shape, np.uint16), dark, air)


@given(lines=st.integers(1, 30), lag=st.integers(-12, 12))
def test_registration_pairs_the_same_spots(lines: int, lag: int):
    # the spot that passes LE at line n passes HE at line n + lag; each line carries the number of its spot
    spots = np.arange(100, 100 + lines, dtype=np.uint16)[:, None]
    le, he = spots, (spots.astype(np.int32) - lag).astype(np.uint16)
    if lines <= abs(lag):
        with pytest.raises(ScreeningError):
            register(le, he, lag_lines=lag)
        return
    first, second = register(le, he, lag_lines=lag)
    assert first.shape == second.shape == (lines - abs(lag), 1)
    assert np.array_equal(first, second)


def test_a_scan_is_corrected_and_registered():
    corrected = correct_scan(raw_scan(noise=0.0, lag=5))
    inside, outside = np.s_[71:199, 61:179], np.s_[:69, :59]
    assert corrected.le[inside] == pytest.approx(0.8, abs=0.002)
    assert corrected.he[inside] == pytest.approx(0.86, abs=0.002)
    assert corrected.le[outside] == pytest.approx(1.0, abs=0.002)
    assert corrected.he[70, 100] == pytest.approx(0.86, abs=0.002)
    assert corrected.he[69, 100] == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize(
    ("dead", "can"),
    [((), True), ((7, 8, 9), True), ((7, 8, 9, 10), False), ((1, 51, 101, 151), True), (range(0, 200, 40), False)],
)
def test_a_few_scattered_pixels_have_others_that_stand_in_for_them(dead: Sequence[int], can: bool):
    dark, air = calibration(200)
    air[list(dead)] = 1000
    alive = answering(dark, air)
    assert list(np.flatnonzero(~alive)) == list(dead)
    assert can_stand_in(alive) is can


def test_without_light_no_pixel_answers():
    dark, _ = calibration(200)
    assert not answering(dark, dark).any()
