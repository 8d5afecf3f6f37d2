"""The all clear of two people on the real store: who may give it, of what, when, and never one person twice."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from station.domain.access import Caller, Role
from station.domain.errors import NotFoundError, RefusedError
from station.domain.freeze import (
    AllClear,
    Checklist,
    ChecklistStep,
    Freeze,
    FreezeOrigin,
    FreezeStepDone,
    LaneUnfrozen,
    PresentUnnamedError,
    freeze_subject,
    steps_missing,
)
from station.ports.store import UnitOfWork
from station.storage.store import SqliteStore
from station.workflow.freeze_steps import all_clear_stands, begin_freeze, current_freeze, do_step, end_freeze, give_all_clear
from station.workflow.once import Once
from station.workflow.refusals import (
    FreezeOverError,
    FreezeStepsMissingError,
    NotPermittedError,
    SecondPersonError,
    StepUpNeededError,
)
from station.workflow.unfreezing import Unfreezing
from tests.support.clocks import SetClock
from tests.support.staff import EVERYTHING, Staff
from tests.support.store_facts import check_audit, opened

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
LANE = "lane-1"
RACES = 1000
STEPS = tuple(ChecklistStep(id=one, vi=one, en=one, powder_only=one.startswith("powder")) for one in ("leave-it", "police", "powder-wash"))
LIST = Checklist(steps=STEPS, sha256="a" * 64)
SHORT_LIST = Checklist(steps=STEPS[:1], sha256="c" * 64)
OTHER_LIST = Checklist(steps=STEPS, sha256="b" * 64)


class Feed:
    def __init__(self) -> None:
        self.told: list[str] = []

    def publish(self, event_type: str, data: str) -> None:
        self.told.append(event_type)


class Room:
    """A frozen lane's store, with the people around it."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = SetClock(NOW)
        self.staff = Staff(store, self.clock, "an", "binh", "chi")
        self.feed = Feed()
        self.unfreezing = Unfreezing(store=store, clock=self.clock, checklist=LIST, feed=self.feed)  # type: ignore[arg-type]
        self._keys = itertools.count()
        self.freeze()

    def write(self, work: Callable[[UnitOfWork], Any]) -> Any:
        return self.store.write(work).result(30)

    def freeze(self) -> int:
        how: dict[str, Any] = {"origin": FreezeOrigin.CONSOLE, "person": "an", "suspects": (), "on_belts": ()}
        self.write(lambda uow: begin_freeze(uow, LANE, self.clock.utc_now(), **how))
        return self.number

    @property
    def number(self) -> int:
        freeze = self.store.read(lambda view: current_freeze(view, LANE))
        assert freeze is not None
        return freeze.number

    def tick(self, *steps: str, checklist: Checklist = LIST) -> None:
        for step in steps or ("leave-it", "police"):
            self.write(lambda uow, step=step: do_step(uow, LANE, self.number, step, self.staff.caller("an"), checklist, NOW))

    def clear(self, by: Caller, **how: Any) -> bool:
        """Give the all clear; True when it is there then."""

        async def ask() -> Any:
            once = how.pop("once", None) or Once(key=f"k{next(self._keys)}", fingerprint="")
            asked = {"number": self.number, "present": ["An"], "note": "", **how}
            return await self.unfreezing.all_clear(LANE, by=by, once=once, **asked)

        return bool(asyncio.run(ask())["all_clear"])

    def stands(self, checklist: Checklist = LIST) -> bool:
        def query(view: Any) -> bool:
            freeze = current_freeze(view, LANE)
            return freeze is not None and all_clear_stands(view, freeze, checklist)

        return self.store.read(query)

    def facts(self, kind: type) -> list[Any]:
        return [row.evidence for row in self.store.read(lambda view: view.evidence(freeze_subject(LANE))) if isinstance(row.evidence, kind)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with opened(tmp_path) as store:
        yield Room(store)


def test_two_people_after_every_step(room: Room) -> None:
    an, binh = room.staff.caller("an"), room.staff.caller("binh")
    room.tick("leave-it")
    with pytest.raises(FreezeStepsMissingError, match="police"):
        room.clear(an)
    room.tick("police")
    told = len(room.feed.told)
    assert not room.clear(an, present=["Nguyễn  An", "nguyễn an", " ", "Bình"], note="  nothing \n in it ")
    # News of the first would tell the second person what the first decided.
    assert len(room.feed.told) == told
    with pytest.raises(SecondPersonError):
        room.clear(an)
    assert not room.stands()
    assert room.clear(binh)
    assert room.stands()
    assert room.feed.told[told:] == ["freeze"]
    first, _ = room.facts(AllClear)
    assert (first.person, first.present, first.note, first.checklist_sha256) == ("an", ("Nguyễn An", "Bình"), "nothing in it", LIST.sha256)
    assert room.write(lambda uow: end_freeze(uow, LANE, room.number, LIST, NOW))
    assert room.store.read(lambda view: current_freeze(view, LANE)) is None
    (over,) = room.facts(LaneUnfrozen)
    assert over.people == ("an", "binh")
    check_audit(room.store)


def test_one_person_under_two_spellings_is_one(room: Room) -> None:
    room.tick()
    an = room.staff.caller("an")
    room.clear(an)
    for other in ("AN", "Ａｎ", " an "):
        # Whatever a door let through: the transaction knows people by their account and by their name.
        room.staff.add(other)
        with pytest.raises(SecondPersonError):
            room.clear(room.staff.caller(other))
    assert len(room.facts(AllClear)) == 1


def test_whoever_may_not_any_more_gives_none_and_has_given_none(room: Room) -> None:
    room.tick()
    an, binh, chi = (room.staff.caller(one) for one in ("an", "binh", "chi"))
    room.staff.add("binh", disabled=True)
    with pytest.raises(NotPermittedError):
        room.clear(binh)
    room.staff.add("binh", roles=EVERYTHING - {Role.REVIEWER, Role.SUPERVISOR})
    with pytest.raises(NotPermittedError):
        room.clear(binh)
    with pytest.raises(NotPermittedError):
        room.clear(
            Caller(user_id="token", name="machine:x", display_name="x", roles=frozenset({Role.MACHINE}), clearance=None, session=None)
        )
    room.clear(an)
    room.staff.add("an", disabled=True)
    assert not room.clear(chi)
    room.staff.add("binh")
    assert room.clear(room.staff.caller("binh"))
    room.staff.add("chi", roles=frozenset({Role.OPERATOR}))
    assert not room.stands()
    assert not room.write(lambda uow: end_freeze(uow, LANE, room.number, LIST, NOW))
    assert room.facts(LaneUnfrozen) == []


def test_a_confirmation_counts_for_a_minute_and_none_from_the_future_does(room: Room) -> None:
    room.tick()
    an = room.staff.caller("an")
    for jump_s in (61.0, -120.0):
        room.clock.forward(jump_s)
        with pytest.raises(StepUpNeededError):
            room.clear(an)
    asyncio.run(room.staff.confirmed("an"))
    assert not room.clear(an)


def test_a_new_freeze_voids_what_was_said_of_the_older_one(room: Room) -> None:
    room.tick()
    an, binh = room.staff.caller("an"), room.staff.caller("binh")
    room.clear(an)
    old = room.number
    room.clock.forward(1)
    assert room.freeze() == old + 1
    with pytest.raises(FreezeOverError):
        room.clear(binh, number=old)
    with pytest.raises(FreezeStepsMissingError):
        room.clear(binh)
    with pytest.raises(FreezeOverError):
        room.write(lambda uow: do_step(uow, LANE, old, "leave-it", an, LIST, NOW))
    assert not room.write(lambda uow: end_freeze(uow, LANE, old, LIST, NOW))
    room.tick()
    assert not room.clear(binh)
    assert room.clear(an)


def test_a_step_that_is_done_later_and_another_checklist_void_the_all_clears(room: Room) -> None:
    room.tick()
    an, binh = room.staff.caller("an"), room.staff.caller("binh")
    room.clear(an)
    room.tick("powder-wash")
    assert not room.clear(binh)
    assert room.clear(an)
    assert room.stands()
    assert not room.stands(OTHER_LIST)
    freeze = room.store.read(lambda view: current_freeze(view, LANE))
    assert freeze is not None
    assert steps_missing(freeze, OTHER_LIST) == ("leave-it", "police")
    room.tick("police")
    assert len(freeze.steps) == 3
    with pytest.raises(NotFoundError):
        room.tick("dance")


@pytest.mark.parametrize("present", [[], [" "], ["a" * 81], ["An\u202egnouyN"], [str(number) for number in range(51)]])
def test_an_all_clear_names_who_was_present(room: Room, present: list[str]) -> None:
    room.tick()
    with pytest.raises(PresentUnnamedError):
        room.clear(room.staff.caller("an"), present=present)
    with pytest.raises(RefusedError):
        room.clear(room.staff.caller("an"), note="\u202e")
    assert room.facts(AllClear) == []


def test_a_repeated_request_has_one_effect(room: Room) -> None:
    room.tick()
    once = Once(key="same", fingerprint="x")
    assert not room.clear(room.staff.caller("an"), once=once)
    assert not room.clear(room.staff.caller("an"), once=once)
    assert len(room.facts(AllClear)) == 1


def test_two_who_come_at_the_same_moment_are_never_one_person_twice(tmp_path: Path) -> None:
    """Each time two requests wait in the same queue of the store, before either is done: of one person, by two browsers."""
    with opened(tmp_path) as store:
        staff = Staff(store, SetClock(NOW), "an", "binh")
        lanes = [f"lane-{race}" for race in range(RACES)]

        def begin(uow: UnitOfWork) -> None:
            for lane in lanes:
                begin_freeze(uow, lane, NOW, origin=FreezeOrigin.AT_LANE, person="", suspects=(), on_belts=())
                step = {"piece_id": freeze_subject(lane), "visit": 1, "at": NOW, "lane_id": lane, "step": "leave-it", "person": "an"}
                uow.append(FreezeStepDone(**step, checklist_sha256=SHORT_LIST.sha256))

        def clear(uow: UnitOfWork, lane: str, by: Caller) -> Freeze:
            return give_all_clear(uow, lane, 1, by, SHORT_LIST, NOW, present=["An"], note="")

        store.write(begin).result(60)
        racing = [[store.write(partial(clear, lane=lane, by=staff.caller("an"))) for _ in range(2)] for lane in lanes]
        for first, second in racing:
            assert len(first.result(60).all_clears) == 1
            with pytest.raises(SecondPersonError):
                second.result(60)
        freeze = store.write(partial(clear, lane=lanes[-1], by=staff.caller("binh"))).result(60)
        assert [one.person for one in freeze.all_clears] == ["an", "binh"]
