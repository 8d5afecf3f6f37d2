"""The images' disk fails the lane: no room for a scan or for its views, and a cleared scan that is no longer what it was."""

import asyncio
import dataclasses
import itertools
import json
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import pytest

from station.domain.alarm import AlarmCode
from station.domain.errors import NotFoundError, StoreError
from station.domain.piece import Piece, PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.scan import ImageMatch, Scan
from station.ports.vault import ImageStore
from station.workflow.durable import COMMIT_LIMIT_S
from station.workflow.says import Says, say
from station.workflow.views import DecisionRequest
from tests.support import small_medium
from tests.support.full_disk import FullDisk, of_image, of_keys
from tests.support.scripted_people import REVIEWERS, clear_everything
from tests.support.store_facts import check_audit
from tests.support.virtual_lane import model_policy
from tests.support.virtual_scene import Scene, play

T = TypeVar("T")
Spoil = Callable[[Path], None]


def images(scene: Scene) -> ImageStore:
    return scene.station.lane._equipment.images


def path_of(scene: Scene, sha256: str, suffix: str) -> Path:
    return scene.directory / "images" / sha256[:2] / f"{sha256}{suffix}"


def facts(scene: Scene, piece_id: str, kind: type[T]) -> list[T]:
    rows = scene.station.store.read(lambda view: view.evidence(piece_id))
    return [row.evidence for row in rows if isinstance(row.evidence, kind)]


def known(scene: Scene, piece_id: str) -> Piece:
    piece = scene.piece(piece_id)
    assert piece is not None
    return piece


def leave_alone(scene: Scene) -> None:
    """From now on nobody reviews a piece, feeds one in again, or starts the lane."""
    scene.people.reviews = scene.people.refeeds_pieces = scene.people.starts_lane = False


def attend(scene: Scene) -> None:
    scene.people.reviews = scene.people.refeeds_pieces = scene.people.starts_lane = True


def check_records(scene: Scene, *, without_views: Collection[str] = ()) -> None:
    """Nothing that was recorded is lost: every scan is whole, has its views (but where named), and the log commits to every fact."""
    recorded = [scan for piece_id in scene.pieces for scan in facts(scene, piece_id, Scan)]
    assert recorded
    for scan in recorded:
        le, _ = images(scene).raw(scan.sha256)
        assert le.shape == (scan.lines, scan.pixels)
        if scan.sha256 in without_views:
            with pytest.raises(NotFoundError):
                images(scene).views(scan.sha256)
        else:
            assert images(scene).views(scan.sha256).length_mm == scan.length_mm
    assert not list(scene.directory.rglob("*.tmp"))
    check_audit(scene.station.store)


NO_ROOM = {"scan": of_image(".scan"), "data key": of_image(".key"), "key of the day": of_keys}


@pytest.mark.parametrize("refused", NO_ROOM.values(), ids=NO_ROOM.keys())
@pytest.mark.parametrize("authority", [Authority.MODEL, Authority.OPERATOR])
def test_pieces_whose_scans_find_no_room_are_held_and_the_lane_goes_on(
    monkeypatch: pytest.MonkeyPatch, refused: Callable[[Path], bool], authority: Authority
):
    asked: list[DecisionRequest] = []

    async def scene(scene: Scene) -> None:
        leave_alone(scene)
        scene.people.operator = asked.append  # type: ignore[assignment]
        disk = FullDisk(monkeypatch, refused)
        pieces = [await scene.feed() for _ in range(2)]
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.HELD)
            await scene.until(lambda piece_id=piece_id: scene.where(piece_id)["place"] == "hold_bin")
            assert scene.reasons(piece_id) == {Reason.STORE_FAILING, Reason.NO_SCAN, Reason.NO_MODEL_READING}
            assert PieceState.SCANNED not in scene.states(piece_id)
            assert facts(scene, piece_id, Scan) == []
        assert len(disk.refused) == 2
        assert asked == []
        assert scene.running
        disk.make_room()
        scene.people.operator = clear_everything
        attend(scene)
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
            assert known(scene, piece_id).visit == 2
        assert scene.people.starts == 0
        assert scene.people.reviewed.total() == 0
        await scene.still_releases()
        check_records(scene)

    play(scene, policy=model_policy(authority_unmarked=authority))


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
        (scan,) = facts(scene, piece_id, Scan)
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
        lost = [facts(scene, one, Scan)[0].sha256 for one in (piece_id, another)]
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
        assert len(facts(scene, piece_id, Scan)) == (0 if what == "scan" else 1)
        await scene.settle(10.0)
        assert len(list(scene.directory.rglob("*.scan"))) == 1
        assert known(scene, piece_id).state is PieceState.HELD
        attend(scene)
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        check_records(scene)

    play(scene)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def make_unreadable(path: Path) -> None:
    """What stands there cannot be read at all: the system itself says so."""
    path.unlink()
    path.mkdir()


def put_anothers_there(path: Path) -> None:
    """A whole file, sealed by the station, but that of another image."""
    other = next(one for one in path.parent.parent.glob(f"*/*{path.suffix}") if one != path)
    path.write_bytes(other.read_bytes())


