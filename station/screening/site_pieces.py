"""A site's benign pieces as the fit sees them: as they are, and with a thing of the threat library projected into them.

A raw scan goes the way of every scan of the station. A picture in a console's colours is brought to the same channels first; the thing is
multiplied into those, without noise or scatter, which such a picture no longer shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.ports.screening import RawScan
from station.screening.correction import MAX_TRANSMISSION, CorrectedScan, correct_scan
from station.screening.drift import UNSOUND
from station.screening.features import to_grid
from station.screening.findings import find
from station.screening.limits import DEFAULT_LIMITS
from station.screening.measure import measure
from station.screening.picture_scores import OnGrid
from station.screening.pipeline import HEAT_STRIDE, reading_window
from station.screening.projection import Choice, Library, project
from station.screening.projection.place import choose_in
from station.screening.projection.project import COVERED_MM, thickness_in, weakened, window_of

FloatArray = npt.NDArray[np.float32]
Rng = np.random.Generator

PICTURE_ROOM = "parcel"
"""Nobody says how thick a thing in a picture may be: as thick as a parcel takes."""
PICTURE_TUBE_KV = 160.0
"""Of the beam whose curves give a picture's colours their two energies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """LE and HE transmission (rows, columns) on the standard grid, as the model reads them.

    `covered` (rows/4, columns/4) is the share of each cell that the projected thing covers; None where nothing is projected.
    """

    le: FloatArray
    he: FloatArray
    covered: FloatArray | None = None
    threat_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSource:
    """A raw scan, and the tube voltage it was taken with."""

    scan: RawScan
    tube_kv: float

    def seen(self) -> Seen:
        """The piece as it is.

        Raises:
            ScreeningError: the scan cannot be corrected, or is none that a model is calibrated on (clipped, lines missing, …).
        """
        grid = to_grid(correct_scan(self.scan))
        piece = measure(grid)
        if unsound := UNSOUND.intersection(one.reason for one in find(self.scan, grid, piece)):
            raise _left_out(", ".join(sorted(reason.value for reason in unsound)))
        window = reading_window(grid, piece)
        return Seen(le=grid.le[window], he=grid.he[window])

    def with_threat(self, library: Library, rng: Rng) -> Seen | None:
        """The piece with one thing in it; None when nothing of the library fits.

        Raises:
            ScreeningError: the scan cannot be corrected or does not show its noise.
        """
        choice = choose_in(correct_scan(self.scan), self.scan.kind, library, rng)
        if choice is None:
            return None
        projected = project(self.scan, choice.thing, choice.pose, library, tube_kv=self.tube_kv, rng=rng)
        corrected = correct_scan(projected.scan)
        grid = to_grid(corrected)
        covered = _covered(choice, grid.le.shape, (corrected.line_mm * grid.scale_y, corrected.pixel_mm * grid.scale_x))
        window = reading_window(grid, measure(grid))
        return Seen(le=grid.le[window], he=grid.he[window], covered=_in_cells(covered[window]), threat_class=projected.threat.threat_class)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """A picture in a console's colours, brought to the standard grid."""

    picture: OnGrid

    def seen(self) -> Seen:
        """The piece as it is."""
        return Seen(le=self.picture.le, he=self.picture.he)

    def with_threat(self, library: Library, rng: Rng) -> Seen | None:
        """The piece with one thing in it; None when nothing of the library fits."""
        cell_mm = DEFAULT_LIMITS.grid_mm
        image = np.stack([self.picture.le, self.picture.he])
        choice = choose_in(CorrectedScan(le=image[0], he=image[1], line_mm=cell_mm, pixel_mm=cell_mm), PICTURE_ROOM, library, rng)
        if choice is None:
            return None
        window = window_of(choice.thing, choice.pose, line_mm=cell_mm, pixel_mm=cell_mm, shape=image[0].shape)
        here = np.s_[:, window.there[0], window.there[1]]
        beam = library.beam(PICTURE_TUBE_KV)
        between = float(rng.uniform())
        ratio, _ = weakened(choice.thing, choice.pose, window, beam, image[here], line_mm=cell_mm, pixel_mm=cell_mm, between=between)
        image[here] = np.clip(image[here] * ratio, DEFAULT_LIMITS.min_transmission, MAX_TRANSMISSION)
        covered = _covered(choice, image[0].shape, (cell_mm, cell_mm))
        return Seen(le=image[0], he=image[1], covered=_in_cells(covered), threat_class=choice.thing.threat_class)


Source = ScanSource | PictureSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BenignPiece:
    """One piece that people let pass.

    `name` is what parts are drawn by, so that it must stay the same from fit to fit; `sha256` is over the stored scan or file.
    `load` reads it; `kind` is what it was announced as.
    """

    name: str
    kind: str
    sha256: str
    load: Callable[[], Source]


def _left_out(why: str) -> ScreeningError:
    return ScreeningError(
        f"model fit: the scan is none to fit on ({why})", consequence="the piece is left out", remedy="nothing needs to be done"
    )


def _covered(choice: Choice, shape: tuple[int, ...], cell_mm: tuple[float, float]) -> FloatArray:
    """1 where the thing lies on the grid, else 0."""
    line_mm, pixel_mm = cell_mm
    window = window_of(choice.thing, choice.pose, line_mm=line_mm, pixel_mm=pixel_mm, shape=(shape[0], shape[1]))
    thickness = thickness_in(choice.thing, choice.pose, window, line_mm=line_mm, pixel_mm=pixel_mm)
    covered = np.zeros(shape, np.float32)
    covered[window.there] = thickness.sum(axis=0) > COVERED_MM
    return covered


def _in_cells(covered: FloatArray) -> FloatArray:
    """Means over the cells of the heat map; what lies beyond the border is not covered."""
    rows, columns = (-(-side // HEAT_STRIDE) for side in covered.shape)
    padded = np.zeros((rows * HEAT_STRIDE, columns * HEAT_STRIDE), np.float32)
    padded[: covered.shape[0], : covered.shape[1]] = covered
    result: FloatArray = padded.reshape(rows, HEAT_STRIDE, columns, HEAT_STRIDE).mean(axis=(1, 3))
    return result
