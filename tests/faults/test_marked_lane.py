"""Pieces that carry a level go all the way, by as many people as it takes."""

from typing import Any

import pytest

from station.domain.access import Caller
from station.domain.piece import PieceState, Secrecy
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision
from station.workflow.refusals import NotPermittedError, SecondPersonError, StepUpNeededError
from tests.support.scripted_people import OPERATOR, clear_everything
from tests.support.virtual_lane import LANE_ID, model_policy
from tests.support.virtual_scene import Scene, play


def test_marked_pieces_go_all_the_way():
    """One person who confirms it clears B and C at the lane, blind for B; level A takes two within the same window."""

    async def scene(scene: Scene) -> None:
        scene.people.operator = clear_everything
        station = scene.station
        for level in ("C", "B"):
            piece_id = await scene.feed(secrecy=level)
            await scene.until_state(piece_id, PieceState.RELEASED)
            assert PieceState.HELD not in scene.states(piece_id)
        top = await scene.feed(secrecy="A")
        await scene.until_known(lambda: bool(scene.facts(top, OperatorReading)))
        request = station.lane.view().request
        assert request is not None
        assert (request.piece_id, request.blind) == (top, True)

        async def clears(by: Caller) -> dict[str, Any]:
            seen = {"piece_id": top, "visit": request.visit, "scan_sha256": request.scan_sha256}
            return await station.handlers.lane_decide(LANE_ID, **seen, decision=OperatorDecision.CLEAR, by=by, once=station.once())

        with pytest.raises(SecondPersonError):
            await clears(await station.staff.confirmed(OPERATOR))
        with pytest.raises(StepUpNeededError):
            await clears(station.staff.caller("chief"))
        with pytest.raises(NotPermittedError):
            await clears(station.staff.add("low", clearance=Secrecy.B))
        assert (await clears(await station.staff.confirmed("chief")))["awaiting_second_person"] is False
        await scene.until_state(top, PieceState.RELEASED)
        assert [reading.person for reading in scene.facts(top, OperatorReading)] == [OPERATOR, "chief"]
        assert PieceState.HELD not in scene.states(top)

    play(scene)


def test_a_marked_piece_that_was_held_takes_two_reviewers():
    async def scene(scene: Scene) -> None:
        marked = [await scene.feed(secrecy=level) for level in ("A", "B", "C")]
        for piece_id in marked:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
            assert len({review.person for review in scene.facts(piece_id, ReviewDecision)}) == 2
            assert PieceState.HELD in scene.states(piece_id)

    play(scene, policy=model_policy(decision_window_s=4.0, extension_s=6.0))
