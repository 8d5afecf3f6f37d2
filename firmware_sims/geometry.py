"""Where everything stands along one lane, in absolute millimetres from the start of B1.

    B1 infeed    0 - 1000   scale, infeed eye 150, reader R1 450
    B2 X-ray  1000 - 2200   xray_in eye 1000, beam 1600, xray_out eye 2200
    B3        2200 - 3700   decision; divert eye 3660; D1 at 3700: through, or hold bin
    B4 UV     3700 - 5100   uv_in eye 3740, lit field 3800 - 4600, uv_out eye 5060; D2 at 5100: through, or return bin
    B5 gate   5100 - 5900   reader R2 5640, gate eye 5800; gate at 5900
    outside                 exit eye 5960, then a roller chute that runs down by itself

The lit field ends 500 mm before D2, so that the longest piece (450 mm) has left the light before its head meets D2.
R2 reads 160 mm before the gate eye, so that the code of a piece is known before the piece is at the gate.
B5's nose roller carries a piece until its centre is past the exit eye; only then does the chute take it: whatever has left
by itself has been seen by the exit eye.

Belts count from 0 (B1) to 4 (B5), zones and eyes as in the lane PLC's map.
"""

from dataclasses import dataclass

BELTS = 5
EYES = 10
EYE_INFEED, EYE_XRAY_IN, EYE_XRAY_OUT, EYE_DIVERT, EYE_UV_IN = 0, 1, 2, 3, 4
EYE_UV_OUT, EYE_GATE, EYE_EXIT, EYE_HOLD_BIN, EYE_RETURN_BIN = 5, 6, 7, 8, 9
ZONES = 7
ZONE_INFEED, ZONE_XRAY, ZONE_DECISION_A, ZONE_DECISION_B, ZONE_UV_A, ZONE_UV_B, ZONE_GATE = 0, 1, 2, 3, 4, 5, 6
HOLD_BIN, RETURN_BIN = "hold", "return"


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Fixed places of the lane, all in mm from the start of B1."""

    belt_end_mm: tuple[float, ...] = (1000.0, 2200.0, 3700.0, 5100.0, 5960.0)
    """Where the next belt takes over a piece's centre; B5 carries to its nose roller under the exit eye."""
    eye_mm: tuple[float, ...] = (150.0, 1000.0, 2200.0, 3660.0, 3740.0, 5060.0, 5800.0, 5960.0)
    zone_end_mm: tuple[float, ...] = (1000.0, 2200.0, 2950.0, 3700.0, 4400.0, 5100.0, 5900.0)
    feed_head_mm: float = 100.0
    beam_mm: float = 1600.0
    field_mm: tuple[float, float] = (3800.0, 4600.0)
    diverter_mm: tuple[float, float] = (3700.0, 5100.0)
    gate_mm: float = 5900.0
    outside_mm: float = 5970.0
    infeed_reader_mm: float = 450.0
    gate_reader_mm: float = 5640.0
