"""A vendor's colours as two energies, for the simulated scanner. It shows what it is given and refuses nothing.

Vendor palettes show attenuation as darkness and material as hue: orange organic, green mixed, blue metal, dense black or saturated
blue. Luma gives the attenuation, hue the ratio of the two energies where it means anything (black and grey have none). A picture with a
dark belt is turned first: as a negative where that takes away magenta, which no palette has, else with light and dark exchanged.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

LUMA = np.asarray((0.299, 0.587, 0.114), dtype=np.float32)
OPAQUE_ATTENUATION = 6.0
OPAQUE_LUMA = 6.0
DEEP_BLUE_ADDS = 1.2
HUES_DEG = (0.0, 30.0, 60.0, 120.0, 180.0, 215.0, 265.0, 360.0)
RATIOS = (1.20, 1.20, 1.30, 1.55, 1.90, 2.30, 2.30, 1.20)
USUAL_MEANS = (0.0, 0.5, 0.8, 1.2, 1.8, 2.4)
USUAL_RATIOS = (1.35, 1.35, 1.38, 1.45, 1.6, 1.6)
"""LE over HE where no hue tells it, by mean attenuation: what is dense is mostly metal, and hardened."""
TINT = 12.0
LOOKED_AT = 40_000


def invert_palette(rgb: ByteArray) -> FloatArray:
    """LE and HE transmission (2, rows, columns) from a vendor's colours (rows, columns, 3)."""
    colour = _upright(rgb.astype(np.float32))
    colour = np.minimum(colour * (np.float32(255.0) / _belt(colour)), np.float32(255.0))
    brightest, darkest = colour.max(axis=2), colour.min(axis=2)
    chroma = brightest - darkest
    luma = colour @ LUMA
    mean = -np.log(np.maximum(luma, 1.0) / 255.0)
    mean = np.where(luma < OPAQUE_LUMA, OPAQUE_ATTENUATION, np.minimum(mean, OPAQUE_ATTENUATION))
    if _is_deep_blue(colour, luma):
        blue = colour[..., 2] - np.maximum(colour[..., 0], colour[..., 1])
        mean = np.minimum(mean + DEEP_BLUE_ADDS * np.clip((blue - 90.0) / 120.0, 0.0, 1.0), OPAQUE_ATTENUATION)
    saturation = chroma / np.maximum(brightest, 1.0)
    meaning = np.clip((saturation - 0.08) / 0.25, 0.0, 1.0) * np.clip(brightest / 40.0, 0.0, 1.0)
    told = np.interp(hue_deg(colour), HUES_DEG, RATIOS)
    ratio = meaning * told + (1.0 - meaning) * np.interp(mean, USUAL_MEANS, USUAL_RATIOS)
    low = mean * 2.0 * ratio / (1.0 + ratio)
    high = mean * 2.0 / (1.0 + ratio)
    transmission: FloatArray = np.exp(-np.stack((low, high))).astype(np.float32)
    return transmission


def hue_deg(colour: FloatArray) -> FloatArray:
    """Hue (rows, columns) of RGB, 0…360; 0 where there is no colour."""
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    brightest = colour.max(axis=-1)
    chroma = brightest - colour.min(axis=-1)
    safe = np.maximum(chroma, 1e-3)
    hue = np.where(
        brightest == red,
        ((green - blue) / safe) % 6.0,
        np.where(brightest == green, (blue - red) / safe + 2.0, (red - green) / safe + 4.0),
    )
    result: FloatArray = np.where(chroma < 1.0, 0.0, hue * 60.0).astype(np.float32)
    return result


def _upright(colour: FloatArray) -> FloatArray:
    """With a bright belt, whatever the picture's was."""
    step = max(1, int(np.sqrt(colour.shape[0] * colour.shape[1] / LOOKED_AT)))
    seen = colour[::step, ::step]
    luma = seen @ LUMA
    plain = seen.max(axis=2) - seen.min(axis=2) <= TINT
    bright, dark = float((plain & (luma >= 140.0)).mean()), float((plain & (luma <= 115.0)).mean())
    if dark < 0.1 or dark < 2.0 * bright:
        return colour
    exchanged = _exchanged(seen)
    coloured = exchanged.max(axis=2) - exchanged.min(axis=2) >= 25.0
    hue = hue_deg(exchanged)[coloured]
    if hue.size and float(((hue >= 265.0) & (hue < 345.0)).mean()) > 0.1:
        return np.float32(255.0) - colour
    return _exchanged(colour)


def _exchanged(colour: FloatArray) -> FloatArray:
    """Light and dark exchanged under the same hue."""
    result: FloatArray = colour + (255.0 - colour.max(axis=2) - colour.min(axis=2))[..., None]
    return result


def _belt(colour: FloatArray) -> FloatArray:
    """RGB of belt and air: the commonest tone among bright pixels of low saturation; white if there are few."""
    luma = colour @ LUMA
    chroma = colour.max(axis=2) - colour.min(axis=2)
    clear = (luma > 140.0) & (chroma < np.maximum(TINT, 0.15 * luma))
    bright = luma[clear]
    if bright.size < 0.01 * luma.size:
        return np.full(3, 255.0, dtype=np.float32)
    tone = float(np.bincount(bright.astype(np.int64), minlength=256).argmax())
    belt = colour[clear & (luma >= tone) & (luma < tone + 1.0)]
    result: FloatArray = np.median(belt, axis=0).astype(np.float32)
    return result


def _is_deep_blue(colour: FloatArray, luma: FloatArray) -> bool:
    """Saturated blue is the densest here, not black."""
    dense = colour[luma < 45.0]
    deep = int(np.count_nonzero(dense[:, 2] - np.maximum(dense[:, 0], dense[:, 1]) > 110.0))
    return deep >= max(20, luma.size // 5000, 0.08 * len(dense))
