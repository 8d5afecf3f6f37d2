"""Attention stops and freezes that meet something else: what was suspected, or was on the belts, is reviewed before it leaves."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from station.domain.errors import DeviceError, DeviceUnreachableError
from station.domain.piece import PieceState
from station.ports.lane_plc import STACK_RED, LaneStatus
from station.workflow.freeze_steps import current_freeze
from station.workflow.views import LaneCommand, LaneState
from tests.faults.wire_tap import spoiling
from tests.support.moody_model import MoodyModel
from tests.support.scripted_people import OPERATOR, hold_attention
from tests.support.virtual_lane import LANE_ID, model_policy
from tests.support.virtual_scene import Scene, play

ALL_BUT_CERTAIN = 0.999
FREEZE_AT_ONCE_S = 3.0
ENDS_ATTENTION_S = 5.0
"""With what the trouble itself lasts far less than anybody waits for an answer."""
REFED_S = 90.0
"""Long enough for a start, and for what was fed in again to be at the gate."""

Trouble = Callable[[Scene], Awaitable[None]]


def commanded(command: LaneCommand) -> Trouble:
    async def trouble(scene: Scene) -> None:
        station = scene.station
        await station.handlers.lane_command(LANE_ID, command, person=OPERATOR, once=station.once())

    return trouble


def broken(device: str, name: str, **args: float) -> Trouble:
    async def trouble(scene: Scene) -> None:
        scene.station.fault(device, name, **args)
        await scene.settle(5.0)
        scene.station.clear_fault(device, name)

    return trouble


def restarted(*, kill: bool) -> Trouble:
    async def trouble(scene: Scene) -> None:
        await scene.restart_station(kill=kill)

    return trouble


TROUBLES: dict[str, Trouble] = {
    "stop": commanded(LaneCommand.STOP),
    "purge": commanded(LaneCommand.PURGE),
    "plc-lost": broken("wire:lane_plc", "mute"),
    "plc-drop": broken("wire:lane_plc", "drop", count=1),
    "plc-reboot": broken("lane_plc", "reboot"),
    "unit-lost": broken("disinfection_unit", "stuck_heartbeat"),
    "generator-lost": broken("xray_generator", "mute"),
    "detector-lost": broken("line_detector", "reboot"),
    "estop": broken("world", "estop"),
    "killed": restarted(kill=True),
    "restarted": restarted(kill=False),
}


TROUBLES_OF_A_LANE = 4
"""One after the other, so that what is suspected waits for its review together."""
CHAINS = [list(TROUBLES)[first : first + TROUBLES_OF_A_LANE] for first in range(0, len(TROUBLES), TROUBLES_OF_A_LANE)]


@pytest.mark.parametrize("troubles", CHAINS, ids="+".join)
def test_what_stopped_the_lane_never_leaves_without_a_review(troubles: list[str]):
    """The model knew each piece once and would not know it again; nobody reviews, and everything else goes on."""
    model = MoodyModel()

    async def scene(scene: Scene) -> None:
        scene.people.operator = lambda _: None
        scene.people.reviews = scene.people.refeeds_pieces = False
        suspects = {}
        for trouble in troubles:
            model.alarmed = True
            suspects[trouble] = await scene.feed()
            await scene.until(lambda: scene.station.lane.view().state is LaneState.ATTENTION, timeout_s=60.0)
            model.alarmed = False
            await TROUBLES[trouble](scene)
            # Nobody has answered meanwhile, and there was no time yet to wait for it in vain.
            await scene.until(lambda: scene.station.lane.view().state is not LaneState.ATTENTION, timeout_s=ENDS_ATTENTION_S)
            await scene.until_running()
        scene.people.refeeds_pieces = True
        await scene.settle(REFED_S)
        for trouble, piece_id in suspects.items():
            assert PieceState.RELEASED not in scene.states(piece_id), (trouble, scene.states(piece_id))
            assert scene.where(piece_id)["place"] != "outside", trouble
        scene.people.operator = hold_attention
        scene.people.reviews = scene.people.hands_over_frozen = True

    play(scene, screening=model, policy=model_policy(freeze_score=ALL_BUT_CERTAIN))


async def freeze_by_console(scene: Scene) -> None:
    await scene.station.handlers.freeze(LANE_ID, by=scene.station.staff.caller(OPERATOR))


async def freeze_by_key(scene: Scene) -> None:
    scene.station.do(do="press_freeze_key")


async def freeze_by_key_and_kill(scene: Scene) -> None:
    scene.station.do(do="press_freeze_key")
    await scene.restart_station(kill=True)


@pytest.mark.parametrize("head_mm", [3000.0, 5300.0])
def test_what_was_frozen_on_the_belts_is_reviewed_before_it_leaves(head_mm: float):
    """Whoever freezes a lane and names no piece suspects them all."""

    async def scene(scene: Scene) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        frozen = {}
        for freeze in (freeze_by_console, freeze_by_key, freeze_by_key_and_kill):
            pieces = [await scene.feed() for _ in range(3)]
            await scene.until_at(pieces[0], head_mm)
            on_belts = [piece_id for piece_id in pieces if scene.piece_is_identified(piece_id)]
            assert len(on_belts) > 1
            frozen |= dict.fromkeys(on_belts, freeze)
            await freeze(scene)
            await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=10.0)
            await scene.until_running()
        scene.people.refeeds_pieces = True
        await scene.settle(REFED_S)
        for piece_id, freeze in frozen.items():
            assert PieceState.RELEASED not in scene.states(piece_id), (freeze, scene.states(piece_id))
        scene.people.reviews = True
        for piece_id in frozen:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
            assert scene.people.reviewed[piece_id]

    play(scene)


def test_what_lies_on_the_belts_of_a_stopped_lane_is_frozen_too():
    """It was held when the lane stopped, for nothing that a review must lift; then somebody sees it lie there, and freezes the lane."""

    async def stop_and(freeze: Trouble, scene: Scene) -> None:
        scene.people.reviews = scene.people.starts_lane = False
        pieces = [await scene.feed() for _ in range(2)]
        await scene.until_at(pieces[0], 3000.0)
        on_belts = [piece_id for piece_id in pieces if scene.piece_is_identified(piece_id)]
        await commanded(LaneCommand.STOP)(scene)
        await scene.until_stopped()
        await scene.until_state(pieces[0], PieceState.HELD)
        await freeze(scene)
        scene.people.starts_lane = True
        await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=10.0)
        await scene.until_running()
        await scene.settle(REFED_S)
        for piece_id in on_belts:
            assert PieceState.RELEASED not in scene.states(piece_id), scene.states(piece_id)

    async def scene(scene: Scene) -> None:
        for freeze in (freeze_by_console, freeze_by_key):
            await stop_and(freeze, scene)
        scene.people.reviews = True

    play(scene)


@pytest.mark.parametrize("standing", [False, True])
def test_a_freeze_survives_one_answer_that_is_lost(standing: bool):
    async def lose_one(scene: Scene, delay_s: float) -> None:
        station = scene.station
        scene.people.unfreezes = scene.people.starts_lane = False
        await scene.feed()
        await scene.settle(10.0)
        if standing:
            await commanded(LaneCommand.STOP)(scene)
            await scene.until_stopped()
        with spoiling(scene, "wire:lane_plc", "drop"):
            await scene.settle(delay_s)
            await station.handlers.freeze(LANE_ID, by=station.staff.caller(OPERATOR))
        assert station.simulated.plc.freeze_latch
        await scene.until(lambda: station.lane.view().state is LaneState.FROZEN, timeout_s=FREEZE_AT_ONCE_S)
        scene.people.unfreezes = scene.people.starts_lane = True
        await scene.until_running()

    async def scene(scene: Scene) -> None:
        for delay_s in (0.0, 0.02, 0.04):
            await lose_one(scene, delay_s)

    play(scene)


def test_a_freeze_that_does_not_reach_the_plc_starts_no_standing_lane():
    """The link comes back right after the freeze failed: whoever pressed the key must not see the belts start instead."""

    async def scene(scene: Scene) -> None:
        station = scene.station
        scene.people.unfreezes = scene.people.starts_lane = False
        await commanded(LaneCommand.STOP)(scene)
        await scene.until_stopped()
        await scene.settle(3.0)
        plc = station.lane._equipment.devices.plc
        freeze, connect, lost = plc.freeze, plc.connect, iter(range(2))

        def demand_link() -> None:
            if next(lost, None) is not None:
                raise DeviceUnreachableError("the request never came there")

        async def freeze_if_linked() -> None:
            demand_link()
            await freeze()

        async def connect_if_linked(*, frozen: bool = False) -> LaneStatus:
            demand_link()
            return await connect(frozen=frozen)

        plc.freeze, plc.connect = freeze_if_linked, connect_if_linked  # type: ignore[method-assign]
        with pytest.raises(DeviceUnreachableError):
            await station.handlers.freeze(LANE_ID, by=station.staff.caller(OPERATOR))
        await scene.until(lambda: station.simulated.plc.freeze_latch, timeout_s=FREEZE_AT_ONCE_S)
        assert station.lane.view().state is LaneState.FROZEN
        assert not any(belt.speed_mm_s for belt in station.simulated.world.belts)
        scene.people.unfreezes = scene.people.starts_lane = True

    play(scene)


@pytest.mark.parametrize(("name", "args"), [("stale_image", {}), ("torn_block", {"reads": 1000})])
def test_a_freeze_reaches_a_plc_that_cannot_be_believed(name: str, args: dict[str, Any]):
    """Nothing that it says proves anything, but it takes what is written; so whoever froze the lane may rely on it."""

    async def freeze_it(scene: Scene, *, at_start: bool) -> None:
        station, unfrozen = scene.station, scene.people.unfrozen
        scene.people.unfreezes = scene.people.starts_lane = False
        piece_id = await scene.feed()
        await scene.until_at(piece_id, 3000.0)
        station.fault("lane_plc", name, **args)
        await scene.until_stopped(timeout_s=5.0)
        await scene.settle(2.0)
        with pytest.raises(DeviceError):
            await station.handlers.freeze(LANE_ID, by=station.staff.caller(OPERATOR))
        plc = station.simulated.plc
        assert plc.freeze_latch
        assert plc.stack_light == STACK_RED
        if at_start:
            # A freeze that the station knows of is one for its PLC too, whatever became of the latch meanwhile.
            await scene.until_known(lambda: station.store.read(lambda view: current_freeze(view, LANE_ID)) is not None, timeout_s=5.0)
            scene.people.clear_at_panel()
            await scene.restart_station(kill=True)
            await scene.settle(FREEZE_AT_ONCE_S)
            station = scene.station
            assert plc.freeze_latch
        assert station.lane.view().state is LaneState.FROZEN
        station.clear_fault("lane_plc", name)
        scene.people.unfreezes = scene.people.starts_lane = True
        await scene.until_running()
        assert scene.people.unfrozen == unfrozen + 1

    async def scene(scene: Scene) -> None:
        for at_start in (False, True):
            await freeze_it(scene, at_start=at_start)

    play(scene)


def test_a_freeze_that_could_not_be_done_does_not_come_later():
    """Whoever asked was told no. It may be made up for at once when the PLC answers again, but not when nobody thinks of it any more."""

    async def ask(scene: Scene, *, standing: bool) -> None:
        station = scene.station
        if standing:
            scene.people.starts_lane = False
            await commanded(LaneCommand.STOP)(scene)
            await scene.until_stopped()
        station.fault("wire:lane_plc", "mute")
        with pytest.raises(DeviceError):
            await station.handlers.freeze(LANE_ID, by=station.staff.caller(OPERATOR))
        await scene.settle(20.0)
        station.clear_fault("wire:lane_plc", "mute")
        scene.people.starts_lane = True
        await scene.until_running()
        await scene.settle(30.0)
        freezes = scene.people.unfrozen
        station.fault("world", "estop")
        await scene.until_stopped()
        await scene.settle(5.0)
        assert station.lane.view().state is not LaneState.FROZEN
        station.clear_fault("world", "estop")
        await scene.until_running()
        assert scene.people.unfrozen == freezes

    async def scene(scene: Scene) -> None:
        for standing in (False, True):
            await ask(scene, standing=standing)

    play(scene)
