"""Backups of a real data directory: made while it is written to, with nothing secret, and proved."""

import fcntl
import os
import shutil
import threading
from contextlib import closing
from pathlib import Path

import pysqlite3.dbapi2
import pytest

from station.bootstrap.audit import believed_keys
from station.bootstrap.backup import MANIFEST, SIGNATURE, newest_backup
from station.bootstrap.restore import restore
from station.bootstrap.stores import open_store
from station.bootstrap.vault import open_images
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, ConflictError, ImageKeyLostError, StoreError
from station.settings import Configuration, edit, load
from station.storage.backup_files import PART
from station.storage.store import SqliteReader
from tests.support.backups import START, backed_up, lose_data, names, quiet
from tests.support.images import raw_scan, same
from tests.support.plain_search import hits, scan_forms
from tests.support.store_facts import announcement, at
from tests.support.vault_killed import ORDER
from tests.support.vaults import vault


def test_a_backup_holds_what_was_acknowledged_and_no_secret(site: Configuration, tmp_path: Path):
    store = open_store(site)
    known: list[int] = []
    enough, more, stop = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            number = len(known)
            store.write(lambda uow, n=number: uow.announce(announcement(f"P{n}"), at())).result()
            known.append(number)
            more.set()
            if number == 20:
                enough.set()

    def meanwhile(_done: int, _all: int) -> None:
        """Something more is acknowledged while the backup is made."""
        more.clear()
        assert more.wait(60)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        assert enough.wait(60)
        before = len(known)
        made = backed_up(site, tmp_path / "backups", progress=meanwhile)
        after = len(known)
    finally:
        stop.set()
        writer.join()
        store.close()
    assert made.log.holds
    assert after > before
    reader = SqliteReader(made.directory / "data")
    pieces = reader.read(lambda view: view.pieces(limit=100_000))
    reader.close()
    assert {f"P{number}" for number in range(before)} <= {piece.piece_id for piece in pieces}
    found = names(made.directory)
    assert {"config/station.toml", "config/policy.toml", "config/devices/lane-1.toml", "config/keys/audit-signing.pub"} <= found
    assert not {
        name for name in found if "image-keys" in name or name.endswith(("signing.key", ".tmp", "-wal", "-shm", "lock", "reserve.bin"))
    }
    secrets = [path.read_bytes() for path in (*site.image_key_dir.iterdir(), site.audit_key_file) if path.is_file()]
    assert secrets
    for name in found:
        content = (made.directory / name).read_bytes()
        assert not any(secret in content for secret in secrets)
    assert all(path.stat().st_mode & 0o077 == 0 for path in made.directory.rglob("*"))
    newest = newest_backup(site)
    assert newest is not None
    assert (newest.name, newest.made_at) == (made.manifest.name, START)


def test_private_keys_within_the_data_stay_out(site: Configuration, tmp_path: Path):
    edit(site.path, {"audit.signing_key_file": "data/own/audit.key", "screening.signing_key_file": "data/own/model.key"})
    moved = load(site.path)
    (moved.data_dir / "own").mkdir()
    (moved.data_dir / "own" / "model.key").write_text("secret")
    site.audit_key_file.rename(moved.audit_key_file)
    site.audit_key_file.with_suffix(".pub").rename(moved.audit_key_file.with_suffix(".pub"))
    made = backed_up(moved, tmp_path / "backups")
    assert {name for name in names(made.directory) if "/own/" in name} == {"config/data/own/audit.pub", "data/own/audit.pub"}


def test_unchanged_files_are_shared_and_old_backups_go(site: Configuration, tmp_path: Path):
    to = tmp_path / "backups"
    first = backed_up(site, to)
    images = open_images(site, SystemClock())
    third = images.put(raw_scan(12, 8, seed=7), None)
    second = backed_up(site, to, hours=1)
    shared = {
        name
        for name in names(second.directory)
        if (first.directory / name).exists() and (first.directory / name).samefile(second.directory / name)
    }
    assert {name for name in names(first.directory) if name.startswith("data/images/")} <= shared
    assert second.linked == len(shared)
    assert not {name for name in shared if third in name or name in {MANIFEST, SIGNATURE, "data/station.db"}}
    # Nothing that somebody put there gets into what is signed: the scan is copied anew.
    signature = (second.directory / SIGNATURE).read_text()
    (second.directory / SIGNATURE).write_text((first.directory / SIGNATURE).read_text())
    (first.directory / SIGNATURE).unlink()
    assert backed_up(site, to, hours=2).linked == 0
    (to / "not-a-backup").mkdir()
    (second.directory / SIGNATURE).write_text(signature)
    kept = backed_up(site, to, hours=3, keep=2)
    assert kept.removed == (second.manifest.name,)
    assert sorted(path.name for path in to.iterdir()) == [
        "not-a-backup",
        first.manifest.name,
        "site-1-20261121T070000Z",
        "site-1-20261121T080000Z",
    ]
    with pytest.raises(ConflictError, match="there already"):
        backed_up(site, to, hours=3)


