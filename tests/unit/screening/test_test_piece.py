"""The test piece as the simulated detector sees it: published layout in, scores out; two programs that share no code."""

from dataclasses import replace

import numpy as np
import pytest

from firmware_sims.mail import Piece
from firmware_sims.test_piece import draw_test_piece
from station.ports.screening import RawScan, TestPieceResult
from station.screening.correction import correct_scan
from station.screening.features import to_grid
from station.screening.test_piece import score
from training.bench import Bench


def scored(scan: RawScan) -> TestPieceResult:
    return score(to_grid(correct_scan(scan)), pixel_mm=scan.info.pixel_pitch_mm)


@pytest.fixture(scope="module")
def piece() -> Piece:
    return draw_test_piece(serial=1, number=1)


@pytest.fixture(scope="module")
def sound(piece: Piece) -> RawScan:
    return Bench(1).scan(piece)


@pytest.mark.parametrize(("pixels", "seed"), [(512, 1), (512, 2), (1024, 3), (256, 4), (128, 5)])
def test_a_sound_detector_passes(piece: Piece, pixels: int, seed: int):
    result = scored(Bench(seed, pixels=pixels).scan(piece))
    assert result.passed, result.values


def test_what_a_sound_detector_shows(sound: RawScan):
    values = {name: measured for name, (measured, _, _) in scored(sound).values.items()}
    assert values["steel-steps"] == 8
    assert values["wire-under-steel-mm"] >= 10
    assert values["single-wire-awg"] >= 32
    assert values["line-pairs-per-mm"] == pytest.approx(1 / 3)


def blurred(plane: np.ndarray, size: int) -> np.ndarray:
    padded = np.pad(plane, size // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return windows.mean(axis=(2, 3))[: plane.shape[0], : plane.shape[1]]


def spoilt(scan: RawScan, *, noise: float = 0.0, blur: int = 1) -> RawScan:
    """The same scan by a worse detector: its light blurred over `blur` pixels, with noise of that share of air."""
    rng = np.random.default_rng(0)
    planes = []
    for raw, dark, air in ((scan.le, scan.dark_le, scan.air_le), (scan.he, scan.dark_he, scan.air_he)):
        alive = air - dark > 5000
        light = np.where(alive, (raw - dark) / np.where(alive, air - dark, 1), 1.0)
        light = blurred(light, blur) + rng.standard_normal(light.shape) * noise
        planes.append(np.clip(np.where(alive, light * (air - dark) + dark, dark), 0, 65534).astype(np.uint16))
    return replace(scan, le=planes[0], he=planes[1])


def failed(result: TestPieceResult) -> set[str]:
    return {name for name, (_, _, passed) in result.values.items() if not passed}


def test_a_noisy_detector_fails(sound: RawScan):
    assert {"wire-under-steel-mm", "steel-steps"} & failed(scored(spoilt(sound, noise=0.04)))


def test_a_blurred_detector_fails(sound: RawScan):
    assert "line-pairs-per-mm" in failed(scored(spoilt(sound, blur=6)))


def test_a_detector_whose_energies_are_alike_fails(sound: RawScan):
    alike = replace(sound, he=np.roll(sound.le, sound.info.he_lag_lines, axis=0), dark_he=sound.dark_le, air_he=sound.air_le)
    assert "material-contrast" in failed(scored(alike))


def test_another_piece_fails(sound: RawScan):
    result = scored(replace(sound, le=sound.le[:250], he=sound.he[:250]))
    assert not result.passed
