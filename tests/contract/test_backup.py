"""Backups of a real data directory: made while it is written to, proved, and gone on from."""

import asyncio
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysqlite3.dbapi2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.audit.note import VerifierKey
from station.bootstrap.audit import believed_keys, open_keeper, remembered_file
from station.bootstrap.backup import MANIFEST, SIGNATURE, MadeBackup, make_backup, newest_backup
from station.bootstrap.restore import check_backup, keys_for, restore
from station.bootstrap.stores import open_store
from station.bootstrap.vault import open_images
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, ConflictError, ImageKeyLostError, RefusedError, StoreError
from station.domain.piece import Secrecy
from station.settings import Configuration, edit, load, write_shipped
from station.storage.backup_files import PART
from station.storage.store import SqliteReader
from tests.support.audit_logs import append_facts
from tests.support.images import raw_scan, same
from tests.support.plain_search import hits, scan_forms
from tests.support.store_facts import announcement, at
from tests.support.vault_killed import ORDER
from tests.support.vaults import vault

START = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
SMALL = {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1}


def quiet(_done: int, _all: int) -> None:
    return None


def sealed(configuration: Configuration) -> None:
    """The log checked and signed, as a station does it at its start."""
    store = open_store(configuration)
    asyncio.run(open_keeper(configuration, store, SystemClock()).start())
    store.close()


@pytest.fixture
def site(tmp_path: Path) -> Configuration:
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


def backed_up(site: Configuration, to: Path, *, hours: float = 0.0, keep: int | None = None) -> MadeBackup:
    return make_backup(site, to, keep=keep, at=START + timedelta(hours=hours), progress=quiet)


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


def test_a_backup_holds_what_was_acknowledged_and_no_secret(site: Configuration, tmp_path: Path):
    store = open_store(site)
    known: list[int] = []
    enough, stop = threading.Event(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            number = len(known)
            store.write(lambda uow, n=number: uow.announce(announcement(f"P{n}"), at())).result()
            known.append(number)
            if number == 20:
                enough.set()

    writer = threading.Thread(target=work)
    writer.start()
    try:
        assert enough.wait(60)
        before = len(known)
        made = backed_up(site, tmp_path / "backups")
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
    (second.directory / SIGNATURE).write_text((first.directory / SIGNATURE).read_text())
    (first.directory / SIGNATURE).unlink()
    assert backed_up(site, to, hours=2).linked == 0
    (to / "not-a-backup").mkdir()
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


def harm(name: str) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-1])

    def link(path: Path) -> None:
        path.rename(path.with_suffix(".moved"))
        path.symlink_to(path.with_suffix(".moved"))

    return {"flip": flip, "cut": cut, "link": link, "remove": Path.unlink}[name]


