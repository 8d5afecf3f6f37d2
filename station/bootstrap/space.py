"""The media whose free space a running station looks at, as the configuration names them."""

import asyncio

from station.bootstrap.vault import IMAGES
from station.domain.errors import StoreError
from station.ports.clock import Clock
from station.settings import Configuration
from station.storage.space import MEBIBYTE, SpaceGuard
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.space_watch import SpaceWatch


def open_space_watch(configuration: Configuration, store: SqliteStore, clock: Clock) -> SpaceWatch:
    """The watch over the database's medium, and over that of the images where it is another one. Raises `StoreError`."""
    folder, warn_bytes = configuration.data_dir / IMAGES, configuration.station.storage.free_warning_mb * MEBIBYTE
    try:
        apart = folder.stat().st_dev != configuration.data_dir.stat().st_dev
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be looked at: {error.strerror}",
            consequence="The station does not start",
            remedy="Check the disk, and that the station's user may read it",
        ) from error
    images = SpaceGuard(folder, reserve_bytes=0, floor_bytes=0, warn_bytes=warn_bytes) if apart else None
    return SpaceWatch(store=store, media={DATABASE_NAME: store.space, IMAGES: images}, clock=clock, run_blocking=asyncio.to_thread)
