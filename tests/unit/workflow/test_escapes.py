"""What left the lane without a permit that counted: it is an escape once, and calls people each time."""

import asyncio

import pytest

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.piece import PieceState
from station.storage.store import SqliteStore
from station.workflow.exit_eye import ExitEye
from tests.unit.workflow.feeding import LANE, NOW, PIECE
from tests.unit.workflow.journeys import LEFT, a_journey, escapes, permitted, settle, state_of

INSIDE_WITH_PERMIT = [PieceState.HELD, PieceState.FROZEN, PieceState.IN_REVIEW, PieceState.CLEARED, PieceState.REJECTED]


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
def test_what_left_after_its_permit_counted_no_more_escaped_once(store: SqliteStore, state: PieceState):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    assert settle(store, (2, 5, 50), (3, 7, 99)) == [7]
    assert state_of(store) is PieceState.ESCAPED
    assert settle(store, (2, 5, 50), (3, 7, 99)) == []
    assert escapes(store) == [PIECE]


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
def test_what_stands_in_the_exit_after_its_permit_counted_no_more_escapes_when_it_slides_out(store: SqliteStore, state: PieceState):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    for _ in range(2):
        assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye(covered=True)) == []
        assert (state_of(store), escapes(store)) == (state, [])
    assert settle(store, (2, 5, 50), (3, 7, 99)) == [7]
    assert (state_of(store), escapes(store)) == (PieceState.ESCAPED, [PIECE])


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
@pytest.mark.parametrize("covered_before", [False, True])
def test_what_a_hand_took_out_of_the_exit_after_its_permit_counted_no_more_is_no_escape(
    store: SqliteStore, state: PieceState, covered_before: bool
):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    if covered_before:
        settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye(covered=True))
    for at_exit in (ExitEye(way_mm=60.0), LEFT):
        assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=at_exit) == []
    assert (state_of(store), escapes(store)) == (state, [])


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
def test_of_what_may_have_left_after_its_permit_counted_no_more_only_the_alarm_is_raised(store: SqliteStore, state: PieceState):
    """A PLC that started since has no edges: where the piece is nobody knows, and it is held or frozen anyway."""
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye()) == [7]
    assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye()) == []
    assert (state_of(store), escapes(store)) == (state, [PIECE])


@pytest.mark.parametrize("state", [PieceState.HANDED_OVER, PieceState.RETURNED, PieceState.ESCAPED])
@pytest.mark.parametrize("at_exit", [ExitEye(), LEFT, ExitEye(covered=True)], ids=["nothing is known", "left", "covered"])
def test_a_passage_of_what_people_have_accounted_for_is_explained(store: SqliteStore, state: PieceState, at_exit: ExitEye):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=at_exit) == []
    assert settle(store, (2, 5, 50), (3, 7, 99), (4, 8, 100)) == [8]
    assert (state_of(store), escapes(store)) == (state, [f"{LANE} #1"])


def test_a_passage_that_no_permit_explains_is_an_escape_once(store: SqliteStore):
    assert settle(store, (2, 5, 50)) == []
    assert settle(store, (2, 5, 50), (3, 6, 60)) == [6]
    assert settle(store, (2, 5, 50), (3, 6, 60)) == []


def test_every_escape_of_something_unknown_calls_people_on_every_lane_and_however_it_was_seen(store: SqliteStore):
    settle(store, (2, 5, 50))
    settle(store, (2, 5, 50), (3, 6, 60), (4, 8, 70))

    async def at_exits() -> None:
        await a_journey(store).escaped(None, "seen at the exit")
        await a_journey(store, lane_id="lane-2").escaped(None, "seen at the exit")

    asyncio.run(at_exits())
    open_now = [alarm for alarm in store.read(lambda view: view.alarms()) if alarm.cleared_at is None]
    assert sorted(alarm.subject for alarm in open_now) == ["lane-1 #1", "lane-1 #2", "lane-1 #3", "lane-2 #1"]
    assert {(alarm.code, alarm.priority, alarm.acknowledged_at) for alarm in open_now} == {
        (AlarmCode.ESCAPED, AlarmPriority.CRITICAL, None)
    }


def test_a_piece_that_escapes_again_calls_people_again(store: SqliteStore):
    permitted(store, state=PieceState.HELD)

    def open_now() -> list[int | None]:
        return [alarm.alarm_id for alarm in store.read(lambda view: view.alarms()) if alarm.acknowledged_at is None]

    asyncio.run(a_journey(store).escaped(PIECE, "once"))
    (first,) = open_now()
    assert first is not None
    store.write(lambda uow: uow.acknowledge_alarm(first, "an", NOW)).result()
    assert open_now() == []
    asyncio.run(a_journey(store).escaped(PIECE, "again"))
    assert len(open_now()) == 1
    told = [(alarm.detail, alarm.acknowledged_by) for alarm in store.read(lambda view: view.alarms(active_only=False))]
    assert told == [("again", None), ("once", "an")]


def test_an_escape_is_one_whatever_stands_in_the_exit(store: SqliteStore):
    settle(store, (2, 5, 50))
    assert settle(store, (2, 5, 50), (3, 6, 60), at_exit=ExitEye(covered=True)) == [6]
