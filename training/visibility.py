"""How visible a forbidden thing is by physics alone, whoever looks.

The measure is the detectability d' of an ideal observer who knows the piece without the thing, the thing, its place and the scanner, and
lacks nothing but a scan free of noise: the root of the sum over pixels and both energies of (change of the expected signal ÷ noise)². That
is contrast-to-noise (root mean square over the thing) times the square root of the pixels it covers. Nobody who knows less sees more.
"""

import numpy as np
import numpy.typing as npt

from training.conditions import Conditions, projected, variance

FloatArray = npt.NDArray[np.float32]

VISIBILITY_FLOOR = 5.0
"""Rose: below about five times the noise even a known thing is not told from chance. Threats below it count as seen by nobody."""


def visibility(with_thing: FloatArray, without: FloatArray, conditions: Conditions) -> float:
    """Detectability d' of what makes two transmissions (2, rows, columns) on the grid differ."""
    empty = projected(without, conditions)
    change = projected(with_thing, conditions) - empty
    return float(np.sqrt(np.sum(np.square(change, dtype=np.float64) / variance(empty, conditions))))
