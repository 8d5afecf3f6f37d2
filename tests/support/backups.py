"""A station that has run, its backups, and what becomes of its data."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from station.bootstrap.audit import open_keeper
from station.bootstrap.backup import MadeBackup, make_backup
from station.bootstrap.stores import open_store
from station.bootstrap.vault import open_images
from station.clock import SystemClock
from station.domain.piece import Secrecy
from station.settings import Configuration, edit, load, write_shipped
from tests.support.audit_logs import append_facts
from tests.support.images import raw_scan

START = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
SMALL = {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1}


def quiet(_done: int, _all: int) -> None:
    return None


def sealed(configuration: Configuration) -> None:
    """The log checked and signed, as a station does it at its start."""
    store = open_store(configuration)
    asyncio.run(open_keeper(configuration, store, SystemClock()).start())
    store.close()


def used_site(tmp_path: Path) -> Configuration:
    """A station that has run: facts, images of two levels, keys, a note beside the key."""
    write_shipped(tmp_path / "site")
    edit(tmp_path / "site" / "station.toml", SMALL)
    configuration = load(tmp_path / "site" / "station.toml")
    store = open_store(configuration)
    store.write(lambda uow: append_facts(uow, 0, 12)).result()
    store.close()
    images = open_images(configuration, SystemClock())
    for number, level in enumerate((None, Secrecy.A)):
        images.put(raw_scan(12, 8, seed=number), level)
    sealed(configuration)
    return configuration


def backed_up(
    site: Configuration, to: Path, *, hours: float = 0.0, keep: int | None = None, progress: Callable[[int, int], None] = quiet
) -> MadeBackup:
    return make_backup(site, to, keep=keep, at=START + timedelta(hours=hours), progress=progress)


def worked_on(site: Configuration) -> None:
    """Five facts later, signed."""
    store = open_store(site)
    store.write(lambda uow: append_facts(uow, 100, 5)).result()
    store.close()
    sealed(site)


def lose_data(site: Configuration) -> None:
    site.data_dir.rename(site.data_dir.with_name("data.before-restore"))


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
