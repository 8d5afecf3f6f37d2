"""The image vault: keys of a day and level, moving between them, and destruction that nothing undoes."""

import errno
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from station import durable_file
from station.domain.errors import ImageDestroyedError, ImageKeyLostError, NotFoundError, StoreError
from station.domain.piece import Secrecy
from station.ports.vault import ImageVault, KeyStore
from station.storage import image_store, key_files
from station.storage.image_store import FileImageStore
from tests.support.clocks import SetClock
from tests.support.damaged_files import cut
from tests.support.images import raw_scan, result, same
from tests.support.vault_killed import NEEDED, ORDER
from tests.support.vaults import DAY, KEYS, level_of, vault

A_DAY_S = timedelta(days=1).total_seconds()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(DAY)


@pytest.fixture
def images(tmp_path: Path, clock: SetClock) -> FileImageStore:
    return vault(tmp_path / "images", clock)


def key_files_of(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / KEYS).iterdir())


def test_each_day_and_level_has_a_key(images: FileImageStore, clock: SetClock, tmp_path: Path):
    port: ImageVault = images
    first = port.put(raw_scan(seed=1), Secrecy.A)
    assert port.put(raw_scan(seed=2), Secrecy.A) != first
    port.put(raw_scan(seed=3), None)
    clock.forward(A_DAY_S)
    port.put(raw_scan(seed=4), Secrecy.A)
    assert [key.key_id[:-9] for key in port.existing_keys()] == ["2026-11-20-A", "2026-11-20-unmarked", "2026-11-21-A"]
    assert {path.stat().st_mode & 0o777 for path in key_files_of(tmp_path)} == {0o600}
    assert (tmp_path / KEYS).stat().st_mode & 0o777 == 0o700
    assert level_of(images, first) is Secrecy.A
    keys: KeyStore = key_files.FileKeyStore(tmp_path / KEYS)
    assert keys.existing() == port.existing_keys()


def test_an_image_follows_its_level_without_being_written_anew(images: FileImageStore, tmp_path: Path):
    sha256 = images.put(raw_scan(), Secrecy.A)
    images.put_views(sha256, result())
    before = {suffix: images._path(sha256, suffix).read_bytes() for suffix in (".scan", ".views", ".key")}
    assert not images.relevel(sha256, Secrecy.A)
    assert images.relevel(sha256, Secrecy.C)
    assert level_of(images, sha256) is Secrecy.C
    after = {suffix: images._path(sha256, suffix).read_bytes() for suffix in before}
    assert [suffix for suffix in before if before[suffix] != after[suffix]] == [".key"]
    images.destroy(images.existing_keys()[0], (), ORDER)
    assert same(images.views(sha256), result())
    with pytest.raises(NotFoundError):
        images.relevel("ab" * 32, None)


def test_the_same_counts_of_two_pieces_lie_under_the_stricter_level_and_the_later_day(images: FileImageStore, clock: SetClock):
    sha256 = images.put(raw_scan(), None)
    clock.forward(A_DAY_S)
    assert images.put(raw_scan(), Secrecy.B) == sha256
    images.put(raw_scan(), Secrecy.C)
    assert [key.key_id[:-9] for _, key in images.each()] == ["2026-11-21-B"]
    assert same(images.scan(sha256), raw_scan())


def test_a_file_belongs_to_its_scan_its_place_and_its_key(images: FileImageStore):
    first, second = images.put(raw_scan(seed=1), None), images.put(raw_scan(seed=2), Secrecy.A)
    for sha256 in (first, second):
        images.put_views(sha256, result())
    for source, target in (
        ((second, ".key"), (first, ".key")),
        ((second, ".views"), (first, ".views")),
        ((first, ".scan"), (first, ".views")),
    ):
        path = images._path(*target)
        whole = path.read_bytes()
        path.write_bytes(images._path(*source).read_bytes())
        with pytest.raises(StoreError):
            images.views(first)
        path.write_bytes(whole)
    # The name of another key beside the wrapped data key: the level is bound, too.
    path = images._path(first, ".key")
    path.write_bytes(images._path(second, ".key").read_bytes().partition(b"\n")[0] + b"\n" + path.read_bytes().partition(b"\n")[2])
    with pytest.raises(StoreError):
        images.scan(first)


