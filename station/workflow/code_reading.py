"""Gives each code that a lane's readers read to the piece that lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from station.domain.reasons import Reason

if TYPE_CHECKING:
    from station.workflow.lane_piece import LanePiece
    from station.workflow.session import LaneSession

READER_REACH_MM = 130.0
"""A code belongs to the piece that covers the reader within this reach."""


async def read_infeed_codes(session: LaneSession) -> None:
    """Until the session ends: what is read says who a piece is, until it is ready for the beam; another code after it speaks against it."""
    while True:
        code = await session.equipment.devices.infeed_reader.next_code()
        piece = _piece_at(session, session.geometry.infeed_reader_mm)
        if piece is None:
            continue
        if piece.code_read and code.text != piece.barcode:
            piece.contradict(Reason.BARCODE_DIFFERS)
        elif not piece.ready_for_xray:
            piece.code_read, piece.barcode = True, code.text
        session.wake()


async def read_gate_codes(session: LaneSession) -> None:
    """Until the session ends: the last code before the gate, which must be the one of the infeed."""
    while True:
        code = await session.equipment.devices.gate_reader.next_code()
        piece = _piece_at(session, session.geometry.gate_reader_mm)
        if piece is not None:
            if piece.gate_answered and code.text != piece.gate_barcode:
                piece.contradict(Reason.BARCODE_DIFFERS)
            piece.gate_answered, piece.gate_barcode = True, code.text
            session.wake()


def _piece_at(session: LaneSession, place_mm: float) -> LanePiece | None:
    longest_mm = session.geometry.longest_piece_mm
    for piece in session.pieces:
        if piece.track.tail_mm(longest_mm) - READER_REACH_MM <= place_mm <= piece.track.head_mm + READER_REACH_MM:
            return piece
    return None
