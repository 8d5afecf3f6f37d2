"""Keeps the newest detector lines and cuts each piece's own scan out of them by encoder. Pure: fed with line blocks.

A line belongs to a piece when its encoder count lies between the counts at which the piece's edges reach the beam. The counts come
from the piece's own photo-eye edges on the same encoder, so a scan cannot belong to a neighbour.
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.ports.lane_plc import Eye
from station.ports.screening import RawScan
from station.ports.xray import DetectorInfo, LineBlock
from station.screening.correction import answering, can_stand_in
from station.workflow.geometry import LaneGeometry, encoder_delta_mm
from station.workflow.tracker import Track

MARGIN_MM = 15.0
"""Air kept before and behind the piece."""

AIR_GAP_MM = (90.0, 25.0)
"""Lines that far before the piece serve as its own air reference when nothing else was there."""

MIN_DARK_LINES = 32
MIN_AIR_LINES = 16
AIR_DRIFT_SHARE = 0.05
OTHER_COLUMNS_SHARE = 0.01
"""A gap is not taken for air where more columns than this, of either energy, differ by more than that from the air of the lane's start:
a strap or residue on the belt would be taken off each picture after it, and a thing that is as dense with it."""

ODD_GAPS = 3
"""After so many gaps in a row that are not air, what is wrong is the calibration, or what lies on the belt stays there."""

KEEP_MM = 2200.0
"""Way of B2 whose lines are kept: the longest piece, its gap, and what a late trailing edge needs."""

SATURATED_FLAG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Mean dark and air lines per energy, float32 of shape (pixels,), and when each was taken (station monotonic s).

    `odd_gaps`: how many gaps before a piece, one after the other up to now, were not the air of the lane's start.
    """

    dark_le: npt.NDArray[np.float32]
    dark_he: npt.NDArray[np.float32]
    air_le: npt.NDArray[np.float32]
    air_he: npt.NDArray[np.float32]
    dark_at_s: float
    air_at_s: float
    odd_gaps: int = 0

    @property
    def doubtful(self) -> bool:
        """True when nothing looks like its air any more, so that no piece can be read by it."""
        return self.odd_gaps >= ODD_GAPS

    @property
    def dead_pixels(self) -> int:
        """How many pixels of one energy do not answer, where too many do not for any scan to be corrected; otherwise 0."""
        for dark, air in ((self.dark_le, self.air_le), (self.dark_he, self.air_he)):
            alive = answering(dark, air)
            if not can_stand_in(alive):
                return int(np.count_nonzero(~alive))
        return 0


@dataclass(slots=True, kw_only=True)
class BeamWatch:
    """Worst errors of belt speed and set point while a piece is under the beam, as shares."""

    speed_error_share: float = 0.0
    beam_error_share: float = 0.0
    beam_readings: int = 0

    def note_speed(self, speed_mm_s: float, set_mm_s: float) -> None:
        """Take one reading of the belt's speed."""
        self.speed_error_share = max(self.speed_error_share, abs(speed_mm_s - set_mm_s) / set_mm_s)

    def note_beam(self, *, on: bool, kv: float, kv_set: float, ma: float, ma_set: float) -> None:
        """Take one reading of the generator."""
        error = max(abs(kv - kv_set) / kv_set, abs(ma - ma_set) / ma_set) if on else 1.0
        self.beam_error_share = max(self.beam_error_share, error)
        self.beam_readings += 1


class LineStore:
    """The newest lines of one acquisition."""

    def __init__(self, info: DetectorInfo, acquisition: int) -> None:
        self.info = info
        self.acquisition = acquisition
        self._blocks: deque[LineBlock] = deque()
        self.last_encoder: int | None = None
        self.lines = 0

    def add(self, block: LineBlock) -> None:
        """Take new lines; those of another acquisition are dropped."""
        if block.acquisition != self.acquisition or len(block.encoders) == 0:
            return
        self._blocks.append(block)
        self.lines += len(block.encoders)
        self.last_encoder = int(block.encoders[-1])
        while len(self._blocks) > 1 and encoder_delta_mm(self.last_encoder, int(self._blocks[0].encoders[-1])) > KEEP_MM:
            self._blocks.popleft()

    def reached(self, encoder: int) -> bool:
        """True when a line at or past that encoder count has arrived."""
        return self.last_encoder is not None and encoder_delta_mm(self.last_encoder, encoder) >= 0.0

    def between(self, first: int, last: int) -> LineBlock | None:
        """All kept lines with `first` <= encoder < `last` (both u32), joined; None when there is none."""
        if not self._blocks:
            return None
        # Looked at together: there are a thousand blocks, most of them of two or three lines.
        blocks = list(self._blocks)
        starts = np.cumsum([0, *(len(block.encoders) for block in blocks)])
        inside = np.concatenate([block.encoders for block in blocks]) - np.uint32(first) < np.uint32((last - first) & 0xFFFFFFFF)
        touched = np.flatnonzero(np.logical_or.reduceat(inside, starts[:-1])).tolist()
        if not touched:
            return None
        chosen = [(blocks[at], inside[starts[at] : starts[at + 1]]) for at in touched]
        return LineBlock(
            acquisition=self.acquisition,
            boot=chosen[0][0].boot,
            le=np.concatenate([b.le[m] for b, m in chosen]),
            he=np.concatenate([b.he[m] for b, m in chosen]),
            line_numbers=np.concatenate([b.line_numbers[m] for b, m in chosen]),
            encoders=np.concatenate([b.encoders[m] for b, m in chosen]),
            flags=np.concatenate([b.flags[m] for b, m in chosen]),
            lost_before=np.concatenate([b.lost_before[m] for b, m in chosen]),
        )

    def everything(self) -> LineBlock | None:
        """All kept lines of a short calibration acquisition, joined."""
        if not self._blocks:
            return None
        return LineBlock(
            acquisition=self.acquisition,
            boot=self._blocks[0].boot,
            le=np.concatenate([b.le for b in self._blocks]),
            he=np.concatenate([b.he for b in self._blocks]),
            line_numbers=np.concatenate([b.line_numbers for b in self._blocks]),
            encoders=np.concatenate([b.encoders for b in self._blocks]),
            flags=np.concatenate([b.flags for b in self._blocks]),
            lost_before=np.concatenate([b.lost_before for b in self._blocks]),
        )


