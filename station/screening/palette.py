"""Pictures that exist only in a vendor's colours, brought back to the two energies they were painted from; offline tools alone use it.

Such palettes paint attenuation as darkness and material as hue (orange organic, green mixed, blue metal). What that loses, and what
misleads: belt and air are the commonest bright, colourless tone, not pure white; black has no hue; hue means little where there is
hardly any colour; dense things are black on some machines and deep blue on others, so luma says how dense, never a single channel.
Which palette it was is told from the picture (`palette_evidence`) or named; the way back is the same for all, once light means
little attenuation again. Where no hue speaks, the material is what things of that attenuation mostly are.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from station.domain.errors import ConfigurationError
from station.screening.features import HE_KNOTS, ORGANIC_LE, STEEL_LE
from station.screening.image import box_mean, hue_and_saturation
from station.screening.palette_evidence import LUMA_BGR, PALETTES, Palette, tell_palette, turned

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

AUTO = "auto"
HUE_KNOTS_DEG = (0.0, 38.0, 75.0, 125.0, 175.0, 225.0, 280.0, 330.0)
MATERIAL_KNOTS = (0.0, 0.0, 0.15, 0.35, 0.55, 0.95, 0.95, 0.0)
USUAL_ATTENUATION = (0.0, 0.5, 0.8, 1.2, 1.8, 2.4)
USUAL_MATERIAL = (0.1, 0.12, 0.25, 0.55, 0.8, 0.9)
"""Mean material index of our own mail at a mean attenuation (`python -m training.palette_trials usual`): what is dense is mostly metal."""
BRIGHT_LUMA = 140.0
MAX_BELT_SATURATION = 0.15
LEAST_LUMA = 1.5
DEEP_BLUE_ADDS = 1.2
"""Mean attenuation that saturated blue stands for beyond its own darkness where it is the end of the scale."""
MATERIAL_LEVELS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourChannels:
    """LE and HE transmission (rows, columns) that were told from colours, never measured.

    Attributes:
        le: LE transmission, finite, in (0, 1].
        he: HE transmission, likewise.
        palette: name of the palette it was read with.
        confidence: how sure the palette is, 0…1; 1 where it was named.
        hue_share: share of what is not belt whose material a hue tells; the rest has the usual material of its attenuation.
        source: what the channels come from.
    """

    le: FloatArray
    he: FloatArray
    palette: str
    confidence: float
    hue_share: float
    source: Literal["colours"] = "colours"


def palette_named(name: str) -> Palette:
    """The palette of that name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return PALETTES[name]
    except KeyError:
        raise ConfigurationError(f"palette {name!r} is not known", remedy=f"name one of {', '.join((AUTO, *PALETTES))}") from None


def from_colours(bgr: ByteArray, *, palette: str = AUTO) -> ColourChannels:
    """The two energies of a picture (rows, columns, 3) of the palette named, or of the one that the picture shows.

    Raises:
        PaletteUnknownError: `palette` is `auto` and the picture does not show which it is.
        ConfigurationError: no palette of that name.
    """
    if palette == AUTO:
        told = tell_palette(bgr)
        found, confidence = told.palette, told.confidence
    else:
        found, confidence = palette_named(palette), 1.0
    level = _levelled(turned(bgr, found.turn))
    mean = _mean_attenuation(level, found)
    material, hue_share = _material(level, mean, found)
    le, he = _energies(mean, material)
    return ColourChannels(le=le, he=he, palette=found.name, confidence=confidence, hue_share=hue_share)


def luma_of(bgr: ByteArray) -> FloatArray:
    """Brightness (ITU-R BT.601), 0…255."""
    result: FloatArray = bgr.astype(np.float32) @ LUMA_BGR
    return result


def belt_colour(bgr: ByteArray) -> FloatArray:
    """BGR (3,) of belt and air: the commonest bright colourless tone, white where hardly anything is."""
    luma = luma_of(bgr)
    _, saturation = hue_and_saturation(bgr)
    clear = (luma >= BRIGHT_LUMA) & (saturation <= MAX_BELT_SATURATION)
    if np.count_nonzero(clear) < luma.size // 200 or not clear.any():
        return np.full(3, 255.0, np.float32)
    tone = float(np.argmax(np.bincount(luma[clear].astype(np.int32), minlength=256)))
    belt = bgr[clear & (luma >= tone) & (luma < tone + 1)]
    colour: FloatArray = np.maximum(np.median(belt, axis=0), 1.0).astype(np.float32)
    return colour


def _levelled(bgr: ByteArray) -> ByteArray:
    """As if the belt were white: a grey belt is a darker light, which all colours share."""
    level: ByteArray = np.clip(bgr * (np.float32(255.0) / belt_colour(bgr)) + np.float32(0.5), 0, 255).astype(np.uint8)
    return level


def _mean_attenuation(level: ByteArray, palette: Palette) -> FloatArray:
    """Mean attenuation of the two energies, never falling as a colour of the palette gets denser."""
    mean = -np.log(np.clip(luma_of(level) / np.float32(255.0), LEAST_LUMA / 255.0, 1.0))
    if palette.deep_blue:
        blue = level[..., 0].astype(np.float32) - np.maximum(level[..., 1], level[..., 2])
        mean = mean + np.float32(DEEP_BLUE_ADDS) * np.clip((blue - 90) / 120, 0, 1)
    result: FloatArray = mean.astype(np.float32)
    return result


def _material(level: ByteArray, mean: FloatArray, palette: Palette) -> tuple[FloatArray, float]:
    """Material index 0…1 (rows, columns), and for which share of what is there a hue tells it."""
    usual = np.interp(mean, USUAL_ATTENUATION, USUAL_MATERIAL).astype(np.float32)
    if not palette.coloured:
        return usual, 0.0
    hue, saturation = hue_and_saturation(level)
    told = np.interp(hue, HUE_KNOTS_DEG, MATERIAL_KNOTS, period=360.0).astype(np.float32)
    # a hue speaks for itself only where there is colour and light to show it
    trust = (np.clip((saturation - 0.06) / 0.2, 0, 1) * np.clip(luma_of(level) / 48.0, 0, 1)).astype(np.float32)
    little = np.float32(0.05)
    material: FloatArray = (box_mean(told * trust, 3) + little * usual) / (box_mean(trust, 3) + little)
    there = mean > 0.05  # noqa: PLR2004 - one twentieth is more than a belt's noise
    return material, float(np.mean(trust[there] > 0.5)) if there.any() else 0.0  # noqa: PLR2004 - half


def _energies(mean: FloatArray, material: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The pair of transmissions with that mean attenuation and that material index."""
    levels = np.linspace(0.0, 1.0, MATERIAL_LEVELS)
    level = np.clip(material * (MATERIAL_LEVELS - 1) + 0.5, 0, MATERIAL_LEVELS - 1).astype(np.int8)
    a_he = np.empty_like(mean)
    for index, share in enumerate(levels):
        chosen = level == index
        if chosen.any():
            means = 0.5 * (HE_KNOTS + ORGANIC_LE + share * (STEEL_LE - ORGANIC_LE))
            a_he[chosen] = np.interp(mean[chosen], means, HE_KNOTS)
    a_le = 2.0 * mean - a_he
    return np.exp(-a_le).astype(np.float32), np.exp(-a_he).astype(np.float32)
