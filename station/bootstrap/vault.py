"""The image vault, as the configuration names it."""

from station.ports.clock import Clock
from station.settings import Configuration
from station.storage.image_store import FileImageStore
from station.storage.key_files import FileKeyStore

IMAGES = "images"


def open_images(configuration: Configuration, clock: Clock) -> FileImageStore:
    """The vault; changes nothing in it. Raises `StoreError`."""
    return FileImageStore(configuration.data_dir / IMAGES, keys=FileKeyStore(configuration.image_key_dir), clock=clock)
