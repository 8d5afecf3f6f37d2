"""Scans come back exactly as they were, or not at all."""

import dataclasses
import hashlib
import multiprocessing
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import NotFoundError, StoreError
from station.ports.vault import ImageStore
from station.ports.xray import raw_sha256
from station.storage import image_file, sealing
from station.storage.image_store import FileImageStore
from tests.support.images import raw_scan, result, same
from tests.support.vaults import vault


@pytest.fixture
def images(tmp_path: Path) -> FileImageStore:
    return vault(tmp_path / "images")


def test_a_scan_comes_back(images: FileImageStore):
    port: ImageStore = images
    scan = raw_scan()
    sha256 = port.put(scan, None)
    assert sha256 == hashlib.sha256(scan.le.astype("<u2").tobytes() + scan.he.astype("<u2").tobytes()).hexdigest()
    le, he = port.raw(sha256)
    assert np.array_equal(le, scan.le)
    assert np.array_equal(he, scan.he)
    assert same(images.scan(sha256), scan)
    assert images.put(scan, None) == sha256
    assert port.free_bytes() > 0


@given(st.integers(0, 5), st.integers(1, 9), st.data())
def test_any_counts_survive_the_file(lines: int, pixels: int, data: st.DataObject):
    scan = raw_scan(lines, pixels, data.draw(st.integers(0, 99)))
    sha256 = raw_sha256(scan.le, scan.he)
    back = image_file.decode_scan(image_file.encode(scan, sha256), sha256)
    assert np.array_equal(back.le, scan.le)
    assert np.array_equal(back.he, scan.he)
    assert back.le.dtype == np.uint16


def test_smooth_images_get_smaller():
    scan = raw_scan(400, 300)
    ramp = np.add.outer(np.arange(400, dtype=np.uint16), 40_000 + np.arange(300, dtype=np.uint16) * 3).astype(np.uint16)
    scan = dataclasses.replace(scan, le=ramp, he=ramp)
    assert len(image_file.encode(scan, raw_sha256(ramp, ramp))) < ramp.nbytes / 10


def test_arrays_of_other_shapes_are_refused(images: FileImageStore):
    scan = raw_scan()
    for change in ({"he": scan.he[1:]}, {"dark_le": scan.dark_le[1:]}):
        with pytest.raises(StoreError, match="do not belong together"):
            images.put(dataclasses.replace(scan, **change), None)


def test_unknown_scans(images: FileImageStore):
    for name in ("ab" * 32, "../../etc/passwd", "AB" * 32, ""):
        with pytest.raises(NotFoundError):
            images.raw(name)
        with pytest.raises(NotFoundError):
            images.views(name)
        with pytest.raises(NotFoundError):
            images.put_views(name, result())


def test_every_flipped_or_missing_byte_is_found(images: FileImageStore):
    sha256 = images.put(raw_scan(12, 8), None)
    path = images._path(sha256, ".scan")
    whole = path.read_bytes()
    assert sealing.is_sealed(whole)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(StoreError, match="truncated or changed"):
            images.raw(sha256)
    for length in (0, 1, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="feed the piece in again"):
            images.raw(sha256)
    images.put(raw_scan(12, 8), None)
    assert np.array_equal(images.raw(sha256)[0], raw_scan(12, 8).le)


def test_a_whole_file_of_another_scan_is_found(images: FileImageStore):
    first, second = images.put(raw_scan(seed=1), None), images.put(raw_scan(seed=2), None)
    images._path(first, ".scan").write_bytes(images._path(second, ".scan").read_bytes())
    with pytest.raises(StoreError, match="truncated or changed"):
        images.raw(first)
    body = image_file.encode(raw_scan(seed=2), second)
    with pytest.raises(StoreError, match="another scan"):
        image_file.decode_scan(body, first)


@pytest.mark.parametrize("change", ["frame", "header", "size", "long"])
def test_a_forged_file_with_a_good_hash_is_not_trusted(change: str):
    scan = raw_scan(12, 8)
    sha256 = raw_sha256(scan.le, scan.he)
    body = image_file.encode(scan, sha256)[:-32]
    forged = {
        "frame": body[:400] + bytes(40) + body[440:],
        "header": body.replace(b'"kind"', b'"sort"'),
        "size": body.replace(b'"lines":12', b'"lines":13'),
        "long": body.replace(b'"lines":12', b'"lines":-1'),
    }[change]
    with pytest.raises(StoreError):
        image_file.decode_scan(forged + hashlib.sha256(forged).digest(), sha256)


def test_views_come_back_and_are_replaced(images: FileImageStore):
    sha256 = images.put(raw_scan(), None)
    with pytest.raises(NotFoundError):
        images.views(sha256)
    for seed in (1, 2):
        images.put_views(sha256, result(seed))
        assert same(images.views(sha256), result(seed))
    assert len(list(images._path(sha256, ".scan").parent.iterdir())) == 3


def test_damaged_views_are_found(images: FileImageStore):
    sha256 = images.put(raw_scan(), None)
    images.put_views(sha256, result())
    for path in sorted(images._path(sha256, ".scan").parent.iterdir()):
        if path.suffix == ".scan":
            continue
        whole = path.read_bytes()
        for broken in (whole[:-1], whole[:5], b"", bytes([whole[0] ^ 1]) + whole[1:]):
            path.write_bytes(broken)
            with pytest.raises(StoreError, match=r"changed|no image key"):
                images.views(sha256)
        path.write_bytes(whole)
    assert same(images.views(sha256), result())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be written"):
        vault(Path("/proc/kt1-images"), keys=tmp_path)
    images = vault(tmp_path / "images")
    sha256 = raw_sha256(raw_scan().le, raw_scan().he)
    (tmp_path / "images" / sha256[:2]).write_text("a file where a directory should be")
    with pytest.raises(StoreError, match="its piece is held"):
        images.put(raw_scan(), None)
    with pytest.raises(StoreError):
        images.raw(sha256)


def _put_with_a_limit(root: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    images = vault(root)
    try:
        images.put(raw_scan(200, 100), None)
    except StoreError as error:
        os._exit(0 if "Free space" in str(error) and not list(root.glob("*/*")) else 1)
    os._exit(2)


def test_a_file_that_does_not_fit_leaves_nothing(tmp_path: Path):
    process = multiprocessing.get_context("spawn").Process(target=_put_with_a_limit, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
