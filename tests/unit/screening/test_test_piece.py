"""The test piece as the simulated detector sees it: published layout in, scores out; two programs that share no code."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sims.test_piece import draw_test_piece
from station.api.texts import Texts
from station.domain.errors import ScreeningError
from station.domain.test_piece import FIRST_RUNS, WATCHED, TestPieceTrend, TestValue
from station.ports.screening import RawScan, TestPieceResult
from station.screening.test_piece import score
from station.screening.test_piece.pose import find
from station.screening.test_piece.score import demand_for
from training.test_piece_bench import TestPieceBench


def failed(result: TestPieceResult) -> set[str]:
    return {name for name, (_, _, passed) in result.values.items() if not passed}


@cache
def sound(pixels: int = 128) -> RawScan:
    return TestPieceBench(1, pixels=pixels).scan_test_piece()


@pytest.mark.parametrize("seed", range(12))
def test_a_sound_coarse_detector_passes_however_the_piece_lies(seed: int):
    rng = np.random.default_rng([seed, 3])
    bench = TestPieceBench(seed, kv=(140.0, 160.0)[seed % 2])
    result = score(bench.scan_test_piece(turn_deg=float(rng.uniform(-3, 3)), backwards=bool(rng.integers(2))))
    assert result.passed, failed(result)


@pytest.mark.parametrize(("pixels", "seed"), [(256, 4), (512, 1), (512, 2), (1024, 3)])
def test_a_sound_detector_passes(pixels: int, seed: int):
    result = score(TestPieceBench(seed, pixels=pixels).scan_test_piece(turn_deg=seed - 2.0, backwards=seed % 2 == 0))
    assert result.passed, failed(result)


def test_what_a_sound_detector_shows():
    values = {name: measured for name, (measured, _, _) in score(sound(512)).values.items()}
    assert values["single-wire-awg"] >= 38
    assert values["wire-24-under-aluminium-mm"] == 48
    assert values["mark-behind-steel-mm"] >= 26
    assert values["line-pairs-along-per-mm"] == values["line-pairs-across-per-mm"] == pytest.approx(1 / 2)
    assert 0.8 < values["modulation-across"] < 1.0
    assert values["air-noise-share"] == pytest.approx(0.007, abs=0.0006)
    assert values["material-separation"] == pytest.approx(0.60, abs=0.03)
    assert WATCHED.keys() <= values.keys()


def test_what_a_coarse_detector_cannot_show_is_not_asked_and_said():
    coarse, fine = score(sound(128)), score(sound(512))
    assert {"line-pairs-finer-than-12-mm", "single-wire-finer-than-awg-30", "wire-32-under-aluminium-mm"} <= set(coarse.not_asked)
    assert "wire-32-under-aluminium-mm" not in coarse.values
    assert len(fine.not_asked) < len(coarse.not_asked)


@pytest.mark.parametrize("pixels", [128, 512])
def test_each_value_has_words(pixels: int):
    texts = Texts()
    assert [name for name in score(sound(pixels)).values if not texts.has(f"test-value-{name}")] == []


@given(st.floats(0.01, 50.0), st.floats(0.01, 50.0))
def test_a_finer_detector_is_asked_for_no_less(one: float, other: float):
    fine, coarse = demand_for(min(one, other)), demand_for(max(one, other))
    assert fine.bare_awg >= coarse.bare_awg
    assert fine.mark_mm >= coarse.mark_mm
    assert fine.pair_mm <= coarse.pair_mm
    assert all(fine.wedge_mm.get(gauge, 0.0) >= deep for gauge, deep in coarse.wedge_mm.items())


@pytest.mark.parametrize("turn_deg", [-3.0, -0.7, 0.0, 1.3, 3.0])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_pose_is_found(turn_deg: float, backwards: bool):
    image = draw_test_piece(serial=1, number=1, turn_deg=turn_deg, backwards=backwards).body
    plane = np.pad(image.transmission(tube_kv=140.0, line_mm=1.6, pixel_mm=1.6)[1], ((12, 12), (30, 20)), constant_values=1.0)
    pose = find(plane, line_mm=1.6, pixel_mm=1.6)
    assert pose is not None
    assert pose.turn_deg == pytest.approx(turn_deg, abs=0.1)
    assert pose.backwards is backwards
    assert not pose.face_down
    assert pose.scale_along == pytest.approx(1.0, abs=0.004)
    assert pose.residual_mm < 0.3
    middle = pose.matrix @ (150.0, 100.0, 1.0)
    assert middle == pytest.approx((12 * 1.6 + image.length_mm / 2, 30 * 1.6 + image.width_mm / 2), abs=0.3)


def test_a_piece_that_lies_face_down_is_scored_all_the_same():
    scan = TestPieceBench(3, pixels=256).scan_test_piece()
    turned = replace(
        scan, **{name: getattr(scan, name)[..., ::-1].copy() for name in ("le", "he", "dark_le", "dark_he", "air_le", "air_he")}
    )
    result = score(turned)
    assert result.passed, failed(result)


def test_laid_too_crooked_says_so():
    result = score(TestPieceBench(1).scan_test_piece(turn_deg=4.8))
    assert "turned-deg" in failed(result)


@given(st.integers(0, 2**32 - 1))
def test_noise_is_no_test_piece(seed: int):
    plane = np.random.default_rng(seed).uniform(0.0, 1.2, (90, 100)).astype(np.float32)
    assert find(plane, line_mm=3.2, pixel_mm=3.2) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (40, 40)])
def test_a_scan_too_small_is_no_test_piece(shape: tuple[int, int]):
    assert find(np.ones(shape, np.float32), line_mm=3.2, pixel_mm=3.2) is None


def test_half_a_test_piece_fails():
    scan = sound()
    result = score(replace(scan, le=scan.le[:60], he=scan.he[:60]))
    assert failed(result) == {"piece-found"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lost-lines", {"lost_lines": 1}),
        ("saturated", {"saturated": True}),
        ("beam-off-share", {"beam_error_share": 0.04}),
        ("belt-speed-off-share", {"speed_error_share": 0.06}),
        ("calibration-age-s", {"calibration_age_s": 1900.0}),
        ("beam-off-share", {"beam_error_share": float("nan")}),
    ],
)
def test_what_would_hold_any_piece_fails_the_test(name: str, change: dict[str, float]):
    assert failed(score(replace(sound(), **change))) == {name}


Spoil = Callable[[TestPieceBench], object]


def fault(name: str, **args: float) -> Spoil:
    return lambda bench: bench.detector.inject(name, **args)


def calibrated(spoil: Spoil) -> Spoil:
    def both(bench: TestPieceBench) -> None:
        spoil(bench)
        bench.calibrate()

    return both


DEGRADATIONS: dict[str, tuple[Spoil, str]] = {
    "kV 3 % low": (lambda bench: bench.beam(kv=0.97 * 140), "air-off-share"),
    "kV 3 % high": (lambda bench: bench.beam(kv=1.03 * 140), "air-off-share"),
    "kV 15 % low, calibrated at it": (calibrated(lambda bench: bench.beam(kv=0.85 * 140)), "air-noise-share"),
    "mA 3 % low": (lambda bench: bench.beam(ma=0.97), "air-off-share"),
    "mA 50 % low, calibrated at it": (calibrated(lambda bench: bench.beam(ma=0.5)), "air-noise-share"),
    "gain 3 % low": (fault("gain_drift", factor=0.97), "air-off-share"),
    "noise of 300 counts": (fault("noisy", counts=300.0), "air-noise-share"),
    "noise of 300 counts, calibrated at it": (calibrated(fault("noisy", counts=300.0)), "mark-behind-steel-mm"),
    "blur of 0.6, calibrated at it": (calibrated(fault("blurred", share=0.6)), "single-wire-signal"),
    "energies 1 mm apart": (fault("misregistered", mm=1.0), "energies-apart-mm"),
    "one pixel dies": (fault("dead_pixels", count=1), "stripe-share"),
    "one more dead pixel, calibrated": (calibrated(fault("dead_pixels", count=1)), "dead-pixel-share"),
    "dirt takes 4 % in three places": (fault("dirty", share=0.04), "stripe-share"),
    "belt slips by 2 %": (lambda bench: bench.slip(0.98), "scale-off-share"),
    "belt slips by 10 % over 60 mm": (lambda bench: bench.slip(0.9, from_mm=100.0, to_mm=160.0), "scale-off-share"),
    "detector 30 °C too warm": (fault("hot", celsius=30.0), "lead-light-share"),
}


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_test_piece_notices(name: str, seed: int):
    spoil, noticed = DEGRADATIONS[name]
    bench = TestPieceBench(seed)
    spoil(bench)
    result = score(bench.scan_test_piece(turn_deg=seed - 2.0))
    assert noticed in failed(result), result.values


def test_four_more_dead_pixels_of_128_are_refused():
    bench = TestPieceBench(1)
    calibrated(fault("dead_pixels", count=4))(bench)
    with pytest.raises(ScreeningError, match="do not answer"):
        score(bench.scan_test_piece())


def test_energies_that_are_alike_fail():
    scan = sound(256)
    alike = replace(scan, he=np.roll(scan.le, scan.info.he_lag_lines, axis=0), dark_he=scan.dark_le, air_he=scan.air_le)
    assert "material-separation" in failed(score(alike))


WEAR: dict[str, tuple[Spoil, str]] = {
    "mA 10 % low": (calibrated(lambda bench: bench.beam(ma=0.9)), "air-signal-share"),
    "kV 5 % low": (calibrated(lambda bench: bench.beam(kv=0.95 * 140)), "steel-attenuation"),
    "gain 10 % low": (calibrated(fault("gain_drift", factor=0.9)), "air-signal-share"),
    "blur of 0.1": (calibrated(fault("blurred", share=0.1)), "modulation-across"),
    "detector 5 °C too warm": (fault("hot", celsius=5.0), "lead-light-share"),
    "detector 5 °C too warm, calibrated": (calibrated(fault("hot", celsius=5.0)), "dark-share"),
}
"""Too small to fail the test: the trend tells."""


@cache
def reference_of(seed: int) -> TestPieceTrend:
    """The trend after the first runs of a sound detector."""
    rng, trend = np.random.default_rng([seed, 5]), TestPieceTrend()
    bench = TestPieceBench(seed)
    for _ in range(FIRST_RUNS):
        bench.calibrate()
        result = score(bench.scan_test_piece(turn_deg=float(rng.uniform(-2, 2)), backwards=bool(rng.integers(2))))
        trend = trend.step(values_of(result), passed=result.passed)
    return trend


def values_of(result: TestPieceResult) -> tuple[TestValue, ...]:
    return tuple(TestValue(name=name, measured=value, limit=limit, passed=ok) for name, (value, limit, ok) in result.values.items())


@pytest.mark.parametrize("name", WEAR)
def test_the_trend_notices_within_six_runs(name: str):
    spoil, noticed = WEAR[name]
    trend, bench = reference_of(1), TestPieceBench(1)
    spoil(bench)
    passed = []
    for run in range(6):
        result = score(bench.scan_test_piece(turn_deg=run / 3 - 1.0))
        passed.append(result.passed)
        trend = trend.step(values_of(result), passed=result.passed)
    assert noticed in {one.name for one in trend.warnings}
    assert all(passed)


def test_the_trend_of_a_sound_detector_is_quiet():
    trend, bench = reference_of(2), TestPieceBench(2)
    for run in range(15):
        bench.calibrate()
        result = score(bench.scan_test_piece(turn_deg=run / 4 - 2.0))
        trend = trend.step(values_of(result), passed=result.passed)
        assert trend.warnings == ()
