"""Images from before there was encryption are sealed where they lie, whenever the process that does it is killed."""

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from station.domain.errors import ImageDamagedError
from station.domain.piece import Secrecy
from station.ports.xray import raw_sha256
from station.storage import image_file
from station.storage.codec import to_json
from station.storage.image_store import FileImageStore
from station.storage.plain_images import _PlainViews, seal_plain
from tests.support import vaults
from tests.support.images import raw_scan, result, same
from tests.support.vaults import KEYS, vault


def write_plain(root: Path, seed: int) -> str:
    """A scan and its views, as they lay in clear once."""
    scan, read = raw_scan(seed=seed), result(seed)
    sha256 = raw_sha256(scan.le, scan.he)
    folder = root / sha256[:2]
    folder.mkdir(parents=True, exist_ok=True)
    arrays = io.BytesIO()
    np.savez(arrays, allow_pickle=False, heat_map=read.heat_map, fingerprint=read.fingerprint)
    contents = {".view.png": read.view_png, ".heat.png": read.heat_png, ".arrays.npz": arrays.getvalue()}
    names = {suffix: hashlib.sha256(content).hexdigest() for suffix, content in contents.items()}
    for suffix, content in contents.items():
        (folder / f"{sha256}.{names[suffix][:16]}{suffix}").write_bytes(content)
    text = to_json(
        _PlainViews(
            view_sha256=names[".view.png"],
            heat_sha256=names[".heat.png"],
            arrays_sha256=names[".arrays.npz"],
            model_sha256=read.model_sha256,
            score=read.score,
            threshold=read.threshold,
            p_value=read.p_value,
            calibration_n=read.calibration_n,
            length_mm=read.length_mm,
            width_mm=read.width_mm,
            duration_ms=read.duration_ms,
            findings=read.findings,
            model_findings=read.model_findings,
        )
    ).encode()
    (folder / f"{sha256}.views.json").write_bytes(text + hashlib.sha256(text).hexdigest().encode())
    (folder / f"{sha256}.scan").write_bytes(image_file.encode(scan, sha256))
    return sha256


def level_of(sha256: str) -> Secrecy | None:
    return Secrecy.B if int(sha256[0], 16) % 2 else None


def check(root: Path, images: FileImageStore, hashes: dict[int, str]) -> None:
    for seed, sha256 in hashes.items():
        assert same(images.scan(sha256), raw_scan(seed=seed))
        assert same(images.views(sha256), result(seed))
        assert vaults.level_of(images, sha256) is level_of(sha256)
    assert {path.suffix for path in root.glob("[0-9a-f][0-9a-f]/*")} == {".key", ".scan", ".views"}


def test_images_in_clear_are_sealed(tmp_path: Path):
    root = tmp_path / "images"
    hashes = {seed: write_plain(root, seed) for seed in range(3)}
    images = vault(root)
    told: list[tuple[int, int]] = []
    assert seal_plain(root, images, level_of, lambda done, of: told.append((done, of))) == 3
    assert told == [(0, 3), (1, 3), (2, 3)]
    check(root, images, hashes)
    assert seal_plain(root, images, level_of) == 0


@pytest.mark.parametrize("after", range(12))
def test_interrupted_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int):
    root = tmp_path / "images"
    hashes = {seed: write_plain(root, seed) for seed in range(2)}
    images = vault(root)
    steps = 0
    for name in ("unlink", "replace"):
        real = getattr(Path, name)

        def step(self: Path, *args: object, _real: object = real, **named: object) -> object:
            nonlocal steps
            steps += 1
            if steps > after:
                raise SystemExit
            return _real(self, *args, **named)  # type: ignore[operator]

        monkeypatch.setattr(Path, name, step)
    with pytest.raises(SystemExit):
        seal_plain(root, images, level_of)
    monkeypatch.undo()
    images = vault(root)
    images.tidy()
    seal_plain(root, images, level_of)
    check(root, images, hashes)


@pytest.mark.parametrize("damaged", [slice(0, -1), slice(1, None)], ids=["end", "magic"])
def test_a_damaged_image_in_clear_is_named_and_kept_sealed(tmp_path: Path, damaged: slice):
    root = tmp_path / "images"
    sha256 = write_plain(root, 1)
    path = root / sha256[:2] / f"{sha256}.scan"
    content = path.read_bytes()[damaged]
    path.write_bytes(content)
    images = vault(root)
    with capture_logs() as log:
        seal_plain(root, images, level_of)
    assert [(line["image"], line["file"]) for line in log if line["log_level"] == "warning"] == [(sha256, str(path))]
    assert {one.suffix for one in root.glob("[0-9a-f][0-9a-f]/*")} == {".key", ".scan", ".views"}
    assert content[100:200] not in path.read_bytes()
    with pytest.raises(ImageDamagedError, match=sha256):
        images.scan(sha256)
    _, data_key = images._open(sha256)
    assert images._unsealed(sha256, ".scan", data_key) == content
    assert same(images.views(sha256), result(1))
    # Stored once more it is whole again, and until then it is left as it is.
    assert seal_plain(root, images, level_of) == 0
    assert images.put(raw_scan(seed=1), None) == sha256
    assert same(images.scan(sha256), raw_scan(seed=1))


@pytest.mark.parametrize("of", ["*.arrays.npz", "*.view.png", "*.views.json"])
def test_damaged_views_in_clear_are_named(tmp_path: Path, of: str):
    root = tmp_path / "images"
    sha256 = write_plain(root, 1)
    (path,) = (root / sha256[:2]).glob(of)
    path.write_bytes(path.read_bytes()[:-20])
    with capture_logs() as log:
        seal_plain(root, vault(root), level_of)
    assert [line["image"] for line in log] == [sha256]
    assert {path.suffix for path in root.glob("[0-9a-f][0-9a-f]/*")} == {".key", ".scan"}


def test_views_in_clear_of_an_image_whose_key_is_lost_go_and_keep_no_station_from_starting(tmp_path: Path):
    root = tmp_path / "images"
    images = vault(root)
    images.put(raw_scan(seed=1), None)
    sealed = {path.name: path.read_bytes() for path in root.glob("[0-9a-f][0-9a-f]/*")}
    sha256 = write_plain(root, 1)
    for name, content in sealed.items():
        (root / sha256[:2] / name).write_bytes(content)
    shutil.rmtree(tmp_path / KEYS)
    with capture_logs() as log:
        seal_plain(root, vault(root), level_of)
    assert [line["image"] for line in log] == [sha256]
    assert {path.name for path in root.glob("[0-9a-f][0-9a-f]/*")} == set(sealed)
