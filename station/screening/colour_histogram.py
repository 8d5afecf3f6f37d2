"""The trap in pictures of several scanners: a histogram of colours, which knows nothing of threats, tells benign and threat pictures apart.

Where it does, image-level AUROC measures the scanner and not the scorer. On pairs of one picture with and without a projected threat it
says how far the projection itself shows in the colours: two pseudo-colours multiplied give colours that no console paints.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from station.screening.image import hue_and_saturation

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

BINS = (12, 6, 6)
NEIGHBOURS = 15
WARNING = (
    "image-level AUROC across scanners is no result: benign and threat pictures come from different scanners, and a histogram of colours "
    "alone separates them; use the pairs, or patches and pointing within pictures"
)


def histogram(bgr: ByteArray) -> FloatArray:
    """Square roots of the shares of hue, saturation and value bins (432), so that distances are Hellinger's."""
    hue, saturation = hue_and_saturation(bgr)
    value = np.maximum(np.maximum(bgr[..., 0], bgr[..., 1]), bgr[..., 2]).astype(np.float32) / 255.0
    axes = (hue / 360.0, saturation, value)
    places = [np.minimum((plane * count).astype(np.int64), count - 1) for plane, count in zip(axes, BINS, strict=True)]
    counts = np.bincount(np.ravel_multi_index(tuple(places), BINS).ravel(), minlength=int(np.prod(BINS)))
    result: FloatArray = np.sqrt(counts / counts.sum()).astype(np.float32)
    return result


def left_out_scores(histograms: FloatArray, positive: BoolArray, scenes: Sequence[str]) -> npt.NDArray[np.float64]:
    """Share of threats among the nearest pictures of other scenes, nearer ones counting more; 0.5 where there are none."""
    likeness = histograms @ histograms.T
    names = np.asarray(scenes, dtype=str)
    scores = np.full(len(positive), 0.5)
    for index in range(len(positive)):
        others = np.flatnonzero(names != names[index])
        if others.size == 0:
            continue
        nearest = others[np.argsort(-likeness[index, others], kind="stable")[:NEIGHBOURS]]
        weight = 1.0 / (1e-3 + np.sqrt(np.maximum(0.0, 2.0 - 2.0 * likeness[index, nearest])))
        scores[index] = float((weight * positive[nearest]).sum() / weight.sum())
    return scores
