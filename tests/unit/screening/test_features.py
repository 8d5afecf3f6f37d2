import numpy as np
import pytest

from station.screening.correction import CorrectedScan
from station.screening.features import CHANNELS, HE_KNOTS, ORGANIC_LE, STEEL_LE, attenuation, material_index, model_input, to_grid


def plane(value: float) -> np.ndarray:
    return np.full((32, 32), value, np.float32)


@pytest.mark.parametrize(
    ("le", "he", "low", "high"),
    [
        # transmissions of the station's beam at 160 kV through the material named
        (0.7929, 0.8401, -0.05, 0.1),  # 10 mm of water
        (0.5184, 0.5962, -0.1, 0.1),  # 20 mm of plastic explosive
        (0.6185, 0.7781, 0.2, 0.5),  # 5 mm of aluminium
        (0.3786, 0.6975, 0.9, 1.1),  # 1 mm of steel
        (0.0419, 0.1821, 0.9, 1.1),  # 6 mm of steel
        (0.4964, 0.7540, 0.6, 0.95),  # 4 mm of a lithium cell
        (0.9999, 0.9999, -0.02, 0.02),  # air
    ],
)
def test_material_index_of_known_things(le: float, he: float, low: float, high: float):
    found = material_index(attenuation(plane(le)), attenuation(plane(he)))
    assert low <= found[0, 0] <= high


def test_the_index_is_quiet_where_there_is_nothing():
    rng = np.random.default_rng(0)
    noise = (1 + 0.002 * rng.standard_normal((2, 64, 64))).astype(np.float32)
    index = material_index(attenuation(noise[0]), attenuation(noise[1]))
    assert np.abs(index).max() < 0.6
    assert index.std() < 0.15


def test_wedge_curves_rise_and_steel_lies_above():
    assert (np.diff(HE_KNOTS) > 0).all()
    assert (np.diff(ORGANIC_LE) > 0).all()
    assert (np.diff(STEEL_LE) > 0).all()
    assert (STEEL_LE[1:] > ORGANIC_LE[1:]).all()


@pytest.mark.parametrize(("line_mm", "pixel_mm"), [(0.8, 0.8), (0.4, 0.4), (0.8, 3.2), (3.2, 3.2), (0.4, 1.6)])
def test_every_pitch_comes_to_the_same_grid(line_mm: float, pixel_mm: float):
    t = np.ones((round(240 / line_mm), round(208 / pixel_mm)), np.float32)
    t[round(80 / line_mm) : round(160 / line_mm), round(64 / pixel_mm) : round(128 / pixel_mm)] = 0.5
    grid = to_grid(CorrectedScan(le=t, he=t, line_mm=line_mm, pixel_mm=pixel_mm))
    assert grid.le.shape == (300, 260)
    assert grid.le[150, 120] == pytest.approx(0.5, abs=1e-3)
    assert grid.le[20, 20] == pytest.approx(1.0, abs=1e-3)
    assert float((grid.le < 0.75).sum()) == pytest.approx(100 * 80, rel=0.04)


def test_slow_drift_is_levelled_by_the_air_around():
    t = np.full((200, 200), 0.996, np.float32)
    t[50:150, 50:150] *= 0.5
    grid = to_grid(CorrectedScan(le=t, he=t, line_mm=0.8, pixel_mm=0.8))
    assert grid.le[10, 10] == pytest.approx(1.0, abs=1e-4)
    assert grid.le[100, 100] == pytest.approx(0.5, abs=1e-4)


def test_something_that_fills_the_frame_is_not_levelled_away():
    t = np.full((200, 200), 0.9, np.float32)
    grid = to_grid(CorrectedScan(le=t, he=t, line_mm=0.8, pixel_mm=0.8))
    assert grid.le[100, 100] == pytest.approx(0.9, abs=1e-4)


def test_model_input_is_bounded_whatever_comes():
    rng = np.random.default_rng(1)
    t = np.exp(-rng.uniform(-0.2, 9, (2, 64, 80))).astype(np.float32)
    channels = model_input(t[0], t[1])
    assert channels.shape == (len(CHANNELS), 64, 80)
    assert channels.dtype == np.float32
    assert np.isfinite(channels).all()
    assert np.abs(channels).max() < 10
