"""A station goes on from a backup: only from one that holds, and what was lost stays proved."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pysqlite3.dbapi2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.audit.note import VerifierKey
from station.bootstrap.audit import believed_keys, open_keeper, remembered_file
from station.bootstrap.backup import MANIFEST, SIGNATURE, MadeBackup
from station.bootstrap.restore import check_backup, keys_for, restore
from station.bootstrap.stores import open_store
from station.bootstrap.vault import open_images
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, ImageKeyLostError, RefusedError, StoreError
from station.settings import Configuration, edit, load
from tests.support.backups import backed_up, lose_data, quiet, sealed, worked_on
from tests.support.damaged_files import Spoil, cut, flip, link, remove
from tests.support.images import raw_scan, same


@pytest.mark.parametrize("harm", [flip, cut, link, remove])
def test_every_harm_is_found_and_nothing_of_it_put_in_place(site: Configuration, tmp_path: Path, harm: Spoil):
    made = backed_up(site, tmp_path / "backups")
    keys = believed_keys(site)
    assert check_backup(made.directory, keys, quiet).holds
    lose_data(site)
    for one in made.manifest.files:
        copy = tmp_path / "harmed"
        shutil.copytree(made.directory, copy)
        harm(copy / one.path)
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
    for place in ("config/moved/audit.pub", "data/models/own.onnx"):
        (made.directory / place).parent.mkdir(exist_ok=True)
        shutil.copy(site.audit_key_file.with_suffix(".pub"), made.directory / place)
    done = restore(site.path, made.directory, keys, person="Lan", note="", progress=quiet)
    assert not (tmp_path / "site" / "moved").exists()
    assert not (site.data_dir / "models").exists()
    assert done.differing == (site.path,)


def test_a_log_planted_beside_the_database_is_not_read(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    keys, data = believed_keys(site), made.directory / "data"
    # Somebody's own accounts, in a log that SQLite takes for the newest part of the database.
    worked = tmp_path / "worked"
    shutil.copytree(data, worked)
    with closing(pysqlite3.dbapi2.connect(str(worked / "station.db"), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        columns = "user_id, login, display_name, roles, clearance, disabled"
        connection.execute(f"INSERT INTO user_account ({columns}) VALUES ('u9', 'mallory', 'M', '[]', NULL, 0)")  # noqa: S608
        shutil.copy(worked / "station.db-wal", data)
    checked = check_backup(made.directory, keys, quiet)
    assert (checked.holds, checked.wrong, checked.logins) == (False, ("data/station.db-wal",), ())
    (data / "station.db-wal").unlink()
    (data / "station.db-journal").symlink_to(tmp_path / "nowhere")
    assert check_backup(made.directory, keys, quiet).wrong == ("data/station.db-journal",)
    lose_data(site)
    with pytest.raises(StoreError, match="does not hold"):
        restore(site.path, made.directory, keys, person="Lan", note="", progress=quiet)


def test_what_cannot_make_room_is_not_called_data(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    # A mount point: it is not removed, whatever is in it.
    edit(site.path, {"data_dir": "/proc"})
    with pytest.raises(StoreError, match="/proc cannot make room"):
        restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)


def test_a_configuration_file_that_is_not_here_any_more_is_named(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    lose_data(site)
    policy = site.path.with_name("policy.toml")
    policy.rename(policy.with_name("rules.toml"))
    edit(site.path, {"policy": "rules.toml"})
    done = restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    assert set(done.differing) == {site.path, policy}


def test_a_note_that_cannot_be_read_is_told(site: Configuration, tmp_path: Path):
    """With nothing said, its zero would pass for nothing lost."""
    made = backed_up(site, tmp_path / "backups")
    worked_on(site)
    lose_data(site)
    note = remembered_file(site.audit_key_file)
    note.write_text("damaged")
    done = restore(site.path, made.directory, believed_keys(site), person="Lan", note="", progress=quiet)
    assert (done.lost_leaves, done.unreadable) == (0, note)


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


def test_another_sites_backup_is_refused(site: Configuration, tmp_path: Path):
    made = backed_up(site, tmp_path / "backups")
    keys = believed_keys(site)
    edit(site.path, {"site": "site-2"})
    lose_data(site)
    with pytest.raises(ConfigurationError, match="of site site-2, the backup of site-1"):
        restore(site.path, made.directory, keys, person="Lan", note="", progress=quiet)
    assert not site.data_dir.exists()
