"""What every caller of the store may rely on."""

from pathlib import Path
from typing import Any

import pytest

from station.domain.errors import ConflictError, NotFoundError, StoreError, TransitionError
from station.domain.events import PieceStatus
from station.domain.piece import Piece, PieceState, Secrecy, Urgency
from station.ports.store import Claim, Store
from station.storage.store import SqliteStore
from tests.support.store_facts import announcement, arrive, at, check_audit, event, opened, permit, written


def test_the_store_is_a_store(store: SqliteStore):
    port: Store = store
    assert port.healthy()


async def test_a_result_can_be_awaited(store: SqliteStore):
    piece = await store.write(lambda unit: unit.announce(announcement("P1"), at()))
    assert piece == Piece(
        piece_id="P1", state=PieceState.ANNOUNCED, visit=0, state_since=at(), announcement=announcement("P1"), announced=True
    )
    assert store.read(lambda view: view.piece("P1")) == piece


def test_a_change_is_seen_by_the_next_read(store: SqliteStore):
    arrive(store, "P1")
    piece = store.read(lambda view: view.piece("P1"))
    assert (piece.state, piece.visit, piece.lane_id, piece.row_version) == (PieceState.ARRIVED, 1, "1", 1)
    assert [(step.before, step.after) for step in store.read(lambda view: view.history("P1"))] == [
        (None, PieceState.ANNOUNCED),
        (PieceState.ANNOUNCED, PieceState.ARRIVED),
    ]
    assert check_audit(store) == 3


def test_a_raising_work_changes_nothing(store: SqliteStore):
    arrive(store, "P1")

    def work(unit: Any) -> Any:
        unit.change_state("P1", PieceState.SCANNING, at(2))
        unit.append(permit("P1", 1))
        unit.publish(event("P1"))
        unit.next_number("tag")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        written(store, work)
    assert store.read(lambda view: (view.piece("P1").state, view.evidence("P1"), view.outbox_depth())) == (
        PieceState.ARRIVED,
        [],
        (0, 0, 0),
    )
    assert written(store, lambda unit: unit.next_number("tag")) == 1
    assert check_audit(store) == 3
    assert store.healthy()


def test_a_transition_outside_the_table_changes_nothing(store: SqliteStore):
    arrive(store, "P1")
    with pytest.raises(TransitionError):
        written(store, lambda unit: unit.change_state("P1", PieceState.RELEASED, at(2)))
    with pytest.raises(NotFoundError):
        written(store, lambda unit: unit.change_state("P2", PieceState.ARRIVED, at(2)))
    assert store.read(lambda view: view.piece("P1")).state is PieceState.ARRIVED
    assert check_audit(store) == 3


def test_reasons_are_those_of_the_last_hold(store: SqliteStore):
    arrive(store, "P1")
    written(store, lambda unit: unit.change_state("P1", PieceState.HELD, at(2), reasons=["track-lost"]))
    written(store, lambda unit: unit.change_state("P1", PieceState.IN_REVIEW, at(3)))
    assert store.read(lambda view: view.piece("P1")).reasons == ("track-lost",)
    written(store, lambda unit: unit.change_state("P1", PieceState.HELD, at(4), reasons=["operator-holds", "purged"]))
    assert store.read(lambda view: view.piece("P1")).reasons == ("operator-holds", "purged")


def test_queries_cannot_write(store: SqliteStore):
    with pytest.raises(StoreError):
        store.read(lambda view: view._connection.exec_driver_sql("DELETE FROM value"))


def test_queues_put_urgent_and_marked_first_and_page_by_cursor(store: SqliteStore):
    marks = [(None, None), (Secrecy.C, None), (None, Urgency.EXPRESS), (Secrecy.A, Urgency.TIMED)]
    for number in range(8):
        secrecy, urgency = marks[number % 4]
        written(store, lambda unit, n=number, s=secrecy, u=urgency: unit.announce(announcement(f"P{n}", secrecy=s, urgency=u), at(n)))
    expected = ["P3", "P7", "P2", "P6", "P1", "P5", "P0", "P4"]
    assert [piece.piece_id for piece in store.read(lambda view: view.pieces())] == expected
    first = store.read(lambda view: view.pieces(states=[PieceState.ANNOUNCED], limit=3))
    rest = store.read(lambda view: view.pieces(states=[PieceState.ANNOUNCED], after=first[-1].piece_id))
    assert [piece.piece_id for piece in first + rest] == expected
    assert store.read(lambda view: view.pieces(states=[PieceState.HELD])) == []
    with pytest.raises(NotFoundError):
        store.read(lambda view: view.pieces(after="nobody"))


