"""How a piece becomes known to the store: announced before it comes, while it is here, or never."""

import pytest
from sqlalchemy import update

from station.domain.errors import ConflictError
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.storage import tables
from station.storage.store import SqliteStore
from tests.support.store_facts import announcement, at, written


def test_announcing_is_idempotent_until_the_piece_arrives(store: SqliteStore):
    written(store, lambda unit: unit.announce(announcement("P1"), at()))
    assert written(store, lambda unit: unit.announce(announcement("P1"), at(5))).row_version == 0
    changed = written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(5)))
    assert (changed.secrecy, changed.row_version) == (Secrecy.B, 1)
    written(store, lambda unit: unit.change_state("P1", PieceState.ARRIVED, at(6), visit=1))
    assert written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(7))).state is PieceState.ARRIVED
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.announce(announcement("P1"), at(8)))


def test_an_unannounced_piece_becomes_known_once(store: SqliteStore):
    piece = Piece(
        piece_id="LOCAL-1-1",
        state=PieceState.ARRIVED,
        visit=1,
        state_since=at(),
        announcement=Announcement(piece_id="LOCAL-1-1"),
        announced=False,
    )
    assert written(store, lambda unit: unit.add_piece(piece)) == piece
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.add_piece(piece))
    assert store.read(lambda view: view.piece("LOCAL-1-1")) == piece


@pytest.mark.parametrize("state", [state for state in PieceState if state not in {PieceState.ANNOUNCED, PieceState.CANCELLED}])
def test_a_piece_that_came_unannounced_takes_its_announcement_while_it_is_here(store: SqliteStore, state: PieceState):
    piece = Piece(
        piece_id="P1", state=PieceState.ARRIVED, visit=1, state_since=at(), announcement=Announcement(piece_id="P1"), announced=False
    )
    written(store, lambda unit: unit.add_piece(piece))
    written(store, lambda unit: unit._connection.execute(update(tables.piece).values(state=state.value)))
    if state.is_terminal:
        with pytest.raises(ConflictError, match="nobody announced it in time"):
            written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(5)))
        assert not store.read(lambda view: view.piece("P1")).announced
        return
    told = written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(5)))
    assert (told.announced, told.secrecy, told.state, told.visit) == (True, Secrecy.B, state, 1)
    assert store.read(lambda view: view.piece("P1")) == told
    assert written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(6))) == told
    with pytest.raises(ConflictError, match="otherwise"):
        written(store, lambda unit: unit.announce(announcement("P1"), at(8)))


def test_an_announcement_that_says_nothing_still_announces(store: SqliteStore):
    bare = Announcement(piece_id="P1")
    piece = Piece(piece_id="P1", state=PieceState.ARRIVED, visit=1, state_since=at(), announcement=bare, announced=False)
    written(store, lambda unit: unit.add_piece(piece))
    assert written(store, lambda unit: unit.announce(bare, at(5))).announced
