"""The station itself fails: its disk, its model, its computer; and it comes back to a lane with pieces on it."""

import asyncio

import pytest

from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.workflow.views import LaneCommand
from tests.support.moody_model import MoodyModel
from tests.support.store_facts import check_audit
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import Scene, play


def test_a_failing_model_holds_the_piece():
    model = MoodyModel()

    async def scene(scene: Scene) -> None:
        scene.people.reviews = False
        model.sick = True
        piece_id = await scene.feed()
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin", timeout_s=60.0)
        assert scene.reasons(piece_id) & {Reason.MODEL_FAILED, Reason.NO_MODEL_READING}
        model.sick = False
        scene.people.reviews = True

    play(scene, screening=model)


def test_a_verdict_is_timed_though_the_session_ends_before_the_piece_does():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.CLEARED)
        await scene.station.handlers.lane_command(LANE_ID, LaneCommand.STOP, person="An", once=scene.station.once())
        await scene.until_stopped()
        assert [entry[:2] for entry in scene.station.lane.counts.decision_s] == [(piece_id, 1)]

    play(scene)


@pytest.mark.parametrize("head_mm", [600.0, 1900.0, 3000.0, 4400.0, 5750.0])
def test_a_full_disk_holds_the_lane_until_there_is_room(head_mm: float):
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_at(piece_id, head_mm)
        scene.station.store.disk_is_full = True
        await scene.settle(30.0)
        assert not scene.running
        assert scene.where(piece_id)["place"] != "outside" or PieceState.RELEASED in scene.states(piece_id)
        scene.station.store.disk_is_full = False
        await scene.until_running()

    play(scene)


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize("head_mm", [300.0, 1500.0, 2400.0, 3500.0, 4300.0, 5000.0, 5500.0, 5830.0, 5950.0])
def test_the_station_restarts_with_pieces_on_the_belts(head_mm: float, kill: bool):
    async def scene(scene: Scene) -> None:
        first, second = await scene.feed(), await scene.feed()
        await scene.until_at(first, head_mm)
        await scene.restart_station(kill=kill)
        await scene.until_running()
        for piece_id in (first, second):
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        check_audit(scene.station.store)

    play(scene)


@pytest.mark.parametrize("commits", range(1, 26, 3))
def test_the_computer_dies_right_after_a_commit(commits: int):
    """What was committed is true, and what was not acted upon did not happen, whichever commit was the last."""

    async def scene(scene: Scene) -> None:
        pieces = [await scene.feed() for _ in range(2)]
        await scene.until_at(pieces[0], 2500.0)
        scene.station.store.dies_after_commits = commits
        old = scene.station
        await scene.until(lambda: old.store.died or old.clock.monotonic_s() > 120.0, timeout_s=120.0)
        await asyncio.sleep(0.3)
        await scene.restart_station(kill=True)
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
            sequences = [event.sequence for event in scene.station.store.read(lambda view, piece_id=piece_id: view.events_of(piece_id))]
            assert sequences == list(range(1, len(sequences) + 1))
        check_audit(scene.station.store)

    play(scene)
