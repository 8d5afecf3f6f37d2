"""From a piece's clean transmission to what one of many detectors might report: the randomness that training sees.

Noise, drift, resolution, registration and style vary far more than on any one machine, so that the model does not hang on one
detector; pieces are stacked on one another as crowded parcels and bags are.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
MARGIN = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """Clean transmission (2, rows, columns) and threat cells (rows/4, columns/4) 0…1 of one crop."""

    t: FloatArray
    mask: FloatArray


def framed(t: FloatArray, mask: FloatArray, size: int) -> Sample:
    """The piece with air around it, at least `size` cells both ways, a multiple of 4."""
    rows, columns = mask.shape
    t4 = np.ones((2, rows * 4, columns * 4), np.float32)
    t4[:, : t.shape[1], : t.shape[2]] = t
    pad_r = max(3, -(-(size // 4 - rows) // 2) + 1)
    pad_c = max(3, -(-(size // 4 - columns) // 2) + 1)
    framed_t = np.pad(t4, ((0, 0), (pad_r * 4, pad_r * 4), (pad_c * 4, pad_c * 4)), constant_values=1.0)
    return Sample(framed_t, np.pad(mask, ((pad_r, pad_r), (pad_c, pad_c))))


def cropped(sample: Sample, size: int, rng: np.random.Generator) -> Sample:
    """A random square of `size` grid cells; four times in five around the forbidden thing if there is one."""
    cells = size // 4
    rows, columns = sample.mask.shape
    top_max, left_max = rows - cells, columns - cells
    top, left = int(rng.integers(top_max + 1)), int(rng.integers(left_max + 1))
    hot = np.argwhere(sample.mask > 0)
    if len(hot) and rng.random() < 0.8:
        y, x = hot[int(rng.integers(len(hot)))]
        top = int(np.clip(y - rng.integers(cells), 0, top_max))
        left = int(np.clip(x - rng.integers(cells), 0, left_max))
    window = np.s_[top * 4 : (top + cells) * 4, left * 4 : (left + cells) * 4]
    return Sample(sample.t[:, window[0], window[1]], sample.mask[top : top + cells, left : left + cells])


def turned(sample: Sample, rng: np.random.Generator) -> Sample:
    """Mirrored and turned by quarters at random: mail has no up."""
    t, mask = sample.t, sample.mask
    if rng.random() < 0.5:
        t, mask = t[:, ::-1], mask[::-1]
    if rng.random() < 0.5:
        t, mask = t[:, :, ::-1], mask[:, ::-1]
    if rng.random() < 0.5:
        t, mask = t.transpose(0, 2, 1), mask.T
    return Sample(np.ascontiguousarray(t), np.ascontiguousarray(mask))


def stacked(first: Sample, second: Sample) -> Sample:
    """Two pieces lying on one another: transmissions multiply."""
    return Sample(first.t * second.t, np.maximum(first.mask, second.mask))


def _coarser(t: FloatArray, share: float) -> FloatArray:
    height, width = t.shape[1:]
    small = (max(8, round(width * share)), max(8, round(height * share)))
    return np.stack([cv2.resize(cv2.resize(plane, small, interpolation=cv2.INTER_AREA), (width, height)) for plane in t])


def seen(t: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One detector's view of clean transmission (2, rows, columns): float32, at least 0.00025."""
    if rng.random() < 0.25:
        thickness = np.float32(rng.uniform(0.75, 1.3))
        t = np.power(np.maximum(t, 1e-6), thickness)
    if rng.random() < 0.2:
        t = _coarser(t, float(rng.uniform(0.22, 0.8)))
    elif rng.random() < 0.3:
        sigma = float(rng.uniform(0.3, 0.9))
        t = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in t])
    if rng.random() < 0.3:
        shift = float(rng.uniform(-1.0, 1.0))
        move = np.asarray([[1, 0, 0], [0, 1, shift]], np.float32)
        moved = cv2.warpAffine(t[1], move, (t.shape[2], t.shape[1]), borderMode=cv2.BORDER_REPLICATE)
        t = np.stack([t[0], moved])
    if rng.random() < 0.1:
        t = as_picture(t, rng)
    noise = float(np.exp(rng.uniform(np.log(0.0012), np.log(0.008))))
    floor = float(np.exp(rng.uniform(np.log(0.0001), np.log(0.0008))))
    spread = np.sqrt(np.maximum(t, 0) * noise**2 + floor**2).astype(np.float32)
    t = t + spread * rng.standard_normal(t.shape, dtype=np.float32)
    columns = 1 + rng.normal(0, 0.0012, (2, 1, t.shape[2])).astype(np.float32)
    level = 1 + rng.normal(0, 0.0015, (2, 1, 1)).astype(np.float32)
    result: FloatArray = np.clip(t * columns * level, 0.00025, 1.25).astype(np.float32)
    return result


def as_picture(t: FloatArray, rng: np.random.Generator) -> FloatArray:
    """As if printed in colours and read back: eight bits, a floor, and a material that only smooth areas tell."""
    floor = float(rng.uniform(0.01, 0.06))
    le = np.round(np.clip(t[0], floor, 1) * 255) / 255
    ratio = -np.log(np.clip(t[0], 1e-4, 0.999)) / -np.log(np.clip(t[1], 1e-4, 0.9995))
    smooth = cv2.GaussianBlur(np.clip(ratio, 1.1, 4).astype(np.float32), (0, 0), float(rng.uniform(1.5, 4)))
    he = np.exp(np.log(np.maximum(le, 1e-4)) / np.maximum(smooth, 1.05))
    result: FloatArray = np.stack([le, np.minimum(he, 1.0)]).astype(np.float32)
    return result
