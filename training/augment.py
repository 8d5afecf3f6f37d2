"""Crops of pieces as training sees them: turned, stacked on one another as in crowded parcels and bags, scanned anew, or as pictures.

Scanners vary far more than any one does (`training.conditions`), so that the model does not hang on one detector. A picture is a scan that
a console has painted (`training.vendor_painter`), compressed, and the station brought back to two energies as it does with real ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.screening.image import resample
from station.screening.palette import from_colours
from training.conditions import detected, draw_conditions
from training.pieces import Stored, forbidden
from training.vendor_painter import VENDORS, paint, through_jpeg, varied

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Rng = np.random.Generator

CELL = 4
AIR = 3
"""Cells of air round a piece that is smaller than the crop."""
BELT = 24
"""Grid steps of belt beside a crop that is painted, by which the palette's white is told."""
STACKED, THICKER = 0.15, 0.25
VENDOR_SHARES = (0.5, 0.2, 0.08, 0.08, 0.09, 0.05)
"""How often each of `VENDORS` comes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Transmission (2, rows, columns) and labels of its cells (rows/4, columns/4): place in `LABELS` plus one, 0 for none."""

    t: FloatArray
    labels: ByteArray


def cropped(piece: Stored, size: int, rng: Rng) -> Sample:
    """A random square of `size` grid steps of a piece with air round it; four times in five around the forbidden thing if there is one."""
    cells = size // CELL
    labels = piece.labels()
    frame = [max(AIR, -(-(cells - side) // 2) + 1) for side in labels.shape]
    most = [side + 2 * air - cells for side, air in zip(labels.shape, frame, strict=True)]
    start = [int(rng.integers(one + 1)) for one in most]
    hot = np.argwhere(forbidden(labels))
    if len(hot) and rng.random() < 0.8:
        place = hot[int(rng.integers(len(hot)))]
        start = [int(np.clip(at + air - rng.integers(cells), 0, one)) for at, air, one in zip(place, frame, most, strict=True)]
    top, left = (CELL * (at - air) for at, air in zip(start, frame, strict=True))
    t = np.ones((2, size, size), np.float32)
    rows = slice(max(0, top), min(piece.shape[0], top + size))
    columns = slice(max(0, left), min(piece.shape[1], left + size))
    there = np.zeros((cells, cells), np.uint8)
    if rows.start < rows.stop and columns.start < columns.stop:
        t[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = piece.crop(rows, columns)
        part = labels[rows.start // CELL : -(-rows.stop // CELL), columns.start // CELL : -(-columns.stop // CELL)]
        at_row, at_column = (rows.start - top) // CELL, (columns.start - left) // CELL
        there[at_row : at_row + part.shape[0], at_column : at_column + part.shape[1]] = part
    return Sample(t, there)


def turned(sample: Sample, rng: Rng) -> Sample:
    """Mirrored and turned by quarters at random: mail has no up."""
    t, labels = sample.t, sample.labels
    if rng.random() < 0.5:
        t, labels = t[:, ::-1], labels[::-1]
    if rng.random() < 0.5:
        t, labels = t[:, :, ::-1], labels[:, ::-1]
    if rng.random() < 0.5:
        t, labels = t.transpose(0, 2, 1), labels.T
    return Sample(np.ascontiguousarray(t), np.ascontiguousarray(labels))


def stacked(first: Sample, second: Sample) -> Sample:
    """Two pieces lying on one another: transmissions multiply, and a cell holds what is forbidden, else what the first has there."""
    other = forbidden(second.labels) | (first.labels == 0)
    return Sample(first.t * second.t, np.where(other & ~forbidden(first.labels), second.labels, first.labels))


def scanned(t: FloatArray, rng: Rng) -> FloatArray:
    """One scanner's view of transmission (2, rows, columns), of a thing that may be thicker or thinner than it was drawn."""
    if rng.random() < THICKER:
        t = np.power(np.maximum(t, 1e-6), np.float32(rng.uniform(0.75, 1.3)))
    return detected(t, draw_conditions(rng), rng)


def pictured(t: FloatArray, rng: Rng) -> FloatArray:
    """What the station makes of a console's picture of a scan: painted, compressed, read back with the palette that it is."""
    vendor = VENDORS[int(rng.choice(len(VENDORS), p=VENDOR_SHARES))]
    framed = np.pad(t, ((0, 0), (BELT, 0), (BELT, 0)), constant_values=1.0)
    painted = paint(
        framed,
        varied(vendor, rng),
        belt=float(rng.uniform(0.8, 1.0)),
        sharpened=float(rng.uniform(0, 1.2)) if rng.random() < 0.5 else 0.0,
        noise=float(rng.uniform(0, 1.5)),
        rng=rng,
    )
    if rng.random() < 0.8:
        painted = through_jpeg(painted, int(rng.integers(60, 97)))
    channels = from_colours(painted, palette=vendor.name)
    return np.stack([channels.le, channels.he])[:, BELT:, BELT:]


def resized(sample: Sample, size: int) -> Sample:
    """The same thing in `size` grid steps, as pictures of unknown scale come."""
    cells = size // CELL
    old = sample.labels.shape[0]
    places = (np.arange(cells) * old + old // 2) // cells
    t = np.stack([resample(plane, height=size, width=size) for plane in sample.t])
    return Sample(t, sample.labels[np.ix_(places, places)])
