import math
from typing import Any

import numpy as np
import pytest

from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.ports.screening import RawScan
from station.screening.correction import correct_scan
from station.screening.features import to_grid
from station.screening.findings import find
from station.screening.limits import DEFAULT_LIMITS
from station.screening.measure import PieceMeasure, measure
from tests.support.screening_models import raw_scan

Box = tuple[int, int, int, int, float, float]
ENVELOPE: Box = (60, 70, 120, 130, 0.97, 0.98)


def looked(scan: RawScan) -> tuple[PieceMeasure, tuple[Finding, ...]]:
    grid = to_grid(correct_scan(scan))
    piece = measure(grid)
    return piece, find(scan, grid, piece)


def reasons(**changes: Any) -> list[Reason]:
    return [one.reason for one in looked(raw_scan(**{"boxes": (ENVELOPE,), **changes}))[1]]


def test_an_ordinary_scan_has_no_finding():
    assert reasons() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lost_lines": 1}, Reason.LINES_MISSING),
        ({"saturated": True}, Reason.DETECTOR_SATURATED),
        ({"speed_error_share": DEFAULT_LIMITS.max_speed_error_share * 1.01}, Reason.BELT_SPEED_OFF),
        ({"speed_error_share": math.nan}, Reason.BELT_SPEED_OFF),
        ({"beam_error_share": DEFAULT_LIMITS.max_beam_error_share * 1.01}, Reason.BEAM_OFF_SET_POINT),
        ({"beam_error_share": math.nan}, Reason.BEAM_OFF_SET_POINT),
        ({"calibration_age_s": DEFAULT_LIMITS.max_calibration_age_s + 1}, Reason.CALIBRATION_STALE),
        ({"calibration_age_s": math.inf}, Reason.CALIBRATION_STALE),
    ],
)
def test_what_speaks_against_the_scan(change: dict[str, Any], reason: Reason):
    assert reasons(**change) == [reason]


@pytest.mark.parametrize(
    "change",
    [
        {"speed_error_share": DEFAULT_LIMITS.max_speed_error_share},
        {"beam_error_share": DEFAULT_LIMITS.max_beam_error_share},
        {"calibration_age_s": DEFAULT_LIMITS.max_calibration_age_s},
    ],
)
def test_at_the_limit_is_within(change: dict[str, Any]):
    assert reasons(**change) == []


def test_one_saturated_count_is_seen_without_the_flag():
    scan = raw_scan(boxes=(ENVELOPE,))
    scan.le[3, 3] = 65535
    assert [one.reason for one in looked(scan)[1]] == [Reason.DETECTOR_SATURATED]


@pytest.mark.parametrize(
    "box",
    [
        (0, 70, 120, 130, 0.9, 0.93),
        (136, 70, 120, 130, 0.9, 0.93),
        (60, 0, 120, 130, 0.9, 0.93),
        (60, 125, 120, 130, 0.9, 0.93),
    ],
)
def test_a_piece_at_the_rim_is_clipped(box: Box):
    assert Reason.PIECE_CLIPPED in reasons(boxes=(box,))


def test_two_pieces_are_told_from_one_with_a_gap_inside():
    apart = ((20, 60, 80, 100, 0.9, 0.93), (150, 60, 80, 100, 0.9, 0.93))
    assert reasons(boxes=apart) == [Reason.TWO_PIECES]
    joined = ((20, 60, 80, 100, 0.9, 0.93), (110, 60, 80, 100, 0.9, 0.93))
    assert reasons(boxes=joined) == []


def test_an_opaque_area_counts_from_its_size():
    side = math.isqrt(round(DEFAULT_LIMITS.opaque_area_mm2 / 0.64))
    small = (90, 100, side - 4, side - 4, 0.0005, 0.001)
    large = (90, 100, side + 6, side + 6, 0.0005, 0.001)
    assert reasons(boxes=(ENVELOPE, small)) == []
    piece, found = looked(raw_scan(boxes=(ENVELOPE, large)))
    assert [one.reason for one in found] == [Reason.OPAQUE_AREA]
    assert piece.box is not None
    x, y, width, height = found[0].box_px or (0, 0, 0, 0)
    assert abs(x - 90) <= 3
    assert abs(y - 100) <= 3
    assert abs(width - side - 6) <= 4
    assert abs(height - side - 6) <= 4


def test_a_small_shield_behind_something_thick_is_opaque_too():
    thick = (80, 90, 60, 60, 0.05, 0.1)
    behind = (95, 105, 28, 28, 0.02, 0.1)
    assert reasons(boxes=(ENVELOPE, thick, behind)) == [Reason.OPAQUE_AREA]


def test_an_empty_belt_is_no_piece():
    assert reasons(boxes=()) == [Reason.SCAN_INCOMPLETE]


@pytest.mark.parametrize("layers", [1, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_thin_cover_is_measured(layers: int, seed: int):
    # one layer: a bag of 0.1 mm of polyethylene, both sides
    le, he = 0.998**layers, 0.9984**layers
    piece, found = looked(raw_scan(lines=400, pixels=400, boxes=((60, 70, 250, 200, le, he),), noise=0.005, seed=seed))
    assert found == ()
    assert piece.width_mm == pytest.approx(250 * 0.8, abs=12)
    assert piece.length_mm == pytest.approx(200 * 0.8, abs=12)


def test_noise_alone_is_no_piece():
    for seed in range(5):
        piece, _ = looked(raw_scan(lines=400, pixels=400, boxes=(), noise=0.008, seed=seed))
        assert piece.box is None


def test_measures_do_not_depend_on_where_it_lies():
    sizes = []
    for dx in (20, 60, 110):
        piece, _ = looked(raw_scan(boxes=((dx, 70, 120, 130, 0.9, 0.93),)))
        sizes.append((piece.length_mm, piece.width_mm))
    assert np.ptp([one for one, _ in sizes]) <= 1.7
    assert np.ptp([one for _, one in sizes]) <= 1.7
