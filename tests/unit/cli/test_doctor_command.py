"""`station doctor` calls nothing well that keeps a station from starting."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from station.bootstrap.backup import NEWEST
from station.bootstrap.stores import DataInUseError, open_store, refuse_used_data
from station.clock import SystemClock
from station.settings import edit, load, write_shipped
from station.storage.store import LOCK_NAME
from tests.support.audit_logs import append_facts
from tests.support.store_facts import NOON
from tests.support.terminal import Terminal


def put_fact(site: Path, *, days: int) -> None:
    """A fact of so many days from now."""
    number = int((SystemClock().utc_now() - NOON).total_seconds()) // 5 * 5 + 2 + days * 86400
    store = open_store(load(site / "station.toml"))
    store.write(lambda uow: append_facts(uow, number, 1)).result()
    store.close()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    write_shipped(tmp_path)
    edit(tmp_path / "station.toml", {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})
    nowhere = "tcp:127.0.0.1:9"
    edit(tmp_path / "devices" / "lane-1.toml", {"detector.command": nowhere, "detector.lines": nowhere, "plc.endpoint": nowhere})
    put_fact(tmp_path, days=-1)
    return Terminal(monkeypatch, capsys)


def examined(terminal: Terminal) -> dict[str, dict[str, Any]]:
    code, out, _ = terminal.run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    assert code == (0 if all(check["ok"] for check in checks.values()) else 3)
    assert all(check["ok"] != bool(check["remedy"]) for check in checks.values())
    return checks


def test_only_who_holds_the_data_is_a_station_at_work(terminal: Terminal, tmp_path: Path):
    lock = tmp_path / "data" / LOCK_NAME
    checks = examined(terminal)
    assert checks["data directory"]["ok"]
    assert "devices" not in checks
    store = open_store(load(tmp_path / "station.toml"))
    with pytest.raises(DataInUseError):
        refuse_used_data(tmp_path / "data")
    devices = examined(terminal)["devices"]
    assert devices["ok"]
    assert "left to it" in devices["found"]
    store.close()
    lock.unlink()
    examined(terminal)
    # What looks makes nothing: a lock of root's would keep the station's user from starting.
    assert not lock.exists()
    lock.mkdir()
    checks = examined(terminal)
    assert not checks["devices"]["ok"]
    assert "lane-1 lane_plc" not in checks
    assert LOCK_NAME in checks["data directory"]["found"]
    assert not checks["data directory"]["ok"]


def test_what_is_anothers_is_named(terminal: Terminal, tmp_path: Path):
    lock = tmp_path / "data" / LOCK_NAME
    if os.geteuid() == 0:
        os.chown(lock, 65534, 65534)
    else:
        lock.chmod(0)
    check = examined(terminal)["data directory"]
    assert not check["ok"]
    assert LOCK_NAME in check["found"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name": "x"}', b'{"name": "x", "made_at": "0001-01-01T00:00"}', None])
def test_a_newest_backup_that_cannot_be_read_is_not_none(terminal: Terminal, tmp_path: Path, content: bytes | None):
    assert examined(terminal)["backup"]["found"].startswith("none was made yet")
    path = tmp_path / "data" / NEWEST
    path.mkdir() if content is None else path.write_bytes(content)
    check = examined(terminal)["backup"]
    assert not check["ok"]
    assert "cannot be read" in check["found"]


def test_a_clock_that_was_set_back_is_told(terminal: Terminal, tmp_path: Path):
    assert examined(terminal)["clock"]["ok"]
    soon = SystemClock().utc_now() + timedelta(days=2)
    (tmp_path / "data" / NEWEST).write_text(json.dumps({"name": "site-1-x", "made_at": soon.isoformat(), "damaged": []}))
    checks = examined(terminal)
    assert "the newest backup is of" in checks["clock"]["found"]
    assert not checks["clock"]["ok"]
    assert not checks["backup"]["ok"]
    (tmp_path / "data" / NEWEST).unlink()
    put_fact(tmp_path, days=2)
    assert "the newest fact is of" in examined(terminal)["clock"]["found"]
