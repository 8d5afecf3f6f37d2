"""Compare two scans of one piece: is this the same piece with the same things in it?

A fed-in piece may lie some centimetres aside and turned by a few degrees, same face up. The fingerprint is the piece's own
attenuation on a coarse grid; the comparison searches turn and shift, and then asks how much the worst few square centimetres differ,
relative to what is there: a knife that was not in the first scan counts fully, however large the parcel around it.
"""

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.screening.features import GridScan, attenuation
from station.screening.image import box_mean, dilated, gaussian, local_extremes, moved, resample
from station.screening.measure import PieceMeasure

FloatArray = npt.NDArray[np.float32]

CELL_MM = 3.2
MARGIN_CELLS = 8
MAX_SIDE_CELLS = 256
MAX_TURN_DEG = 6
WINDOW_CELLS = 5
FLOOR = 0.12
"""Attenuation (LE + HE over two) below which differences count less: paper's unevenness, noise, drift."""
SLACK = 0.004
"""Difference that noise and drift make anywhere."""
OUTLINE = 0.004
"""Attenuation from which a cell belongs to the piece's outline."""
GREATEST = 3.0
"""Attenuation above it is all the same: hardly any beam."""


def fingerprint(grid: GridScan, piece: PieceMeasure) -> FloatArray:
    """Mean attenuation of both energies, (rows, columns) float32 on a 3.2 mm grid around the piece with an empty margin."""
    if piece.box is None:
        return np.zeros((2 * MARGIN_CELLS, 2 * MARGIN_CELLS), np.float32)
    x, y, width, height = piece.box
    window = np.s_[y : y + height, x : x + width]
    both = 0.5 * (attenuation(grid.le[window]) + attenuation(grid.he[window]))
    share = grid.cell_mm / CELL_MM
    rows = min(MAX_SIDE_CELLS, max(1, round(height * share)))
    columns = min(MAX_SIDE_CELLS, max(1, round(width * share)))
    small = resample(np.clip(both, 0.0, GREATEST).astype(np.float32), height=rows, width=columns)
    return np.pad(small, MARGIN_CELLS)


def _check(print_: FloatArray) -> FloatArray:
    if print_.ndim != 2 or max(print_.shape) > MAX_SIDE_CELLS + 2 * MARGIN_CELLS or min(print_.shape) < 1 or not np.isfinite(print_).all():  # noqa: PLR2004
        raise ScreeningError(
            f"screening: a fingerprint of shape {print_.shape} cannot be compared",
            consequence="the piece is held",
            remedy="review the new scan",
        )
    return print_.astype(np.float32)


def _same_size(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    rows, columns = max(first.shape[0], second.shape[0]), max(first.shape[1], second.shape[1])

    def centred(image: FloatArray) -> FloatArray:
        top, left = (rows - image.shape[0]) // 2, (columns - image.shape[1]) // 2
        return np.pad(image, ((top, rows - image.shape[0] - top), (left, columns - image.shape[1] - left)))

    return centred(first), centred(second)


def _shape_of(image: FloatArray) -> FloatArray:
    """What registration looks at: roots, so that paper edges count beside steel."""
    result: FloatArray = np.sqrt(np.maximum(gaussian(image, 1.0), 0.0))
    return result


def _best_shift(target: npt.NDArray[np.complexfloating], image: FloatArray, shape: tuple[int, int]) -> tuple[float, int, int]:
    """Greatest correlation over all shifts: (correlation, dx, dy) that moves `image` onto the target."""
    spectrum = np.fft.rfft2(image, s=shape)
    correlation = np.fft.irfft2(target * np.conj(spectrum), s=shape)
    top = int(np.argmax(correlation))
    dy, dx = divmod(top, shape[1])
    dy = dy - shape[0] if dy > shape[0] // 2 else dy
    dx = dx - shape[1] if dx > shape[1] // 2 else dx
    return float(correlation.flat[top]), dx, dy


def _one_way(image: FloatArray, other: FloatArray) -> FloatArray:
    """How far `image` lies outside of what `other` shows within one cell around."""
    low, high = local_extremes(other, 3)
    outside = np.maximum(np.maximum(image - high, low - image), 0.0)
    result: FloatArray = np.maximum(outside - np.float32(SLACK), 0.0).astype(np.float32)
    return result


def _outline_difference(first: FloatArray, second: FloatArray) -> float:
    """Share of the larger outline that the other lacks, with one cell of grace: covers of other sizes are other pieces."""
    masks = [box_mean(image, 3) > OUTLINE for image in (first, second)]
    lacking = [int((one & ~dilated(other, 5)).sum()) for one, other in (masks, masks[::-1])]
    return max(lacking) / max(1, *(int(mask.sum()) for mask in masks))


def _difference(first: FloatArray, second: FloatArray) -> float:
    gap = np.maximum(_one_way(first, second), _one_way(second, first))
    there = np.maximum(box_mean(first, WINDOW_CELLS), box_mean(second, WINDOW_CELLS))
    content = float((box_mean(gap, WINDOW_CELLS) / (there + np.float32(FLOOR))).max())
    return max(content, _outline_difference(first, second))


def distance(cleared: FloatArray, new: FloatArray) -> float:
    """Registered distance of two fingerprints: about 0.05 for the same piece, towards 1 for other things; symmetric within noise.

    Raises:
        ScreeningError: something that is no fingerprint.
    """
    first, second = _same_size(_check(cleared), _check(new))
    shape = (2 * first.shape[0], 2 * first.shape[1])
    target = np.fft.rfft2(_shape_of(first), s=shape)
    turns = []
    for turn in np.arange(-MAX_TURN_DEG, MAX_TURN_DEG + 0.1, 1.0):
        correlation, dx, dy = _best_shift(target, _shape_of(moved(second, angle_deg=float(turn), dx=0, dy=0)), shape)
        turns.append((correlation, float(turn), dx, dy))
    best = float("inf")
    for _, turn, dx, dy in sorted(turns, reverse=True)[:2]:
        best = min(best, _refined(first, second, turn, dx, dy))
    return best


def _refined(first: FloatArray, second: FloatArray, turn: float, dx: int, dy: int) -> float:
    """Least difference near a found place, by steps of half and a quarter."""
    place = (turn, float(dx), float(dy))
    best = _difference(first, moved(second, angle_deg=turn, dx=dx, dy=dy))
    for step in (0.5, 0.25):
        for _ in range(3):
            around = [
                (place[0] + step * t, place[1] + step * x, place[2] + step * y)
                for t, x, y in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
            ]
            scored = [(_difference(first, moved(second, angle_deg=t, dx=x, dy=y)), (t, x, y)) for t, x, y in around]
            least, where = min(scored)
            if least >= best:
                break
            best, place = least, where
    return best