def test_damaged_backups_are_named_stay_and_do_not_count(site: Configuration, tmp_path: Path):
    """With only the number counted, the last backup that anybody could go on from would make room for a damaged one."""
    to = tmp_path / "backups"
    made = [backed_up(site, to, hours=hour) for hour in range(5)]
    whole, truncated, emptied, unsigned, lost = (one.directory for one in made)
    database = truncated / "data" / "station.db"
    os.truncate(database, database.stat().st_size // 2)
    next((emptied / "data" / "images").rglob("*.scan")).unlink()
    (unsigned / SIGNATURE).unlink()
    shutil.rmtree(lost)
    lost.mkdir()
    kept = backed_up(site, to, hours=5, keep=2)
    damaged = [truncated.name, emptied.name, unsigned.name, lost.name]
    assert (kept.removed, [one.name for one in kept.damaged]) == ((), damaged)
    assert kept.linked > 0
    assert "station.db" in kept.damaged[0].why
    newest = newest_backup(site)
    assert newest is not None
    assert list(newest.damaged) == damaged
    assert backed_up(site, to, hours=6, keep=2).removed == (whole.name,)
    assert {path.name for path in to.iterdir()} >= set(damaged)


def test_what_a_killed_backup_left_is_removed_and_a_running_one_is_not(site: Configuration, tmp_path: Path):
    to = tmp_path / "backups"
    for name in ("dead", "alive"):
        (to / f"{name}{PART}" / "data").mkdir(parents=True)
    held = os.open(to / f"alive{PART}", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    made = backed_up(site, to)
    os.close(held)
    assert {path.name for path in to.iterdir()} == {f"alive{PART}", made.manifest.name}


def test_what_cannot_be_written_leaves_nothing(site: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(StoreError, match="could not be copied"):
        backed_up(site, taken)
    to = tmp_path / "backups"
    backed_up(site, to)
    before = names(to)
    # A full disk as the kernel tells of it.
    real, written = os.fsync, [0]

    def full(descriptor: int) -> None:
        written[0] += 1
        if written[0] == 5:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    open_images(site, SystemClock())
    for path in site.data_dir.rglob("*.scan"):
        os.utime(path)
    with pytest.raises(StoreError, match="No space left"):
        backed_up(site, to, hours=1)
    assert names(to) == before
    monkeypatch.undo()
    shutil.rmtree(site.data_dir)
    with pytest.raises(StoreError, match="There is no database"):
        backed_up(site, to, hours=1)


def test_destroyed_images_are_gone_from_backups_too(site: Configuration, tmp_path: Path):
    images = open_images(site, SystemClock())
    scans = {images.put(raw_scan(64, 48, seed=number), None): raw_scan(64, 48, seed=number) for number in (3, 4)}
    made = backed_up(site, tmp_path / "backups")
    for sha256, scan in scans.items():
        assert hits(scan_forms(scan, sha256), (made.directory,)) == set()
    kept = vault(made.directory / "data" / "images", keys=site.image_key_dir)
    assert all(same(kept.scan(sha256), scan) for sha256, scan in scans.items())
    for key in images.existing_keys():
        images.destroy(key, (), ORDER)
    lose_data(site)
    restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    restored = open_images(site, SystemClock())
    for sha256 in scans:
        with pytest.raises(ImageKeyLostError):
            restored.scan(sha256)


def test_the_backup_just_made_stays_though_a_clock_was_ahead(site: Configuration, tmp_path: Path):
    to = tmp_path / "backups"
    ahead = backed_up(site, to, hours=24 * 365)
    made = backed_up(site, to, hours=1, keep=1)
    assert (made.removed, made.directory.is_dir()) == ((ahead.manifest.name,), True)


def test_what_lies_on_another_medium_is_named(site: Configuration, tmp_path: Path):
    images = site.data_dir / "images"
    images.rename(tmp_path / "images")
    images.symlink_to(tmp_path / "images")
    models = site.data_dir / "models"
    (models / "site-1").mkdir(parents=True)
    deep = (models / "earlier", models / "site-1" / "weights.onnx")
    deep[0].symlink_to(tmp_path / "images")
    deep[1].symlink_to(tmp_path / "nowhere")
    assert backed_up(site, tmp_path / "backups").left_out == (images, *deep)


def test_a_clock_that_is_wrong_is_told(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups", hours=24 * 365 * 100)
    lose_data(site)
    with pytest.raises(ConfigurationError, match="clock"):
        restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)


def test_a_log_that_does_not_hold_costs_no_older_backup(site: Configuration, tmp_path: Path):
    to = tmp_path / "backups"
    first = backed_up(site, to)
    with closing(pysqlite3.dbapi2.connect(str(site.data_dir / "station.db"), isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER evidence_no_update")
        connection.execute("UPDATE evidence SET visit = visit + 1 WHERE row_id = 5")
    second = backed_up(site, to, hours=1, keep=1)
    assert (second.log.holds, second.removed) == (False, ())
    assert first.directory.is_dir()
    lose_data(site)
    with pytest.raises(StoreError, match="does not hold"):
        restore(site.path, second.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    restore(site.path, first.directory, believed_keys(site), person="Lan", note="", progress=quiet)


def test_no_backup_fills_the_medium_or_lies_in_the_data(site: Configuration, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="lies in the data"):
        backed_up(site, site.data_dir / "backups")
    backed_up(site, tmp_path / "backups")
    before = names(tmp_path / "backups")
    edit(site.path, {"storage.free_floor_mb": 1 << 30})
    # What has not changed needs no room, but even that leaves less than the floor.
    with pytest.raises(StoreError, match="has 0 MiB to give"):
        backed_up(load(site.path), tmp_path / "backups", hours=1)
    assert names(tmp_path / "backups") == before


@pytest.mark.parametrize("name", ["station.db", "station.db-wal"])
def test_the_database_too_needs_room_before_anything_is_copied(site: Configuration, tmp_path: Path, name: str):
    # Without content, so that the medium of the test holds it; the copy would not hold it.
    with (site.data_dir / name).open("ab") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + (1 << 30))
    with pytest.raises(StoreError, match="The backup needs"):
        backed_up(site, tmp_path / "backups")
    assert names(tmp_path / "backups") == set()
