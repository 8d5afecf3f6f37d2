import math
from dataclasses import replace

import numpy as np
import pytest

from station.screening.image_quality import REFERENCE_SCANS, ImageQuality, QualityTrend, quality_of
from tests.support.screening_models import raw_scan

GOOD = ImageQuality(air_noise=0.004, dark_level=0.015, gain=0.6)


def followed(*pieces: tuple[int, ImageQuality]) -> QualityTrend:
    trend = QualityTrend()
    for count, quality in pieces:
        for _ in range(count):
            trend = trend.step(quality)
    return trend


def test_figures_of_a_scan():
    found = quality_of(raw_scan(noise=0.004))
    assert found.air_noise == pytest.approx(0.004, rel=0.1)
    assert found.dark_level == pytest.approx(1000 / 65535, rel=0.02)
    assert found.gain == pytest.approx(40000 / 65535, rel=0.02)


def test_noise_is_seen_whatever_lies_in_the_piece():
    dense = quality_of(raw_scan(boxes=((60, 60, 130, 120, 0.05, 0.1),), noise=0.012))
    assert dense.air_noise == pytest.approx(0.012, rel=0.1)


def test_what_cannot_be_measured_is_not_a_number():
    scan = raw_scan()
    assert math.isnan(quality_of(replace(scan, le=scan.le[:1], he=scan.he[:1])).air_noise)
    assert math.isnan(quality_of(replace(scan, air_le=np.full_like(scan.air_le, np.nan))).gain)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"air_noise": 0.0072}, "air-noise"),
        ({"air_noise": 0.002}, "air-noise"),
        ({"gain": 0.4}, "gain"),
        ({"gain": 0.85}, "gain"),
        ({"dark_level": 0.03}, "dark-level"),
        ({"gain": math.nan}, "gain"),
    ],
)
def test_a_lasting_change_is_named_and_one_odd_scan_is_not(change: dict[str, float], name: str):
    bad = replace(GOOD, **change)
    if math.isfinite(next(iter(change.values()))):
        assert followed((REFERENCE_SCANS, GOOD), (1, bad), (5, GOOD)).out_of_limits == ()
    assert followed((REFERENCE_SCANS, GOOD), (80, bad)).out_of_limits == (name,)


def test_slow_wandering_within_the_limits_is_no_fault():
    trend = followed((REFERENCE_SCANS, GOOD), (500, replace(GOOD, gain=0.53, air_noise=0.005, dark_level=0.019)))
    assert trend.out_of_limits == ()


def test_nothing_is_said_before_there_is_a_reference():
    trend = followed((10, GOOD), (20, replace(GOOD, gain=0.1)))
    assert trend.out_of_limits == ()


def test_after_a_repair_the_reference_is_still_the_old_one():
    trend = followed((REFERENCE_SCANS, GOOD), (80, replace(GOOD, gain=0.3))).restarted()
    assert trend.out_of_limits == ()
    for _ in range(80):
        trend = trend.step(replace(GOOD, gain=0.3))
    assert trend.out_of_limits == ("gain",)
