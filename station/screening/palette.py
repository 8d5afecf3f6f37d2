"""Pictures that exist only in a vendor's colours, brought back to the two energies they were painted from; offline tools alone use it.

Such palettes paint attenuation as darkness and material as hue (orange organic, green mixed, blue metal). What that loses, and what
misleads: belt and air are the commonest bright, colourless tone, not pure white; black has no hue; hue means little where there is
hardly any colour; dense things are black on some machines and deep blue on others, so luma says how dense, never a single channel.
"""

import numpy as np
import numpy.typing as npt

from station.screening.features import HE_KNOTS, ORGANIC_LE, STEEL_LE
from station.screening.image import box_mean, hue_and_saturation

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

HUE_KNOTS_DEG = (0.0, 38.0, 75.0, 125.0, 175.0, 225.0, 280.0, 330.0)
MATERIAL_KNOTS = (0.0, 0.0, 0.15, 0.35, 0.55, 0.95, 0.95, 0.0)
UNCOLOURED_MATERIAL = 0.2
BRIGHT_LUMA = 160.0
MAX_BELT_SATURATION = 0.15
LEAST_LUMA = 1.5
MATERIAL_LEVELS = 25


def luma_of(bgr: ByteArray) -> FloatArray:
    """Brightness (ITU-R BT.601), 0…255."""
    result: FloatArray = bgr.astype(np.float32) @ np.asarray((0.114, 0.587, 0.299), np.float32)
    return result


def belt_luma(luma: FloatArray, saturation: FloatArray) -> float:
    """The tone of belt and air: the commonest bright colourless one, 255 where hardly anything is."""
    clear = luma[(luma >= BRIGHT_LUMA) & (saturation <= MAX_BELT_SATURATION)]
    if clear.size < luma.size // 200:
        return 255.0
    counts = np.bincount(clear.astype(np.int32), minlength=256)
    return float(np.argmax(counts))


def transmissions(bgr: ByteArray) -> tuple[FloatArray, FloatArray]:
    """LE and HE transmission (rows, columns) that such a palette would paint like this picture (rows, columns, 3)."""
    luma = luma_of(bgr)
    hue, saturation = hue_and_saturation(bgr)
    mean = -np.log(np.clip(luma / np.float32(belt_luma(luma, saturation)), LEAST_LUMA / 255.0, 1.0))
    told = np.interp(hue, HUE_KNOTS_DEG, MATERIAL_KNOTS, period=360.0).astype(np.float32)
    # a hue speaks for itself only where there is colour and light to show it
    trust = np.clip((saturation - 0.06) / 0.2, 0, 1) * np.clip(luma / 48.0, 0, 1)
    trust = trust.astype(np.float32)
    weight = box_mean(trust, 3)
    material = (box_mean(told * trust, 3) + np.float32(0.05 * UNCOLOURED_MATERIAL)) / (weight + np.float32(0.05))
    return _energies(mean.astype(np.float32), material.astype(np.float32))


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
