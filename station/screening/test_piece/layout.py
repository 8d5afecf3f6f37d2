"""Where everything lies on the test piece (docs/reference/test-piece.md), as the station knows it.

x runs along the belt from the piece's first edge, y across from its left edge, face up; all in mm.
"""

from dataclasses import dataclass

Span = tuple[float, float]

LENGTH_MM = 300.0
WIDTH_MM = 200.0
FIDUCIALS_MM = ((14.0, 14.0), (286.0, 14.0), (14.0, 186.0), (250.0, 186.0))
FIDUCIAL_RADIUS_MM = 6.0
FIDUCIAL_FREE_MM = 10.5
"""Nothing but the carrier lies within this radius of a fiducial's centre."""

STEP_MM = 30.0
FIRST_STEP_X_MM = 34.0
STEEL_STEPS_MM = (8.0, 14.0, 20.0, 26.0, 32.0, 38.0)
STEEL_Y_MM: Span = (8.0, 32.0)
MARK_HALF_MM = 5.0

WEDGE_STEPS_MM = (8.0, 16.0, 24.0, 32.0, 40.0, 48.0)
WEDGE_Y_MM: Span = (40.0, 76.0)
WEDGE_WIRES_MM = {24: 9.0, 32: 21.0}
"""Gauge and distance from the step's beginning."""

BARE_WIRES_X_MM = {24: 228.0, 30: 242.0, 34: 256.0, 38: 270.0, 42: 284.0}
BARE_Y_MM: Span = (40.0, 76.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePairs:
    """One group of bars: its rectangle, from the first bar's first edge, and its pitch. `along`: bars follow each other along x."""

    pitch_mm: float
    along: bool
    x_mm: Span
    y_mm: Span


_ALONG = {12.0: (34.0, 4), 8.0: (90.0, 4), 6.0: (130.0, 4), 4.0: (162.0, 6), 3.0: (194.0, 6), 2.0: (220.0, 6)}
_ACROSS = {
    12.0: (262.0, 120.0, 4),
    8.0: (226.0, 120.0, 4),
    6.0: (190.0, 120.0, 4),
    4.0: (190.0, 150.0, 6),
    3.0: (226.0, 157.0, 6),
    2.0: (160.0, 161.0, 6),
}
PAIRS_Y_MM: Span = (84.0, 112.0)
BAR_MM = 28.0
LINE_PAIRS = (
    *(LinePairs(pitch_mm=pitch, along=True, x_mm=(x, x + pitch * (n - 0.5)), y_mm=PAIRS_Y_MM) for pitch, (x, n) in _ALONG.items()),
    *(
        LinePairs(pitch_mm=pitch, along=False, x_mm=(x, x + BAR_MM), y_mm=(y, y + pitch * (n - 0.5)))
        for pitch, (x, y, n) in _ACROSS.items()
    ),
)
BLOCK_X_MM: Span = (246.0, 290.0)
"""Plain steel as thick as the bars, at `PAIRS_Y_MM`."""
BARE_CARRIER: tuple[Span, Span] = ((4.0, 28.0), (60.0, 150.0))
"""x and y of a large piece of plain carrier."""

MATERIAL_STEPS = 4
ORGANIC_Y_MM: Span = (118.0, 142.0)
INORGANIC_Y_MM: Span = (146.0, 170.0)
THIN_METAL_MM: dict[float, Span] = {0.10: (120.0, 138.0), 0.05: (140.0, 156.0)}
"""Thickness and y."""
THIN_METAL_X_MM: Span = (158.0, 184.0)
