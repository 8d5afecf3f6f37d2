"""What the model misses and wrongly alarms on, drawn again from its seed: synthetic mail alone, the forbidden thing outlined."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from firmware_sims.body import ThingBody
from station.screening.correction import correct_scan
from station.screening.features import to_grid
from station.screening.image import dilated
from station.screening.measure import measure
from station.screening.pipeline import reading_window
from station.screening.views import pseudo_colour_png
from training.bench import Bench
from training.unseen_mail import Generator

ByteArray = npt.NDArray[np.uint8]
OUTLINE = (200, 0, 160)
LONGEST_PIXELS = 180


def drawn(source: Generator, seed: int, row: Mapping[str, Any]) -> ByteArray:
    """RGB (rows, columns, 3) of one piece as the station sees it; the noise is another one than when it was scored."""
    piece = source.draw(seed, row["kind"], row["threat"], row["number"])
    grid = to_grid(correct_scan(Bench(seed).scan(piece)))
    with Image.open(io.BytesIO(pseudo_colour_png(grid))) as image:
        view = np.asarray(image.convert("RGB")).copy()
    there = measure(grid)
    if row["threat"] and there.box is not None and isinstance(piece.body, ThingBody):
        forbidden = piece.body.threat_thickness_mm(line_mm=grid.cell_mm, pixel_mm=grid.cell_mm) > 0
        mask = np.zeros(view.shape[:2], bool)
        left, top, _, _ = there.box
        part = mask[top : top + forbidden.shape[0], left : left + forbidden.shape[1]]
        part[...] = forbidden[: part.shape[0], : part.shape[1]]
        view[dilated(mask, 13) & ~dilated(mask, 7)] = OUTLINE
    small = Image.fromarray(view[reading_window(grid, there)])
    small.thumbnail((LONGEST_PIXELS, LONGEST_PIXELS))
    return np.asarray(small)


def caption(row: Mapping[str, Any]) -> str:
    """What it is, and how far it was from its threshold."""
    what = f"missed: {row['threat']}" if row["threat"] else "false alarm"
    return f"{what}\n{row['kind']}, {row['score']:.3f} of {row['threshold']:.3f}"
