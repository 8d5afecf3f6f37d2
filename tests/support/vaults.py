"""An image vault for tests, its keys beside its directory as on a station."""

from datetime import UTC, datetime
from pathlib import Path

from station.domain.piece import Secrecy
from station.ports.clock import Clock
from station.storage.image_store import FileImageStore
from station.storage.key_files import FileKeyStore
from tests.support.clocks import SetClock

KEYS = "image-keys"
DAY = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def vault(root: Path, clock: Clock | None = None, *, keys: Path | None = None) -> FileImageStore:
    """A vault in `root`, with the keys in `keys`, else in a directory beside it."""
    return FileImageStore(root, keys=FileKeyStore(keys or root.parent / KEYS), clock=clock or SetClock(DAY))


def level_of(images: FileImageStore, sha256: str) -> Secrecy | None:
    """The level under whose key an image lies."""
    return dict(images.each())[sha256].level
