"""The images' disk takes longer over an image than anybody waits for it."""

import asyncio
import dataclasses
import itertools
from collections.abc import Callable
from typing import TypeVar

import pytest

from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.scan import Scan
from station.workflow.durable import COMMIT_LIMIT_S
from tests.faults.image_scenes import attend, check_records, known, leave_alone, reviewed_for_its_weight
from tests.support.virtual_scene import Scene, play

T = TypeVar("T")

SLOW_CALL = {"scan": 1, "views": 2}


def answers_late(scene: Scene, call: int) -> None:
    """The disk takes longer over one of the session's next calls for an image than anybody waits; what was asked is done all the same."""
    session = scene.station.lane._session
    assert session is not None
    calls = itertools.count(1)

    async def late(work: Callable[[], T]) -> T:
        await asyncio.sleep(COMMIT_LIMIT_S + 1.0)
        return work()

    async def run(work: Callable[[], T]) -> T:
        return await asyncio.shield(asyncio.ensure_future(late(work))) if next(calls) == call else work()

    session.equipment = dataclasses.replace(session.equipment, run_blocking=run)


@pytest.mark.parametrize("what", SLOW_CALL)
def test_a_disk_that_hangs_over_an_image_is_not_waited_for(what: str):
    async def scene(scene: Scene) -> None:
        leave_alone(scene)
        answers_late(scene, SLOW_CALL[what])
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.HELD)
        assert Reason.STORE_FAILING in scene.reasons(piece_id)
        assert scene.running is (what == "scan")
        assert len(scene.facts(piece_id, Scan)) == (0 if what == "scan" else 1)
        await scene.settle(10.0)
        assert len(list(scene.directory.rglob("*.scan"))) == 1
        assert known(scene, piece_id).state is PieceState.HELD
        attend(scene)
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        check_records(scene)

    play(scene)


def test_a_cleared_image_that_the_disk_does_not_give_in_time_holds_the_piece():
    async def scene(scene: Scene) -> None:
        await scene.still_releases()
        piece_id = await reviewed_for_its_weight(scene)
        scene.people.reviews, scene.people.refeeds_pieces = False, True
        answers_late(scene, 2)
        await scene.until_known(lambda: known(scene, piece_id).visit == 2, timeout_s=180.0)
        scene.people.refeeds_pieces = False
        await scene.until_state(piece_id, PieceState.HELD)
        assert Reason.IMAGE_NOT_COMPARED in known(scene, piece_id).reasons
        assert len(scene.facts(piece_id, Scan)) == 2
        assert scene.running
        scene.people.reviews = scene.people.refeeds_pieces = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        check_records(scene)

    play(scene)
