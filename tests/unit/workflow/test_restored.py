"""Pieces in a store that was restored: whatever may have become of them in the lost time is looked at by people."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from feeding import LANE, NOW, PIECE, Feeding

from station.domain.alarm import AlarmCode
from station.domain.backup import RecordRestored, StoreRestored
from station.domain.clearance import Outcome
from station.domain.events import PieceStatus
from station.domain.identifiers import local_id, local_number
from station.domain.piece import Piece, PieceState
from station.domain.reasons import Reason
from station.ports.outbox import EventDigest
from station.workflow.lane_records import ring_key
from station.workflow.restoring import SKIPPED_LOCAL_IDS, Restoration, Settled, settle

BACKUP = Restoration(
    backup="test-20261121T050000Z", made_at=NOW - timedelta(hours=1), leaves=10, lost_leaves=3, person="Lan", note="disk died"
)


@pytest.fixture
def feeding(tmp_path: Path) -> Iterator[Feeding]:
    feeding = Feeding(tmp_path)
    yield feeding
    feeding.store.close()


def elsewhere(piece_id: str, sequence: int) -> EventDigest:
    return EventDigest(piece_id=piece_id, sequence=sequence, event_id=f"TEST:{piece_id}:{sequence}", body_sha256="a" * 64)


def restore(feeding: Feeding, *there: EventDigest) -> Settled:
    now = feeding.clock.utc_now()
    told = [(now.date(), event) for event in there]
    return feeding.store.write(
        lambda uow: settle(uow, BACKUP, told, lane_ids=[LANE], policy_sha256="d" * 64, site="TEST", now=now)
    ).result()


async def test_what_people_cleared_in_the_bin_is_held_until_people_clear_it_again(feeding: Feeding):
    feeding.announce()
    await feeding.feed(weight_g=250.0)
    assert feeding.review("An", "Bình") is PieceState.CLEARED
    assert restore(feeding) == Settled(marked=1, held=1, lost_events=0)
    assert (feeding.known.state, feeding.known.reasons) == (PieceState.HELD, ("record-restored",))
    assert (feeding.events[-1].status, feeding.events[-1].reasons) == (PieceStatus.HELD, (Reason.RECORD_RESTORED,))
    clearance = await feeding.feed(weight_g=250.0)
    assert (clearance.outcome, clearance.reasons) == (Outcome.HELD, (Reason.RECORD_RESTORED,))
    assert feeding.review("An", "Bình") is PieceState.CLEARED
    assert (await feeding.feed(weight_g=250.0)).outcome is Outcome.CLEARED


@pytest.mark.parametrize("held", [False, True])
async def test_no_visit_alone_clears_what_the_lost_time_may_have_seen(feeding: Feeding, *, held: bool):
    feeding.announce()
    if held:
        feeding.model_usable = False
        assert (await feeding.feed()).outcome is Outcome.HELD
        feeding.model_usable = True
    assert restore(feeding).marked == 1
    for _ in range(2):
        assert (await feeding.feed()).reasons == (Reason.RECORD_RESTORED,)
    assert feeding.review("An") is PieceState.CLEARED
    assert (await feeding.feed()).outcome is Outcome.CLEARED


async def test_a_review_from_before_lifts_nothing(feeding: Feeding):
    feeding.announce()
    await feeding.feed(weight_g=250.0)
    assert feeding.review("An") is PieceState.HELD
    restore(feeding)
    # An's word of before is in the restored record; what was lost was not known to them.
    assert feeding.review("Bình") is PieceState.CLEARED
    assert Reason.RECORD_RESTORED in (await feeding.feed(weight_g=250.0)).reasons


async def test_a_piece_of_which_only_the_receiver_knows_is_held_when_it_comes(feeding: Feeding):
    assert restore(feeding, elsewhere(PIECE, 2), elsewhere(PIECE, 1)) == Settled(marked=1, held=0, lost_events=2)
    piece = await feeding.arrive()
    assert piece.earlier_holds == (Reason.RECORD_RESTORED,)
    assert Reason.RECORD_RESTORED in (await feeding.scan(piece)).reasons
    sequences = [event.sequence for event in feeding.store.read(lambda view: view.events_of(PIECE))]
    assert sequences[0] == 3


async def test_numbers_of_the_lost_time_are_not_given_again(feeding: Feeding):
    feeding.announce()
    await feeding.feed(weight_g=250.0)
    feeding.review("An", "Bình")
    known = len(feeding.store.read(lambda view: view.events_of(PIECE)))
    told = len(feeding.events)
    there = [elsewhere(PIECE, known + number) for number in (0, 1, 2)]
    assert restore(feeding, *there, elsewhere(local_id(LANE, 4321), 1), elsewhere(local_id("lane-2", 9999), 1)).lost_events == 4
    # The receiver may know that it has left: it is held, and nothing is said of it before it comes.
    assert feeding.known.state is PieceState.HELD
    assert len(feeding.events) == told
    await feeding.feed(weight_g=250.0)
    events = feeding.store.read(lambda view: view.events_of(PIECE))
    assert [event.sequence for event in events[known:]][:2] == [known + 3, known + 4]
    day = NOW.replace(hour=0)
    digests = feeding.store.read(lambda view: view.event_digests(day, day + timedelta(days=1)))
    assert [one.sequence for one in digests if one.piece_id == PIECE] == list(range(1, len(events) + 3))
    assert feeding.store.write(lambda uow: uow.next_number(f"local:{LANE}")).result() > 4321 + SKIPPED_LOCAL_IDS


async def test_what_is_done_with_stays_as_it_is(feeding: Feeding):
    def released(piece_id: str) -> Piece:
        states = [PieceState.ARRIVED, PieceState.SCANNING, PieceState.SCANNED, PieceState.CLEARED]
        for state in (*states, PieceState.DISINFECTING, PieceState.DISINFECTED, PieceState.RELEASED):
            feeding.store.write(lambda uow, s=state: uow.change_state(piece_id, s, feeding.clock.utc_now(), lane_id=LANE, visit=1)).result()
        return feeding.known

    feeding.announce()
    before = released(PIECE)
    feeding.store.write(lambda uow: uow.set_value(ring_key(LANE), "17")).result()
    assert restore(feeding).marked == 0
    assert feeding.known == before
    facts = feeding.store.read(lambda view: view.evidence("STORE"))
    assert [type(row.evidence) for row in facts] == [StoreRestored]
    assert [alarm.code for alarm in feeding.store.read(lambda view: view.alarms())] == [AlarmCode.STORE_RESTORED]
    assert not any(isinstance(row.evidence, RecordRestored) for row in feeding.store.read(lambda view: view.evidence(PIECE)))
    # What the gate's ring says of the lost time is neither a release nor an escape.
    assert feeding.store.read(lambda view: view.value(ring_key(LANE))) == ""


@pytest.mark.parametrize(
    ("piece_id", "number"), [("LOCAL-lane-1-7", 7), ("LOCAL-lane-11-7", 0), ("LOCAL-lane-1-", 0), (PIECE, 0), ("LOCAL-lane-1-٣", 0)]
)
def test_numbers_of_local_ids(piece_id: str, number: int):
    assert local_number(piece_id, LANE) == number
