"""The daily test piece: wires of known gauge, a wedge over wires, marks behind steel, line pairs, thin metal, two kinds of material.

The layout is published in docs/reference/test-piece.md; the station scores it from there. All x and y are of the piece itself, lying face
up with its first edge forward: x from that edge against the direction of travel, y from its left edge.
"""

import math

from firmware_sims.body import Part, ThingBody
from firmware_sims.mail import Piece
from firmware_sims.mail_layout import Place

LENGTH_MM = 300.0
WIDTH_MM = 200.0
HEIGHT_MM = 52.0
CARRIER_MM = 2.0
MOST_TURN_DEG = 15.0
AWG_DIAMETER_MM = {24: 0.511, 30: 0.255, 32: 0.202, 34: 0.160, 38: 0.101, 42: 0.063}

FIDUCIALS_MM = ((14.0, 14.0), (286.0, 14.0), (14.0, 186.0), (250.0, 186.0))
FIDUCIAL_RADIUS_MM = 6.0
LEAD_MM = 3.0

STEP_MM = 30.0
FIRST_STEP_X_MM = 34.0
STEEL_STEPS_MM = (8.0, 14.0, 20.0, 26.0, 32.0, 38.0)
STEEL_Y_MM = (8.0, 32.0)
MARK_MM = 10.0
WEDGE_STEPS_MM = (8.0, 16.0, 24.0, 32.0, 40.0, 48.0)
WEDGE_Y_MM = (40.0, 76.0)
WEDGE_WIRES = {24: 9.0, 32: 21.0}
"""Gauge and distance from the step's beginning."""

BARE_WIRES_X_MM = {24: 228.0, 30: 242.0, 34: 256.0, 38: 270.0, 42: 284.0}
BARE_Y_MM = (40.0, 76.0)

BARS_MM = 2.0
ALONG_PAIRS_X_MM = {12.0: (34.0, 4), 8.0: (90.0, 4), 6.0: (130.0, 4), 4.0: (162.0, 6), 3.0: (194.0, 6), 2.0: (220.0, 6)}
"""By pitch: where the first bar begins, and how many there are; they lie beside each other along the belt."""
ALONG_PAIRS_Y_MM = (84.0, 112.0)
ACROSS_PAIRS_MM = {
    12.0: (262.0, 120.0, 4),
    8.0: (226.0, 120.0, 4),
    6.0: (190.0, 120.0, 4),
    4.0: (190.0, 150.0, 6),
    3.0: (226.0, 157.0, 6),
    2.0: (160.0, 161.0, 6),
}
"""By pitch: x and y where the first bar begins, and how many there are; they lie beside each other across the belt."""
ACROSS_BAR_MM = 28.0
BLOCK_MM = (246.0, 290.0)

ORGANIC_STEPS_MM = (10.0, 20.0, 30.0, 40.0)
ORGANIC_Y_MM = (118.0, 142.0)
INORGANIC_STEPS_MM = (2.0, 4.0, 6.0, 8.0)
INORGANIC_Y_MM = (146.0, 170.0)
THIN_METAL_MM = {0.10: (120.0, 138.0), 0.05: (140.0, 156.0)}
"""Thickness and y."""
THIN_METAL_X_MM = (158.0, 184.0)


class _Bench:
    """Lays parts by the piece's own coordinates, wherever the piece lies."""

    def __init__(self, at: Place) -> None:
        self._at = at
        self.parts: list[Part] = []

    def block(self, material: str, x_mm: tuple[float, float], y_mm: tuple[float, float], thick_mm: float) -> None:
        """A flat rectangle from edge to edge."""
        u, v = sum(x_mm) / 2 - LENGTH_MM / 2, sum(y_mm) / 2 - WIDTH_MM / 2
        self.parts.append(self._at.slab(material, u, v, x_mm[1] - x_mm[0], y_mm[1] - y_mm[0], thick_mm))

    def disc(self, material: str, x_mm: float, y_mm: float, radius_mm: float, thick_mm: float) -> None:
        """A flat disc."""
        self.parts.append(self._at.disc(material, x_mm - LENGTH_MM / 2, y_mm - WIDTH_MM / 2, radius_mm, thick_mm))

    def wire(self, gauge: int, x_mm: float, y_mm: tuple[float, float]) -> None:
        """A copper wire across the piece."""
        ends = [(x_mm - LENGTH_MM / 2, y - WIDTH_MM / 2) for y in y_mm]
        self.parts.append(self._at.wire("copper", ends, AWG_DIAMETER_MM[gauge] / 2))


