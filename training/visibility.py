"""How visible a forbidden thing is by physics alone, whoever looks, and how much it stands out from what lies round it.

`visibility` is the detectability d' of an ideal observer who knows the piece without the thing, the thing, its place and the scanner, and
lacks nothing but a scan free of noise: the root of the sum over pixels and both energies of (change of the expected signal ÷ noise)². That
is contrast-to-noise (root mean square over the thing) times the square root of the pixels that it covers. Nobody sees more.

`conspicuity` is the same for an observer who knows the piece only as far as it is smooth: the structure of what lies round the thing, finer
than `STRUCTURE_MM`, counts as noise too, correlated over its own size. The ordinary piece gives that structure; it is large in clutter.
"""

import cv2
import numpy as np
import numpy.typing as npt

from training.conditions import GRID_MM, Conditions, projected, variance

FloatArray = npt.NDArray[np.float32]

VISIBILITY_FLOOR = 5.0
"""Rose: below about five times the noise even a known thing is not told from chance. Threats below it count as seen by nobody."""
STRUCTURE_MM = 8.0
ROUND_MM = 24.0


def visibility(with_thing: FloatArray, without: FloatArray, conditions: Conditions) -> tuple[float, float]:
    """Detectability in noise alone (`visibility`), and in noise and structure (`conspicuity`), of what makes two transmissions differ.

    Both are (2, rows, columns) on the grid.
    """
    empty = projected(without, conditions)
    square = np.square(projected(with_thing, conditions) - empty, dtype=np.float64)
    noise = variance(empty, conditions)
    side_mm = max(conditions.pixel_mm, GRID_MM)
    fine, wide = (max(1, round(size / side_mm)) for size in (STRUCTURE_MM, ROUND_MM))
    structure = np.stack([cv2.blur(np.square(plane - cv2.blur(plane, (fine, fine))), (wide, wide)) for plane in empty])
    return float(np.sqrt(np.sum(square / noise))), float(np.sqrt(np.sum(square / (noise + structure * (fine * fine)))))
