"""A stored image is no longer what it was, or is not there: before anybody looked at it, or after people cleared the piece by it."""

from pathlib import Path

import pytest

from station.domain.errors import NotFoundError, StoreError
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.scan import ImageMatch, Scan
from tests.faults.image_scenes import check_records, images, known, path_of, reviewed_for_its_weight
from tests.support.damaged_files import Spoil, cut, empty, flip, make_unreadable, mend, remove
from tests.support.moody_model import CalmModel
from tests.support.scripted_people import REVIEWERS
from tests.support.store_facts import check_audit
from tests.support.virtual_scene import Scene, play


def put_anothers_there(path: Path) -> None:
    """A whole file, sealed by the station, but that of another image."""
    other = next(one for one in path.parent.parent.glob(f"*/*{path.suffix}") if one != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("spoils", [(flip, cut, empty), (remove, make_unreadable, put_anothers_there)])
@pytest.mark.parametrize("suffix", [".views", ".key"])
def test_a_piece_whose_cleared_image_is_damaged_is_held_and_reviewed_anew(suffix: str, spoils: tuple[Spoil, ...]):
    """It cannot be compared with what people saw. What it shows now is kept, they look at that, and by that it leaves."""

    async def spoilt(scene: Scene, spoil: Spoil) -> None:
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
        assert scene.facts(piece_id, ImageMatch) == []
        assert scene.running
        scene.people.reviews = scene.people.refeeds_pieces = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        assert known(scene, piece_id).visit == 3
        first, second, third = [scan.sha256 for scan in scene.facts(piece_id, Scan)]
        (match,) = scene.facts(piece_id, ImageMatch)
        assert first == cleared
        assert (match.cleared_scan_sha256, match.new_scan_sha256) == (second, third)
        mend(file, before)

    async def scene(scene: Scene) -> None:
        await scene.still_releases()
        for spoil in spoils:
            await spoilt(scene, spoil)
        assert scene.people.starts == 0
        check_records(scene)

    play(scene, screening=CalmModel())


def test_the_comparison_goes_by_the_sealed_views_alone():
    """Whoever asks for the counts of the cleared scan learns of the damage; the piece is known again by what was made of them."""

    async def spoilt(scene: Scene, spoil: Spoil) -> None:
        piece_id = await reviewed_for_its_weight(scene)
        cleared = scene.newest_scan(piece_id)
        file = path_of(scene, cleared, ".scan")
        before = file.read_bytes()
        spoil(file)
        with pytest.raises((StoreError, NotFoundError)):
            images(scene).raw(cleared)
        scene.people.reviews, scene.people.refeeds_pieces = False, True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        (match,) = scene.facts(piece_id, ImageMatch)
        assert match.cleared_scan_sha256 == cleared
        mend(file, before)

    async def scene(scene: Scene) -> None:
        await scene.still_releases()
        for spoil in (flip, cut, remove):
            await spoilt(scene, spoil)
        check_records(scene)

    play(scene, screening=CalmModel())


def test_what_somebody_clears_without_a_picture_comes_to_the_hold_bin_again():
    """The image is damaged between the scan and the review. A reviewer who clears the piece all the same lets nothing out."""

    async def spoilt(scene: Scene, spoil: Spoil) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        piece_id = await scene.feed_lighter()
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

    async def scene(scene: Scene) -> None:
        await scene.still_releases()
        for spoil in (flip, remove):
            await spoilt(scene, spoil)
        check_audit(scene.station.store)

    play(scene, screening=CalmModel())
