"""What the images' disk does to a piece is told to people: by an alarm, and in the log."""

import pytest
from structlog.testing import capture_logs

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.masking import mask_event
from tests.faults.image_scenes import attend, known, leave_alone, path_of, reviewed_for_its_weight
from tests.support.damaged_files import flip
from tests.support.full_disk import FullDisk, of_image
from tests.support.virtual_scene import Scene, play


def alarms(scene: Scene) -> list[Alarm]:
    every = scene.station.store.read(lambda view: view.alarms(active_only=False))
    return [alarm for alarm in every if alarm.code is AlarmCode.STORE_FAILING]


def test_scans_that_find_no_room_are_one_alarm_until_one_is_stored(monkeypatch: pytest.MonkeyPatch):
    """Piece after piece goes to the hold bin: somebody must be called, as for a model that fails."""

    async def scene(scene: Scene) -> None:
        leave_alone(scene)
        assert alarms(scene) == []
        disk = FullDisk(monkeypatch, of_image(".scan"))
        with capture_logs() as log:
            pieces = [await scene.feed() for _ in range(2)]
            for piece_id in pieces:
                await scene.until_state(piece_id, PieceState.HELD)
        (alarm,) = alarms(scene)
        assert (alarm.priority, alarm.subject, alarm.cleared_at) == (AlarmPriority.HIGH, "lane-1", None)
        folder = str(scene.directory / "images")
        assert folder in alarm.detail
        assert "No space left" in alarm.detail
        told = [line["error"] for line in log if "a scan could not be stored" in line["event"]]
        assert len(told) == len(disk.refused) == 2
        assert all(folder in one and "No space left" in one and "Free space on the disk" in one for one in told)
        disk.make_room()
        attend(scene)
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        assert scene.people.starts == 0
        (alarm,) = alarms(scene)
        assert alarm.cleared_at is not None

    play(scene)


def test_a_cleared_image_that_is_found_damaged_stands_in_the_log():
    """The piece is held, and not as another one; that the disk spoils what was stored must not stay unknown."""

    async def scene(scene: Scene) -> None:
        await scene.still_releases()
        piece_id = await reviewed_for_its_weight(scene)
        cleared = scene.newest_scan(piece_id)
        flip(path_of(scene, cleared, ".views"))
        scene.people.refeeds_pieces = True
        with capture_logs() as log:
            await scene.until_known(lambda: known(scene, piece_id).visit == 2, timeout_s=180.0)
            await scene.until_state(piece_id, PieceState.HELD, PieceState.RELEASED)
        # As the log shows it: what it masks tells nobody which file to look at.
        (line,) = [shown for shown in map(mask_event, log) if shown.get("cleared") == cleared]
        assert line["log_level"] == "warning"
        assert "truncated or changed" in line["error"]
        assert Reason.IMAGE_NOT_COMPARED in scene.reasons(piece_id)
        assert Reason.IMAGE_MISMATCH not in scene.reasons(piece_id)

    play(scene)
