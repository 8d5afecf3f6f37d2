"""Collects what the UV tunnel and B4 did while a piece went through, and hands it to the judgement."""

from collections import deque
from datetime import datetime

from station.disinfect.belt_track import BeltReading, LitField, crossings
from station.disinfect.clock_pairing import ClockPairing
from station.disinfect.dose import ExposureWindow
from station.disinfect.judgement import VERDICT_RUNNING, TunnelPassage, judge_tunnel
from station.disinfect.recipes import TunnelRecipe
from station.disinfect.samples import SAMPLE_MS, SampleCollector
from station.domain.disinfection import DisinfectionResult
from station.domain.reasons import Reason
from station.ports.disinfection_unit import UnitSlot, UnitStatus
from station.ports.lane_plc import Eye, LaneStatus
from station.workflow.geometry import LaneGeometry
from station.workflow.lane_piece import LanePiece

KEEP_MS = 60_000
VERDICT_READINGS = 2
B4 = 3


class UvWatch:
    """The newest minute of both devices, and the slots of the pieces in it.

    Where a device's uptime goes back (it wraps after 49.7 days), what lies before is forgotten: the pieces that are in the field meanwhile
    are not disinfected, the ones after them are judged like any other.
    """

    def __init__(self, geometry: LaneGeometry, recipe: TunnelRecipe, unit_id: str, *, clock_jump_ms: float) -> None:
        self._geometry = geometry
        self._recipe = recipe
        self._unit_id = unit_id
        self._pairing = ClockPairing(jump_ms=clock_jump_ms)
        self._samples = SampleCollector(keep_ms=KEEP_MS)
        self._belt: deque[tuple[BeltReading, datetime]] = deque()
        self._statuses: deque[UnitStatus] = deque()
        self._slots: dict[int, list[UnitSlot]] = {}
        self._left_lane_ms: dict[int, int] = {}

    def note_lane(self, status: LaneStatus, utc: datetime) -> None:
        """Take one reading of the lane PLC and the UTC that goes with it."""
        self._pairing.observe_lane(read_at_s=status.read_at_s, uptime_ms=status.uptime_ms, boot_count=status.boot_count)
        if self._belt and self._belt[-1][0].uptime_ms == status.uptime_ms:
            # Two readings of one scan of the controller: the second says nothing new.
            return
        if self._belt and status.uptime_ms < self._belt[-1][0].uptime_ms:
            self._belt.clear()
        reading = BeltReading(uptime_ms=status.uptime_ms, boot_count=status.boot_count, encoder=status.encoders[B4])
        self._belt.append((reading, utc))
        while reading.uptime_ms - self._belt[0][0].uptime_ms > KEEP_MS:
            self._belt.popleft()

    def note_unit(self, status: UnitStatus) -> None:
        """Take one reading of the unit."""
        self._pairing.observe_unit(read_at_s=status.read_at_s, uptime_ms=status.uptime_ms, boot_count=status.boot_count)
        self._samples.add(status)
        if self._statuses and status.uptime_ms < self._statuses[-1].uptime_ms:
            self._statuses.clear()
        self._statuses.append(status)
        while status.uptime_ms - self._statuses[0].uptime_ms > KEEP_MS:
            self._statuses.popleft()
        for slot in status.slots:
            if slot.nonce:
                self._slots.setdefault(slot.nonce, []).append(slot)
        if len(self._slots) > 2 * len(status.slots):
            shown = {slot.nonce for slot in status.slots}
            self._slots = {nonce: seen for nonce, seen in self._slots.items() if nonce in shown}
            self._left_lane_ms = {nonce: at_ms for nonce, at_ms in self._left_lane_ms.items() if nonce in shown}

    def has_entered(self, piece: LanePiece) -> bool:
        """True when the unit says that the piece it was told of came into the field."""
        return any(slot.entered_ms for slot in self._slots.get(piece.nonce, ()))

    def verdict_is_in(self, piece: LanePiece) -> bool:
        """True when the unit gave its verdict in two readings, with all samples of the passage and both clocks paired until after it."""
        final = self._final(piece)
        if len(final) < VERDICT_READINGS or self._statuses[-1].uptime_ms < final[-1].left_ms + SAMPLE_MS:
            return False
        lane_ms = self._left_lane_ms.setdefault(piece.nonce, self._belt[-1][0].uptime_ms)
        return self._pairing.holds_over(lane_ms, lane_ms)

    def judge(self, piece: LanePiece, *, at: datetime) -> DisinfectionResult:
        """Judge the piece's passage on everything that was read."""
        final = self._final(piece)
        contradictions: tuple[Reason, ...] = ()
        windows: tuple[ExposureWindow, ...] = ()
        started_at = ended_at = at
        field = LitField(
            start_mm=self._geometry.uv_field_start_mm - self._geometry.eyes_mm[Eye.UV_IN],
            length_mm=self._geometry.uv_field_end_mm - self._geometry.uv_field_start_mm,
        )
        edge = piece.track.leading.get(Eye.UV_IN)
        crossed = (
            Reason.TRACK_LOST
            if edge is None
            else crossings(
                [reading for reading, _ in self._belt],
                edge_encoder=edge,
                field=field,
                piece_length_mm=piece.track.length_mm or self._geometry.longest_piece_mm,
                spacing_mm=self._recipe.point_spacing_mm,
            )
        )
        if isinstance(crossed, Reason):
            contradictions = (crossed,)
        elif not self._pairing.holds_over(crossed[0].entered_ms, crossed[-1].left_ms):
            contradictions = (Reason.DEVICE_LOST,)
        else:
            windows = self._in_unit_time([(c.entered_ms, c.left_ms) for c in crossed])
            started_at = self._utc_at(crossed[0].entered_ms, at)
            ended_at = self._utc_at(crossed[-1].left_ms, at)
        first_ms, last_ms = (windows[0].entered_ms, windows[-1].left_ms) if windows else (0.0, 0.0)
        passage = TunnelPassage(
            piece_id=piece.known_id,
            visit=piece.visit,
            tag=piece.tag,
            unit_id=self._unit_id,
            nonce=piece.nonce,
            first_slot=final[-2] if len(final) > 1 else None,
            second_slot=final[-1] if final else None,
            windows=windows,
            samples=self._samples.between(first_ms, last_ms),
            statuses=tuple(s for s in self._statuses if s.uptime_ms >= first_ms - KEEP_MS / 10),
            started_at=started_at,
            ended_at=ended_at,
            contradictions=contradictions,
        )
        return judge_tunnel(passage, self._recipe, at)

    def _final(self, piece: LanePiece) -> list[UnitSlot]:
        return [slot for slot in self._slots.get(piece.nonce, ()) if slot.verdict != VERDICT_RUNNING]

    def _in_unit_time(self, spans: list[tuple[float, float]]) -> tuple[ExposureWindow, ...]:
        windows = []
        for entered_ms, left_ms in spans:
            entered, left = self._pairing.to_unit_ms(entered_ms), self._pairing.to_unit_ms(left_ms)
            if entered is None or left is None:
                return ()
            windows.append(ExposureWindow(entered_ms=entered, left_ms=left))
        return tuple(windows)

    def _utc_at(self, lane_ms: float, otherwise: datetime) -> datetime:
        return next((utc for reading, utc in self._belt if reading.uptime_ms >= lane_ms), otherwise)
