"""Reading the scan by the test piece's own places, pixel by pixel as the detector made them, and fitting known patterns to that."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.screening.test_piece.layout import Span
from station.screening.test_piece.pose import Pose

Values = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """The pixels within a rectangle of the piece: LE and HE transmission and the piece's x and y of each (mm), all (n,)."""

    le: Values
    he: Values
    x: Values
    y: Values

    def __len__(self) -> int:
        return int(self.le.size)

    def where(self, mask: Bools) -> "Patch":
        """Some of the pixels."""
        return Patch(le=self.le[mask], he=self.he[mask], x=self.x[mask], y=self.y[mask])


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPiece:
    """A corrected scan with the pose of the test piece in it. `alive` (pixels,): columns that were not filled from their neighbours."""

    le: npt.NDArray[np.float32]
    he: npt.NDArray[np.float32]
    line_mm: float
    pixel_mm: float
    pose: Pose
    alive: Bools

    @property
    def pitch_mm(self) -> float:
        """The coarser of line and pixel."""
        return max(self.line_mm, self.pixel_mm)

    def patch(self, x_mm: Span, y_mm: Span, *, guard_mm: float = 0.0) -> Patch:
        """The pixels whose centres lie in the rectangle and `guard_mm` or more from its rim."""
        x0, x1, y0, y1 = x_mm[0] + guard_mm, x_mm[1] - guard_mm, y_mm[0] + guard_mm, y_mm[1] - guard_mm
        matrix = self.pose.matrix
        corners = matrix @ np.asarray(((x0, x0, x1, x1), (y0, y1, y0, y1), (1.0, 1.0, 1.0, 1.0)))
        rows = _range(corners[0] / self.line_mm, self.le.shape[0])
        columns = _range(corners[1] / self.pixel_mm, self.le.shape[1])
        inverse = np.linalg.inv(matrix[:, :2])
        along = ((np.arange(rows.start, rows.stop) + 0.5) * self.line_mm - matrix[0, 2])[:, None]
        across = ((np.arange(columns.start, columns.stop) + 0.5) * self.pixel_mm - matrix[1, 2])[None, :]
        x = inverse[0, 0] * along + inverse[0, 1] * across
        y = inverse[1, 0] * along + inverse[1, 1] * across
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1) & self.alive[None, columns]
        return Patch(
            le=self.le[rows, columns][inside].astype(np.float64),
            he=self.he[rows, columns][inside].astype(np.float64),
            x=x[inside],
            y=y[inside],
        )


def _range(places: Values, size: int) -> slice:
    first = min(max(math.floor(float(places.min()) - 0.5), 0), size)
    return slice(first, min(max(math.ceil(float(places.max()) + 0.5), first), size))


def mean_and_error(values: Values) -> tuple[float, float]:
    """Mean and its standard error; not a number where there are fewer than four pixels."""
    if values.size < 4:  # noqa: PLR2004 - of fewer nobody can say how much they differ
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)


def fitted(columns: list[Values], values: Values, *, noise: float | None = None) -> tuple[Values, Values]:
    """Least squares: coefficients and their standard errors, each (columns,); not a number where there are too few pixels to tell.

    `noise` is the standard deviation of one value where it is known better than from what the fit leaves.
    """
    count = len(columns)
    if values.size < count + 3:
        return np.full(count, np.nan), np.full(count, np.nan)
    design = np.stack(columns, axis=1)
    # by its own scale each, so that millimetres squared do not spoil the inverse
    scale = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
    design = design / scale
    inverse = np.linalg.pinv(design.T @ design)
    solution = inverse @ (design.T @ values)
    rest = values - design @ solution
    variance = float(rest @ rest) / (values.size - count) if noise is None else noise * noise
    return solution / scale, np.sqrt(np.maximum(variance * np.diag(inverse), 1e-18)) / scale


def noise_across(values: Values, place: Values, width_mm: float) -> float | None:
    """Standard deviation of values whose pattern depends on `place` alone, from the spread within bins of `width_mm`.

    None where bins hold too few values to tell.
    """
    bins = np.unique(np.floor(place / width_mm).astype(np.int64), return_inverse=True)[1]
    counts = np.bincount(bins)
    free = values.size - counts.size
    if free < 8:  # noqa: PLR2004 - of fewer the spread is a guess
        return None
    rest = values - (np.bincount(bins, weights=values) / counts)[bins]
    return math.sqrt(float(rest @ rest) / free)


def line_kernel(distance: Values, pitch_mm: float) -> Values:
    """What a thin line at `distance` gives a pixel, 1 at its middle: a normal curve about as wide as a pixel."""
    result: Values = np.exp(-0.5 * (distance / (0.55 * pitch_mm)) ** 2)
    return result


def cover(inward: Values, pitch_mm: float) -> Values:
    """Share of a pixel within an edge, `inward` mm from its centre."""
    result: Values = np.clip(inward / pitch_mm + 0.5, 0.0, 1.0)
    return result


def attenuation(transmission: Values) -> Values:
    """`−ln T`, never above what 16 bits can tell."""
    result: Values = -np.log(np.maximum(transmission, 2.5e-4))
    return result
