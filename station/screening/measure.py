"""Where the piece is on the belt: its mask, its parts and its size, from attenuation on the standard grid."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.screening.features import GridScan, attenuation
from station.screening.image import box_mean, components, dilated
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits

FloatArray = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]
FINE_CELLS = 5
COARSE_CELLS = 13
FAINT_SHARE = 0.5
"""The coarse threshold as a share of the fine one: the wider mean has that much less noise, and faint covers need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceMeasure:
    """What lies on the belt. Boxes are (x, y, width, height) in grid cells; y along the belt.

    `box` holds everything that is there, None for an empty belt. `parts` are the separate things with their areas in mm².
    `touches_side`, `touches_end` tell that something reaches the detector's side or the first or last line.
    """

    box: Box | None
    parts: tuple[tuple[Box, float], ...]
    length_mm: float
    width_mm: float
    touches_side: bool
    touches_end: bool


def measure(grid: GridScan, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> PieceMeasure:
    """Find what lies on the belt; a single sheet of paper counts.

    The threshold is the greater of a fixed one and a multiple of the noise that the image itself shows in its clearest part.
    """
    both = attenuation(grid.le, limits=limits) + attenuation(grid.he, limits=limits)
    cell_mm2 = grid.cell_mm * grid.cell_mm
    mask = above_air(both, cell_mm2, limits)
    reach = max(3, round(limits.piece_join_mm / grid.cell_mm)) | 1
    labels, boxes = components(dilated(mask, reach))
    parts: list[tuple[Box, float]] = []
    for label, (x, y, width, height, _) in enumerate(boxes, start=1):
        window = np.s_[y : y + height, x : x + width]
        own = mask[window] & (labels[window] == label)
        area = float(own.sum()) * cell_mm2
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        if rows.size:
            box = (x + int(columns[0]), y + int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
            parts.append((box, area))
    if not parts:
        return PieceMeasure(box=None, parts=(), length_mm=0.0, width_mm=0.0, touches_side=False, touches_end=False)
    box = _union([one for one, _ in parts])
    # smoothing makes a thing look wider by about half its own reach
    shrink = (COARSE_CELLS + 1) / 2
    edge = max(1, round(limits.edge_margin_mm / grid.cell_mm))
    contact = limits.edge_contact_mm / grid.cell_mm
    return PieceMeasure(
        box=box,
        parts=tuple(parts),
        length_mm=max(0.0, box[3] - shrink) * grid.cell_mm,
        width_mm=max(0.0, box[2] - shrink) * grid.cell_mm,
        touches_side=max(_contact(mask[:, :edge], 1), _contact(mask[:, -edge:], 1)) >= contact,
        touches_end=max(_contact(mask[:edge], 0), _contact(mask[-edge:], 0)) >= contact,
    )


def above_air(both: FloatArray, cell_mm2: float, limits: ScreeningLimits) -> npt.NDArray[np.bool_]:
    """What is no air, from the sum of both attenuations.

    By a fine mean for sharp edges, and by a coarse one, of clipped values, for a cover of thin board.
    """
    fine = box_mean(both, FINE_CELLS)
    coarse = box_mean(np.minimum(fine, np.float32(2 * limits.piece_attenuation)), COARSE_CELLS)
    above: npt.NDArray[np.bool_] = fine > max(limits.piece_attenuation, limits.piece_noise_factor * _air_noise(fine))
    faint = coarse > max(FAINT_SHARE * limits.piece_attenuation, limits.piece_noise_factor * _air_noise(coarse))
    return _without_specks(above, limits.piece_speck_mm2 / cell_mm2) | _without_specks(faint, limits.faint_speck_mm2 / cell_mm2)


def _air_noise(smooth: FloatArray) -> float:
    """Standard deviation of smoothed attenuation in air, from the spread of the image's frame below its median."""
    frame = np.concatenate([smooth[:, :4].ravel(), smooth[:, -4:].ravel(), smooth[:4].ravel(), smooth[-4:].ravel()])
    low, middle = np.percentile(frame, (16, 50))
    return min(float(middle - low), 0.01)


def _without_specks(mask: npt.NDArray[np.bool_], smallest: float) -> npt.NDArray[np.bool_]:
    labels, boxes = components(mask)
    kept = np.asarray([False, *(area >= smallest for *_, area in boxes)])
    result: npt.NDArray[np.bool_] = kept[labels]
    return result


def _contact(strip: npt.NDArray[np.bool_], axis: int) -> int:
    return int(strip.any(axis=axis).sum())


def _union(boxes: list[Box]) -> Box:
    x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    x1, y1 = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    return x0, y0, x1 - x0, y1 - y0
