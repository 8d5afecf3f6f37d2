"""A lane whose images lie on a small medium of their own that really runs full.

A program, begun by `command`: the medium is a file system in memory that no other program sees. For each room that is left on it the
program plays the scene and prints a line: the room, the first piece's reasons, how many of its scans and pictures are there, and whether
the lane ran on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from station.domain.errors import NotFoundError
from station.domain.piece import PieceState
from station.domain.scan import Scan
from tests.support.store_facts import check_audit
from tests.support.virtual_scene import Scene, play

SIZE_BYTES = 2 << 20
HEAD_MM = 600.0
_NAMESPACE = ("unshare", "--map-root-user", "--mount")


def command(*rooms_bytes: int) -> list[str]:
    """What begins the program."""
    return [*_NAMESPACE, sys.executable, "-m", __name__, *map(str, rooms_bytes)]


def may_mount() -> bool:
    """False where this user may have no mounts of its own."""
    try:
        return subprocess.run([*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _mount(directory: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "none", str(directory)], check=True)


def _unmount(directory: Path) -> None:
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def _fill(path: Path, room_bytes: int) -> None:
    """Take all of the medium's room but so much."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        medium = os.statvfs(path.parent)
        os.posix_fallocate(descriptor, 0, medium.f_bavail * medium.f_frsize - room_bytes)
    finally:
        os.close(descriptor)


async def _scene(scene: Scene, room_bytes: int) -> None:
    people, store, images = scene.people, scene.station.store, scene.station.lane._equipment.images
    medium = scene.directory / "images"
    _mount(medium)
    try:
        await scene.still_releases()
        people.reviews = people.refeeds_pieces = people.starts_lane = False
        piece_id = await scene.feed()
        await scene.until_at(piece_id, HEAD_MM)
        _fill(medium / "filler", room_bytes)
        await scene.until_state(piece_id, PieceState.HELD)
        await scene.settle(30.0)
        stored = scene.facts(piece_id, Scan)
        pictures = 0
        for scan in stored:
            try:
                images.views(scan.sha256)
                pictures += 1
            except NotFoundError:
                pass
        print(json.dumps([room_bytes, sorted(scene.reasons(piece_id)), len(stored), pictures, scene.running]))  # noqa: T201
        (medium / "filler").unlink()
        people.reviews = people.refeeds_pieces = people.starts_lane = True
        await scene.until_running()
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        await scene.still_releases()
        for fed in scene.pieces:
            for scan in scene.facts(fed, Scan):
                images.raw(scan.sha256)
        assert not list(medium.rglob("*.tmp"))
        check_audit(store)
    finally:
        _unmount(medium)


def main() -> None:
    """Play it with each room."""
    for room_bytes in map(int, sys.argv[1:]):
        play(lambda scene, room_bytes=room_bytes: _scene(scene, room_bytes))


if __name__ == "__main__":
    main()
