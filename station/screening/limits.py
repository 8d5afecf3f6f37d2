"""Every limit of the model-free checks in one place, each with its unit and why it is what it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningLimits:
    """Limits of correction, measurement and automatic findings.

    `opaque_transmission` is the high-energy transmission below which the beam tells nothing any more: the detector's dark noise
    and scatter are of the same size. `opaque_area_mm2` is the smallest such area that can hide something. Speed, beam and age
    limits are those at which an image stops being to scale or to level.
    """

    grid_mm: float = 0.8
    max_grid_cells: int = 1024 * 512
    min_transmission: float = 0.00025
    max_dead_share: float = 0.02
    max_dead_run: int = 3
    dead_gain_share: float = 0.10
    piece_attenuation: float = 0.0045
    piece_noise_factor: float = 4.0
    piece_speck_mm2: float = 60.0
    faint_speck_mm2: float = 600.0
    piece_join_mm: float = 14.0
    edge_margin_mm: float = 1.6
    edge_contact_mm: float = 8.0
    two_pieces_area_mm2: float = 2500.0
    opaque_transmission: float = 0.02
    opaque_area_mm2: float = 300.0
    max_lost_lines: int = 0
    max_speed_error_share: float = 0.05
    max_beam_error_share: float = 0.03
    max_calibration_age_s: float = 1800.0
    max_saturated_pixels: int = 0


DEFAULT_LIMITS = ScreeningLimits()
