"""Crops of pieces as training sees them: turned, stacked on one another as in crowded parcels and bags, thicker, as pictures, and scanned.

Scanners vary far more than any one does (`training.conditions`), so that the model does not hang on one detector.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.conditions import detected, draw_conditions

FloatArray = npt.NDArray[np.float32]


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


def seen(t: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One scanner's view of clean transmission (2, rows, columns): float32 within what a scan can say.

    Beside the scanner (`training.conditions`), whose beam is that of the drawn piece, the thing may be thicker or thinner, or have come
    as a picture.
    """
    if rng.random() < 0.25:
        thickness = np.float32(rng.uniform(0.75, 1.3))
        t = np.power(np.maximum(t, 1e-6), thickness)
    if rng.random() < 0.1:
        t = as_picture(t, rng)
    return detected(t, draw_conditions(rng), rng)


def as_picture(t: FloatArray, rng: np.random.Generator) -> FloatArray:
    """As if printed in colours and read back: eight bits, a floor, and a material that only smooth areas tell."""
    floor = float(rng.uniform(0.01, 0.06))
    le = np.round(np.clip(t[0], floor, 1) * 255) / 255
    ratio = -np.log(np.clip(t[0], 1e-4, 0.999)) / -np.log(np.clip(t[1], 1e-4, 0.9995))
    smooth = cv2.GaussianBlur(np.clip(ratio, 1.1, 4).astype(np.float32), (0, 0), float(rng.uniform(1.5, 4)))
    he = np.exp(np.log(np.maximum(le, 1e-4)) / np.maximum(smooth, 1.05))
    result: FloatArray = np.stack([le, np.minimum(he, 1.0)]).astype(np.float32)
    return result