def test_recent_outcomes_of_a_lane(store: SqliteStore):
    for number in range(3):
        arrive(store, f"P{number}")
        written(store, lambda unit, n=number: unit.change_state(f"P{n}", PieceState.HELD, at(10 - n), reasons=["purged"]))
    arrive(store, "P9")
    assert [piece.piece_id for piece in store.read(lambda view: view.recent(lane_id="1", limit=2))] == ["P0", "P1"]
    assert store.read(lambda view: view.recent(lane_id="2", limit=2)) == []


def test_leases(store: SqliteStore):
    arrive(store, "P1")
    lease = Claim(piece_id="P1", person="an", expires_at=at(60))
    written(store, lambda unit: unit.set_claim(lease, "P1"))
    assert store.read(lambda view: view.claim("P1")) == lease
    with pytest.raises(StoreError):
        written(store, lambda unit: unit.set_claim(Claim(piece_id="P2", person="an", expires_at=at()), "P2"))
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.set_claim(lease, "P2"))
    written(store, lambda unit: unit.set_claim(None, "P1"))
    assert store.read(lambda view: view.claim("P1")) is None


def test_values_and_answered_requests(store: SqliteStore):
    assert store.read(lambda view: view.value("test-piece")) is None
    for text in ("một", "hai"):
        written(store, lambda unit, text=text: unit.set_value("test-piece", text))
        assert store.read(lambda view: view.value("test-piece")) == text
    written(store, lambda unit: unit.remember_request("k", "f", "answer"))
    written(store, lambda unit: unit.remember_request("k", "f", "answer"))
    assert written(store, lambda unit: unit.answer_for("k")) == ("f", "answer")
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.remember_request("k", "other", "answer"))
    for _ in range(2):
        written(store, lambda unit: unit.forget_request("k"))
        assert written(store, lambda unit: unit.answer_for("k")) is None


def test_the_outbox_is_strict_per_piece(store: SqliteStore):
    for number in range(3):
        for piece_id in ("P1", "P2"):
            written(store, lambda unit, p=piece_id, n=number: unit.publish(event(p, PieceStatus.ARRIVED, n)))

    def due(seconds: float, **more: Any) -> Any:
        return [(e.piece_id, e.sequence) for e in store.read(lambda view: view.due_events(at(seconds), limit=9, **more))]

    assert due(10) == [("P1", 1), ("P2", 1)]
    assert due(10, excluding=["P1"]) == [("P2", 1)]
    written(store, lambda unit: unit.mark_retry("P1", 1, at(60), "no answer"))
    assert due(10) == [("P2", 1)]
    written(store, lambda unit: unit.mark_receipted("P2", 1, "{}", at(11)))
    written(store, lambda unit: unit.mark_receipted("P2", 1, "other", at(12)))
    assert due(60) == [("P1", 1), ("P2", 2)]
    assert store.read(lambda view: view.events_of("P2"))[0].receipt == "{}"
    written(store, lambda unit: unit.mark_blocked("P1", 1, "poison"))
    assert due(60) == [("P2", 2)]
    assert store.read(lambda view: view.outbox_depth()) == (6, 1, 1)
    status = store.read(lambda view: view.outbox_status())
    assert (status.pending, status.oldest_pending_at) == (4, at(0))
    assert written(store, lambda unit: unit.reopen_events("P1", 1, at(70))) == 1
    assert written(store, lambda unit: unit.reopen_events("P2", 1, at(70))) == 1
    assert due(70) == [("P1", 1), ("P2", 1)]


def test_a_change_inside_a_change_is_refused_when_inline(tmp_path: Path):
    with opened(tmp_path, group_commit=False) as store:
        with pytest.raises(StoreError, match="inside another"):
            written(store, lambda _: store.write(lambda unit: unit.next_number("x")))
        assert store.healthy()


def test_naive_times_are_refused(store: SqliteStore):
    with pytest.raises(ValueError, match="naive"):
        written(store, lambda unit: unit.announce(announcement("P1"), at().replace(tzinfo=None)))
    assert store.healthy()
