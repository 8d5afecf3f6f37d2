"""A scan is exactly the lines between the piece's own edges, whatever the encoder's count and however the lines came."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.domain.errors import ScreeningError
from station.ports.lane_plc import Eye
from station.ports.screening import RawScan
from station.ports.xray import DetectorInfo, LineBlock
from station.workflow.geometry import LaneGeometry
from station.workflow.scanner import ODD_GAPS, BeamWatch, Calibration, LineStore, beam_window, cut_scan
from station.workflow.tracker import Track

PIXELS = 4
PITCH = 30
INFO = DetectorInfo(model="wood", pixels=PIXELS, pixel_pitch_mm=3.0, line_pitch_mm=PITCH / 10, he_lag_lines=2, full_scale=60000)
GEOMETRY = LaneGeometry()
TO_BEAM = round((GEOMETRY.beam_mm - GEOMETRY.eyes_mm[Eye.XRAY_IN]) * 10)


def lines(first_encoder: int, count: int, *, acquisition: int = 7, value: int = 50000, first_line: int = 0) -> LineBlock:
    """Lines one pitch apart, from that encoder count on; the LE rows carry the line number."""
    numbers = np.arange(first_line, first_line + count, dtype=np.uint32)
    return LineBlock(
        acquisition=acquisition,
        boot=1,
        le=np.repeat(numbers.astype(np.uint16)[:, None], PIXELS, axis=1),
        he=np.full((count, PIXELS), value, np.uint16),
        line_numbers=numbers,
        encoders=((first_encoder + PITCH * np.arange(count, dtype=np.int64)) & 0xFFFFFFFF).astype(np.uint32),
        flags=np.ones(count, np.uint8),
        lost_before=np.zeros(count, np.uint16),
    )


def calibration(air: float = 50000.0) -> Calibration:
    rows = {name: np.full(PIXELS, value, np.float32) for name, value in (("dark_le", 0), ("dark_he", 0), ("air_le", air), ("air_he", air))}
    return Calibration(**rows, dark_at_s=0.0, air_at_s=5.0)


def track_of(leading: int, length_mm: float) -> Track:
    track = Track(number=1, head_mm=0.0, length_mm=length_mm)
    track.leading[Eye.XRAY_IN] = leading & 0xFFFFFFFF
    track.trailing[Eye.XRAY_IN] = (leading + round(length_mm * 10)) & 0xFFFFFFFF
    return track


def cut(
    store: LineStore, track: Track, now: Calibration | None = None, *, start: Calibration | None = None, free: bool = False
) -> tuple[RawScan, Calibration]:
    """The scan of a packet, 10 s after the calibration."""
    start = start or calibration()
    return cut_scan(store, track, now or start, BeamWatch(), start=start, geometry=GEOMETRY, kind="packet", now_s=10.0, gap_is_free=free)


def in_blocks(block: LineBlock, sizes: list[int]) -> list[LineBlock]:
    """The same lines in several blocks."""
    cuts, parts, start = [*np.cumsum(sizes), len(block.encoders)], [], 0
    names = ("le", "he", "line_numbers", "encoders", "flags", "lost_before")
    for cut in cuts:
        part = {name: getattr(block, name)[start:cut] for name in names}
        parts.append(LineBlock(acquisition=block.acquisition, boot=1, **part))
        start = max(start, int(cut))
    return parts


@settings(max_examples=60)
@given(leading=st.integers(0, 2**32 - 1), length=st.floats(100.0, 450.0), sizes=st.lists(st.integers(1, 60), max_size=8))
def test_a_scan_is_the_lines_of_its_window(leading: int, length: float, sizes: list[int]):
    track = track_of(leading, length)
    first, last = beam_window(track, INFO, GEOMETRY)
    every = lines(leading + TO_BEAM - 1500, 300)
    store = LineStore(INFO, 7)
    for part in in_blocks(every, sizes):
        store.add(part)
    scan, _ = cut_scan(
        store, track, calibration(), BeamWatch(), start=calibration(), geometry=GEOMETRY, kind="packet", now_s=10.0, gap_is_free=False
    )
    offset = (every.encoders.astype(np.int64) - first) & 0xFFFFFFFF
    wanted = every.line_numbers[offset < ((last - first) & 0xFFFFFFFF)]
    assert list(scan.le[:, 0]) == list(wanted)
    assert scan.lost_lines == 0
    assert abs(len(wanted) * PITCH / 10 - (length + 30.0 + 6.0)) <= 2 * PITCH / 10


@settings(max_examples=40)
@given(lost=st.integers(2, 20), at=st.integers(60, 80))
def test_lines_that_are_missing_are_counted(lost: int, at: int):
    every = lines(TO_BEAM - 1500, 300)
    keep = np.ones(300, bool)
    keep[at : at + lost] = False
    names = ("le", "he", "line_numbers", "encoders", "flags", "lost_before")
    store = LineStore(INFO, 7)
    store.add(LineBlock(acquisition=7, boot=1, **{name: getattr(every, name)[keep] for name in names}))
    track = track_of(0, 300.0)
    scan, _ = cut_scan(
        store, track, calibration(), BeamWatch(), start=calibration(), geometry=GEOMETRY, kind="packet", now_s=10.0, gap_is_free=False
    )
    assert lost - 1 <= scan.lost_lines <= lost


def test_lines_of_another_acquisition_are_no_scan():
    store = LineStore(INFO, 7)
    store.add(lines(TO_BEAM - 1500, 300, acquisition=6))
    with pytest.raises(ScreeningError):
        cut_scan(
            store,
            track_of(0, 300.0),
            calibration(),
            BeamWatch(),
            start=calibration(),
            geometry=GEOMETRY,
            kind="packet",
            now_s=10.0,
            gap_is_free=False,
        )


def cut_after(gap: float | Callable[[LineBlock], None], now: Calibration, start: Calibration, *, free: bool = True) -> Calibration:
    """The calibration after a piece before which the detector saw that."""
    block = lines(TO_BEAM - 1500, 300)
    block.le[:] = block.he[:] = 50000
    if callable(gap):
        gap(block)
    else:
        block.le[:] = block.he[:] = gap
    store = LineStore(INFO, 7)
    store.add(block)
    return cut(store, track_of(0, 300.0), now, start=start, free=free)[1]


@pytest.mark.parametrize(("air", "free", "refreshed"), [(50000.0, True, True), (50000.0, False, False), (30000.0, True, False)])
def test_the_gap_before_a_piece_is_taken_for_air_only_when_it_is_free_and_looks_like_it(air: float, free: bool, refreshed: bool):
    start = calibration(air)
    assert (cut_after(50000, start, start, free=free).air_at_s == 10.0) is refreshed


@pytest.mark.parametrize("energy", ["le", "he"])
def test_a_narrow_thing_in_the_gap_is_no_air(energy: str):
    """Most columns are air all the same: a strap on the belt would be taken off every picture after it."""

    def strap(block: LineBlock) -> None:
        getattr(block, energy)[:, :1] = 40000

    start = calibration(50000.0)
    assert cut_after(strap, start, start).air_at_s == start.air_at_s


def test_air_does_not_creep_away_from_that_of_the_start():
    """Each step is small against the last one."""
    start = now = calibration(50000.0)
    for air in range(50000, 40000, -1000):
        now = cut_after(air, now, start)
    assert now.air_le.min() >= 0.94 * 50000


@given(speed=st.floats(0.0, 400.0), kv=st.floats(0.0, 200.0), on=st.booleans())
def test_the_worst_reading_under_the_beam_counts(speed: float, kv: float, on: bool):
    watch = BeamWatch()
    for reading in (speed, 200.0):
        watch.note_speed(reading, 200.0)
    watch.note_beam(on=on, kv=kv, kv_set=140.0, ma=1.0, ma_set=1.0)
    watch.note_beam(on=True, kv=140.0, kv_set=140.0, ma=1.0, ma_set=1.0)
    assert watch.speed_error_share == pytest.approx(abs(speed - 200.0) / 200.0)
    assert watch.beam_error_share == pytest.approx(abs(kv - 140.0) / 140.0 if on else 1.0)


def test_gaps_that_are_no_air_one_after_the_other_make_a_calibration_doubtful():
    now = start = calibration()
    for gaps in range(1, ODD_GAPS + 1):
        assert not now.doubtful
        now = cut_after(40000.0, now, start)
        assert now.odd_gaps == gaps
    assert now.doubtful
    assert not cut_after(50000.0, now, start).odd_gaps


def test_a_gap_that_is_not_free_says_nothing_about_the_calibration():
    start = calibration()
    assert cut_after(40000.0, start, start, free=False).odd_gaps == 0


@pytest.mark.parametrize("energy", ["air_le", "air_he"])
@pytest.mark.parametrize(("columns", "dead"), [(range(0), 0), (range(3, 4), 0), (range(PIXELS // 2), PIXELS // 2), (range(PIXELS), PIXELS)])
def test_a_calibration_tells_how_many_pixels_too_many_are_dead(energy: str, columns: range, dead: int):
    row = np.full(100 if dead == 0 else PIXELS, 50000.0, np.float32)
    row[list(columns)] = 0.0
    levels = {"dark_le": 0.0, "dark_he": 0.0, "air_le": 5e4, "air_he": 5e4}
    rows = {name: np.full(len(row), level, np.float32) for name, level in levels.items()}
    assert Calibration(**rows | {energy: row}, dark_at_s=0.0, air_at_s=5.0).dead_pixels == dead
