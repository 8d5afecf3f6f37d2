"""What the lane does about its freeze latch when things happen in an awkward order: a scripted PLC over the real store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.domain.alarm import AlarmCode
from station.domain.errors import DeviceProtocolError, DeviceUnreachableError, StoreError
from station.domain.freeze import Checklist, LaneFrozen, LaneUnfrozen, LatchSetAgain
from station.ports.lane_plc import Command, CommandResult
from station.storage.store import SqliteStore
from station.workflow.freeze_steps import end_freeze
from station.workflow.journey import Journey
from tests.support.frozen_lanes import LANE, LIST, NOW, Frozen, play


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Frozen]:
    store = SqliteStore(tmp_path, group_commit=False, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
    yield Frozen(store)
    store.close()


def test_the_plc_is_asked_only_with_the_all_clear_and_the_key(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.plc.key = True
        assert not await frozen.settle()
        frozen.plc.key = False
        frozen.all_clear()
        assert not await frozen.settle()
        assert frozen.plc.commands == []
        frozen.plc.key, frozen.plc.answer = True, CommandResult.WRONG_STATE
        assert not await frozen.settle()
        assert frozen.lane.progress.refused == "word-result-wrong-state"
        frozen.plc.answer = None
        assert not await frozen.settle()
        assert await frozen.settle()
        assert frozen.plc.commands == [Command.CLEAR_FREEZE] * 2
        assert (frozen.facts(LaneUnfrozen), frozen.facts(LatchSetAgain)) == ([1], [])

    play(scene, frozen)


def test_a_freeze_reaches_a_plc_that_takes_writes_and_cannot_be_believed(frozen: Frozen) -> None:
    async def scene() -> None:
        frozen.plc.cut = frozen.plc.unbelievable = True
        with pytest.raises(DeviceProtocolError):
            await frozen.freeze()
        assert frozen.plc.latch
        frozen.plc.latch = False
        assert not await frozen.settle()
        assert frozen.plc.latch

    asyncio.run(scene())


def test_a_latch_that_was_cleared_while_the_link_was_lost_is_not_set_again_in_silence(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.plc.cut, frozen.plc.latch = True, False
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert frozen.facts(LatchSetAgain) == [1]

    play(scene, frozen)


def test_a_latch_that_was_cleared_before_a_restart_without_a_link_is_not_set_again_in_silence(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.plc.cut, frozen.plc.latch = True, False
        frozen.another_run()
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert frozen.facts(LatchSetAgain) == [1]

    play(scene, frozen)


@pytest.mark.parametrize("cut_at", range(2))
def test_a_link_that_is_lost_while_a_freeze_is_ended_sets_no_latch_again(frozen: Frozen, cut_at: int) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True
        for look in range(2):
            frozen.plc.cut = look == cut_at
            over = await frozen.lane.look()
        assert over
        assert not frozen.plc.latch
        assert (frozen.facts(LaneFrozen), frozen.facts(LaneUnfrozen), frozen.facts(LatchSetAgain)) == ([1], [1], [])

    play(scene, frozen)


def test_a_freeze_while_the_latch_is_being_cleared_stands(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True

        async def latched_first_then_cleared() -> None:
            await frozen.freeze("binh")
            frozen.plc.latch = False

        frozen.plc.while_clearing = latched_first_then_cleared
        assert not await frozen.lane.look()
        assert frozen.plc.latch
        for _ in range(3):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert (frozen.facts(LaneFrozen), frozen.facts(LaneUnfrozen), frozen.facts(LatchSetAgain)) == ([1, 2], [], [])

    play(scene, frozen)


def test_a_freeze_while_the_end_is_being_stored_stands(frozen: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True
        assert not await frozen.settle()
        unfrozen = Journey.unfrozen

        async def beaten(journey: Journey, number: int, checklist: Checklist) -> bool:
            over = await unfrozen(journey, number, checklist)
            await frozen.freeze("binh")
            frozen.plc.latch = False
            return over

        monkeypatch.setattr(Journey, "unfrozen", beaten)
        assert not await frozen.settle()
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert (frozen.facts(LaneFrozen), frozen.facts(LaneUnfrozen), frozen.facts(LatchSetAgain)) == ([1, 2], [1], [])

    play(scene, frozen)


def test_a_latch_that_is_set_at_the_lane_right_after_it_was_cleared_is_another_freeze(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True
        assert not await frozen.settle()
        frozen.plc.latch = True
        for _ in range(3):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert len(frozen.plc.commands) == 1
        assert (frozen.facts(LaneFrozen), frozen.facts(LaneUnfrozen)) == ([1, 2], [])

    play(scene, frozen)


def test_a_freeze_that_cannot_be_stored_voids_the_all_clear_all_the_same(frozen: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()

        def full(_: object) -> object:
            raise StoreError("the disk is full")

        with monkeypatch.context() as changed:
            changed.setattr(frozen.store, "write", full)
            await frozen.freeze("binh")
            frozen.plc.key = True
            for _ in range(3):
                assert not await frozen.settle()
        assert (frozen.plc.latch, frozen.plc.commands, frozen.lane.progress.unrecorded) == (True, [], True)
        await frozen.settle()
        assert not await frozen.settle()
        assert (frozen.facts(LaneFrozen), frozen.plc.commands) == ([1, 2], [])

    play(scene, frozen)


def test_an_end_that_cannot_be_stored_yet_sets_no_latch_again(frozen: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True
        assert not await frozen.settle()

        def full(_: object) -> object:
            raise StoreError("the disk is full")

        with monkeypatch.context() as changed:
            changed.setattr(frozen.store, "write", full)
            for _ in range(3):
                assert not await frozen.settle()
        assert await frozen.settle()
        assert (frozen.facts(LaneUnfrozen), frozen.facts(LatchSetAgain), frozen.plc.latch) == ([1], [], False)

    play(scene, frozen)


def test_only_a_latch_that_was_set_counts_as_cleared_at_the_lane(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.plc.dead = True
        assert not await frozen.settle()
        assert frozen.lane.progress.latched is None
        frozen.plc.dead = frozen.plc.latch = False
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert frozen.facts(LatchSetAgain) == [1]
        # The station died while it was cleared: what the store knows makes the difference.
        frozen.plc.latch = False
        frozen.another_run()
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert frozen.facts(LatchSetAgain) == [1, 1]

    play(scene, frozen)


def test_a_freeze_that_the_plc_did_not_take_is_no_latch_cleared_at_the_lane(frozen: Frozen) -> None:
    async def main() -> None:
        frozen.plc.dead = True
        with pytest.raises(DeviceUnreachableError):
            await frozen.freeze()
        assert not await frozen.settle()
        frozen.plc.dead = False
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.plc.latch
        assert (frozen.facts(LaneFrozen), frozen.facts(LatchSetAgain)) == ([1], [])

    asyncio.run(main())


@pytest.mark.parametrize("key_pressed", [False, True])
def test_an_end_that_becomes_durable_late_is_the_end(frozen: Frozen, monkeypatch: pytest.MonkeyPatch, *, key_pressed: bool) -> None:
    """The disk hung until the lane waited for its answer no longer, and took the commit all the same. Only a new freeze goes on then."""

    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True
        assert not await frozen.settle()

        async def hangs(*_: object) -> bool:
            raise StoreError("the disk has not answered")

        with monkeypatch.context() as changed:
            changed.setattr(Journey, "unfrozen", hangs)
            assert not await frozen.settle()
        assert frozen.store.write(lambda uow: end_freeze(uow, LANE, 1, LIST, NOW)).result()
        frozen.plc.latch = key_pressed
        if not key_pressed:
            assert await frozen.lane.look()
            assert (frozen.facts(LaneFrozen), frozen.plc.latch) == ([1], False)
            return
        for _ in range(2):
            assert not await frozen.settle()
        assert (frozen.facts(LaneFrozen), frozen.plc.latch) == ([1, 2], True)

    play(scene, frozen)


def test_an_end_that_becomes_durable_between_two_tries_is_the_end(frozen: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear()
        frozen.plc.key = True
        assert not await frozen.settle()
        unfrozen = Journey.unfrozen

        async def second_try(journey: Journey, number: int, checklist: Checklist) -> bool:
            assert await unfrozen(journey, number, checklist)
            return await unfrozen(journey, number, checklist)

        monkeypatch.setattr(Journey, "unfrozen", second_try)
        assert await frozen.lane.look()
        assert (frozen.facts(LaneUnfrozen), frozen.plc.latch) == ([1], False)

    play(scene, frozen)


@pytest.mark.parametrize("disk_is_full", [False, True])
def test_a_latch_that_was_cleared_at_the_lane_voids_the_all_clear_of_before(
    frozen: Frozen, monkeypatch: pytest.MonkeyPatch, *, disk_is_full: bool
) -> None:
    async def scene(frozen: Frozen) -> None:
        frozen.all_clear("an")
        frozen.plc.latch = False

        def full(_: object) -> object:
            raise StoreError("the disk is full")

        with monkeypatch.context() as changed:
            if disk_is_full:
                changed.setattr(frozen.store, "write", full)
            for _ in range(2):
                assert not await frozen.settle()
        assert len(frozen.facts(LatchSetAgain)) == (not disk_is_full)
        frozen.all_clear("binh")
        frozen.plc.key = True
        for _ in range(2):
            assert not await frozen.settle()
        assert frozen.facts(LatchSetAgain) == [1]
        assert (frozen.plc.latch, frozen.plc.commands) == (True, [])

    play(scene, frozen)


def test_people_are_called_again_by_every_latch_that_is_cleared_and_every_freeze(frozen: Frozen) -> None:
    async def scene(frozen: Frozen) -> None:
        called: dict[AlarmCode, int] = {}
        for _ in range(2):
            await frozen.freeze()
            await frozen.settle()
            frozen.plc.latch = False
            for _ in range(2):
                await frozen.settle()
            for alarm in frozen.store.read(lambda view: view.alarms(active_only=True)):
                assert alarm.alarm_id is not None
                if alarm.acknowledged_at is None:
                    called[alarm.code] = called.get(alarm.code, 0) + 1
                    frozen.store.write(lambda uow, known=alarm.alarm_id: uow.acknowledge_alarm(known, "an", NOW)).result()
        assert called == {AlarmCode.FROZEN: 2, AlarmCode.FREEZE_BYPASSED: 2}

    play(scene, frozen)
