"""What becomes of a piece with a permit, by the gate's ring and the exit eye."""

import asyncio

import pytest

from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.storage.store import SqliteStore
from station.workflow.exit_eye import ExitEye
from tests.unit.workflow.feeding import PIECE
from tests.unit.workflow.journeys import a_journey, permitted, settle, state_of


def test_what_the_ring_says_left_is_released(store: SqliteStore):
    permitted(store)
    assert settle(store, (3, 7, 99)) == []
    assert state_of(store) is PieceState.RELEASED


def test_a_permit_without_a_passage_is_held_once_the_ring_was_read(store: SqliteStore):
    permitted(store)
    journey = a_journey(store)

    async def hold(*, ring_was_read: bool) -> None:
        await journey.hold_everything(Reason.RESTARTED, ring_was_read=ring_was_read)

    asyncio.run(hold(ring_was_read=False))
    assert state_of(store) is PieceState.DISINFECTED
    settle(store, (3, 7, 98))
    asyncio.run(hold(ring_was_read=True))
    assert state_of(store) is PieceState.HELD


@pytest.mark.parametrize("seq", [3, 65535])
def test_while_the_exit_is_covered_the_newest_passage_is_left_open_and_nothing_older_is_new_again(store: SqliteStore, seq: int):
    settle(store, (seq, 5, 50))
    permitted(store)
    newest = (seq % 0xFFFF + 1, 7, 99)
    for _ in range(2):
        assert settle(store, (seq, 5, 50), newest, at_exit=ExitEye(covered=True)) == []
        assert state_of(store) is PieceState.DISINFECTED
    assert settle(store, (seq, 5, 50), newest) == []
    assert state_of(store) is PieceState.RELEASED
    assert settle(store, (seq, 5, 50), newest, at_exit=ExitEye(covered=True)) == []
    assert settle(store, (seq, 5, 50), newest) == []


def test_the_first_ring_of_a_lane_is_taken_as_it_is_though_the_exit_is_covered(store: SqliteStore):
    assert settle(store, (2, 5, 50), at_exit=ExitEye(covered=True)) == []
    assert settle(store, (2, 5, 50)) == []


@pytest.mark.parametrize("at_exit", [ExitEye(), ExitEye(way_mm=95.0, b5_ran=True)], ids=["nothing is known", "taken while b5 ran"])
def test_what_is_not_known_to_have_left_by_itself_is_held_and_no_escape(store: SqliteStore, at_exit: ExitEye):
    settle(store, (2, 5, 50))
    permitted(store)
    for _ in range(2):
        assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=at_exit) == []
        piece = store.read(lambda view: view.piece(PIECE))
        assert piece is not None
        assert (piece.state, piece.reasons) == (PieceState.HELD, (Reason.TRACK_LOST.value,))


def test_behind_what_left_before_another_came_to_the_exit_the_gate_had_shut(store: SqliteStore):
    permitted(store)
    settle(store, (3, 7, 99), (4, 8, 100), at_exit=ExitEye())
    assert state_of(store) is PieceState.RELEASED
