"""The image vault, as the configuration names it: opened, made ready for a station, looked at, and destroyed early by a person."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from station.bootstrap.stores import open_store
from station.clock import SystemClock
from station.domain.errors import NotFoundError
from station.domain.people import responsible
from station.domain.piece import Secrecy
from station.domain.vault import DestructionCause, DestructionOrder, ImageKey, ImagesDestroyed, due, strictest
from station.ports.clock import Clock
from station.settings import Configuration
from station.storage.image_store import FileImageStore
from station.storage.key_files import FileKeyStore
from station.storage.plain_images import seal_plain
from station.storage.store import SqliteReader, SqliteStore
from station.workflow.image_keeper import destructions, needed_images, record

IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """A key, how many images lie under it, the last day on which they are kept, and whether that is over."""

    key: ImageKey
    images: int
    kept_until: date
    due: bool


def open_images(configuration: Configuration, clock: Clock) -> FileImageStore:
    """The vault; changes nothing in it. Raises `StoreError`."""
    return FileImageStore(configuration.data_dir / IMAGES, keys=FileKeyStore(configuration.image_key_dir), clock=clock)


def prepare_images(configuration: Configuration, images: FileImageStore, store: SqliteStore, progress: Callable[[int, int], None]) -> None:
    """Before a station starts: remove what a killed one left half-written, and seal images from before there was encryption.

    Raises:
        StoreError: some still lie in clear.
    """
    images.tidy()

    def level_of(sha256: str) -> Secrecy | None:
        return strictest(owner.level for owner in store.read(lambda view: view.owners(sha256)))

    seal_plain(configuration.data_dir / IMAGES, images, level_of, progress)


def vault_status(configuration: Configuration, today: date) -> tuple[list[KeyStatus], list[ImagesDestroyed]]:
    """Every key, and every destruction record; read beside a running station. Raises `StoreError`."""
    reader = SqliteReader(configuration.data_dir)
    try:
        records = reader.read(destructions)
    finally:
        reader.close()
    images = open_images(configuration, SystemClock())
    counted = Counter(key for _, key in images.each())
    keys, retention = images.existing_keys(), configuration.policy.retention
    over = set(due(keys, retention, today))
    return [KeyStatus(key=key, images=counted[key], kept_until=retention.last_day(key), due=key in over) for key in keys], records


def destroy_early(
    configuration: Configuration, *, day: date, level: Secrecy | None, person: str, note: str, at: datetime
) -> tuple[list[ImagesDestroyed], int]:
    """Destroy the images of a UTC day and level before their time; the station must not run meanwhile.

    Images of pieces that are not done with stay, under another key. Returns the records, and how many images stayed.

    Raises:
        RefusedError: no name of a person.
        NotFoundError: there is no key of that day and level.
        StoreError: a station works on the data, or nothing could be destroyed or recorded.
    """
    person, note = responsible(person, note)
    order = DestructionOrder(cause=DestructionCause.EARLY, person=person, note=note, policy_sha256=configuration.policy.sha256)
    store = open_store(configuration)
    try:
        images = open_images(configuration, SystemClock())
        keys = [key for key in images.existing_keys() if key.day == day and key.level is level]
        if not keys:
            raise NotFoundError(
                f"There is no image key of {day.isoformat()} and that level",
                consequence="Nothing was destroyed",
                remedy="See `station vault status`; days are UTC",
            )
        records, stayed = [], 0
        for key in keys:
            done = images.destroy(key, store.read(needed_images), order)
            stayed += done.kept
            records.append(store.write(lambda uow, key=key, done=done: record(uow, key, done, at)).result())  # type: ignore[misc]
        return records, stayed
    finally:
        store.close()
