"""Free space: a floor below which the station holds everything, and a reserve that still lets it write down why."""

import contextlib
import os
import shutil
from pathlib import Path

MEBIBYTE = 1 << 20


class SpaceGuard:
    """Watches the medium of a directory and keeps a reserve file on it.

    Args:
        directory: where database and reserve file lie.
        reserve_bytes: size of the reserve; it is given up when the disk is full.
        floor_bytes: free space below which nothing new may start.
        warn_bytes: free space below which somebody should act.
    """

    def __init__(self, directory: Path, *, reserve_bytes: int, floor_bytes: int, warn_bytes: int) -> None:
        self.directory = directory
        self._reserve = directory / "reserve.bin"
        self._reserve_bytes = reserve_bytes
        self._floor_bytes = floor_bytes
        self.warn_bytes = warn_bytes

    def free_bytes(self) -> int:
        """Free space on the medium; 0 when it cannot be asked."""
        try:
            return shutil.disk_usage(self.directory).free
        except OSError:
            return 0

    def enough(self) -> bool:
        """True while free space is above the floor and the reserve is in place."""
        return self.free_bytes() >= self._floor_bytes and self.reserve_in_place()

    def reserve_in_place(self) -> bool:
        """True when the reserve has its full size."""
        try:
            return self._reserve.stat().st_size >= self._reserve_bytes
        except OSError:
            return self._reserve_bytes == 0

    def restore(self) -> bool:
        """Put the reserve (back) in place if there is room for it above the floor; returns whether it is in place."""
        if self.reserve_in_place():
            return True
        if self.free_bytes() < self._floor_bytes + self._reserve_bytes:
            return False
        try:
            descriptor = os.open(self._reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._reserve_bytes)
            finally:
                os.close(descriptor)
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        """Free the reserve, so that the last facts can still be written; what cannot be freed stays."""
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)