async def reviewed_for_its_weight(scene: Scene) -> str:
    """A piece that people have cleared in the hold bin and that will be fed in again; before it another one was scanned and left."""
    await scene.still_releases()
    scene.people.refeeds_pieces = False
    cover = scene.station.do(do="piece", kind="packet")["piece"]
    piece_id = str(cover["piece_id"])
    scene.pieces[piece_id] = cover
    await scene.station.announce({**cover, "weight_g": cover["weight_g"] + 300.0})
    scene.station.do(do="feed", piece_id=piece_id)
    await scene.until_state(piece_id, PieceState.CLEARED, timeout_s=180.0)
    assert known(scene, piece_id).visit == 1
    return piece_id


def mend(path: Path, content: bytes) -> None:
    """The file comes back from a backup."""
    if path.is_dir():
        path.rmdir()
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [flip, cut, empty, remove, make_unreadable, put_anothers_there])
@pytest.mark.parametrize("suffix", [".views", ".key"])
def test_a_piece_whose_cleared_image_is_damaged_is_held_and_reviewed_anew(suffix: str, spoil: Spoil):
    """It cannot be compared with what people saw. What it shows now is kept, they look at that, and by that it leaves."""

    async def scene(scene: Scene) -> None:
        piece_id = await reviewed_for_its_weight(scene)
        cleared = scene.newest_scan(piece_id)
        file = path_of(scene, cleared, suffix)
        before = file.read_bytes()
        spoil(file)
        with pytest.raises((StoreError, NotFoundError)):
            images(scene).views(cleared)
        scene.people.reviews, scene.people.refeeds_pieces = False, True
        await scene.until_known(lambda: known(scene, piece_id).visit == 2, timeout_s=180.0)
        scene.people.refeeds_pieces = False
        await scene.until_state(piece_id, PieceState.HELD)
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
        assert set(known(scene, piece_id).reasons) == {Reason.IMAGE_NOT_COMPARED}
        assert facts(scene, piece_id, ImageMatch) == []
        assert scene.running
        scene.people.reviews = scene.people.refeeds_pieces = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        assert known(scene, piece_id).visit == 3
        first, second, third = [scan.sha256 for scan in facts(scene, piece_id, Scan)]
        (match,) = facts(scene, piece_id, ImageMatch)
        assert first == cleared
        assert (match.cleared_scan_sha256, match.new_scan_sha256) == (second, third)
        assert scene.people.starts == 0
        mend(file, before)
        check_records(scene)

    play(scene)


@pytest.mark.parametrize("spoil", [flip, cut, remove])
def test_the_comparison_goes_by_the_sealed_views_alone(spoil: Spoil):
    """Whoever asks for the counts of the cleared scan learns of the damage; the piece is known again by what was made of them."""

    async def scene(scene: Scene) -> None:
        piece_id = await reviewed_for_its_weight(scene)
        cleared = scene.newest_scan(piece_id)
        file = path_of(scene, cleared, ".scan")
        before = file.read_bytes()
        spoil(file)
        with pytest.raises((StoreError, NotFoundError)):
            images(scene).raw(cleared)
        scene.people.reviews, scene.people.refeeds_pieces = False, True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        (match,) = facts(scene, piece_id, ImageMatch)
        assert match.cleared_scan_sha256 == cleared
        mend(file, before)
        check_records(scene)

    play(scene)


def test_a_cleared_image_that_the_disk_does_not_give_in_time_holds_the_piece():
    async def scene(scene: Scene) -> None:
        piece_id = await reviewed_for_its_weight(scene)
        scene.people.reviews, scene.people.refeeds_pieces = False, True
        answers_late(scene, 2)
        await scene.until_known(lambda: known(scene, piece_id).visit == 2, timeout_s=180.0)
        scene.people.refeeds_pieces = False
        await scene.until_state(piece_id, PieceState.HELD)
        assert Reason.IMAGE_NOT_COMPARED in known(scene, piece_id).reasons
        assert len(facts(scene, piece_id, Scan)) == 2
        assert scene.running
        scene.people.reviews = scene.people.refeeds_pieces = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        check_records(scene)

    play(scene)


@pytest.mark.parametrize("spoil", [flip, remove])
def test_what_somebody_clears_without_a_picture_comes_to_the_hold_bin_again(spoil: Spoil):
    """The image is damaged between the scan and the review. A reviewer who clears the piece all the same lets nothing out."""

    async def scene(scene: Scene) -> None:
        await scene.still_releases()
        scene.people.reviews = scene.people.refeeds_pieces = False
        cover = scene.station.do(do="piece", kind="packet")["piece"]
        piece_id = str(cover["piece_id"])
        scene.pieces[piece_id] = cover
        await scene.station.announce({**cover, "weight_g": cover["weight_g"] + 300.0})
        scene.station.do(do="feed", piece_id=piece_id)
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
        sha256 = scene.newest_scan(piece_id)
        spoil(path_of(scene, sha256, ".views"))
        for person in REVIEWERS[: scene.people_needed(piece_id)]:
            await scene.people.clear_by_hand(piece_id, sha256, person)
        assert known(scene, piece_id).state is PieceState.CLEARED
        scene.people.refeeds_pieces = True
        await scene.until_known(lambda: known(scene, piece_id).visit == 2, timeout_s=180.0)
        scene.people.refeeds_pieces = False
        await scene.until_state(piece_id, PieceState.HELD)
        assert set(known(scene, piece_id).reasons) == {Reason.IMAGE_NOT_COMPARED}
        scene.people.reviews = scene.people.refeeds_pieces = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        assert known(scene, piece_id).visit == 3
        check_audit(scene.station.store)

    play(scene)
