import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware_sims.picture import draw_pictures, picture_piece, read_manifest
from firmware_sims.picture_palette import invert_palette


def attenuations(*colours: tuple[int, int, int]):
    """LE and HE attenuation of colours on a white belt."""
    picture = np.full((40, 40, 3), 250, dtype=np.uint8)
    for index, colour in enumerate(colours):
        picture[2 + 4 * index : 5 + 4 * index, 5:30] = colour
    seen = -np.log(invert_palette(picture))
    return [seen[:, 3 + 4 * index, 10] for index in range(len(colours))], seen[:, 38, 38]


def test_hue_tells_the_material_and_luma_the_depth():
    (orange, green, blue, black, grey, dark_orange), belt = attenuations(
        (240, 160, 60), (80, 190, 90), (60, 100, 230), (2, 2, 2), (120, 120, 120), (160, 90, 20)
    )
    ratios = [pair[0] / pair[1] for pair in (orange, green, blue)]
    assert ratios[0] < 1.3 < ratios[1] < ratios[2]
    assert ratios[2] > 1.9
    assert belt == pytest.approx((0.0, 0.0), abs=0.02)
    assert black.min() > 4
    assert 1.3 < grey[0] / grey[1] < 1.6
    assert dark_orange[0] > orange[0]


def test_a_grey_belt_is_air():
    picture = np.full((30, 30, 3), 205, dtype=np.uint8)
    picture[10:20, 10:20] = (200, 120, 40)
    seen = invert_palette(picture)
    assert seen[:, 2, 2] == pytest.approx((1.0, 1.0), abs=0.01)
    assert seen[0, 15, 15] < 0.8


COLOURED = ((240, 160, 60), (80, 190, 90), (60, 100, 230), (160, 90, 20), (20, 20, 20))


@pytest.mark.parametrize("turn", ["negative", "lightness"])
def test_a_dark_belt_is_turned(turn: str):
    picture = np.full((40, 60, 3), 250, dtype=np.uint8)
    for index, colour in enumerate(COLOURED):
        picture[2 + 7 * index : 8 + 7 * index, 5:30] = colour
    wide = picture.astype(int)
    dark = 255 - wide if turn == "negative" else wide + (255 - wide.max(axis=2) - wide.min(axis=2))[..., None]
    seen, expected = (-np.log(invert_palette(one.astype(np.uint8))) for one in (dark, picture))
    assert np.abs(seen - expected).max() < 0.05


def test_saturated_blue_is_denser_than_dark_teal_where_it_is_the_end_of_the_scale():
    picture = np.full((60, 60, 3), 222, dtype=np.uint8)
    picture[5:25, 5:50], picture[30:55, 5:50] = (0, 60, 70), (0, 0, 250)
    seen = -np.log(invert_palette(picture))
    assert (seen[:, 40, 20] > seen[:, 15, 20] + 0.5).all()


def test_a_tinted_belt_tints_nothing():
    white = np.full((30, 30, 3), 255, dtype=np.uint8)
    white[10:20, 10:20] = (200, 120, 40)
    tinted = (white * np.asarray((0.78, 0.79, 0.76))).astype(np.uint8)
    assert np.abs(np.log(invert_palette(white)) - np.log(invert_palette(tinted))).max() < 0.05


@pytest.fixture
def directory(tmp_path: Path):
    images = tmp_path / "dev"
    images.mkdir()
    rng = np.random.default_rng(1)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "is_threat"])
        for index in range(6):
            size = (90 + 10 * index, 160, 3)
            Image.fromarray(rng.integers(100, 255, size, dtype=np.uint8)).save(images / f"p{index}.png")
            writer.writerow([f"dev/p{index}.png", int(index >= 4)])
        writer.writerow(["elsewhere/x.png", 1])
    return images


def test_manifest_one_level_up_names_the_pictures_there(directory: Path):
    pictures = read_manifest(directory)
    assert [picture.name for picture in pictures] == [f"dev/p{index}.png" for index in range(6)]
    assert [picture.is_threat for picture in pictures] == [False] * 4 + [True] * 2


def test_a_directory_without_labels_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)


def test_pieces_take_the_picture_s_extent_and_truth(directory: Path):
    pieces = draw_pictures(np.random.default_rng(4), read_manifest(directory), 20)
    assert len({piece.piece_id for piece in pieces}) == 20
    assert sum(piece.truth == "threat" for piece in pieces) == 4
    assert {piece.image_source for piece in pieces if piece.truth == "benign"} == {f"dev/p{index}.png" for index in range(4)}
    for piece in pieces:
        assert piece.length_mm <= 450
        assert piece.width_mm <= 380
        seen = piece.body.transmission(tube_kv=140.0, line_mm=0.8, pixel_mm=0.8)
        assert seen.shape == (2, int(np.ceil(piece.length_mm / 0.8)), int(np.ceil(piece.width_mm / 0.8)))
        assert 0 < seen.min() <= seen.max() <= 1.0001


@pytest.mark.parametrize("keep", [0, 12, 2000], ids=["empty", "no picture", "truncated"])
def test_a_file_that_is_no_whole_picture_is_refused_by_name(directory: Path, keep: int):
    broken = directory / "p0.png"
    broken.write_bytes(broken.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"p0\.png is not a whole picture"):
        picture_piece(np.random.default_rng(1), read_manifest(directory)[0], serial=1, piece_id="EE473124829VN")


def test_what_a_picture_shows_lies_in_one_box(tmp_path: Path):
    picture = np.full((120, 200, 3), 255, dtype=np.uint8)
    picture[30:90, 20:60] = picture[30:90, 140:180] = (200, 120, 40)
    Image.fromarray(picture).save(tmp_path / "two.png")
    (tmp_path / "manifest.csv").write_text("file,is_threat\ntwo.png,0\n", encoding="utf-8")
    (labelled,) = read_manifest(tmp_path)
    body = picture_piece(np.random.default_rng(1), labelled, serial=1, piece_id="EE473124829VN").body
    seen = body.transmission(tube_kv=160.0, line_mm=1.0, pixel_mm=0.8)
    assert seen.max() < 0.99
    assert seen[:, seen.shape[1] // 2, seen.shape[2] // 2] == pytest.approx((0.975, 0.983), abs=0.01)
