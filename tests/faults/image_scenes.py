"""What scenes of the images' disk share: where an image lies, what was recorded, and a piece whose cleared image is looked at again."""

from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import pytest

from station.domain.errors import NotFoundError
from station.domain.piece import Piece, PieceState
from station.domain.scan import Scan
from station.ports.vault import ImageStore
from tests.support.store_facts import check_audit
from tests.support.virtual_scene import Scene

T = TypeVar("T")


def images(scene: Scene) -> ImageStore:
    return scene.station.lane._equipment.images


def path_of(scene: Scene, sha256: str, suffix: str) -> Path:
    return scene.directory / "images" / sha256[:2] / f"{sha256}{suffix}"


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
    recorded = [scan for piece_id in scene.pieces for scan in scene.facts(piece_id, Scan)]
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


async def reviewed_for_its_weight(scene: Scene) -> str:
    """A piece that people have cleared in the hold bin and that will be fed in again."""
    scene.people.reviews, scene.people.refeeds_pieces = True, False
    piece_id = await scene.feed_lighter()
    await scene.until_state(piece_id, PieceState.CLEARED, timeout_s=180.0)
    assert known(scene, piece_id).visit == 1
    return piece_id