@pytest.mark.parametrize("kind", ["flip", "cut", "link", "remove"])
def test_every_harm_is_found_and_nothing_of_it_put_in_place(site: Configuration, tmp_path: Path, kind: str):
    made = backed_up(site, tmp_path / "backups")
    keys = believed_keys(site)
    assert check_backup(made.directory, keys, quiet).holds
    lose_data(site)
    for one in made.manifest.files:
        copy = tmp_path / "harmed"
        shutil.copytree(made.directory, copy)
        harm(kind)(copy / one.path)
        checked = check_backup(copy, keys, quiet)
        assert (checked.holds, checked.wrong) == (False, (one.path,))
        with pytest.raises(StoreError, match="does not hold"):
            restore(site.path, copy, keys, person="Lan", note="", progress=quiet)
        assert not site.data_dir.exists()
        shutil.rmtree(copy)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_manifest_or_signature_is_not_believed(site: Configuration, tmp_path: Path, data: st.DataObject):
    to = tmp_path / "backups"
    made = next(iter(to.iterdir()), None) if to.exists() else backed_up(site, to).directory
    assert made is not None
    path = made / data.draw(st.sampled_from([MANIFEST, SIGNATURE]))
    content = bytearray(before := path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        with pytest.raises(StoreError):
            check_backup(made, believed_keys(site), quiet)
    finally:
        path.write_bytes(before)


def test_a_station_goes_on_from_it(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    worked_on(site)
    with pytest.raises(StoreError, match="There is data"):
        restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    lose_data(site)
    with pytest.raises(RefusedError):
        restore(site.path, made.directory, believed_keys(site), person=" ", note="", progress=quiet)
    done = restore(site.path, made.directory, believed_keys(site), person="Lan", note="disk", progress=quiet)
    assert (done.lost_leaves, done.asked, done.configuration) == (5, False, ())
    assert done.set_aside is not None
    assert done.set_aside.read_text().splitlines()[1] == "17"
    assert not remembered_file(site.audit_key_file).exists()
    store = open_store(site)
    keeper = open_keeper(site, store, SystemClock())
    assert asyncio.run(keeper.start()).holds
    assert keeper.intact
    restored = store.read(lambda view: view.evidence("STORE"))[-1].evidence
    assert (restored.person, restored.note, restored.lost_leaves) == ("Lan", "disk", 5)  # type: ignore[union-attr]
    store.close()
    images = open_images(site, SystemClock())
    for sha256, key in images.each():
        assert same(images.scan(sha256), raw_scan(12, 8, seed=0 if key.level is None else 1))


def test_on_a_new_machine_with_nothing_but_the_backup_and_the_public_key(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    kept = tmp_path / "audit.pub"
    shutil.copy(site.audit_key_file.with_suffix(".pub"), kept)
    elsewhere = tmp_path / "new" / "hn1.toml"
    with pytest.raises(ConfigurationError, match="No public key"):
        keys_for(elsewhere)
    keys: tuple[VerifierKey, ...] = believed_keys(site)
    done = restore(elsewhere, made.directory, keys, person="Lan", note="new machine", progress=quiet)
    assert elsewhere in done.configuration
    assert (done.lost_leaves, done.set_aside) == (0, None)
    new = load(elsewhere)
    assert new.policy.sha256 == site.policy.sha256
    assert not new.audit_key_file.exists()
    # The station signs with a key of its own from now on; what the old one signed still holds.
    sealed(new)
    assert len(believed_keys(new)) == 2
    images = open_images(new, SystemClock())
    for path in (new.data_dir / "images").rglob("*.scan"):
        with pytest.raises(ImageKeyLostError):
            images.scan(path.stem)


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


def test_a_restore_that_was_cut_off_is_repeated(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    worked_on(site)
    lose_data(site)
    first = restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    shutil.rmtree(site.data_dir)
    second = restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    assert first.lost_leaves == second.lost_leaves == 5
    assert first.set_aside == second.set_aside


def test_what_each_restore_lost_stays_proved(site: Configuration, tmp_path: Path):
    keys, asides = believed_keys(site), []

    def again(made: MadeBackup) -> tuple[int, Path | None]:
        site.data_dir.rename(site.data_dir.with_name(f"data.{len(asides)}"))
        done = restore(site.path, made.directory, keys, person="Lan", note="", progress=quiet)
        asides.append(done.set_aside)
        return done.lost_leaves, done.set_aside

    first = backed_up(site, tmp_path / "backups")
    worked_on(site)
    second = backed_up(site, tmp_path / "backups", hours=1)
    notes = [remembered_file(site.audit_key_file).read_text()]
    assert again(first)[0] == 5
    # No station has run since: what was lost is known from the note that was set aside.
    assert again(first) == (5, asides[0])
    sealed(site)
    notes.append(remembered_file(site.audit_key_file).read_text())
    assert again(first)[0] > 0
    sealed(site)
    notes.append(remembered_file(site.audit_key_file).read_text())
    # Another continuation of the log, with fewer leaves than the backup has: the station would find it written anew.
    lost, aside = again(second)
    assert (lost, aside is not None) == (0, True)
    assert [path.read_text() for path in dict.fromkeys(asides) if path is not None] == notes
    store = open_store(site)
    assert asyncio.run(open_keeper(site, store, SystemClock()).start()).holds
    store.close()


def test_what_is_in_no_manifest_is_not_believed(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    keys = believed_keys(site)
    lose_data(site)
    edit(site.path, {"audit.signing_key_file": "moved/audit.key"})
    for place in ("config/moved/audit.pub", "data/station.db-wal", "data/models/own.onnx"):
        (made.directory / place).parent.mkdir(exist_ok=True)
        shutil.copy(site.audit_key_file.with_suffix(".pub"), made.directory / place)
    done = restore(site.path, made.directory, keys, person="Lan", note="", progress=quiet)
    assert not (tmp_path / "site" / "moved").exists()
    assert not (site.data_dir / "models").exists()
    assert done.differing == (site.path,)


def test_what_is_changed_after_it_was_proved_is_not_put_in_place(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    keys = believed_keys(site)
    lose_data(site)
    images = sorted((made.directory / "data" / "images").rglob("*.scan"))
    copy = tmp_path / "copy"
    shutil.copytree(made.directory, copy)

    def late(change: Callable[[], object]) -> Callable[[int, int], None]:
        def progress(done: int, of: int) -> None:
            # Every file has been read by then.
            if done == of:
                change()

        return progress

    def swap() -> None:
        if not images:
            return
        first, second = (path.read_bytes() for path in images)
        images[0].write_bytes(second)
        images[1].write_bytes(first)
        images.clear()

    with pytest.raises(StoreError, match="changed while it was read"):
        restore(site.path, made.directory, keys, person="Lan", note="", progress=late(swap))
    assert not site.data_dir.exists()
    elsewhere, policy = tmp_path / "new" / "station.toml", copy / "config" / "policy.toml"
    with pytest.raises(StoreError, match="changed while it was read"):
        restore(elsewhere, copy, keys, person="Lan", note="", progress=late(lambda: policy.write_text("")))
    # What names the other files comes last: the next try takes them from a backup again.
    assert not elsewhere.exists()


def test_the_backup_just_made_stays_though_a_clock_was_ahead(site: Configuration, tmp_path: Path):
    to = tmp_path / "backups"
    ahead = backed_up(site, to, hours=24 * 365)
    made = backed_up(site, to, hours=1, keep=1)
    assert (made.removed, made.directory.is_dir()) == ((ahead.manifest.name,), True)


def test_what_lies_on_another_medium_is_named(site: Configuration, tmp_path: Path):
    images = site.data_dir / "images"
    images.rename(tmp_path / "images")
    images.symlink_to(tmp_path / "images")
    assert backed_up(site, tmp_path / "backups").left_out == (images,)


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


def test_another_sites_backup_is_refused(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    keys = believed_keys(site)
    edit(site.path, {"site": "site-2"})
    lose_data(site)
    with pytest.raises(ConfigurationError, match="of site site-2, the backup of site-1"):
        restore(site.path, made.directory, keys, person="Lan", note="", progress=quiet)
    assert not site.data_dir.exists()


@pytest.fixture(autouse=True)
def _nothing_half_stays(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list((tmp_path / "site").glob(f"*{PART}"))
