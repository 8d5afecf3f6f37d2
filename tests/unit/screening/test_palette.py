import colorsys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from station.domain.errors import ConfigurationError
from station.screening.features import attenuation, material_index
from station.screening.palette import AUTO, from_colours, palette_named
from station.screening.palette_evidence import PALETTES, PaletteUnknownError, tell_palette, turned
from training.vendor_painter import VENDORS, Vendor, paint_channels, through_jpeg, varied

KINDS = {vendor.name: vendor for vendor in VENDORS}
MEANS, MATERIALS = (0.25, 0.7, 1.3, 2.2, 4.5), (0.02, 0.35, 0.9)


def bag() -> tuple[np.ndarray, np.ndarray]:
    """Mean attenuation and material of a bag: a thin cover, fifteen things on it, air around."""
    mean, material = np.zeros((260, 360), np.float32), np.zeros((260, 360), np.float32)
    mean[25:235, 25:335] = 0.12
    for row, share in enumerate(MATERIALS):
        for column, depth in enumerate(MEANS):
            place = np.s_[40 + 65 * row : 90 + 65 * row, 40 + 58 * column : 85 + 58 * column]
            mean[place], material[place] = depth, share
    return mean, material


def painted(vendor: Vendor, *, belt: float = 1.0, sharpened: float = 0.0, quality: int | None = None) -> np.ndarray:
    mean, material = bag()
    bgr = paint_channels(mean, material, vendor, belt=belt, sharpened=sharpened)
    return bgr if quality is None else through_jpeg(bgr, quality)


def things(plane: np.ndarray) -> np.ndarray:
    """The middle of each thing, (3 materials, 5 attenuations)."""
    return np.asarray([[plane[55 + 65 * r : 75 + 65 * r, 52 + 58 * c : 72 + 58 * c].mean() for c in range(5)] for r in range(3)])


def test_the_painter_knows_every_palette_and_no_other():
    assert set(KINDS) == set(PALETTES)


@pytest.mark.parametrize("quality", [None, 90, 65])
@pytest.mark.parametrize("belt", [1.0, 0.87, 0.75])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_palette_is_told_and_brought_back(name: str, belt: float, quality: int | None):
    channels = from_colours(painted(KINDS[name], belt=belt, sharpened=0.5, quality=quality))
    assert channels.palette == name
    assert channels.source == "colours"
    assert 0.5 <= channels.confidence <= 1
    a_le, a_he = attenuation(channels.le), attenuation(channels.he)
    mean, material = things(0.5 * (a_le + a_he)), things(np.clip(material_index(a_le, a_he), 0, 1))
    assert (np.diff(mean[:, :4], axis=1) > 0.1).all()
    assert np.abs(mean[:, :3] - np.asarray(MEANS[:3])).max() < 0.5
    assert abs(float((0.5 * (a_le + a_he))[5:15, 5:15].mean())) < 0.03
    if PALETTES[name].coloured:
        assert channels.hue_share > 0.5
        assert (material[2, :3] > material[0, :3] + 0.3).all()
        assert (material[1, :3] > material[0, :3]).all()
    else:
        assert channels.hue_share == 0


@pytest.mark.parametrize("seed", range(12))
def test_consoles_that_differ_are_told_all_the_same(seed: int):
    rng = np.random.default_rng(seed)
    for vendor in VENDORS:
        console = varied(vendor, rng)
        assert tell_palette(painted(console, belt=float(rng.uniform(0.75, 1)), sharpened=0.6, quality=80)).palette.name == vendor.name


@pytest.mark.parametrize("material", [0.0, 0.2, 0.45, 0.7, 1.0])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_attenuation_never_falls_along_a_palette(name: str, material: float):
    vendor = KINDS[name]
    for console in (vendor, *(varied(vendor, np.random.default_rng(seed)) for seed in range(6))):
        mean = np.zeros((60, 640), np.float32)
        # ends where the light of the steepest console does
        ramp = np.repeat(np.linspace(0, 4, 120, dtype=np.float32), 5)[None]
        mean[20:40, 20:620] = ramp
        bgr = paint_channels(mean, np.full_like(mean, material), console)
        told = from_colours(bgr, palette=name)
        seen = 0.5 * (attenuation(told.le) + attenuation(told.he))[30, 22:620:5]
        assert np.diff(seen).min() > -0.05
        assert seen[0] < 0.1
        assert seen[-1] > 1.2


def test_dense_is_dense_whether_black_or_blue():
    for name in ("dense-black", "dense-blue"):
        told = from_colours(painted(KINDS[name], quality=85))
        mean = things(0.5 * (attenuation(told.le) + attenuation(told.he)))
        assert (mean[:, 4] > mean[:, 2] + 0.5).all()
        assert (mean[:, 4] > 2.2).all()


def test_a_tinted_belt_is_air():
    bgr = np.clip(painted(KINDS["dense-black"]) * np.asarray((0.77, 0.79, 0.78)), 0, 255).astype(np.uint8)
    told = from_colours(bgr)
    assert min(told.le[5, 5], told.he[5, 5]) > 0.98