def test_without_its_key_an_image_cannot_be_read_and_can_be_put_again(images: FileImageStore, tmp_path: Path, clock: SetClock):
    sha256 = images.put(raw_scan(), None)
    images.put_views(sha256, result())
    (path,) = key_files_of(tmp_path)
    content = path.read_bytes()
    path.unlink()
    again = vault(tmp_path / "images", clock)
    with pytest.raises(ImageKeyLostError, match="no image key"):
        again.scan(sha256)
    for damaged in (content[:-1], content.replace(b"a", b"b"), b"", b"\xff" * 40):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="truncated or changed"):
            vault(tmp_path / "images", clock).scan(sha256)
        # A lane holds the piece on this error, as for a full disk.
        with pytest.raises(StoreError, match="held"):
            vault(tmp_path / "images", clock).put(raw_scan(seed=2), None)
    path.unlink()
    assert again.put(raw_scan(), None) == sha256
    assert same(again.scan(sha256), raw_scan())
    with pytest.raises(NotFoundError):
        again.views(sha256)


def test_a_link_is_no_key(images: FileImageStore, clock: SetClock, tmp_path: Path):
    sha256 = images.put(raw_scan(), None)
    (path,) = key_files_of(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be used"):
        vault(tmp_path / "images", clock).scan(sha256)
    (tmp_path / "elsewhere").unlink()
    assert len(key_files.FileKeyStore(tmp_path / KEYS).trouble()) == 2


def test_where_no_key_can_be_made_nothing_is_stored(tmp_path: Path):
    (tmp_path / KEYS).write_text("a file where the directory of keys should be")
    images = vault(tmp_path / "images")
    with pytest.raises(StoreError):
        images.put(raw_scan(), None)
    assert not list((tmp_path / "images").glob("*/*"))


@pytest.mark.parametrize("where", ["image-keys", "images", "fo"])
def test_what_a_failed_flush_left_is_flushed_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str):
    """A key, a folder and an image that can be seen may be there only until a power cut."""
    flushed: list[str] = []
    fails = True

    def flush(directory: Path) -> None:
        flushed.append("fo" if len(directory.name) == 2 else directory.name)
        if fails and flushed[-1] == where and any(directory.iterdir()):
            raise OSError(errno.EIO, "Input/output error")

    for module in (durable_file, image_store, key_files):
        monkeypatch.setattr(module, "flush_directory", flush)
    images, picture = vault(tmp_path / "images"), raw_scan(12, 8)
    with pytest.raises(StoreError):
        images.put(picture, None)
    fails = False
    flushed.clear()
    sha256 = images.put(picture, None)
    assert where in flushed
    flushed.clear()
    images.put(picture, None)
    assert flushed == []
    assert images.scan(sha256).kind == picture.kind


def test_destroyed_is_destroyed_in_every_copy_and_needed_images_stay(images: FileImageStore, clock: SetClock, tmp_path: Path):
    hashes = [images.put(raw_scan(seed=seed), Secrecy.A) for seed in range(4)]
    other = images.put(raw_scan(seed=9), None)
    for sha256 in hashes:
        images.put_views(sha256, result())
    shutil.copytree(tmp_path / "images", tmp_path / "copy" / "images")
    clock.forward(A_DAY_S)
    (key,) = (key for key in images.existing_keys() if key.level is Secrecy.A)
    done = images.destroy(key, {hashes[1], other, "ab" * 32}, ORDER)
    assert (done.images, done.kept, done.order) == (3, 1, ORDER)
    assert [key.key_id[:-9] for key in images.existing_keys()] == ["2026-11-20-unmarked", "2026-11-21-A"]
    for sha256 in (hashes[0], hashes[2], hashes[3]):
        for read in (images.scan, images.views, images.raw):
            with pytest.raises(ImageDestroyedError, match="destroyed with its key"):
                read(sha256)
        assert not list((tmp_path / "images" / sha256[:2]).glob(f"{sha256}*"))
    assert same(images.views(hashes[1]), result())
    assert same(images.scan(other), raw_scan(seed=9))
    copy = vault(tmp_path / "copy" / "images", clock, keys=tmp_path / KEYS)
    with pytest.raises(ImageKeyLostError):
        copy.scan(hashes[0])
    # The copy back in place: what was destroyed is told to be so.
    shutil.copytree(tmp_path / "copy" / "images", tmp_path / "images", dirs_exist_ok=True)
    with pytest.raises(ImageDestroyedError):
        images.scan(hashes[0])
    assert images.begun() == (key,)
    assert images.finish(key).roll_sha256 == done.roll_sha256
    assert not images._path(hashes[0], ".scan").exists()
    # The very same counts may come again.
    images.put(raw_scan(seed=0), Secrecy.A)
    assert same(images.scan(hashes[0]), raw_scan(seed=0))


