"""A station goes on from a backup over a lane that went on meanwhile: the simulated world judges what it makes of that."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from station.domain.alarm import AlarmCode
from station.domain.gate import Permit
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.storage.backup_files import copy_database
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.restoring import Restoration, settle
from tests.support.store_facts import render
from tests.support.virtual_lane import LANE_ID, start
from tests.support.virtual_scene import Scene, pass_test_piece, play


def put_back(scene: Scene, copy: Path) -> None:
    """The database as it was, settled as `station restore` does it; there is no receiver to ask."""
    data, now = scene.directory / "data", scene.station.clock.utc_now()
    for path in data.glob(f"{DATABASE_NAME}*"):
        path.unlink()
    shutil.copy(copy, data / DATABASE_NAME)
    given = Restoration(backup="b", made_at=now - timedelta(minutes=5), leaves=0, lost_leaves=0, person="Lan", note="")
    store = SqliteStore(data, group_commit=False, render=render, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
    store.write(lambda uow: settle(uow, given, (), lane_ids=[LANE_ID], policy_sha256="d" * 64, site="site", now=now)).result()
    store.close()


@pytest.mark.parametrize(
    ("permitted", "state"),
    # With a permit the gate's ring tells that it was released.
    [(False, PieceState.HELD), (True, PieceState.RELEASED)],
)
def test_what_left_in_the_lost_time_has_not_escaped_and_what_is_here_is_reviewed(permitted: bool, state: PieceState):
    async def scene(scene: Scene) -> None:
        first = await scene.feed()
        await scene.until_at(first, 600.0)
        if permitted:
            await scene.until(lambda: Permit in {type(row.evidence) for row in scene.station.store.read(lambda view: view.evidence(first))})
        copy = scene.directory / "copy.db"
        copy_database(scene.directory / "data", copy, "copy.db")
        await scene.until_known(lambda: scene.where(first)["place"] == "outside")
        # In the lost time one piece comes and goes, another one is on the belts when the station dies.
        gone = await scene.feed()
        await scene.until_known(lambda: scene.where(gone)["place"] == "outside")
        here = await scene.feed()
        await scene.until_at(here, 3000.0)
        old = scene.station
        await scene.end_people()
        await old.stop(kill=True)
        put_back(scene, copy)
        scene.station = await start(scene.directory, old.screening, policy=scene.policy, after=old)
        # The tracking system announces it once more; nobody knows else what lies in the bin.
        await scene.station.announce(scene.pieces[here])
        scene.people.station = scene.station
        scene.begin_people()
        await scene.until_running()
        await pass_test_piece(scene)
        await scene.still_releases()
        alarms = {alarm.code for alarm in scene.station.store.read(lambda view: view.alarms(active_only=False))}
        assert AlarmCode.ESCAPED not in alarms
        assert AlarmCode.STORE_RESTORED in alarms
        assert scene.states(first)[-1] is state
        assert scene.piece(gone) is None
        await scene.until_known(lambda: scene.where(here)["place"] == "outside", timeout_s=600.0)

    play(scene)


def test_a_piece_that_was_announced_before_the_backup_is_looked_at_by_people():
    async def scene(scene: Scene) -> None:
        cover = scene.station.do(do="piece", kind="packet")["piece"]
        piece_id = cover["piece_id"]
        await scene.station.announce(cover)
        copy = scene.directory / "copy.db"
        copy_database(scene.directory / "data", copy, "copy.db")
        old = scene.station
        await scene.end_people()
        await old.stop(kill=True)
        put_back(scene, copy)
        scene.station = await start(scene.directory, old.screening, policy=scene.policy, after=old)
        scene.people.station = scene.station
        scene.begin_people()
        await scene.until_running()
        await pass_test_piece(scene)
        scene.station.do(do="feed", piece_id=piece_id)
        await scene.until_known(lambda: Reason.RECORD_RESTORED in scene.reasons(piece_id))
        await scene.until_known(lambda: scene.where(piece_id)["place"] == "outside", timeout_s=600.0)
        assert scene.people.reviewed[piece_id] == 1

    play(scene)