def coloured_map(field: np.ndarray, *, hues: tuple[float, float]) -> np.ndarray:
    """A rainbow over a field of 0…1, as plots are coloured."""
    table = [colorsys.hsv_to_rgb((hues[0] + (hues[1] - hues[0]) * one) / 360, 0.95, 0.9)[::-1] for one in np.linspace(0, 1, 256)]
    return (np.asarray(table)[(field * 255).astype(int)] * 255).astype(np.uint8)


def smooth(seed: int) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(seed).random((200, 260)), (0, 0), 15)
    return (field - field.min()) / np.ptp(field)


REFUSED = {
    "noise": lambda: np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8),
    "one colour": lambda: np.full((100, 100, 3), (40, 120, 220), np.uint8),
    "nothing but belt": lambda: np.full((100, 100, 3), 250, np.uint8),
    "black": lambda: np.zeros((100, 100, 3), np.uint8),
    "a rainbow": lambda: coloured_map(smooth(2), hues=(240, 0)),
    "a sunset": lambda: np.stack([smooth(3) * 90, smooth(3) * 150, 100 + smooth(4) * 155], axis=-1).astype(np.uint8),
    "red and blue exchanged": lambda: np.ascontiguousarray(painted(KINDS["dense-black"])[..., ::-1]),
    "half dark, half bright": lambda: np.hstack([np.full((100, 80, 3), 250, np.uint8), np.full((100, 80, 3), 5, np.uint8)]),
    "one pixel": lambda: np.full((1, 1, 3), 9, np.uint8),
    "a white block alone": lambda: np.pad(np.full((60, 60, 3), 250, np.uint8), ((50, 50), (50, 50), (0, 0)), constant_values=4),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_cannot_be_told_is_refused_by_name(what: str):
    with pytest.raises(PaletteUnknownError, match="cannot be told") as told:
        from_colours(REFUSED[what]())
    assert told.value.consequence
    assert "--palette" in told.value.remedy
    assert "dense-black" in told.value.remedy


@pytest.mark.parametrize("grey", [0, 240])
def test_on_a_bright_belt_what_shows_no_colours_reads_alike_in_every_palette(grey: int):
    bgr = np.pad(np.full((60, 60, 3), grey, np.uint8), ((50, 50), (50, 50), (0, 0)), constant_values=250)
    told = from_colours(bgr)
    assert told.palette == "dense-black"
    assert 0.5 <= told.confidence <= 1
    for name in ("dense-blue", "grey"):
        other = from_colours(bgr, palette=name)
        assert np.abs(told.le - other.le).max() < 1e-6
        assert np.abs(told.he - other.he).max() < 1e-6


@pytest.mark.parametrize("shape", [(0, 0, 3), (5, 5, 4), (5, 5)])
def test_what_is_no_colour_picture_is_refused(shape: tuple[int, ...]):
    with pytest.raises(PaletteUnknownError):
        tell_palette(np.zeros(shape, np.uint8))


def test_thin_organic_things_alone_do_not_tell_a_negative_from_a_dark_belt():
    mean = np.zeros((120, 160), np.float32)
    mean[20:100, 20:140] = 0.3
    for name in ("dark-belt", "negative"):
        bgr = paint_channels(mean, np.zeros_like(mean), KINDS[name])
        with pytest.raises(PaletteUnknownError, match="negative"):
            tell_palette(bgr)
        assert from_colours(bgr, palette=name).confidence == 1


def test_a_palette_can_be_named():
    bgr = painted(KINDS["dense-black"])
    assert from_colours(bgr, palette="grey").hue_share == 0
    assert from_colours(bgr, palette="dense-black").confidence == 1
    assert palette_named("negative").turn == "negative"
    with pytest.raises(ConfigurationError, match="sepia") as told:
        from_colours(bgr, palette="sepia")
    assert AUTO in told.value.remedy


@pytest.mark.parametrize("turn", ["no", "negative", "lightness"])
def test_turning_twice_turns_nothing(turn: str):
    bgr = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    assert np.array_equal(turned(turned(bgr, turn), turn), bgr)


SMALL = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24).map(lambda shape: (*shape, 3))


@settings(max_examples=120)
@given(
    bgr=arrays.arrays(np.uint8, SMALL),
    scale=st.sampled_from((1, 8)),
    belt=st.integers(0, 255),
    palette=st.sampled_from((AUTO, *PALETTES)),
)
def test_any_picture_ends_in_transmissions_or_in_the_named_error(bgr: np.ndarray, scale: int, belt: int, palette: str):
    picture = np.pad(bgr.repeat(scale, axis=0).repeat(scale, axis=1), ((9, 9), (9, 9), (0, 0)), constant_values=belt)
    try:
        channels = from_colours(picture, palette=palette)
    except PaletteUnknownError:
        assert palette == AUTO
        return
    for energy in (channels.le, channels.he):
        assert energy.shape == picture.shape[:2]
        assert energy.dtype == np.float32
        assert np.isfinite(energy).all()
        assert energy.min() > 0
        assert energy.max() <= 1
    assert (channels.le <= channels.he + 1e-6).all()
    assert 0.5 <= channels.confidence <= 1
    assert 0 <= channels.hue_share <= 1
