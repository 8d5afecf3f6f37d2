"""What people see: the standard pseudo-colour view and the heat overlay, both as PNG."""

import numpy as np
import numpy.typing as npt

from station.screening.features import GridScan, attenuation, material_index
from station.screening.image import box_mean, coloured, encode_png, heat_overlay, resample_bytes

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

PALETTE = (
    (-0.2, (235, 120, 20)),
    (0.12, (235, 130, 25)),
    (0.35, (40, 150, 50)),
    (0.6, (30, 110, 150)),
    (1.0, (20, 50, 190)),
)
"""Material index and colour: orange organic, green mixed, blue metal, as IEC 62463 machines show them."""
DARKEST = 0.02


def pseudo_colours(le: FloatArray, he: FloatArray) -> ByteArray:
    """BGR of LE and HE transmission on white: hue by material, shade by how much of the beam comes through."""
    a_le, a_he = attenuation(le), attenuation(he)
    material = material_index(box_mean(a_le, 3), box_mean(a_he, 3))
    # a fourth root spreads paper and still tells steel of 10 mm from 20 mm
    light = np.sqrt(np.sqrt(np.clip(le * he, DARKEST**4, 1.0)))
    return coloured(light.astype(np.float32), material, PALETTE)


def pseudo_colour_png(grid: GridScan) -> bytes:
    """The scan in the standard view, one pixel per grid cell."""
    return encode_png(pseudo_colours(grid.le, grid.he))


def heat_png(heat: ByteArray, *, height: int, width: int) -> bytes:
    """The heat map as a transparent overlay; it may be smaller than the view that it is laid over."""
    return encode_png(heat_overlay(resample_bytes(heat, height=height, width=width)))
