"""The images' disk has no room for a scan or for its views."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from station.domain.alarm import AlarmCode
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.scan import Scan
from station.workflow.says import Says, say
from station.workflow.views import DecisionRequest
from tests.faults.image_scenes import attend, check_records, known, leave_alone
from tests.support import small_medium
from tests.support.full_disk import FullDisk, of_image, of_keys
from tests.support.moody_model import CalmModel
from tests.support.scripted_people import clear_everything
from tests.support.virtual_lane import model_policy
from tests.support.virtual_scene import Scene, play

NO_ROOM = {"key of the day": of_keys, "scan": of_image(".scan"), "data key": of_image(".key")}
"""A key of the day is made once."""


@pytest.mark.parametrize("authority", [Authority.MODEL, Authority.OPERATOR])
def test_pieces_whose_scans_find_no_room_are_held_and_the_lane_goes_on(monkeypatch: pytest.MonkeyPatch, authority: Authority):
    asked: list[DecisionRequest] = []

    async def refuse(scene: Scene, what: str, refused: Callable[[Path], bool]) -> None:
        leave_alone(scene)
        scene.people.operator = asked.append  # type: ignore[assignment]
        disk = FullDisk(monkeypatch, refused)
        pieces = [await scene.feed() for _ in range(2)]
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.HELD)
            await scene.until(lambda piece_id=piece_id: scene.where(piece_id)["place"] == "hold_bin")
            assert scene.reasons(piece_id) == {Reason.STORE_FAILING, Reason.NO_SCAN, Reason.NO_MODEL_READING}
            assert PieceState.SCANNED not in scene.states(piece_id)
            assert scene.facts(piece_id, Scan) == []
        assert len(disk.refused) == 2, what
        assert asked == [], what
        assert scene.running, what
        disk.make_room()
        scene.people.operator = clear_everything
        attend(scene)
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
            assert known(scene, piece_id).visit == 2

    async def scene(scene: Scene) -> None:
        for what, refused in NO_ROOM.items():
            await refuse(scene, what, refused)
        assert scene.people.starts == 0
        assert scene.people.reviewed.total() == 0
        await scene.still_releases()
        check_records(scene)

    play(scene, screening=CalmModel(), policy=model_policy(authority_unmarked=authority))


def test_a_marked_piece_whose_scan_found_no_room_is_reviewed_before_it_leaves(monkeypatch: pytest.MonkeyPatch):
    async def scene(scene: Scene) -> None:
        disk = FullDisk(monkeypatch, of_image(".scan"))
        scene.people.refeeds_pieces = False
        piece_id = await scene.feed(secrecy="C")
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
        await scene.settle(10.0)
        # The people of the hold bin were there, but nobody clears what nobody could look at.
        assert scene.people.reviewed.total() == 0
        assert known(scene, piece_id).state is PieceState.HELD
        assert Reason.STORE_FAILING in scene.reasons(piece_id)
        assert disk.refused
        disk.make_room()
        scene.people.refeeds_pieces = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=600.0)
        assert scene.people.reviewed[piece_id] > 0
        check_records(scene)

    play(scene)


def test_a_full_disk_does_not_touch_the_piece_ahead_nor_the_one_behind(monkeypatch: pytest.MonkeyPatch):
    """One scan finds no room: those before and after it do, and go their way."""

    async def scene(scene: Scene) -> None:
        leave_alone(scene)
        seen: list[str] = []

        def only_the_second(path: Path) -> bool:
            if not of_image(".scan")(path):
                return False
            seen.append(path.name)
            return len(seen) == 2

        disk = FullDisk(monkeypatch, only_the_second)
        first, second, third = [await scene.feed() for _ in range(3)]
        await scene.until_state(third, PieceState.RELEASED, timeout_s=180.0)
        assert len(disk.refused) == 1
        assert [known(scene, piece_id).state for piece_id in (first, second)] == [PieceState.RELEASED, PieceState.HELD]
        assert scene.where(second)["place"] == "hold_bin"
        attend(scene)
        await scene.until_state(second, PieceState.RELEASED, timeout_s=300.0)
        check_records(scene)

    play(scene)


def test_views_that_find_no_room_stop_the_lane_until_there_is_room(monkeypatch: pytest.MonkeyPatch):
    """The scan is stored and the piece may be cleared already, but nobody could ever see why: it is held, and the lane tells the reason."""

    async def scene(scene: Scene) -> None:
        lane = scene.station.lane
        leave_alone(scene)
        ahead = await scene.feed()
        await scene.until_state(ahead, PieceState.DISINFECTING)
        disk = FullDisk(monkeypatch, of_image(".views"))
        piece_id = await scene.feed()
        await scene.until_stopped()
        assert len(disk.refused) == 1
        await scene.settle(5.0)
        view = lane.view()
        assert view.alarm is not None
        assert view.alarm.code is AlarmCode.STORE_FAILING
        assert say(Says.STORE_FAILS) in {device.detail for device in view.devices if not device.ok}
        assert {alarm.code for alarm in scene.station.store.read(lambda view: view.alarms())} >= {AlarmCode.STORE_FAILING}
        for one in (ahead, piece_id):
            assert known(scene, one).state is PieceState.RELEASED or Reason.STORE_FAILING in scene.reasons(one)
        assert known(scene, piece_id).state is PieceState.HELD
        (scan,) = scene.facts(piece_id, Scan)
        check_records(scene, without_views=[scan.sha256])

        # Started on a disk that is still full, it stops again with the next piece, and lets nothing out.
        scene.people.starts_lane = True
        await scene.until_running()
        scene.people.starts_lane = False
        another = await scene.feed()
        await scene.until_stopped()
        assert len(disk.refused) == 2
        assert PieceState.RELEASED not in {*scene.states(piece_id), *scene.states(another)}

        disk.make_room()
        attend(scene)
        await scene.until_running()
        assert lane.view().alarm is None
        for one in (ahead, piece_id, another):
            await scene.until_state(one, PieceState.RELEASED, timeout_s=400.0)
        await scene.still_releases()
        raised = [
            one for one in scene.station.store.read(lambda view: view.alarms(active_only=False)) if one.code is AlarmCode.STORE_FAILING
        ]
        assert len(raised) == 2
        assert all(alarm.cleared_at is not None for alarm in raised)
        lost = [scene.facts(one, Scan)[0].sha256 for one in (piece_id, another)]
        check_records(scene, without_views=lost)

    play(scene)


NOT_HERE = "this user may have no mounts of its own here"
A_KEY_FITS, A_SCAN_FITS = 24 << 10, 64 << 10


@pytest.mark.skipif(not small_medium.may_mount(), reason=NOT_HERE)
def test_a_medium_that_is_really_full_holds_the_pieces_until_there_is_room():
    ran = subprocess.run(small_medium.command(A_KEY_FITS, A_SCAN_FITS), capture_output=True, text=True, check=False, timeout=300.0)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("[")]
    unscanned = sorted([Reason.NO_MODEL_READING, Reason.NO_SCAN, Reason.STORE_FAILING])
    assert told == [
        [A_KEY_FITS, unscanned, 0, 0, True],
        [A_SCAN_FITS, [Reason.STORE_FAILING], 1, 0, False],
    ]
