"""Score the daily test piece from its scan: every test with its limit, and what is not asked of a detector this coarse.

The tests follow those that TCVN 12618:2019, the EU standard test piece and ASTM F792 name; layout and limits are our own
(docs/reference/test-piece.md). A limit is a least or a greatest value, as `AT_MOST` says.
"""

import math
from dataclasses import dataclass

import numpy as np

from station.ports.screening import RawScan, TestPieceResult
from station.screening.correction import CorrectedScan, correct_scan
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits
from station.screening.test_piece import layout, measures
from station.screening.test_piece.air import AirFigures, air_figures, alive_columns
from station.screening.test_piece.pose import Pose, find
from station.screening.test_piece.regions import SeenPiece

AT_MOST = frozenset(
    {
        "turned-deg",
        "fit-off-mm",
        "scale-off-share",
        "belt-wander-mm",
        "energies-apart-mm",
        "air-off-share",
        "air-noise-share",
        "beam-unsteady-share",
        "stripe-share",
        "dark-share",
        "lead-light-share",
        "dead-pixel-share",
        "lost-lines",
        "saturated",
        "beam-off-share",
        "belt-speed-off-share",
        "calibration-age-s",
    }
)
"""Values that must not be greater than their limit; all others must not be less."""

NOT_FOUND = "piece-found"
SHARP_MODULATION = {"along": 0.40, "across": 0.40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of a detector whose coarser pitch is at most `pitch_mm`.

    Gauges as AWG, penetrations in mm of the step, `pair_mm` the pitch of the finest bars that must be told apart.
    """

    pitch_mm: float
    bare_awg: int
    wedge_mm: dict[int, float]
    mark_mm: float
    pair_mm: float


DEMANDS = (
    Demand(pitch_mm=0.5, bare_awg=42, wedge_mm={24: 48.0, 32: 40.0}, mark_mm=32.0, pair_mm=2.0),
    Demand(pitch_mm=1.0, bare_awg=38, wedge_mm={24: 48.0, 32: 24.0}, mark_mm=26.0, pair_mm=3.0),
    Demand(pitch_mm=1.7, bare_awg=34, wedge_mm={24: 40.0}, mark_mm=26.0, pair_mm=6.0),
    Demand(pitch_mm=3.3, bare_awg=30, wedge_mm={24: 8.0}, mark_mm=20.0, pair_mm=12.0),
)
"""From fine to coarse; a detector coarser than the last is asked for what the last one is."""


def demand_for(pitch_mm: float) -> Demand:
    """What a detector of that pitch (the coarser of line and pixel, mm) must show."""
    return next((one for one in DEMANDS if pitch_mm <= one.pitch_mm), DEMANDS[-1])


class _Sheet:
    """The values as they come, each with its limit."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[float, float, bool]] = {}
        self.not_asked: list[str] = []

    def put(self, name: str, measured: float, limit: float) -> None:
        """One value; what is no number has failed, and is kept as −1, which no value can be."""
        if not math.isfinite(measured):
            self.values[name] = (-1.0, limit, False)
            return
        self.values[name] = (measured, limit, measured <= limit if name in AT_MOST else measured >= limit)

    def result(self) -> TestPieceResult:
        """Passed only if everything did."""
        passed = all(passed for _, _, passed in self.values.values())
        return TestPieceResult(passed=passed, values=self.values, not_asked=tuple(self.not_asked))


def score(scan: RawScan, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> TestPieceResult:
    """All tests of a scan with their limits; a scan that does not show the test piece fails on that alone.

    Raises:
        ScreeningError: the scan cannot be corrected.
    """
    corrected = correct_scan(scan, limits=limits)
    sheet = _Sheet()
    alive = alive_columns(scan, dead_gain_share=limits.dead_gain_share)
    _put_conditions(sheet, scan, limits)
    sheet.put("dead-pixel-share", 1.0 - float(alive.mean()), 0.01)
    grid = {"line_mm": corrected.line_mm, "pixel_mm": corrected.pixel_mm}
    low, high = find(corrected.le, **grid), find(corrected.he, **grid)
    sheet.put(NOT_FOUND, float(low is not None and high is not None), 1.0)
    if low is None or high is None:
        return sheet.result()
    pitch_mm = max(corrected.line_mm, corrected.pixel_mm)
    _put_geometry(sheet, low, high, pitch_mm)
    _put_air(sheet, air_figures(scan, corrected, high, alive))
    _put_tests(sheet, _seen(corrected, high, alive), demand_for(pitch_mm))
    return sheet.result()


def _seen(corrected: CorrectedScan, pose: Pose, alive: np.ndarray) -> SeenPiece:
    return SeenPiece(le=corrected.le, he=corrected.he, line_mm=corrected.line_mm, pixel_mm=corrected.pixel_mm, pose=pose, alive=alive)


def _put_conditions(sheet: _Sheet, scan: RawScan, limits: ScreeningLimits) -> None:
    """What would hold any piece of mail speaks against the test too."""
    sheet.put("lost-lines", float(scan.lost_lines), float(limits.max_lost_lines))
    sheet.put("saturated", float(scan.saturated), 0.0)
    sheet.put("beam-off-share", scan.beam_error_share, limits.max_beam_error_share)
    sheet.put("belt-speed-off-share", scan.speed_error_share, limits.max_speed_error_share)
    sheet.put("calibration-age-s", scan.calibration_age_s, limits.max_calibration_age_s)


def _put_geometry(sheet: _Sheet, low: Pose, high: Pose, pitch_mm: float) -> None:
    sheet.put("turned-deg", abs(high.turn_deg), 4.0)
    sheet.put("fit-off-mm", max(low.residual_mm, high.residual_mm), 0.3 + 0.25 * pitch_mm)
    sheet.put("scale-off-share", max(abs(high.scale_along - 1.0), abs(high.scale_across - 1.0)), 0.01)
    middle = np.asarray((layout.LENGTH_MM / 2, layout.WIDTH_MM / 2, 1.0))
    apart = float(np.hypot(*((low.matrix - high.matrix) @ middle)))
    sheet.put("energies-apart-mm", apart, 0.1 + 0.15 * pitch_mm)


def _put_air(sheet: _Sheet, air: AirFigures) -> None:
    sheet.put("air-off-share", air.level_off, 0.02)
    sheet.put("air-noise-share", air.noise, 0.0085)
    sheet.put("beam-unsteady-share", air.unsteady, 0.01)
    sheet.put("stripe-share", air.stripe, 0.02)
    sheet.put("air-signal-share", air.signal, 0.15)
    sheet.put("dark-share", air.dark, 0.03)


def _put_tests(sheet: _Sheet, piece: SeenPiece, demand: Demand) -> None:
    bare = measures.bare_wires(piece)
    sheet.put("single-wire-awg", _finest(bare), demand.bare_awg)
    sheet.put("single-wire-signal", bare[demand.bare_awg], measures.SEEN)
    for gauge, seen in measures.wedge_wires(piece).items():
        if gauge in demand.wedge_mm:
            sheet.put(f"wire-{gauge}-under-aluminium-mm", _deepest(layout.WEDGE_STEPS_MM, seen), demand.wedge_mm[gauge])
        else:
            sheet.not_asked.append(f"wire-{gauge}-under-aluminium-mm")
    sheet.put("mark-behind-steel-mm", _deepest(layout.STEEL_STEPS_MM, measures.marks(piece)), demand.mark_mm)
    sheet.put("lead-light-share", measures.lead_light(piece), 0.013)
    sheet.put("steel-attenuation", measures.steel_attenuation(piece), 1.0)
    for name, along in (("along", True), ("across", False)):
        _put_pairs(sheet, name, measures.modulations(piece, along=along), demand.pair_mm)
    for thick, seen_over_noise in measures.thin_metal(piece).items():
        sheet.put(f"thin-steel-{thick * 1000:.0f}-um-signal", seen_over_noise, measures.SEEN)
    sheet.put("material-separation", measures.material_separation(piece), 0.35)
    sheet.put("belt-wander-mm", measures.belt_wander(piece), 0.3 + 0.5 * piece.pitch_mm)
    finest = min(group.pitch_mm for group in layout.LINE_PAIRS)
    if demand.pair_mm > finest:
        sheet.not_asked.append(f"line-pairs-finer-than-{demand.pair_mm:g}-mm")
    if demand.bare_awg < max(layout.BARE_WIRES_X_MM):
        sheet.not_asked.append(f"single-wire-finer-than-awg-{demand.bare_awg}")


def _put_pairs(sheet: _Sheet, name: str, seen: dict[float, float], asked_mm: float) -> None:
    finest = math.inf
    for pitch, modulation in seen.items():
        if not modulation >= measures.LEAST_MODULATION:
            break
        finest = pitch
    sheet.put(f"line-pairs-{name}-per-mm", 0.0 if math.isinf(finest) else 1.0 / finest, 1.0 / asked_mm)
    sheet.put(f"modulation-{name}", seen.get(asked_mm, math.nan), SHARP_MODULATION[name])


def _finest(seen: dict[int, float]) -> float:
    """The finest gauge seen with all coarser ones seen too; 0 when none."""
    finest = 0
    for gauge, over_noise in sorted(seen.items()):
        if not over_noise >= measures.SEEN:
            break
        finest = gauge
    return float(finest)


def _deepest(steps_mm: tuple[float, ...], seen: list[float]) -> float:
    """The thickest step through which a thing is seen with all thinner ones showing theirs too; 0 when none."""
    deepest = 0.0
    for thick, over_noise in zip(steps_mm, seen, strict=True):
        if not over_noise >= measures.SEEN:
            break
        deepest = thick
    return deepest
