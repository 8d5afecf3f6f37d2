"""Belts and diverters, decided from where the pieces are."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from station.workflow.geometry import LaneGeometry
from station.workflow.tracker import Branch
from station.workflow.traffic import LaneCondition, Mover, drive

GEOMETRY = LaneGeometry()
READY = LaneCondition(xray_ready=True, uv_ready=True, diverter_1=0, diverter_2=0, gate=0)


def a_piece(head_mm: float, length_mm: float = 300.0, **changes: object) -> Mover:
    piece = Mover(
        head_mm=head_mm,
        tail_mm=head_mm - length_mm,
        ready_for_xray=True,
        branch_1=Branch.UNDECIDED,
        uv_announced=False,
        branch_2=Branch.UNDECIDED,
        refused=False,
    )
    return replace(piece, **changes)


def test_an_empty_lane_runs_with_both_diverters_at_their_bins():
    decided = drive([], READY, GEOMETRY)
    assert decided.belts == (True,) * 5
    assert not decided.diverter_1_through
    assert not decided.diverter_2_through


@pytest.mark.parametrize(
    ("piece", "lane", "standing"),
    [
        (a_piece(960.0, ready_for_xray=False), READY, 0),
        (a_piece(860.0, ready_for_xray=False), READY, 0),
        (a_piece(960.0), replace(READY, xray_ready=False), 0),
        (a_piece(3660.0), READY, 2),
        (a_piece(3660.0, branch_1=Branch.BIN), replace(READY, diverter_1=1), 2),
        (a_piece(3660.0, branch_1=Branch.THROUGH), replace(READY, diverter_1=1), 2),
        (a_piece(3660.0, branch_1=Branch.THROUGH, uv_announced=True), READY, 2),
        (a_piece(3660.0, branch_1=Branch.THROUGH, uv_announced=True), replace(READY, diverter_1=1, uv_ready=False), 2),
        (a_piece(5070.0), replace(READY, diverter_2=1), 3),
        (a_piece(5070.0, branch_2=Branch.THROUGH), READY, 3),
        (a_piece(5070.0, branch_2=Branch.BIN), replace(READY, diverter_2=1), 3),
        (a_piece(5830.0, refused=True), READY, 4),
    ],
)
def test_a_piece_that_may_not_go_on_stops_its_belt(piece: Mover, lane: LaneCondition, standing: int):
    assert not drive([piece], lane, GEOMETRY).belts[standing]


@pytest.mark.parametrize(
    ("piece", "lane"),
    [
        (a_piece(859.0, ready_for_xray=False), READY),
        (a_piece(860.0), replace(READY, xray_ready=False)),
        (a_piece(960.0), READY),
        (a_piece(3660.0, branch_1=Branch.BIN), READY),
        (a_piece(3660.0, branch_1=Branch.THROUGH, uv_announced=True), replace(READY, diverter_1=1)),
        (a_piece(5070.0, branch_2=Branch.THROUGH), replace(READY, diverter_2=1)),
        (a_piece(5070.0, branch_2=Branch.BIN), READY),
    ],
)
def test_a_piece_that_may_go_on_lets_every_belt_run(piece: Mover, lane: LaneCondition):
    assert drive([piece], lane, GEOMETRY).belts == (True,) * 5


def test_the_diverter_belongs_to_the_foremost_piece_alone():
    in_it = a_piece(3900.0, 400.0, branch_1=Branch.BIN)
    behind = a_piece(3360.0, branch_1=Branch.THROUGH, uv_announced=True)
    assert not drive([in_it, behind], READY, GEOMETRY).diverter_1_through
    assert drive([behind], READY, GEOMETRY).diverter_1_through


def test_a_bin_piece_before_the_diverter_is_not_locked_by_the_next_one():
    first = a_piece(3650.0, branch_1=Branch.BIN)
    behind = a_piece(3300.0, 250.0, branch_1=Branch.THROUGH, uv_announced=True)
    decided = drive([first, behind], READY, GEOMETRY)
    assert not decided.diverter_1_through
    assert decided.belts[2]


def test_a_late_decision_stops_b3_but_not_a_scan():
    waiting, scanning = a_piece(3660.0), a_piece(1700.0, 300.0)
    decided = drive([waiting, scanning], READY, GEOMETRY)
    assert decided.waits_for_decision
    assert not decided.belts[2]
    assert decided.belts[1]
    assert not drive([waiting, a_piece(1500.0, 300.0)], READY, GEOMETRY).belts[1]


def test_b2_takes_no_more_pieces_than_can_wait():
    undecided = [a_piece(head, 200.0) for head in (3600.0, 2900.0, 1900.0)]
    assert not drive([*undecided, a_piece(960.0)], READY, GEOMETRY).belts[0]
    decided = [replace(piece, branch_1=Branch.BIN) for piece in undecided]
    assert drive([*decided, a_piece(960.0)], READY, GEOMETRY).belts[0]


def test_the_next_piece_stays_off_the_uv_out_eye_while_b5_is_taken_before_the_shut_gate():
    on_b5, behind = a_piece(5600.0, branch_2=Branch.THROUGH), a_piece(5020.0, 200.0)
    assert not drive([on_b5, behind], READY, GEOMETRY).belts[3]
    assert drive([on_b5, behind], replace(READY, gate=1), GEOMETRY).belts[3]


branches = st.sampled_from(list(Branch))
movers = st.builds(
    lambda head, length, ready, one, announced, two, refused: a_piece(
        head, length, ready_for_xray=ready, branch_1=one, uv_announced=announced, branch_2=two, refused=refused
    ),
    st.floats(0, 6300),
    st.floats(80, 450),
    st.booleans(),
    branches,
    st.booleans(),
    branches,
    st.booleans(),
)
conditions = st.builds(
    LaneCondition,
    xray_ready=st.booleans(),
    uv_ready=st.booleans(),
    diverter_1=st.integers(0, 2),
    diverter_2=st.integers(0, 2),
    gate=st.integers(0, 3),
)


def touching_at(edge_mm: float) -> list[Mover]:
    """The front piece's tail and the next one's head are exactly on the edge."""
    passing = {"branch_1": Branch.THROUGH, "uv_announced": True, "branch_2": Branch.THROUGH}
    return [a_piece(edge_mm + 80.0, 80.0, **passing), a_piece(edge_mm, 80.0)]


@given(st.lists(movers, max_size=6), conditions)
@example(touching_at(GEOMETRY.diverter_1_mm), READY)
@example(touching_at(GEOMETRY.diverter_2_mm), READY)
def test_no_undecided_or_held_piece_is_ever_led_through(pieces: list[Mover], lane: LaneCondition):
    decided = drive(pieces, lane, GEOMETRY)
    for through, edge_mm, branch in (
        (decided.diverter_1_through, GEOMETRY.diverter_1_mm, "branch_1"),
        (decided.diverter_2_through, GEOMETRY.diverter_2_mm, "branch_2"),
    ):
        for piece in pieces:
            if through and piece.tail_mm < edge_mm <= piece.head_mm:
                assert getattr(piece, branch) is Branch.THROUGH
                assert piece.uv_announced or branch == "branch_2"


@given(st.lists(movers, max_size=6), conditions)
def test_a_belt_never_pushes_a_piece_onto_a_standing_one(pieces: list[Mover], lane: LaneCondition):
    belts = drive(pieces, lane, GEOMETRY).belts
    for piece in pieces:
        if piece.tail_mm < GEOMETRY.belt_starts_mm[1] <= piece.head_mm:
            assert belts[0] == belts[1]
        if piece.tail_mm < GEOMETRY.belt_starts_mm[2] <= piece.head_mm and not belts[2]:
            assert not belts[1]
        if piece.tail_mm < GEOMETRY.diverter_1_mm <= piece.head_mm and not belts[3]:
            assert not belts[2]
