from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from station.domain.errors import ScreeningError
from station.screening import image
from station.screening.features import GridScan
from station.screening.views import PALETTE, heat_png, pseudo_colour_png


def pixels_of(data: bytes) -> npt.NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_png_comes_back_as_it_was():
    for shape in ((20, 30), (20, 30, 3)):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        data = image.encode_png(pixels)
        assert np.array_equal(pixels_of(data), pixels)


def test_a_picture_that_cannot_be_read_says_so(tmp_path: Path):
    with pytest.raises(ScreeningError, match="nothing"):
        image.read_picture(tmp_path / "nothing.jpg")
    for content in (b"", b"no picture"):
        (tmp_path / "bad.jpg").write_bytes(content)
        with pytest.raises(ScreeningError, match="bad"):
            image.read_picture(tmp_path / "bad.jpg")


def test_area_means_keep_the_mean():
    pixels = np.random.default_rng(0).random((64, 96), np.float32)
    small = image.resample(pixels, height=16, width=24)
    assert small.shape == (16, 24)
    assert small.mean() == pytest.approx(pixels.mean(), abs=1e-5)
    assert image.resample(pixels, height=64, width=96) is pixels


def things() -> GridScan:
    """Air, 20 mm of water, 10 mm of aluminium, 3 mm of steel, lead: side by side."""
    columns = [(1, 1), (0.62, 0.70), (0.40, 0.60), (0.127, 0.389), (0.0003, 0.0003)]
    le, he = (np.repeat(np.asarray([[one[energy] for one in columns]], np.float32), 20, axis=1).repeat(20, axis=0) for energy in (0, 1))
    return GridScan(le=np.ascontiguousarray(le), he=np.ascontiguousarray(he), cell_mm=0.8, scale_y=1, scale_x=1)


def test_the_standard_colours_are_orange_green_blue_on_white():
    data = pseudo_colour_png(things())
    blue, green, red = (pixels_of(data)[10, 10::20, channel].astype(int) for channel in range(3))
    assert min(red[0], green[0], blue[0]) > 250
    assert red[1] > green[1] > blue[1]
    assert green[2] > red[2]
    assert green[2] > blue[2]
    assert blue[3] > green[3] > red[3]
    assert max(red[4], green[4], blue[4]) < 40


def test_the_palette_rises():
    knots = [knot for knot, _ in PALETTE]
    assert knots == sorted(set(knots))


def test_the_heat_overlay_shows_only_what_is_hot():
    heat = np.zeros((40, 60), np.uint8)
    heat[10:20, 10:20] = 255
    data = heat_png(heat, height=20, width=30)
    overlay = pixels_of(data)
    assert overlay.shape == (20, 30, 4)
    assert overlay[15, 25, 3] == 0
    assert overlay[7, 7, 3] == 200
    assert overlay[7, 7, 2] == 255
