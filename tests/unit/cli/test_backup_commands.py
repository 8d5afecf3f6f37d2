"""`station backup` and `station restore` as a person at a terminal, and a program, gets them."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from station.bootstrap.audit import open_keeper, remembered_file
from station.bootstrap.stores import open_store
from station.clock import SystemClock
from station.domain.access import Role
from station.domain.accounts import User
from station.ports.access import Account
from station.settings import edit, load, write_shipped
from tests.support.audit_logs import append_facts
from tests.support.terminal import Terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    write_shipped(tmp_path)
    edit(tmp_path / "station.toml", {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})
    return Terminal(monkeypatch, capsys)


def ran(site: Path, start: int = 0) -> None:
    configuration = load(site / "station.toml")
    store = open_store(configuration)
    store.write(lambda uow: append_facts(uow, start, 5)).result()
    user = User(user_id="u1", login="lan", display_name="Lan", roles=frozenset({Role.SUPERVISOR}), clearance=None, disabled=False)
    store.write(lambda uow: uow.put_account(Account(user=user, password_hash=None))).result()
    asyncio.run(open_keeper(configuration, store, SystemClock()).start())
    store.close()


def test_from_a_backup_to_a_station_that_goes_on(terminal: Terminal, tmp_path: Path):
    code, _, err = terminal.run("backup", "backups")
    assert (code, "There is no database" in err) == (1, True)
    assert not (tmp_path / "backups").exists()
    ran(tmp_path)
    code, out, err = terminal.run("backup", "backups")
    assert (code, err) == (0, "")
    assert "Đã sao lưu / backed up: backups/site-1-" in out
    assert "5 lá / leaves, toàn vẹn / holds" in out
    (made,) = (tmp_path / "backups").iterdir()
    assert '"backup"' in terminal.run("doctor", "--json")[1]

    code, out, _ = terminal.run("restore", made, "--check")
    assert code == 0
    assert f"Bản sao lưu toàn vẹn / the backup holds: {made.name}" in out
    assert "được đăng nhập / may log in: lan" in out
    code, _, err = terminal.run("restore", made)
    assert (code, "Nobody takes the responsibility" in err) == (2, True)
    code, _, err = terminal.run("restore", made, "--supervisor", "Lan")
    assert (code, "There is data" in err) == (1, True)
    (tmp_path / "data").rename(tmp_path / "gone")
    note = remembered_file(load(tmp_path / "station.toml").audit_key_file)
    note.write_text("damaged")
    code, out, err = terminal.run("restore", made, "--supervisor", "Lan", "--note", "disk")
    assert (code, err) == (0, "")
    assert "Đã đưa vào chỗ / put in place" in out
    assert f"unreadable, so what was lost is not known: {note}" in out
    note.unlink()
    assert "không có nơi nhận để hỏi / there is no receiver to ask" in out
    ran(tmp_path, 100)
    assert terminal.run("audit", "verify")[0] == 0


def test_what_does_not_hold_is_named(terminal: Terminal, tmp_path: Path):
    ran(tmp_path)
    told = json.loads(terminal.run("backup", "backups", "--json", "--keep", "3")[1])
    made = tmp_path / told["directory"]
    assert (told["log_holds"], told["leaves"], told["removed"]) == (True, 5, [])
    (made / "config" / "policy.toml").write_text("")
    code, out, _ = terminal.run("restore", made, "--check")
    assert code == 1
    assert "KHÔNG toàn vẹn" in out
    assert "✗ mất hoặc đã bị sửa / missing or changed: config/policy.toml" in out
    code, out, _ = terminal.run("restore", made, "--check", "--json")
    assert (code, json.loads(out)["wrong"]) == (1, ["config/policy.toml"])
    shutil.copy(tmp_path / "policy.toml", made / "config")
    (made / "manifest.sig").write_text("")
    code, _, err = terminal.run("restore", made, "--check")
    assert (code, "is not signed by a key" in err) == (1, True)
    code, _, err = terminal.run("restore", tmp_path / "nowhere", "--check")
    assert (code, "is no backup" in err) == (1, True)
    code, _, err = terminal.run("restore", made, "--check", "--key", "nowhere.pub")
    assert (code, "nowhere.pub" in err) == (2, True)


def test_a_damaged_earlier_backup_is_named(terminal: Terminal, tmp_path: Path):
    ran(tmp_path)
    (tmp_path / "backups" / "site-1-20200101T000000Z").mkdir(parents=True)
    code, out, err = terminal.run("backup", "backups", "--keep", "1")
    assert code == 0
    assert err == ""
    assert "✗ bản cũ bị hỏng, vẫn giữ, không tính / damaged, stays, not counted: site-1-20200101T000000Z" in out
    (check,) = (one for one in json.loads(terminal.run("doctor", "--json")[1]) if one["name"] == "backup")
    assert not check["ok"]
    assert "damaged beside it: site-1-20200101T000000Z" in check["found"]
    assert "by hand" in check["remedy"]
