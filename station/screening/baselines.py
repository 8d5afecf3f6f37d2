"""What the model must beat: scores that need no learning, defined once for pictures and mail.

`darkness` is attenuation, `P` attenuation times material ratio over the size of a hand-held thing; both see what the model sees.
`dark_area` is the mean of the darkest two percent. `pixel_darkness` and `darkest_channel` look at a picture's pixels as they are, without
any palette: the second is the strongest simple score on projected threats, and partly an artefact, since multiplied colours leave one
channel near black (decision 0055).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.screening.features import attenuation, material_index
from station.screening.image import box_mean, gaussian, resample

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

DARKNESS, DARK_AREA, P, PIXEL_DARKNESS, DARKEST_CHANNEL, RANDOM = (
    "darkness",
    "dark_area",
    "P",
    "pixel_darkness",
    "darkest_channel",
    "random",
)
DARK_SIGMA_CELLS = 4.0
"""Smoothing of darkness, in cells of the standard grid (3.2 mm): what is darker by noise alone is no thing."""
P_SIGMA_CELLS = 20.0
P_NEUTRAL = 0.3
"""Added to the material ratio, so that dense organic things count too."""
P_STEP = 4
PIXEL_SIGMA_CELLS = 2.0
DARK_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Maps (rows, columns) on the standard grid whose patches can be ranked, and scores of the whole picture or piece."""

    maps: Mapping[str, FloatArray]
    scores: Mapping[str, float]


def mean_attenuation(le: FloatArray, he: FloatArray) -> FloatArray:
    """Mean of both energies' attenuation (rows, columns)."""
    result: FloatArray = np.float32(0.5) * (attenuation(le) + attenuation(he))
    return result


def material_ratio(le: FloatArray, he: FloatArray) -> FloatArray:
    """Material index within 0…1 from 3 × 3 means (rows, columns)."""
    result: FloatArray = np.clip(material_index(box_mean(attenuation(le), 3), box_mean(attenuation(he), 3)), 0, 1)
    return result


def p_map(le: FloatArray, he: FloatArray, *, sigma_cells: float = P_SIGMA_CELLS) -> FloatArray:
    """P: attenuation × (0.3 + material ratio), smoothed (rows, columns)."""
    return gaussian(mean_attenuation(le, he) * (np.float32(P_NEUTRAL) + material_ratio(le, he)), sigma_cells)


def plain_scores(le: FloatArray, he: FloatArray) -> Plain:
    """Darkness and P of LE and HE transmission on the standard grid."""
    dark = mean_attenuation(le, he)
    # as smooth as P is, a coarser grid loses nothing and saves most of the time
    height, width = max(1, le.shape[0] // P_STEP), max(1, le.shape[1] // P_STEP)
    product = resample(dark * (np.float32(P_NEUTRAL) + material_ratio(le, he)), height=height, width=width)
    p = resample(gaussian(product, P_SIGMA_CELLS / P_STEP), height=le.shape[0], width=le.shape[1])
    few = max(1, int(DARK_SHARE * dark.size))
    scores = {
        DARKNESS: float(gaussian(dark, DARK_SIGMA_CELLS).max()),
        DARK_AREA: float(np.partition(dark.ravel(), -few)[-few:].mean()),
        P: float(p.max()),
    }
    return Plain(maps={DARKNESS: dark, P: p}, scores=scores)


def pixel_scores(bgr: ByteArray, *, longest_cells: float) -> dict[str, float]:
    """Darkness of a picture (h, w, 3) as it is; smoothing as on a grid whose longer side has `longest_cells`."""
    sigma = PIXEL_SIGMA_CELLS * max(bgr.shape[:2]) / longest_cells
    blue, green, red = bgr[..., 0], bgr[..., 1], bgr[..., 2]
    planes = {
        PIXEL_DARKNESS: np.float32(255.0) - (blue.astype(np.float32) + green + red) * np.float32(1 / 3),
        DARKEST_CHANNEL: np.float32(255.0) - np.minimum(np.minimum(blue, green), red).astype(np.float32),
    }
    return {name: float(gaussian(plane, sigma).max()) / 255.0 for name, plane in planes.items()}


def chance(name: str) -> np.random.Generator:
    """Chance that belongs to a name, the same in every run."""
    return np.random.default_rng(list(name.encode()))
