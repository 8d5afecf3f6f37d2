"""Where things stand along the lane, in mm from the start of B1, and which belt's encoder measures what."""

from dataclasses import dataclass, field

from station.ports.lane_plc import Eye

EYE_BELT: dict[Eye, int] = {
    Eye.INFEED: 0,
    Eye.XRAY_IN: 1,
    Eye.XRAY_OUT: 1,
    Eye.DIVERT: 2,
    Eye.HOLD_BIN: 2,
    Eye.UV_IN: 3,
    Eye.UV_OUT: 3,
    Eye.RETURN_BIN: 3,
    Eye.GATE: 4,
    Eye.EXIT: 4,
}
"""Belt (0: B1) whose encoder stands in an edge of that eye (contract: lane PLC register map)."""

DEFAULT_EYES_MM: dict[Eye, float] = {
    Eye.INFEED: 150.0,
    Eye.XRAY_IN: 1000.0,
    Eye.XRAY_OUT: 2200.0,
    Eye.DIVERT: 3660.0,
    Eye.UV_IN: 3740.0,
    Eye.UV_OUT: 5060.0,
    Eye.GATE: 5800.0,
    Eye.EXIT: 5960.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneGeometry:
    """The lane's measures. `belt_starts_mm` has the start of B1..B5; `eyes_mm` has no bins, which lie beside the belts."""

    belt_starts_mm: tuple[float, float, float, float, float] = (0.0, 1000.0, 2200.0, 3700.0, 5100.0)
    eyes_mm: dict[Eye, float] = field(default_factory=lambda: dict(DEFAULT_EYES_MM))
    infeed_reader_mm: float = 450.0
    beam_mm: float = 1600.0
    diverter_1_mm: float = 3700.0
    uv_field_start_mm: float = 3800.0
    uv_field_end_mm: float = 4600.0
    diverter_2_mm: float = 5100.0
    gate_reader_mm: float = 5640.0
    gate_mm: float = 5900.0
    belt_speed_mm_s: int = 200
    stop_margin_mm: float = 60.0
    match_tolerance_mm: float = 60.0
    length_tolerance_mm: float = 25.0
    longest_piece_mm: float = 450.0

    def belt_at(self, position_mm: float) -> int:
        """The belt (0: B1) under a position; before B1 it is B1, past the gate it is B5."""
        belt = 0
        for index, start_mm in enumerate(self.belt_starts_mm):
            if position_mm >= start_mm:
                belt = index
        return belt


def encoder_delta_mm(now: int, before: int) -> float:
    """Signed way between two u32 encoder counts of 0.1 mm, over the wrap."""
    delta = (now - before) & 0xFFFFFFFF
    return (delta - 0x1_0000_0000 if delta & 0x8000_0000 else delta) / 10.0
