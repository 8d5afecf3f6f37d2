"""`station audit` as a person at a terminal, and a program, gets it."""

import asyncio
import json
import shutil
from contextlib import closing
from pathlib import Path

import pysqlite3.dbapi2
import pytest

from station.audit.findings import Fault
from station.bootstrap.audit import open_keeper
from station.bootstrap.stores import open_store
from station.cli.audit import FAULTS
from station.clock import SystemClock
from station.domain.errors import ConfigurationError
from station.settings import load, write_shipped
from tests.support.audit_logs import append_facts
from tests.support.terminal import Terminal


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    write_shipped(tmp_path)
    return Terminal(monkeypatch, capsys, "audit")


def sign_some(site: Path, start: int) -> None:
    configuration = load(site / "station.toml")
    store = open_store(configuration)
    store.write(lambda unit: append_facts(unit, start, 12)).result(10)
    asyncio.run(open_keeper(configuration, store, SystemClock()).start())
    store.close()


def test_what_holds_and_what_does_not(audit: Terminal, tmp_path: Path):
    code, out, err = audit.run("verify")
    assert (code, out) == (2, "")
    assert "There is no database" in err
    sign_some(tmp_path, 0)
    assert audit.run("checkpoint", "saved.txt")[0] == 0
    sign_some(tmp_path, 100)
    code, out, _ = audit.run("verify", "--checkpoint", "saved.txt")
    assert code == 0
    assert "Nhật ký toàn vẹn / the audit log holds" in out
    assert "lá / leaves: 24" in out
    assert (tmp_path / "saved.txt").read_text(encoding="utf-8").splitlines()[:2] == ["urn:kt1:audit:site-1", "12"]
    assert audit.run("checkpoint")[1].splitlines()[1] == "24"

    # With nothing but a copy, the saved checkpoint and the public key.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("data/station.db", "keys/audit-signing.pub", "saved.txt"):
        shutil.copy(tmp_path / file, elsewhere)
    (tmp_path / "station.toml").unlink()
    copy, key = elsewhere / "station.db", elsewhere / "audit-signing.pub"
    assert audit.run("verify", "--database", copy, "--key", key, "--checkpoint", elsewhere / "saved.txt")[0] == 0
    with closing(pysqlite3.dbapi2.connect(str(copy), isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER evidence_no_update")
        connection.execute("UPDATE evidence SET visit = visit + 1 WHERE row_id IN (5, 9)")
    code, out, err = audit.run("verify", "--database", copy, "--key", key)
    assert (code, err) == (1, "")
    assert "KHÔNG toàn vẹn" in out
    assert "first wrong leaf: 4" in out
    assert f"✗ {FAULTS[Fault.FACT_CHANGED]}: 2, lá / leaf 4" in out
    code, out, _ = audit.run("verify", "--database", copy, "--key", key, "--json")
    told = json.loads(out)
    assert (code, told["holds"], told["size"], told["first_wrong_leaf"]) == (1, False, 24, 4)
    trigger = "trigger or view 'evidence_no_update' is not as it must be"
    assert told["findings"] == [
        {"fault": "fact-changed", "leaf": 4, "count": 2, "detail": ""},
        {"fault": "file-damaged", "leaf": None, "count": 1, "detail": trigger},
    ]


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (("verify", "--database", "nothing.db", "--key", "nothing.pub"), "nothing.pub cannot be read", "public key file"),
        (("verify", "--checkpoint", "station.toml"), "station.toml is no checkpoint", "station audit checkpoint"),
        (("checkpoint", "--database", "nothing.db"), "There is no database nothing.db", "data directory"),
        (("checkpoint", "no/where"), "no/where cannot be written", "another file"),
    ],
)
def test_a_mistake_of_usage_is_told_in_two_lines(audit: Terminal, tmp_path: Path, arguments: tuple[str, ...], what: str, remedy: str):
    sign_some(tmp_path, 0)
    code, out, err = audit.run(*arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert what in first
    assert remedy in second


def test_every_fault_has_its_words_in_both_languages():
    assert set(FAULTS) == set(Fault)
    assert all(" / " in text for text in FAULTS.values())


def test_a_database_that_was_put_back_is_noticed_without_a_saved_checkpoint(audit: Terminal, tmp_path: Path):
    database, kept = tmp_path / "data" / "station.db", tmp_path / "keys" / "audit-signing.checkpoint"
    sign_some(tmp_path, 0)
    older = shutil.copy(database, tmp_path / "older.db")
    sign_some(tmp_path, 100)
    assert kept.read_text(encoding="utf-8") == audit.run("checkpoint")[1]
    assert audit.run("verify")[0] == 0
    shutil.copy(older, database)
    code, out, _ = audit.run("verify")
    assert code == 1
    assert f"✗ {FAULTS[Fault.CUT_OFF]}: 12, lá / leaf 12" in out
    configuration = load(tmp_path / "station.toml")
    store = open_store(configuration)
    keeper = open_keeper(configuration, store, SystemClock())
    assert not asyncio.run(keeper.start()).holds
    assert not keeper.intact
    # Damaged itself, it is told as that, and nothing starts as if there had been none.
    kept.write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"audit-signing\.checkpoint is no checkpoint of this station's log"):
        open_keeper(configuration, store, SystemClock())
    store.close()
    # Who answers for it takes the file away: the copy is what there is now.
    kept.unlink()
    sign_some(tmp_path, 200)
    assert audit.run("verify")[0] == 0
