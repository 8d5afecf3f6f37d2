"""A piece that radiates, and one that was not disinfected, call people until their cause is gone."""

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from feeding import LANE, PIECE, Feeding

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.review import ReviewOutcome
from station.workflow import reviewing
from station.workflow.alarm_steps import settle
from station.workflow.lane_piece import LanePiece
from station.workflow.reviewing import ReviewRequest


@pytest.fixture
def feeding(tmp_path: Path) -> Iterator[Feeding]:
    feeding = Feeding(tmp_path)
    feeding.announce()
    yield feeding
    feeding.store.close()


@pytest.fixture
def told(feeding: Feeding, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(feeding.journey, "_on_change", told.append)
    return told


def called(feeding: Feeding, code: AlarmCode) -> list[Alarm]:
    """Newest first."""
    return [alarm for alarm in feeding.store.read(lambda view: view.alarms(active_only=False)) if alarm.code is code]


def stands(feeding: Feeding, code: AlarmCode) -> list[Alarm]:
    return [alarm for alarm in called(feeding, code) if alarm.cleared_at is None]


def acknowledge(feeding: Feeding, alarm: Alarm) -> None:
    feeding.store.write(lambda uow: uow.acknowledge_alarm(alarm.alarm_id or 0, "an", feeding.clock.utc_now())).result()


def reject_and_hand_over(feeding: Feeding, state: PieceState) -> None:
    by = feeding.staff.add("Dung")
    at = feeding.clock.utc_now()
    feeding.store.write(lambda uow: reviewing.claim(uow, PIECE, by, at, timedelta(minutes=2))).result()
    facts = feeding.store.read(lambda view: reviewing.facts_of_visit(view, feeding.known))
    scan = reviewing.rules.newest_scan(facts)
    request = ReviewRequest(piece_id=PIECE, outcome=ReviewOutcome.REJECT, scan_sha256=scan.sha256 if scan else None, note="", by=by)
    feeding.store.write(lambda uow: reviewing.decide(uow, request, feeding.policy, feeding.clock.utc_now())).result()
    assert stands(feeding, AlarmCode.RADIATION)
    feeding.store.write(lambda uow: reviewing.hand_over(uow, PIECE, state=state, to="C09", by=by, at=feeding.clock.utc_now())).result()


async def test_background_calls_nobody(feeding: Feeding, told: list[str]) -> None:
    await feeding.feed(radiation=400.0)
    assert called(feeding, AlarmCode.RADIATION) == []
    assert "" not in told


@pytest.mark.parametrize(
    ("radiation", "priority", "detail"),
    [
        (520.0, AlarmPriority.HIGH, "520 nSv/h (400)"),
        (1000.0, AlarmPriority.CRITICAL, "1000 nSv/h (400)"),
        (math.nan, AlarmPriority.CRITICAL, "nan nSv/h (400)"),
    ],
)
async def test_a_piece_that_radiates_calls_people_at_the_infeed(
    feeding: Feeding, told: list[str], radiation: float, priority: AlarmPriority, detail: str
) -> None:
    await feeding.arrive(radiation=radiation)
    (alarm,) = stands(feeding, AlarmCode.RADIATION)
    assert (alarm.priority, alarm.subject, alarm.detail) == (priority, PIECE, detail)
    assert told == [PIECE, ""]


async def test_the_call_ends_when_two_people_have_cleared_the_piece_and_what_they_judged_does_not_call_again(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    assert feeding.review("An") is PieceState.HELD
    assert stands(feeding, AlarmCode.RADIATION)
    assert feeding.review("Bình") is PieceState.CLEARED
    assert stands(feeding, AlarmCode.RADIATION) == []
    await feeding.feed(radiation=560.0)
    assert stands(feeding, AlarmCode.RADIATION) == []
    assert len(called(feeding, AlarmCode.RADIATION)) == 1


async def test_more_than_was_judged_calls_again(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    feeding.review("An", "Bình")
    await feeding.feed(radiation=900.0)
    (alarm,) = stands(feeding, AlarmCode.RADIATION)
    assert alarm.detail == "900 nSv/h (400)"


async def test_feeding_the_piece_in_again_turned_round_ends_no_call(feeding: Feeding) -> None:
    await feeding.feed(radiation=1500.0)
    await feeding.feed(radiation=100.0)
    (alarm,) = stands(feeding, AlarmCode.RADIATION)
    assert alarm.detail == "1500 nSv/h (400)"


async def test_a_stronger_reading_calls_anew_who_had_seen_the_weaker_one(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    acknowledge(feeding, stands(feeding, AlarmCode.RADIATION)[0])
    await feeding.feed(radiation=1500.0)
    (alarm,) = stands(feeding, AlarmCode.RADIATION)
    assert (alarm.priority, alarm.acknowledged_at) == (AlarmPriority.CRITICAL, None)


async def test_a_source_that_comes_again_calls_again_who_had_seen_it(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    acknowledge(feeding, stands(feeding, AlarmCode.RADIATION)[0])
    await feeding.feed(radiation=520.0)
    (alarm,) = stands(feeding, AlarmCode.RADIATION)
    assert alarm.acknowledged_at is None


async def test_an_escape_that_was_none_ends_no_call_for_a_piece_that_is_here(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    by, at = feeding.staff.add("Dung"), feeding.clock.utc_now()
    alarm = feeding.store.write(lambda uow: uow.raise_alarm(AlarmCode.ESCAPED, AlarmPriority.CRITICAL, PIECE, "", at)).result()
    feeding.store.write(lambda uow: settle(uow, alarm.alarm_id or 0, note="it lies in the bin", by=by, at=at)).result()
    assert stands(feeding, AlarmCode.ESCAPED) == []
    assert stands(feeding, AlarmCode.RADIATION)


@pytest.mark.parametrize("state", [PieceState.HANDED_OVER, PieceState.RETURNED])
async def test_the_call_ends_when_the_piece_leaves_by_hand(feeding: Feeding, state: PieceState) -> None:
    await feeding.feed(radiation=1500.0)
    reject_and_hand_over(feeding, state)
    assert stands(feeding, AlarmCode.RADIATION) == []


async def cleared(feeding: Feeding) -> LanePiece:
    piece = await feeding.arrive()
    await feeding.scan(piece)
    return piece


async def test_a_cycle_that_failed_calls_people_until_one_of_the_lane_passes(feeding: Feeding, told: list[str]) -> None:
    await feeding.disinfect(await cleared(feeding), Reason.DOSE_SHORT, Reason.LAMP_FAULT)
    (alarm,) = stands(feeding, AlarmCode.DOSE_SHORT)
    assert (alarm.priority, alarm.subject) == (AlarmPriority.MEDIUM, LANE)
    assert alarm.detail == "not-disinfected reasons=reason-dose-short,reason-lamp-fault dose=10.0 target=30.0"
    assert told.count("") == 1
    await feeding.disinfect(await cleared(feeding))
    assert stands(feeding, AlarmCode.DOSE_SHORT) == []
    assert told.count("") == 2


async def test_the_next_failure_calls_again_who_had_seen_the_last_one(feeding: Feeding) -> None:
    await feeding.disinfect(await cleared(feeding), Reason.SENSOR_OVERDUE)
    acknowledge(feeding, stands(feeding, AlarmCode.DOSE_SHORT)[0])
    await feeding.disinfect(await cleared(feeding), Reason.SENSOR_OVERDUE)
    (alarm,) = stands(feeding, AlarmCode.DOSE_SHORT)
    assert alarm.acknowledged_at is None
    assert len(called(feeding, AlarmCode.DOSE_SHORT)) == 2


async def test_a_cycle_that_passes_without_a_failure_before_tells_nothing(feeding: Feeding, told: list[str]) -> None:
    await feeding.disinfect(await cleared(feeding))
    assert called(feeding, AlarmCode.DOSE_SHORT) == []
    assert "" not in told


def escape(feeding: Feeding) -> None:
    now = feeding.clock.utc_now()
    feeding.store.write(lambda uow: uow.raise_alarm(AlarmCode.ESCAPED, AlarmPriority.CRITICAL, PIECE, "tag-passed tag=7", now)).result()
    acknowledge(feeding, stands(feeding, AlarmCode.ESCAPED)[0])


async def test_what_may_have_left_is_no_more_looked_for_once_it_is_fed_in_again(feeding: Feeding, told: list[str]) -> None:
    await feeding.feed(radiation=520.0)
    escape(feeding)
    told.clear()
    await feeding.arrive()
    assert stands(feeding, AlarmCode.ESCAPED) == []
    assert told == [PIECE, ""]


async def test_what_may_have_left_is_no_more_looked_for_once_it_is_handed_over(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    escape(feeding)
    reject_and_hand_over(feeding, PieceState.HANDED_OVER)
    assert stands(feeding, AlarmCode.ESCAPED) == []


async def test_the_code_of_what_escaped_on_another_piece_ends_no_search(feeding: Feeding) -> None:
    await feeding.feed(radiation=520.0)
    await feeding.journey.escaped(PIECE, "tag-passed tag=7")
    again = await feeding.arrive()
    assert again.piece_id != PIECE
    assert stands(feeding, AlarmCode.ESCAPED)
