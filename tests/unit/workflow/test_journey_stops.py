"""A failing store, a freeze and a restart in the middle of a piece's way, on the real store."""

import asyncio

import pytest

from station.domain.errors import StoreError
from station.domain.freeze import FreezeOrigin, freeze_subject
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading
from station.storage.store import SqliteStore
from station.workflow.freeze_steps import FreezeAsked
from station.workflow.journey import Journey
from tests.unit.workflow.feeding import LANE, NOW, PIECE
from tests.unit.workflow.journeys import SHA, a_journey, a_scanned_piece, state_of


def an_operator(decision: OperatorDecision, person: str = "An") -> OperatorReading:
    return OperatorReading(piece_id=PIECE, visit=1, at=NOW, scan_sha256=SHA, person=person, decision=decision, blind=False)


def test_a_reading_that_was_not_stored_clears_nothing(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    async def run() -> None:
        journey = a_journey(store)
        piece = await a_scanned_piece(store, journey)

        def failing(work: object) -> object:
            raise StoreError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(store, "write", failing)
            with pytest.raises(StoreError):
                await journey.decided(piece, an_operator(OperatorDecision.CLEAR))
        clearance = await journey.decided(piece, None)
        assert clearance.reasons == (Reason.DECISION_TIMEOUT,)

    asyncio.run(run())
    assert state_of(store) is PieceState.HELD


def test_of_each_exercise_that_nobody_confirmed_people_are_told_the_piece(store: SqliteStore):
    async def cut_off(piece_id: str) -> None:
        await a_journey(store).exercise_begins(piece_id)
        await a_journey(store).recall_exercise()

    for piece_id in (PIECE, "LP000000001VN"):
        asyncio.run(cut_off(piece_id))
    told = [(alarm.detail, alarm.cleared_at is None) for alarm in store.read(lambda view: view.alarms()) if alarm.acknowledged_at is None]
    assert told == [("LP000000001VN", True), (PIECE, False)]


def test_a_freeze_is_recorded_once_and_keeps_the_lane_frozen_also_when_the_suspect_is_handed_over(store: SqliteStore):
    async def run() -> Journey:
        journey = a_journey(store)
        piece = await a_scanned_piece(store, journey)
        asked = FreezeAsked(at=NOW, origin=FreezeOrigin.CONSOLE, person="An", suspect=PIECE, reading=an_operator(OperatorDecision.FREEZE))
        assert await journey.freeze(asked, present=[PIECE])
        assert not await journey.freeze(asked, suspect=piece.piece_id, present=[PIECE])
        assert not await journey.freeze(suspect=piece.piece_id, present=[PIECE])
        return journey

    journey = asyncio.run(run())
    assert state_of(store) is PieceState.FROZEN
    rows = store.read(lambda view: view.evidence(PIECE))
    assert [type(row.evidence).__name__ for row in rows][-2:] == ["OperatorReading", "Clearance"]
    (frozen,) = [row.evidence for row in store.read(lambda view: view.evidence(freeze_subject(LANE)))]
    assert (frozen.visit, frozen.person, frozen.suspects, frozen.on_belts) == (1, "An", (PIECE,), (PIECE,))
    store.write(lambda uow: uow.change_state(PIECE, PieceState.HANDED_OVER, NOW)).result()
    assert journey.must_stay_frozen()


def test_an_undecided_attention_stop_survives_a_restart(store: SqliteStore):
    async def run() -> Journey:
        journey = a_journey(store, freeze_score=0.9)
        await a_scanned_piece(store, journey, score=0.95)
        return journey

    journey = asyncio.run(run())
    assert state_of(store) is PieceState.SCANNED
    assert journey.must_stay_frozen()
