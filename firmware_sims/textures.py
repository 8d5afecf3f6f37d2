"""Things that are not even: a shape whose density differs from the table's, and varies over the piece."""

import math
from dataclasses import dataclass

import numpy as np

from firmware_sims.shapes import FloatArray, Grid, Shape


def _towards(centres_mm: FloatArray, first_mm: float, step_mm: float, count: int) -> FloatArray:
    """Weights (places, count) of linear interpolation between knots every `step_mm` from `first_mm`."""
    place = (centres_mm.reshape(-1, 1) - np.float32(first_mm)) / np.float32(step_mm)
    result: FloatArray = np.maximum(1.0 - np.abs(place - np.arange(count, dtype=np.float32)), 0.0)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Uneven:
    """`shape`, `density` times as dense as its material is in the tables, its unevenness fixed by `seed`.

    `amount` is the relative spread over about `grain_mm`; every `flute_mm` (0 for none) runs a corrugation of the same size, along y.
    Attenuation depends on density times way, so a denser thing is drawn as a longer way.
    """

    shape: Shape
    density: float = 1.0
    amount: float = 0.0
    grain_mm: float = 6.0
    flute_mm: float = 0.0
    seed: int = 0

    def bounds_mm(self) -> tuple[float, float, float, float]:
        """See `Shape`."""
        return self.shape.bounds_mm()

    def thickness_mm(self, grid: Grid) -> FloatArray:
        """See `Shape`."""
        even = self.shape.thickness_mm(grid)
        if self.amount <= 0:
            return even * np.float32(self.density)
        x0, y0, x1, y1 = self.bounds_mm()
        x0, y0 = x0 - self.grain_mm, y0 - self.grain_mm
        rows, columns = (math.ceil((end - start) / self.grain_mm) + 3 for start, end in ((x0, x1), (y0, y1)))
        knots = np.random.default_rng(self.seed).standard_normal((rows, columns), dtype=np.float32)
        across = knots @ _towards(grid.y_mm, y0, self.grain_mm, columns).T
        uneven = _towards(grid.x_mm, x0, self.grain_mm, rows) @ across
        if self.flute_mm > 0:
            uneven = uneven + np.sin(grid.x_mm * np.float32(2.0 * math.pi / self.flute_mm))
        result: FloatArray = even * np.maximum(np.float32(self.density) * (1.0 + np.float32(self.amount) * uneven), 0.0)
        return result