def _penetration(bench: _Bench) -> None:
    for index, (steel, aluminium) in enumerate(zip(STEEL_STEPS_MM, WEDGE_STEPS_MM, strict=True)):
        x = FIRST_STEP_X_MM + STEP_MM * index
        bench.block("steel", (x, x + STEP_MM), STEEL_Y_MM, steel)
        middle = (x + STEP_MM / 2, sum(STEEL_Y_MM) / 2)
        bench.block("lead", (middle[0] - MARK_MM / 2, middle[0] + MARK_MM / 2), (middle[1] - MARK_MM / 2, middle[1] + MARK_MM / 2), LEAD_MM)
        bench.block("aluminium", (x, x + STEP_MM), WEDGE_Y_MM, aluminium)
        for gauge, inward_mm in WEDGE_WIRES.items():
            bench.wire(gauge, x + inward_mm, WEDGE_Y_MM)


def _resolution(bench: _Bench) -> None:
    for gauge, x in BARE_WIRES_X_MM.items():
        bench.wire(gauge, x, BARE_Y_MM)
    for pitch, (first, bars) in ALONG_PAIRS_X_MM.items():
        for bar in range(bars):
            bench.block("steel", (first + pitch * bar, first + pitch * (bar + 0.5)), ALONG_PAIRS_Y_MM, BARS_MM)
    for pitch, (x, first, bars) in ACROSS_PAIRS_MM.items():
        for bar in range(bars):
            bench.block("steel", (x, x + ACROSS_BAR_MM), (first + pitch * bar, first + pitch * (bar + 0.5)), BARS_MM)
    bench.block("steel", BLOCK_MM, ALONG_PAIRS_Y_MM, BARS_MM)


def _materials(bench: _Bench) -> None:
    for index, (organic, inorganic) in enumerate(zip(ORGANIC_STEPS_MM, INORGANIC_STEPS_MM, strict=True)):
        x = FIRST_STEP_X_MM + STEP_MM * index
        bench.block("pe", (x, x + STEP_MM), ORGANIC_Y_MM, organic)
        bench.block("aluminium", (x, x + STEP_MM), INORGANIC_Y_MM, inorganic)
    for thick, y in THIN_METAL_MM.items():
        bench.block("steel", THIN_METAL_X_MM, y, thick)


def draw_test_piece(*, serial: int, number: int, turn_deg: float = 0.0, backwards: bool = False) -> Piece:
    """The test piece `TEST-<number>`: always the same inside.

    `turn_deg` is how crooked a hand laid it, at most 15°; `backwards` lays its last edge forward.

    Raises:
        ValueError: turned further.
    """
    if not abs(turn_deg) <= MOST_TURN_DEG:
        raise ValueError(f"turn_deg must be within ±{MOST_TURN_DEG:g}")
    sine, cosine = abs(math.sin(math.radians(turn_deg))), math.cos(math.radians(turn_deg))
    length_mm, width_mm = LENGTH_MM * cosine + WIDTH_MM * sine, LENGTH_MM * sine + WIDTH_MM * cosine
    angle = math.radians(turn_deg) + (math.pi if backwards else 0.0)
    bench = _Bench(Place(x_mm=length_mm / 2, y_mm=width_mm / 2, angle_rad=angle))
    bench.block("polycarbonate", (0.0, LENGTH_MM), (0.0, WIDTH_MM), CARRIER_MM)
    for x, y in FIDUCIALS_MM:
        bench.disc("lead", x, y, FIDUCIAL_RADIUS_MM, LEAD_MM)
    _penetration(bench)
    _resolution(bench)
    _materials(bench)
    body = ThingBody(length_mm=length_mm, width_mm=width_mm, parts=tuple(bench.parts))
    identifier = f"TEST-{number:04d}"
    return Piece(
        serial=serial,
        piece_id=identifier,
        barcode=identifier,
        kind="test",
        truth="test",
        length_mm=round(length_mm, 1),
        width_mm=round(width_mm, 1),
        height_mm=HEIGHT_MM,
        weight_g=round(body.weight_g(), 1),
        body=body,
    )
