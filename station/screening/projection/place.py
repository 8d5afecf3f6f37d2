"""Which thing goes where: inside the piece, under a cover that has room for it, turned at random."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.ports.screening import RawScan
from station.screening.correction import CorrectedScan, correct_scan
from station.screening.features import attenuation, to_grid
from station.screening.image import resample
from station.screening.limits import DEFAULT_LIMITS
from station.screening.measure import above_air
from station.screening.projection.library import Library, Thing

BoolArray = npt.NDArray[np.bool_]

CELL_MM = 2.4
WALL_MM = 3.0
"""Room that a cover's own fold and glue take."""
ROOM_MM = {"envelope": 8.0, "packet": 40.0, "document_parcel": 120.0, "small_parcel": 120.0, "parcel": 120.0, "unknown": 8.0}
"""How thick a thing such a piece can hold; a piece of unknown kind is taken for the flattest."""
TRIES = 12
_NOTHING = 0.5
"""Less than a whole cell, so that the rounding of a transform is not taken for one."""
OPAQUE_TRANSMISSION = 0.05
OPAQUE_SHARE = 0.3
"""Where more of a place than this lets less than that of HE through, nobody could see what lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where a thing lies: its map's middle in mm of the corrected image, x along the belt, y across; turned by `angle_rad` from x to y."""

    x_mm: float
    y_mm: float
    angle_rad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A thing and its place."""

    thing: Thing
    pose: Pose


def _turned_cells(thing: Thing, angle_rad: float) -> tuple[BoolArray, int, int]:
    """Cells that the turned thing touches, and where its middle lies among them."""
    fold = max(1, int(CELL_MM / 2 / thing.cell_mm))
    solid = (thing.thickness_mm > 0).any(axis=0)
    solid = np.pad(solid, ((0, -solid.shape[0] % fold), (0, -solid.shape[1] % fold)))
    rows, columns = np.nonzero(solid.reshape(solid.shape[0] // fold, fold, solid.shape[1] // fold, fold).any(axis=(1, 3)))
    u = (rows + 0.5) * fold * thing.cell_mm - thing.size_mm[0] / 2
    v = (columns + 0.5) * fold * thing.cell_mm - thing.size_mm[1] / 2
    x = u * math.cos(angle_rad) - v * math.sin(angle_rad)
    y = u * math.sin(angle_rad) + v * math.cos(angle_rad)
    row, column = np.floor(x / CELL_MM).astype(np.intp), np.floor(y / CELL_MM).astype(np.intp)
    # one cell more on every side: the place may lie anywhere within a cell, and the pixels reach a little beyond the thing
    top, left = 1 - row.min(), 1 - column.min()
    cells = np.zeros((row.max() + top + 2, column.max() + left + 2), dtype=bool)
    for step_row in (-1, 0, 1):
        for step_column in (-1, 0, 1):
            cells[row + top + step_row, column + left + step_column] = True
    return cells, int(top), int(left)


def _hits(blocked: npt.NDArray[np.float64], cells: BoolArray) -> npt.NDArray[np.float64]:
    """How much of `blocked` the cells cover, for each place at which they lie wholly within it."""
    shape = (blocked.shape[0] + cells.shape[0], blocked.shape[1] + cells.shape[1])
    spectrum = np.fft.rfft2(blocked, shape) * np.conj(np.fft.rfft2(cells, shape))
    covered = np.fft.irfft2(spectrum, shape)
    result: npt.NDArray[np.float64] = covered[: blocked.shape[0] - cells.shape[0] + 1, : blocked.shape[1] - cells.shape[1] + 1]
    return result


def _filled(mask: BoolArray) -> BoolArray:
    """The mask with everything in it that lies between its ends both along and across."""

    def between(axis: int) -> BoolArray:
        before = np.logical_or.accumulate(mask, axis=axis)
        after = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis=axis), axis)
        both: BoolArray = before & after
        return both

    return between(0) & between(1)


def room_of(scan: CorrectedScan) -> tuple[BoolArray, BoolArray]:
    """Cells of `CELL_MM`: those wholly inside the piece's walls, and those too dark for anything to be seen in them."""
    grid = to_grid(scan)
    outline = above_air(attenuation(grid.le) + attenuation(grid.he), grid.cell_mm**2, DEFAULT_LIMITS)
    fold = round(CELL_MM / grid.cell_mm)
    rows, columns = outline.shape[0] // fold, outline.shape[1] // fold
    cells = outline[: rows * fold, : columns * fold].reshape(rows, fold, columns, fold)
    whole: BoolArray = np.logical_and.reduce(cells, axis=(1, 3))
    inside = _filled(whole)
    padded = np.pad(inside, 1)
    # smoothing widened the outline by about two cells of the fine grid; two cells here are that and the wall
    for _ in range(math.ceil((WALL_MM + 2 * grid.cell_mm) / CELL_MM)):
        grown = padded.copy()
        grown[1:-1, 1:-1] &= padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
        padded = grown
    dark = resample(grid.he, height=rows, width=columns) < OPAQUE_TRANSMISSION
    return padded[1:-1, 1:-1], dark


def choose(scan: RawScan, library: Library, rng: np.random.Generator) -> Choice | None:
    """See `choose_in`.

    Raises:
        ScreeningError: the scan cannot be corrected.
    """
    return choose_in(correct_scan(scan), scan.kind, library, rng)


def choose_in(seen: CorrectedScan, kind: str, library: Library, rng: np.random.Generator) -> Choice | None:
    """Draw a thing, a turn and a place, each evenly among what fits; first a class, so that each class comes equally often.

    Returns None when `TRIES` draws found nothing that fits into this piece.
    """
    inside, dark = room_of(seen)
    height_mm = ROOM_MM.get(kind, ROOM_MM["unknown"])
    longest_mm = (
        math.hypot(*(CELL_MM * float(np.ptp(cells) + 1) for cells in np.nonzero(inside & ~dark))) if (inside & ~dark).any() else 0.0
    )
    fitting = [entry for entry in library.entries if entry.height_mm <= height_mm and max(entry.size_mm) <= longest_mm]
    classes = sorted({entry.threat_class for entry in fitting})
    if not classes:
        return None
    outside, opaque = (~inside).astype(np.float64), dark.astype(np.float64)
    for _ in range(TRIES):
        threat_class = classes[int(rng.integers(len(classes)))]
        entries = [entry for entry in fitting if entry.threat_class == threat_class]
        thing = library.thing(entries[int(rng.integers(len(entries)))].thing_id)
        angle_rad = float(rng.uniform(0, 2 * math.pi))
        cells, top, left = _turned_cells(thing, angle_rad)
        if cells.shape[0] > inside.shape[0] or cells.shape[1] > inside.shape[1]:
            continue
        fits = _hits(outside, cells) < _NOTHING
        fits &= _hits(opaque, cells) < OPAQUE_SHARE * cells.sum()
        places = np.argwhere(fits)
        if places.size:
            row, column = places[int(rng.integers(len(places)))]
            jitter = rng.uniform(0, CELL_MM, 2)
            pose = Pose(
                x_mm=float((row + top) * CELL_MM + jitter[0]), y_mm=float((column + left) * CELL_MM + jitter[1]), angle_rad=angle_rad
            )
            return Choice(thing=thing, pose=pose)
    return None
