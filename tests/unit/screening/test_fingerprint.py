import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.domain.errors import ScreeningError
from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.screening.fingerprint import distance
from station.screening.image import moved
from station.screening.refeed import new_findings

BOUND = 0.15


def parcel(seed: int) -> np.ndarray:
    """A cover with a handful of things in it, on the fingerprint's grid."""
    rng = np.random.default_rng(seed)
    image = np.zeros((104, 96), np.float32)
    image[18:86, 20:76] = 0.08
    for _ in range(5):
        y, x = rng.integers(24, 70), rng.integers(24, 62)
        image[y : y + rng.integers(3, 14), x : x + rng.integers(3, 14)] += rng.uniform(0.15, 1.5)
    return image


def noisy(image: np.ndarray, seed: int) -> np.ndarray:
    return (image + 0.0015 * np.random.default_rng(seed).standard_normal(image.shape)).astype(np.float32)


@settings(max_examples=20)
@given(seed=st.integers(0, 50), turn=st.floats(-5, 5), dx=st.floats(-10, 10), dy=st.floats(-10, 10))
def test_the_same_parcel_laid_otherwise_matches(seed: int, turn: float, dx: float, dy: float):
    again = moved(parcel(seed), angle_deg=turn, dx=dx, dy=dy)
    assert distance(noisy(parcel(seed), 1), noisy(again, 2)) <= BOUND


@pytest.mark.parametrize("seed", range(12))
def test_another_parcel_in_the_same_cover_does_not(seed: int):
    assert distance(noisy(parcel(seed), 1), noisy(parcel(seed + 100), 2)) > 2 * BOUND


@pytest.mark.parametrize("seed", range(6))
def test_one_thing_more_or_less_does_not(seed: int):
    more = parcel(seed)
    more[74:80, 30:42] += 0.12
    assert distance(noisy(parcel(seed), 1), noisy(more, 2)) > BOUND
    assert distance(noisy(more, 1), noisy(parcel(seed), 2)) > BOUND


def test_an_empty_cover_of_another_size_does_not():
    one, other = np.zeros((2, 90, 90), np.float32)
    one[20:70, 20:60] = 0.01
    other[20:70, 20:74] = 0.01
    assert distance(one, one) == 0
    assert distance(one, other) > BOUND


def test_nothing_against_something_does_not():
    assert distance(np.zeros((16, 16), np.float32), parcel(1)) > BOUND


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 2), np.float32), np.full((20, 20), np.nan, np.float32), np.zeros((2000, 20), np.float32)])
def test_what_is_no_fingerprint_is_refused(bad: np.ndarray):
    with pytest.raises(ScreeningError):
        distance(parcel(1), bad)


def finding(reason: Reason, measured: float | None = None) -> Finding:
    return Finding(reason=reason, box_px=None if measured is None else (1, 1, 5, 5), measured=measured, limit=None)


@pytest.mark.parametrize(
    ("cleared", "new", "fresh"),
    [
        ((), (), 0),
        ((finding(Reason.OPAQUE_AREA, 400),), (), 0),
        ((), (finding(Reason.OPAQUE_AREA, 400),), 1),
        ((finding(Reason.OPAQUE_AREA, 400),), (finding(Reason.OPAQUE_AREA, 440),), 0),
        ((finding(Reason.OPAQUE_AREA, 400),), (finding(Reason.OPAQUE_AREA, 900),), 1),
        ((finding(Reason.OPAQUE_AREA, 400),), (finding(Reason.OPAQUE_AREA, 400), finding(Reason.OPAQUE_AREA, 400)), 1),
        ((finding(Reason.TWO_PIECES),), (finding(Reason.LINES_MISSING),), 1),
        ((finding(Reason.LINES_MISSING),), (finding(Reason.LINES_MISSING),), 0),
    ],
)
def test_new_findings_table(cleared: tuple[Finding, ...], new: tuple[Finding, ...], fresh: int):
    assert len(new_findings(cleared, new)) == fresh
