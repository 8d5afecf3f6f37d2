"""Pieces in a store that was restored: whatever may have become of them in the lost time is looked at by people."""

from dataclasses import replace
from datetime import timedelta

import pytest
from feeding import LANE, NOW, PIECE, Feeding

from station.domain.alarm import AlarmCode
from station.domain.backup import RecordRestored, StoreRestored
from station.domain.clearance import Outcome
from station.domain.events import PieceStatus
from station.domain.freeze import Checklist, FreezeOrigin, freeze_subject
from station.domain.identifiers import local_id, local_number
from station.domain.piece import Piece, PieceState
from station.domain.reasons import Reason
from station.ports.outbox import EventDigest
from station.ports.screening import TestPieceResult
from station.screening.drift import TRIP_KEY, DriftWatch
from station.workflow import test_pieces
from station.workflow.freeze_steps import all_clear_stands, begin_freeze, current_freeze, end_freeze, give_all_clear
from station.workflow.lane_records import ring_key
from station.workflow.restoring import SKIPPED_LOCAL_IDS, Restoration, Settled, settle

BACKUP = Restoration(
    backup="test-20261121T050000Z", made_at=NOW - timedelta(hours=1), leaves=10, lost_leaves=3, person="Lan", note="disk died"
)


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


def test_an_all_clear_from_before_ends_no_freeze(feeding: Feeding):
    # The lane may have been frozen anew in the lost time, by whoever heard something tick.
    def frozen(number: int) -> bool:
        freeze = feeding.store.read(lambda view: current_freeze(view, LANE))
        assert freeze is not None
        clear = feeding.store.read(lambda view: all_clear_stands(view, freeze, checklist))
        return freeze.number == number and not clear

    checklist = Checklist(steps=(), sha256="a" * 64)
    people = [feeding.staff.add(login) for login in ("an", "binh")]
    now = feeding.clock.utc_now()
    asked = {"origin": FreezeOrigin.CONSOLE, "person": "an", "suspects": [PIECE], "on_belts": [PIECE, "P2"]}
    feeding.store.write(lambda uow: begin_freeze(uow, LANE, now, **asked)).result()  # type: ignore[arg-type]
    for person in people:
        by = replace(person, confirmed_at=now)
        feeding.store.write(
            lambda uow, by=by: give_all_clear(uow, LANE, 1, by, checklist, now, present=["An"], note="")  # type: ignore[misc]
        ).result()
    assert not frozen(1)
    restore(feeding)
    assert frozen(2)
    assert not feeding.store.write(lambda uow: end_freeze(uow, LANE, 2, checklist, now)).result()
    begun = feeding.store.read(lambda view: view.evidence(freeze_subject(LANE)))[-1].evidence
    assert (begun.suspects, begun.on_belts) == ((PIECE,), (PIECE, "P2"))  # type: ignore[union-attr]


def test_a_test_piece_that_passed_before_counts_for_nothing(feeding: Feeding):
    # It may have failed since.
    result = TestPieceResult(passed=True, values={"wire": (0.1, 0.2, True)})
    now = feeding.clock.utc_now()
    run, trend = test_pieces.run_of(result, piece_id="TEST-1", visit=1, at=now, lane_id=LANE, trend=test_pieces.TestPieceTrend())
    feeding.store.write(lambda uow: test_pieces.keep_run(uow, run, trend)).result()
    assert feeding.store.read(lambda view: test_pieces.passed_at(view, LANE)) == now
    restore(feeding)
    assert feeding.store.read(lambda view: test_pieces.passed_at(view, LANE)) is None


def test_the_model_clears_nothing_until_a_supervisor_has_said_so(feeding: Feeding):
    # It may have been stopped, or rolled back, since.
    watch = DriftWatch(site="TEST", model_sha256="e" * 64, calibration_sha256="f" * 64, calibration={})
    now = feeding.clock.utc_now()
    restore(feeding)
    feeding.store.write(lambda uow: watch.start(uow, now)).result()
    assert watch.tripped
    reset = feeding.store.write(lambda uow: watch.resume(uow, person="Lan", note="", at=now)).result()
    assert (reset.piece_id, reset.visit, watch.tripped) == ("STORE", 1, False)
    # A stop that stands in the backup is not made a lighter one.
    stood = '{"calibration": "' + "f" * 64 + '", "lane_id": "", "piece_id": "P", "scores": true, "unreadable": false, "visit": 1, "at": ""}'
    feeding.store.write(lambda uow: uow.set_value(TRIP_KEY, stood)).result()
    restore(feeding)
    assert feeding.store.read(lambda view: view.value(TRIP_KEY)) == stood


@pytest.mark.parametrize(
    ("piece_id", "number"), [("LOCAL-lane-1-7", 7), ("LOCAL-lane-11-7", 0), ("LOCAL-lane-1-", 0), (PIECE, 0), ("LOCAL-lane-1-٣", 0)]
)
def test_numbers_of_local_ids(piece_id: str, number: int):
    assert local_number(piece_id, LANE) == number
