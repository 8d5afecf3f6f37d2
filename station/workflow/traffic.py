"""Which belts run and where the diverters point, given where the pieces are. Pure.

A belt stops before a piece goes where it may not go yet; belts that carry one piece between them move together; both diverters
point to their bin except for the one piece that may go through.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from station.workflow.geometry import LaneGeometry
from station.workflow.tracker import Branch

DIVERT_AHEAD_MM = 350.0
"""A diverter turns to `through` when the piece's head is this close."""

TAG_BEFORE_MM = 140.0
"""A piece without a tag stops this far before B2, and so before the next one, 800 mm behind it, comes to the infeed eye: the PLC
gives a tag to the newest piece on B1 that has none."""

UNDECIDED_ROOM = 2
"""B3 and the end of B2 hold this many undecided pieces besides the one that is let onto B2."""

SCAN_MARGIN_MM = 25.0

GATE_OPEN = 1

GATE_HOLD_MM = (100.0, 40.0)
"""While a piece is on B5 before the shut gate, the next one waits this far before D2: the gate opens only with the `uv_out` eye clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """One piece as far as traffic goes; `uv_announced` tells that the unit knows it; `refused` that the gate stays shut for it."""

    head_mm: float
    tail_mm: float
    ready_for_xray: bool
    branch_1: Branch
    uv_announced: bool
    branch_2: Branch
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCondition:
    """What the lane itself allows now. Diverters: 0 bin, 1 through, 2 moving; gate: 1 open."""

    xray_ready: bool
    uv_ready: bool
    diverter_1: int
    diverter_2: int
    gate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What to command: B1..B5 run or stand, and the diverters."""

    belts: tuple[bool, bool, bool, bool, bool]
    diverter_1_through: bool
    diverter_2_through: bool
    waits_for_decision: bool


def drive(pieces: Sequence[Mover], lane: LaneCondition, geometry: LaneGeometry) -> Drive:
    """Decide the belts and diverters. `pieces` in any order; nothing is assumed about pitch."""
    diverter_1_through = _leads_through(pieces, geometry.diverter_1_mm, lambda p: p.branch_1 is Branch.THROUGH and p.uv_announced)
    diverter_2_through = _leads_through(pieces, geometry.diverter_2_mm, lambda p: p.branch_2 is Branch.THROUGH)
    b5 = not any(p.refused for p in pieces)
    shut = lane.gate != GATE_OPEN
    b5_stands = not b5 or (shut and any(p.head_mm >= geometry.gate_mm - 100.0 and p.tail_mm < geometry.gate_mm for p in pieces))
    b5_taken = shut and any(p.head_mm >= geometry.diverter_2_mm and p.tail_mm < geometry.gate_mm for p in pieces)
    b4 = not any(_blocks_b4(p, lane, geometry, b5_stands=b5_stands, b5_taken=b5_taken) for p in pieces)
    waiting = [p for p in pieces if _at(p, geometry.diverter_1_mm, geometry.stop_margin_mm) and not _may_pass_1(p, lane, b4=b4)]
    b3 = not waiting and (b4 or not _straddled(pieces, geometry.diverter_1_mm))
    scanning = any(p.head_mm > geometry.beam_mm - SCAN_MARGIN_MM and p.tail_mm < geometry.beam_mm + SCAN_MARGIN_MM for p in pieces)
    b3_start = geometry.belt_starts_mm[2]
    b2 = b3 or (scanning and not _straddled(pieces, b3_start) and not any(_at(p, b3_start, geometry.stop_margin_mm) for p in pieces))
    b2_start = geometry.belt_starts_mm[1]
    if _straddled(pieces, b2_start):
        b1 = b2
    else:
        waits_for_tag = any(_at(p, b2_start, TAG_BEFORE_MM) and not p.ready_for_xray for p in pieces)
        waits_for_b2 = any(_at(p, b2_start, geometry.stop_margin_mm) and not (b2 and _admitted(p, pieces, lane, geometry)) for p in pieces)
        b1 = not waits_for_tag and not waits_for_b2
    return Drive(
        belts=(b1, b2, b3, b4, b5),
        diverter_1_through=diverter_1_through,
        diverter_2_through=diverter_2_through,
        waits_for_decision=any(p.branch_1 is Branch.UNDECIDED for p in waiting),
    )


def _at(piece: Mover, edge_mm: float, margin_mm: float) -> bool:
    return edge_mm - margin_mm <= piece.head_mm < edge_mm


def _straddled(pieces: Sequence[Mover], edge_mm: float) -> bool:
    return any(p.tail_mm < edge_mm <= p.head_mm for p in pieces)


def _leads_through(pieces: Sequence[Mover], diverter_mm: float, may_pass: Callable[[Mover], bool]) -> bool:
    """True for the foremost piece whose tail is not past the diverter yet: it belongs to that one alone, and to none that may not pass.

    What may not pass and is on it, too, keeps it to its bin, even under the tail of one that may: that one is held, at worst.
    """
    before = [p for p in pieces if p.tail_mm < diverter_mm + SCAN_MARGIN_MM]
    front = max(before, key=lambda p: p.head_mm, default=None)
    if front is None or front.head_mm < diverter_mm - DIVERT_AHEAD_MM:
        return False
    return may_pass(front) and all(may_pass(p) for p in before if p.head_mm >= diverter_mm)


def _may_pass_1(piece: Mover, lane: LaneCondition, *, b4: bool) -> bool:
    if piece.branch_1 is Branch.BIN:
        return lane.diverter_1 == 0
    return piece.branch_1 is Branch.THROUGH and piece.uv_announced and lane.uv_ready and lane.diverter_1 == 1 and b4


def _blocks_b4(piece: Mover, lane: LaneCondition, geometry: LaneGeometry, *, b5_stands: bool, b5_taken: bool) -> bool:
    edge_mm = geometry.diverter_2_mm
    if b5_taken and edge_mm - GATE_HOLD_MM[0] <= piece.head_mm < edge_mm - GATE_HOLD_MM[1]:
        return True
    if _at(piece, edge_mm, geometry.stop_margin_mm - 20.0):
        if piece.branch_2 is Branch.BIN:
            return lane.diverter_2 != 0
        return piece.branch_2 is Branch.UNDECIDED or lane.diverter_2 != 1
    return b5_stands and piece.tail_mm < edge_mm <= piece.head_mm


def _admitted(piece: Mover, pieces: Sequence[Mover], lane: LaneCondition, geometry: LaneGeometry) -> bool:
    ahead = [p for p in pieces if p is not piece and piece.head_mm < p.head_mm < geometry.diverter_1_mm]
    undecided = sum(1 for p in ahead if p.branch_1 is Branch.UNDECIDED or (p.branch_1 is Branch.THROUGH and not lane.uv_ready))
    return piece.ready_for_xray and lane.xray_ready and undecided <= UNDECIDED_ROOM
