"""Where the test piece lies in a scan: its four lead discs are found, whichever way it lies, and an affine map is fitted through them.

The discs' places are asymmetric, so that backwards and face down are told apart. A disc's centre is that of the light it takes, which
blur does not move.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.screening.test_piece.layout import FIDUCIAL_FREE_MM, FIDUCIAL_RADIUS_MM, FIDUCIALS_MM, LENGTH_MM, WIDTH_MM

FloatArray = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]

COARSE_MM = 3.2
TURNS_DEG = tuple(0.5 * step for step in range(-10, 11))
"""A little more than is tolerated, so that a piece laid too crooked is named as such."""
LEAST_RESPONSE = 0.5
"""Light taken by the disc less light taken around it; an isolated lead disc gives 0.7 or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """From the piece's millimetres to the scan's: scan (x, y) = `matrix` (2, 3) · (x, y, 1), where x runs along the belt.

    `turn_deg` from lying straight; `backwards`, `face_down`: how it lies. `scale_along`, `scale_across` are 1 where the scan is to scale.
    `skew` is the sine of what the axes lack to a right angle; `residual_mm` what the four discs lack to the fitted map (root mean square).
    """

    matrix: Affine
    turn_deg: float
    backwards: bool
    face_down: bool
    scale_along: float
    scale_across: float
    skew: float
    residual_mm: float


def find(transmission: FloatArray, *, line_mm: float, pixel_mm: float) -> Pose | None:
    """The pose in a transmission image (lines, pixels); None when there is no test piece."""
    taken = 1.0 - transmission
    start = _search(taken, line_mm, pixel_mm)
    return None if start is None else fit(taken, start, line_mm=line_mm, pixel_mm=pixel_mm)


def _search(taken: FloatArray, line_mm: float, pixel_mm: float) -> npt.NDArray[np.float64] | None:
    """Rough places (4, 2) of the discs in scan mm: the lay whose faintest disc answers best."""
    down, right = max(1, round(COARSE_MM / line_mm)), max(1, round(COARSE_MM / pixel_mm))
    rows, columns = taken.shape[0] // down, taken.shape[1] // right
    coarse = taken[: rows * down, : columns * right].reshape(rows, down, columns, right).mean(axis=(1, 3))
    answer = _disc_response(coarse)
    cell = (down * line_mm, right * pixel_mm)
    centred = np.asarray(FIDUCIALS_MM) - (LENGTH_MM / 2, WIDTH_MM / 2)
    best: tuple[float, npt.NDArray[np.float64]] | None = None
    for turn in TURNS_DEG:
        for mirror in (1.0, -1.0):
            for half in (0.0, math.pi):
                angle = math.radians(turn) + half
                c, s = math.cos(angle), math.sin(angle)
                places = (centred * (1.0, mirror)) @ np.asarray(((c, s), (-s, c)))
                offsets = np.round((places - places.min(axis=0)) / cell).astype(int)
                height, width = rows - int(offsets[:, 0].max()), columns - int(offsets[:, 1].max())
                if height < 1 or width < 1:
                    continue
                weakest = answer[offsets[0, 0] : offsets[0, 0] + height, offsets[0, 1] : offsets[0, 1] + width]
                for row, column in offsets[1:]:
                    weakest = np.minimum(weakest, answer[row : row + height, column : column + width])
                at = int(weakest.argmax())
                found = float(weakest.flat[at])
                if best is None or found > best[0]:
                    corner = np.asarray((at // width, at % width))
                    best = found, (offsets + corner + 0.5) * cell
    return None if best is None or best[0] < LEAST_RESPONSE else best[1]


def _disc_response(coarse: FloatArray) -> FloatArray:
    """Mean over 3 × 3 cells less mean over the frame of 7 × 7 cells around them: high for a lone disc of that size."""
    inner, middle, outer = (_square_sum(coarse, reach) for reach in (1, 2, 3))
    result: FloatArray = inner / np.float32(9.0) - (outer - middle) / np.float32(24.0)
    return result


def _square_sum(image: FloatArray, reach: int) -> FloatArray:
    """Sum over (2·reach + 1)², nothing beyond the border."""
    padded = np.pad(image, reach + 1)
    summed = padded.cumsum(axis=0).cumsum(axis=1)
    side = 2 * reach + 1
    result: FloatArray = (summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side])[:-1, :-1]
    return result


def fit(taken: FloatArray, start: npt.NDArray[np.float64], *, line_mm: float, pixel_mm: float) -> Pose:
    """The pose from the discs near `start` (4, 2), in scan mm; `taken` is the light taken away (lines, pixels)."""
    centres = np.stack([_centre(taken, place, line_mm, pixel_mm) for place in start])
    known = np.column_stack((np.asarray(FIDUCIALS_MM), np.ones(len(FIDUCIALS_MM))))
    solution, *_ = np.linalg.lstsq(known, centres, rcond=None)
    residual = centres - known @ solution
    matrix: Affine = solution.T
    along, across = matrix[0, :2], matrix[1, :2]
    scale_along, scale_across = float(np.hypot(*along)), float(np.hypot(*across))
    determinant = float(np.linalg.det(matrix[:, :2]))
    turn = math.degrees(math.atan2(float(matrix[1, 0]), float(matrix[0, 0])))
    backwards = abs(turn) > 90.0  # noqa: PLR2004 - a right angle
    if backwards:
        turn -= math.copysign(180.0, turn)
    return Pose(
        matrix=matrix,
        turn_deg=turn,
        backwards=backwards,
        face_down=determinant < 0,
        scale_along=scale_along,
        scale_across=scale_across,
        skew=float(along @ across) / max(scale_along * scale_across, 1e-9),
        # four discs give eight numbers, the map has six
        residual_mm=float(np.sqrt((residual**2).sum() / 2.0)),
    )


def _centre(taken: FloatArray, place: npt.NDArray[np.float64], line_mm: float, pixel_mm: float) -> npt.NDArray[np.float64]:
    """Centre (scan mm) of the light that one disc takes."""
    pitch = np.asarray((line_mm, pixel_mm))
    centre = place
    for reach_mm in (FIDUCIAL_RADIUS_MM + 4.0, FIDUCIAL_FREE_MM - 1.5, FIDUCIAL_FREE_MM - 1.5, FIDUCIAL_FREE_MM - 1.5):
        first = np.maximum(np.floor((centre - reach_mm) / pitch - 0.5).astype(int), 0)
        last = np.minimum(np.ceil((centre + reach_mm) / pitch + 0.5).astype(int) + 1, taken.shape)
        window = taken[first[0] : last[0], first[1] : last[1]].astype(np.float64)
        xs = ((np.arange(first[0], last[0]) + 0.5) * line_mm)[:, None]
        ys = ((np.arange(first[1], last[1]) + 0.5) * pixel_mm)[None, :]
        # a pixel at the rim counts by the part of it that lies within, or the centre would jump from pixel to pixel
        inside = np.clip((reach_mm - np.hypot(xs - centre[0], ys - centre[1])) / float(pitch.max()) + 0.5, 0.0, 1.0)
        weight = inside * np.maximum(window - _around(window, inside), 0.0)
        total = float(weight.sum())
        if total <= 0:
            return centre
        centre = np.asarray(((weight * xs).sum() / total, (weight * ys).sum() / total))
    return centre


def _around(window: npt.NDArray[np.float64], inside: npt.NDArray[np.float64]) -> float:
    """Light taken by the bare carrier: the lesser part of the window."""
    return float(np.percentile(window[inside > 0], 20))
