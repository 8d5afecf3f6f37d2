"""What a person at a terminal sees of the image vault, and how images are destroyed before their time."""

import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from station.bootstrap.stores import open_store
from station.bootstrap.vault import open_images, prepare_images
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, ImageDestroyedError
from station.domain.piece import PieceState, Secrecy
from station.settings import Configuration, edit, load
from tests.contract.test_plain_images import write_plain
from tests.support.clocks import SetClock
from tests.support.images import raw_scan, same
from tests.support.store_facts import announcement, at, scan
from tests.support.terminal import Terminal
from tests.support.vaults import level_of


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def site(terminal: Terminal, tmp_path: Path) -> Configuration:
    assert terminal.run("config", "init", tmp_path)[0] == 0
    file = tmp_path / "station.toml"
    edit(file, {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})
    return load(file)


def put(site: Configuration, number: int, *, held: bool, level: Secrecy | None, when: datetime) -> str:
    """A piece that is released or held, with its image under the key of that day."""
    sha256 = open_images(site, SetClock(when)).put(raw_scan(12, 8, seed=number), level)
    store = open_store(site)
    piece_id, way = f"P{number}", [PieceState.ARRIVED, PieceState.SCANNING, PieceState.SCANNED, PieceState.HELD]
    if not held:
        way[3:] = [PieceState.CLEARED, PieceState.DISINFECTING, PieceState.DISINFECTED, PieceState.RELEASED]
    try:
        store.write(lambda uow: uow.announce(announcement(piece_id, secrecy=level), at())).result()
        for state in way:
            store.write(lambda uow, state=state: uow.change_state(piece_id, state, at(), lane_id="1", visit=1)).result()
        store.write(lambda uow: uow.append(scan(piece_id, sha256))).result()
    finally:
        store.close()
    return sha256


def test_a_supervisor_destroys_images_before_their_time(terminal: Terminal, site: Configuration, monkeypatch: pytest.MonkeyPatch):
    now = SystemClock().utc_now()
    gone, held = (put(site, number, held=number == 2, level=Secrecy.B, when=now) for number in (1, 2))
    other = put(site, 3, held=False, level=None, when=now)
    day = now.date().isoformat()
    demand = ("vault", "destroy", "--day", day, "--level", "B", "--note", "order 12")
    code, _, err = terminal.run(*demand, "--supervisor", " ", "--yes")
    assert code == 1
    assert "Nobody took the responsibility" in err
    assert terminal.run("vault", "destroy", "--day", day, "--level", "C", "--supervisor", "Lan", "--yes")[0] == 1
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO("n\n"))
        assert terminal.run(*demand, "--supervisor", "Lan")[0] == 1
    images = open_images(site, SystemClock())
    assert same(images.scan(gone), raw_scan(12, 8, seed=1))

    code, out, _ = terminal.run(*demand, "--supervisor", "Lan", "--yes")
    assert code == 0
    assert "(Lan) order 12" in out
    assert "not done with: 1" in out
    images = open_images(site, SystemClock())
    with pytest.raises(ImageDestroyedError):
        images.scan(gone)
    assert same(images.scan(held), raw_scan(12, 8, seed=2))
    assert same(images.scan(other), raw_scan(12, 8, seed=3))

    _, out, _ = terminal.run("vault", "status", "--json")
    found = json.loads(out)
    assert [(key["level"], key["images"], key["due"]) for key in found["keys"]] == [("B", 1, False), ("unmarked", 1, False)]
    (record,) = found["destroyed"]
    assert (record["level"], record["images"], record["cause"], record["person"]) == ("B", 1, "early", "Lan")
    assert "(Lan) order 12" in terminal.run("vault", "status")[1]


def test_a_station_at_work_is_not_disturbed(terminal: Terminal, site: Configuration):
    now = SystemClock().utc_now()
    sha256 = put(site, 1, held=False, level=None, when=now)
    store = open_store(site)
    try:
        code, _, err = terminal.run(
            "vault", "destroy", "--day", now.date().isoformat(), "--level", "unmarked", "--supervisor", "Lan", "--yes"
        )
    finally:
        store.close()
    assert code == 1
    assert "station" in err
    assert same(open_images(site, SystemClock()).scan(sha256), raw_scan(12, 8, seed=1))


def test_the_doctor_looks_at_every_key(terminal: Terminal, site: Configuration):
    def found() -> tuple[bool, str, str]:
        _, out, _ = terminal.run("doctor", "--json")
        check = next(check for check in json.loads(out) if check["name"] == "image keys")
        return check["ok"], check["found"], check["remedy"]

    assert found() == (True, "none yet: made with the first image", "")
    now = SystemClock().utc_now()
    images = open_images(site, SetClock(now))
    images.put(raw_scan(), None)
    ok, text, _ = found()
    assert ok
    assert text.startswith("1 keys in ")
    open_images(site, SetClock(now - timedelta(days=9))).put(raw_scan(seed=2), Secrecy.A)
    ok, text, remedy = found()
    assert not ok
    assert "past their time" in text
    assert "Start the station" in remedy
    open_images(site, SetClock(now + timedelta(days=9))).put(raw_scan(seed=3), None)
    assert "days to come" in found()[1]
    path = next(iter(sorted(site.image_key_dir.iterdir())))
    path.chmod(0o644)
    assert "open to others" in found()[1]
    path.write_text("nonsense")
    ok, text, remedy = found()
    assert not ok
    assert "truncated or changed" in text
    assert "move it away" in remedy


def test_keys_inside_the_data_are_refused(site: Configuration):
    edit(site.path, {"vault.key_dir": "data/keys"})
    with pytest.raises(ConfigurationError, match="lies inside data_dir"):
        load(site.path)


def test_a_station_that_comes_from_before_encryption_seals_what_it_finds(site: Configuration):
    root = site.data_dir / "images"
    known, unknown = write_plain(root, 1), write_plain(root, 2)
    store = open_store(site)
    try:
        store.write(lambda uow: (uow.announce(announcement("P1", secrecy=None), at()), uow.append(scan("P1", known)))).result()
        images = open_images(site, SystemClock())
        prepare_images(site, images, store, lambda _done, _of: None)
    finally:
        store.close()
    assert level_of(images, known) is None
    # Nobody knows whose it is: it counts as the highest.
    assert level_of(images, unknown) is Secrecy.A
    assert same(images.scan(unknown), raw_scan(seed=2))