def beam_window(track: Track, info: DetectorInfo, geometry: LaneGeometry) -> tuple[int, int]:
    """First and last encoder count (u32) of the lines that show the piece with its margins, HE lag included.

    The track's tail must have passed `XRAY_IN`; `KeyError` otherwise.
    """
    to_beam_mm = geometry.beam_mm - geometry.eyes_mm[Eye.XRAY_IN]
    lag_mm = abs(info.he_lag_lines) * info.line_pitch_mm
    first = track.leading[Eye.XRAY_IN] + round((to_beam_mm - MARGIN_MM) * 10)
    last = track.trailing[Eye.XRAY_IN] + round((to_beam_mm + MARGIN_MM + lag_mm) * 10)
    return first & 0xFFFFFFFF, last & 0xFFFFFFFF


def cut_scan(
    store: LineStore,
    track: Track,
    calibration: Calibration,
    watch: BeamWatch,
    *,
    start: Calibration,
    geometry: LaneGeometry,
    kind: str,
    now_s: float,
    gap_is_free: bool,
) -> tuple[RawScan, Calibration]:
    """Cut the piece's scan, and refresh the air reference from the gap before it where that is free and looks like air.

    `start` is the calibration of the lane's start, with nothing on the belts: air never moves far away from its own.

    Raises:
        ScreeningError: no line of the window arrived.
    """
    first, last = beam_window(track, store.info, geometry)
    block = store.between(first, last)
    if block is None:
        raise ScreeningError(
            "No line of this piece arrived", consequence="The piece has no scan and is held", remedy="Look at the line detector"
        )
    if gap_is_free:
        gap = store.between(
            (first - round((AIR_GAP_MM[0] - MARGIN_MM) * 10)) & 0xFFFFFFFF, (first - round((AIR_GAP_MM[1] - MARGIN_MM) * 10)) & 0xFFFFFFFF
        )
        if gap is not None:
            calibration = _refreshed(calibration, start, gap, now_s)
    expected = round(encoder_delta_mm(last, first) / store.info.line_pitch_mm)
    scan = RawScan(
        le=block.le,
        he=block.he,
        dark_le=calibration.dark_le,
        dark_he=calibration.dark_he,
        air_le=calibration.air_le,
        air_he=calibration.air_he,
        info=store.info,
        lost_lines=max(0, expected - len(block.encoders) - 1),
        saturated=bool((block.flags & SATURATED_FLAG).any()),
        speed_error_share=watch.speed_error_share,
        beam_error_share=watch.beam_error_share if watch.beam_readings else 1.0,
        calibration_age_s=now_s - min(calibration.dark_at_s, calibration.air_at_s),
        kind=kind,
    )
    return scan, calibration


def _refreshed(calibration: Calibration, start: Calibration, gap: LineBlock, now_s: float) -> Calibration:
    if len(gap.encoders) < MIN_AIR_LINES:
        return calibration
    air_le = gap.le.mean(axis=0, dtype=np.float32)
    air_he = gap.he.mean(axis=0, dtype=np.float32)
    if _drifted(air_le, start.air_le, start.dark_le) or _drifted(air_he, start.air_he, start.dark_he):
        return replace(calibration, odd_gaps=calibration.odd_gaps + 1)
    return Calibration(
        dark_le=calibration.dark_le,
        dark_he=calibration.dark_he,
        air_le=air_le,
        air_he=air_he,
        dark_at_s=calibration.dark_at_s,
        air_at_s=now_s,
    )


def _drifted(air: npt.NDArray[np.float32], before: npt.NDArray[np.float32], dark: npt.NDArray[np.float32]) -> bool:
    """True when so many columns of one energy differ that it is no air. Not a number differs, too."""
    same = np.abs(air - before) <= AIR_DRIFT_SHARE * np.maximum(before - dark, 1.0)
    return bool(np.mean(~same) > OTHER_COLUMNS_SHARE)
