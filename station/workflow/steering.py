"""Hands what traffic decides to the PLC, and only what has changed."""

from collections.abc import Sequence

from station.ports.lane_plc import LanePlc
from station.workflow.geometry import LaneGeometry
from station.workflow.lane_piece import LanePiece
from station.workflow.traffic import Drive, LaneCondition, Mover, drive


class Steering:
    """Belts and diverters of one session."""

    def __init__(self, plc: LanePlc, geometry: LaneGeometry) -> None:
        self._plc = plc
        self._geometry = geometry
        self._commanded: tuple[tuple[int, ...], bool, bool] | None = None

    async def steer(self, pieces: Sequence[LanePiece], condition: LaneCondition, *, stand_still: bool) -> Drive:
        """Decide, and command what differs from the last time; with `stand_still` every belt stands."""
        decided = drive([self._mover(piece) for piece in pieces], condition, self._geometry)
        speed = self._geometry.belt_speed_mm_s
        belts = tuple(speed if run and not stand_still else 0 for run in decided.belts)
        before = self._commanded or ((), None, None)
        if before[1] is not decided.diverter_1_through:
            await self._plc.set_diverter_1(through=decided.diverter_1_through)
        if before[2] is not decided.diverter_2_through:
            await self._plc.set_diverter_2(through=decided.diverter_2_through)
        if before[0] != belts:
            await self._plc.set_belts(belts)
        self._commanded = (belts, decided.diverter_1_through, decided.diverter_2_through)
        return decided

    def _mover(self, piece: LanePiece) -> Mover:
        return Mover(
            head_mm=piece.track.head_mm,
            tail_mm=piece.track.tail_mm(self._geometry.longest_piece_mm),
            ready_for_xray=piece.ready_for_xray,
            branch_1=piece.track.branch_1,
            uv_announced=piece.uv_announced,
            branch_2=piece.track.branch_2,
            refused=piece.refused,
        )
