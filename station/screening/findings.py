"""Automatic findings that need no model: each one is a reason to hold."""

import numpy as np
import numpy.typing as npt

from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.ports.screening import RawScan
from station.screening.features import GridScan
from station.screening.image import box_mean, components
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits
from station.screening.measure import Box, PieceMeasure


def find(scan: RawScan, grid: GridScan, piece: PieceMeasure, *, limits: ScreeningLimits = DEFAULT_LIMITS) -> tuple[Finding, ...]:
    """Everything that speaks against using the scan or passing the piece, in a fixed order. A figure that is no number is a finding."""
    return (*_acquisition(scan, limits), *_placement(grid, piece, limits), *_opaque(grid, limits))


def _over(reason: Reason, measured: float, limit: float) -> list[Finding]:
    if measured <= limit:
        return []
    return [Finding(reason=reason, measured=float(measured), limit=float(limit))]


def _acquisition(scan: RawScan, limits: ScreeningLimits) -> list[Finding]:
    saturated = int((scan.le >= scan.info.full_scale).sum()) + int((scan.he >= scan.info.full_scale).sum())
    found = [
        *_over(Reason.LINES_MISSING, scan.lost_lines, limits.max_lost_lines),
        *_over(Reason.DETECTOR_SATURATED, saturated, limits.max_saturated_pixels),
        *_over(Reason.BELT_SPEED_OFF, scan.speed_error_share, limits.max_speed_error_share),
        *_over(Reason.BEAM_OFF_SET_POINT, scan.beam_error_share, limits.max_beam_error_share),
        *_over(Reason.CALIBRATION_STALE, scan.calibration_age_s, limits.max_calibration_age_s),
    ]
    if scan.saturated and all(one.reason is not Reason.DETECTOR_SATURATED for one in found):
        found.append(Finding(reason=Reason.DETECTOR_SATURATED))
    return found


def _in_pixels(box: Box, grid: GridScan) -> Box:
    x, y, width, height = box
    return (
        round(x * grid.scale_x),
        round(y * grid.scale_y),
        max(1, round(width * grid.scale_x)),
        max(1, round(height * grid.scale_y)),
    )


def _placement(grid: GridScan, piece: PieceMeasure, limits: ScreeningLimits) -> list[Finding]:
    if piece.box is None:
        return [Finding(reason=Reason.SCAN_INCOMPLETE, measured=0.0)]
    found = []
    if piece.touches_side or piece.touches_end:
        found.append(Finding(reason=Reason.PIECE_CLIPPED, box_px=_in_pixels(piece.box, grid)))
    large = [(box, area) for box, area in piece.parts if area >= limits.two_pieces_area_mm2]
    if len(large) > 1:
        second = sorted(large, key=lambda part: -part[1])[1]
        found.append(
            Finding(reason=Reason.TWO_PIECES, box_px=_in_pixels(second[0], grid), measured=second[1], limit=limits.two_pieces_area_mm2)
        )
    return found


def _opaque(grid: GridScan, limits: ScreeningLimits) -> list[Finding]:
    """Areas that hardly any of the beam comes through, the largest first."""
    dark: npt.NDArray[np.bool_] = box_mean(grid.he, 3) < limits.opaque_transmission
    if not dark.any():
        return []
    cell_mm2 = grid.cell_mm * grid.cell_mm
    _, boxes = components(dark)
    found = [
        Finding(
            reason=Reason.OPAQUE_AREA,
            box_px=_in_pixels((x, y, width, height), grid),
            measured=area * cell_mm2,
            limit=limits.opaque_area_mm2,
        )
        for x, y, width, height, area in boxes
        if area * cell_mm2 >= limits.opaque_area_mm2
    ]
    return sorted(found, key=lambda one: -(one.measured or 0.0))