def test_a_lane_looks_through_no_roll_of_the_past(images: FileImageStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch):
    images.put(raw_scan(seed=1), None)
    images.destroy(images.existing_keys()[0], (), ORDER)

    def looks(*_: object) -> None:
        raise AssertionError("there is one for each day and level of all years")

    monkeypatch.setattr(images._rolls, "begun", looks)
    monkeypatch.setattr(images._rolls, "holds", looks)
    for seed in (1, 2):
        images.put_views(images.put(raw_scan(seed=seed), None), result())


def test_a_key_of_this_very_day_can_be_destroyed_and_another_takes_its_place(images: FileImageStore):
    gone, needed = images.put(raw_scan(seed=1), None), images.put(raw_scan(seed=2), None)
    (key,) = images.existing_keys()
    images.destroy(key, {needed}, ORDER)
    (new,) = images.existing_keys()
    assert (new.day, new.level) == (key.day, key.level)
    assert new != key
    assert same(images.scan(needed), raw_scan(seed=2))
    with pytest.raises(ImageDestroyedError):
        images.scan(gone)


def test_a_needed_image_that_cannot_be_moved_keeps_its_key(images: FileImageStore, tmp_path: Path):
    sha256 = images.put(raw_scan(), None)
    path = images._path(sha256, ".key")
    whole = path.read_bytes()
    cut(path)
    (key,) = images.existing_keys()
    with pytest.raises(StoreError):
        images.destroy(key, {sha256}, ORDER)
    assert images.existing_keys() == (key,)
    path.write_bytes(whole)
    assert same(images.scan(sha256), raw_scan())


@pytest.mark.parametrize("broken", ["listing", "reading"])
def test_what_cannot_be_seen_is_not_destroyed(images: FileImageStore, broken: str):
    sha256 = images.put(raw_scan(), None)
    (key,) = images.existing_keys()
    path = images._path(sha256, ".key")
    place = path.parent if broken == "listing" else path
    place.rename(place.with_name("away"))
    # A link to itself answers with an error, not with "there is nothing".
    place.symlink_to(place.name)
    with pytest.raises(StoreError):
        images.destroy(key, {sha256}, ORDER)
    assert images.existing_keys() == (key,)


def dies(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, after: bool = False) -> None:
    """The process dies when this is called, or when it has returned."""
    real: Callable[..., object] = getattr(owner, name)

    def call(*args: object, **named: object) -> object:
        if after:
            real(*args, **named)
        raise SystemExit(name)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(("step", "gone"), [("write", False), ("destroy", False), ("read", True), ("_forget", True)])
def test_a_destruction_that_is_interrupted_is_none_or_is_finished(
    images: FileImageStore, clock: SetClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, gone: bool
):
    lost, needed = (images.put(raw_scan(seed=seed), Secrecy.B) for seed in (1, 2))
    (key,) = images.existing_keys()
    clock.forward(A_DAY_S)
    owner = {"write": images._rolls, "destroy": images._keys, "read": images._rolls}.get(step, images)
    with monkeypatch.context() as patch:
        dies(patch, owner, step, after=step == "_forget")
        with pytest.raises(SystemExit):
            images.destroy(key, {needed}, ORDER)
    again = vault(tmp_path / "images", clock)
    assert again.begun() == ((key,) if gone else ())
    flushed: list[Path] = []
    monkeypatch.setattr(key_files, "flush_directory", flushed.append)
    assert same(again.scan(needed), raw_scan(seed=2))
    if not gone:
        assert same(again.scan(lost), raw_scan(seed=1))
        again.destroy(key, {needed}, ORDER)
    assert again.finish(key).images == 1
    # Before a record can say so, it is durable that the key is gone.
    assert flushed[-1] == tmp_path / KEYS
    with pytest.raises(ImageDestroyedError):
        again.scan(lost)
    assert same(again.scan(needed), raw_scan(seed=2))


