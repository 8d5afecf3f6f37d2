"""Score the daily test piece from its lines (layout: docs/reference/test-piece.md).

The tests follow those that TCVN 12618:2019, the EU standard test piece and ASTM F792 name. Everything is measured as a difference
against what lies beside it, so that the beam's level does not matter. x runs along the belt from the carrier's leading edge, y across
from its left edge.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.ports.screening import TestPieceResult
from station.screening.features import GridScan, attenuation
from station.screening.measure import measure

FloatArray = npt.NDArray[np.float32]

LENGTH_MM = 300.0
WIDTH_MM = 200.0
SIZE_TOLERANCE_MM = 12.0
STEPS_MM = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0)
STEP_FIRST_X_MM = 30.0
STEP_LENGTH_MM = 30.0
WIRE_LINES_MM = {24: 40.0, 26: 65.0, 30: 90.0, 32: 115.0, 36: 140.0}
LINE_PAIRS_MM = {6.0: 170.0, 4.0: 210.0, 3.0: 250.0}
MATERIAL_STEPS = 4
COARSE_PIXEL_MM = 1.7
PIXELS_PER_PAIR = 3.5
LEAST_MODULATION = 0.2
DETECTABLE = 3.0
"""Signal over noise from which a thing counts as seen (Rose criterion for an extended object of known place)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Attenuations of the carrier alone, x along rows, `cell_mm` per cell; `x0`, `y0` of its corner in cells."""

    le: FloatArray
    he: FloatArray
    x0: int
    y0: int
    cell_mm: float

    def area(self, plane: FloatArray, x_mm: tuple[float, float], y_mm: tuple[float, float]) -> FloatArray:
        """The cells wholly inside a rectangle of the carrier."""
        rows = slice(self.x0 + round(x_mm[0] / self.cell_mm), self.x0 + round(x_mm[1] / self.cell_mm))
        columns = slice(self.y0 + round(y_mm[0] / self.cell_mm), self.y0 + round(y_mm[1] / self.cell_mm))
        return plane[rows, columns]


def score(grid: GridScan, *, pixel_mm: float) -> TestPieceResult:
    """All tests with their limits; a scan that does not show the test piece fails on its size.

    `pixel_mm` is the detector's own pitch: a coarse detector is asked only for bars and wires that its pixels can tell apart.
    """
    found = measure(grid)
    values: dict[str, tuple[float, float, bool]] = {}
    length_off, width_off = abs(found.length_mm - LENGTH_MM), abs(found.width_mm - WIDTH_MM)
    off = max(length_off, width_off)
    values["size-off-mm"] = (off, SIZE_TOLERANCE_MM, off <= SIZE_TOLERANCE_MM)
    if found.box is None or off > SIZE_TOLERANCE_MM:
        return TestPieceResult(passed=False, values=values)
    x, y, width, height = found.box
    # the mask is a little larger than the piece: take the middle and go out by the known size
    piece = _Piece(
        le=attenuation(grid.le),
        he=attenuation(grid.he),
        x0=round(y + height / 2 - LENGTH_MM / 2 / grid.cell_mm),
        y0=round(x + width / 2 - WIDTH_MM / 2 / grid.cell_mm),
        cell_mm=grid.cell_mm,
    )
    for name, measured, limit in (
        ("steel-steps", _steel_steps(piece), 7.0),
        ("wire-under-steel-mm", _wire_under_steel(piece), 8.0 if pixel_mm <= COARSE_PIXEL_MM else 4.0),
        ("single-wire-awg", _finest_wire(piece), 30.0),
        ("line-pairs-per-mm", _line_pairs(piece), _demanded_line_pairs(pixel_mm)),
        ("thin-metal-contrast", _thin_metal(piece), DETECTABLE),
        ("material-contrast", _materials(piece), DETECTABLE),
    ):
        values[name] = (measured, limit, bool(np.isfinite(measured)) and measured >= limit)
    return TestPieceResult(passed=all(passed for _, _, passed in values.values()), values=values)


def _steel_steps(piece: _Piece) -> float:
    """Simple penetration: how many steel steps are told apart from the thinner one before, counted from the thinnest."""
    seen = 0
    before: tuple[float, float] | None = None
    for index in range(len(STEPS_MM)):
        x = STEP_FIRST_X_MM + STEP_LENGTH_MM * index
        area = piece.area(piece.he, (x + 6, x + STEP_LENGTH_MM - 6), (24, 35))
        level, noise = float(np.median(area)), float(area.std() / np.sqrt(max(area.size, 1) / 9))
        if before is not None and level - before[0] < DETECTABLE * (noise + before[1]):
            break
        seen += 1
        before = (level, noise)
    return float(seen)


def _wire_under_steel(piece: _Piece) -> float:
    """Useful penetration: the thickest steel over the copper wire with all thinner ones showing it, mm."""
    deepest = 0.0
    for index, thick in enumerate(STEPS_MM):
        x = STEP_FIRST_X_MM + STEP_LENGTH_MM * index
        profile = piece.area(piece.he, (x + 5, x + STEP_LENGTH_MM - 5), (22, 58)).mean(axis=0)
        if _line_contrast(profile, round(18 / piece.cell_mm), reach=2) < DETECTABLE:
            break
        deepest = thick
    return deepest


def _finest_wire(piece: _Piece) -> float:
    """Single-wire resolution: the finest gauge seen with all coarser ones seen too (AWG; 0 when none)."""
    finest = 0.0
    for gauge, x in WIRE_LINES_MM.items():
        profile = piece.area(piece.le, (x - 10, x + 10), (74, 106)).mean(axis=1)
        if _line_contrast(profile, round(10 / piece.cell_mm), reach=2) < DETECTABLE:
            break
        finest = float(gauge)
    return finest


def _line_contrast(profile: FloatArray, centre: int, *, reach: int) -> float:
    """Signal over noise of a bright line near `centre` of a profile, against a straight base."""
    if profile.size < 4 * reach + 4:
        return 0.0
    places = np.arange(profile.size)
    beside = np.abs(places - centre) > reach + 2
    base = np.polynomial.polynomial.polyval(places, np.polynomial.polynomial.polyfit(places[beside], profile[beside], 2))
    rest = profile - base
    noise = float(rest[beside].std()) + 1e-6
    near = rest[max(0, centre - reach - 1) : centre + reach + 2]
    return float(near.max()) / noise


def _line_pairs(piece: _Piece) -> float:
    """Spatial resolution: the finest group of bars that is told apart with all coarser ones, in line pairs per mm (0 when none).

    Told apart means a modulation of a fifth of what sharp bars as dense as the wedge's first step, the same 2 mm of steel, would show.
    """
    wedge = piece.area(piece.he, (STEP_FIRST_X_MM + 6, STEP_FIRST_X_MM + STEP_LENGTH_MM - 6), (24, 35))
    carrier = piece.area(piece.he, (STEP_FIRST_X_MM + 6, STEP_FIRST_X_MM + STEP_LENGTH_MM - 6), (64, 69))
    sharp = (float(np.median(wedge)) - float(np.median(carrier))) * 2 / np.pi
    finest = 0.0
    for pitch, first in LINE_PAIRS_MM.items():
        profile = piece.area(piece.he, (first - 0.25 * pitch, first + 3.25 * pitch), (74, 106)).mean(axis=1)
        if sharp <= 0 or _swing(profile, pitch / piece.cell_mm) < LEAST_MODULATION * sharp:
            break
        finest = 1.0 / pitch
    return finest


def _swing(profile: FloatArray, pitch_cells: float) -> float:
    """Amplitude at the pitch; the phase is free, for the leading edge is known to about a cell only."""
    wave = np.exp(-2j * np.pi * np.arange(profile.size) / pitch_cells)
    amplitude: float = 2.0 * abs(complex(((profile - profile.mean()) * wave).mean()))
    return amplitude


def _demanded_line_pairs(pixel_mm: float) -> float:
    """Line pairs per mm that a detector of that pitch must show: 4 mm, or 6 mm if that is too fine for it, or nothing."""
    fit = [pitch for pitch in (4.0, 6.0) if pitch >= PIXELS_PER_PAIR * pixel_mm]
    return 1.0 / fit[0] - 1e-9 if fit else 0.0


def _contrast(one: FloatArray, other: FloatArray) -> float:
    noise = float(np.hypot(one.std(), other.std())) / math.sqrt(max(min(one.size, other.size) / 9, 1.0)) + 1e-6
    return float(one.mean() - other.mean()) / noise


def _thin_metal(piece: _Piece) -> float:
    """0.1 mm of steel against the carrier beside it, signal over noise."""
    return _contrast(piece.area(piece.le, (185, 215), (132, 173)), piece.area(piece.le, (160, 175), (132, 173)))


def _materials(piece: _Piece) -> float:
    """Organic against inorganic: the worst of the four pairs of steps by the ratio of LE to HE attenuation, signal over noise."""
    worst = float("inf")
    carrier_le = float(np.median(piece.area(piece.le, (4, 24), (122, 182))))
    carrier_he = float(np.median(piece.area(piece.he, (4, 24), (122, 182))))
    for index in range(MATERIAL_STEPS):
        x = (35.0 + 30 * index, 55.0 + 30 * index)
        ratios = []
        for y in ((126.0, 144.0), (161.0, 179.0)):
            le, he = piece.area(piece.le, x, y) - carrier_le, piece.area(piece.he, x, y) - carrier_he
            ratios.append((le / np.maximum(he, 1e-3)).astype(np.float32))
        worst = min(worst, _contrast(ratios[1], ratios[0]))
    return worst