@pytest.mark.parametrize("seed", [3])
def test_kill_9_leaves_whole_images_under_keys_that_exist(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    process = subprocess.Popen([sys.executable, "-m", "tests.support.vault_killed", str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = [process.stdout.readline().decode().split() for _ in range(chance.randrange(20, 60))]
    process.kill()
    said += [line.decode().split() for line in process.stdout if line.endswith(b"\n")]
    process.stdout.close()
    process.wait()
    images = vault(tmp_path / "images", SetClock(DAY))
    images.tidy()
    keys, begun = images.existing_keys(), {key.key_id for key in images.begun()}
    destroyed = {key_id for what, _, key_id in said if what == "destroyed"}
    ordered = {key_id for what, _, key_id in said if what == "destroy"}
    assert destroyed <= begun <= ordered
    assert {key.key_id for key in keys}.isdisjoint(begun)
    whole = {sha256 for what, _, sha256 in said if what == "whole"}
    for what, number, sha256 in said:
        if what != "put":
            continue
        try:
            assert same(images.scan(sha256), raw_scan(12, 8, seed=int(number)))
        except ImageDestroyedError:
            assert int(number) % NEEDED
        else:
            if sha256 in whole:
                assert same(images.views(sha256), result(int(number)))
    for key in images.begun():
        images.finish(key)
    assert not list(tmp_path.glob("images/*/*.tmp"))
    for sha256, key in images.each():
        assert key in keys
        images.scan(sha256)


def test_the_day_changes_while_images_are_put_read_moved_and_destroyed(images: FileImageStore, clock: SetClock):
    """Two lanes, none of them days ahead of the other, a reader and the sweep, each in a thread, over midnights."""
    put: list[tuple[int, str]] = []
    wrong: list[BaseException] = []
    done, together = threading.Event(), threading.Barrier(2)

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - told by the test
                wrong.append(error)

        return threading.Thread(target=run)

    def lane(number: int) -> Callable[[], None]:
        def work() -> None:
            for seed in range(number * 1000, number * 1000 + 14):
                sha256 = images.put(raw_scan(12, 8, seed=seed), (Secrecy.A, None)[seed % 2])
                images.put_views(sha256, result(seed))
                put.append((seed, sha256))
                clock.forward(4 * 3600.0)
                together.wait(60)

        return work

    def reader() -> None:
        while not done.is_set():
            for seed, sha256 in put[-8:]:
                assert same(images.scan(sha256), raw_scan(12, 8, seed=seed))
                images.relevel(sha256, (Secrecy.A, None)[seed // 2 % 2])

    def sweep() -> None:
        is_last = False
        while not is_last:
            is_last = done.is_set()
            for key in images.existing_keys():
                if key.day < (clock.utc_now() - timedelta(days=2)).date():
                    images.destroy(key, {sha256 for _, sha256 in put}, ORDER)

    lanes, others = [guarded(lane(number)) for number in range(2)], [guarded(reader), guarded(sweep)]
    for thread in (*lanes, *others):
        thread.start()
    for thread in lanes:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    assert (wrong, len(put)) == ([], 28)
    for seed, sha256 in put:
        assert same(images.views(sha256), result(seed))
        assert same(images.scan(sha256), raw_scan(12, 8, seed=seed))
    assert images.begun()


def test_what_a_killed_process_left_half_written_goes(images: FileImageStore, monkeypatch: pytest.MonkeyPatch):
    sha256 = images.put(raw_scan(seed=1), None)
    with monkeypatch.context() as patch:
        dies(patch, image_store, "write_durably", after=True)
        with pytest.raises(SystemExit):
            images.put(raw_scan(seed=2), None)
    images._path(sha256, ".scan").with_name("half.scan.0a.tmp").write_bytes(b"half")
    orphan = images._path("ab" * 32, ".key")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(images._path(sha256, ".key").read_bytes())
    assert images.tidy() == 2
    assert same(images.scan(sha256), raw_scan(seed=1))
