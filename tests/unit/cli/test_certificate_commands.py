"""`station certificate` as a person at a terminal, and a program, gets it."""

import asyncio
import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from station.audit.certificate_story import Flaw
from station.bootstrap.audit import open_keeper
from station.bootstrap.certificates import certifier_of
from station.bootstrap.stores import open_store
from station.cli.certificate import FLAWS
from station.clock import SystemClock
from station.domain.errors import StoreError
from station.settings import load, write_shipped
from tests.support.audit_logs import append_facts
from tests.support.certificates import PICTURE, facts_of_a_release, members_of, tell
from tests.support.terminal import Terminal

PIECE, OTHER = "EE473124829VN", "EE100000005VN"


@pytest.fixture
def certificate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    write_shipped(tmp_path)
    return Terminal(monkeypatch, capsys, "certificate")


def test_from_the_station_to_the_inspector(certificate: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert certificate.run("export", PIECE)[0] == 1
    configuration = load(tmp_path / "station.toml")
    store = open_store(configuration)
    keeper = open_keeper(configuration, store, SystemClock())
    # More leaves than a block of the tree, so that kept nodes are asked for as well.
    store.write(lambda unit: append_facts(unit, 0, 300)).result(10)
    store.write(lambda unit: tell(unit, PIECE, facts_of_a_release(PIECE).values())).result(10)
    store.write(lambda unit: tell(unit, OTHER, facts_of_a_release(OTHER).values(), leaves=False)).result(10)
    with pytest.raises(StoreError, match="was not looked at so far"):
        store.read(lambda view: keeper.nodes(view, 1))
    asyncio.run(keeper.start())
    # While the station runs, and by the station itself.
    code, out, err = certificate.run("export", PIECE, "--out", "certificate.json")
    assert (code, out, err) == (0, "certificate.json\n", "")
    content = Path("certificate.json").read_bytes()
    with monkeypatch.context() as other:
        shown = io.BytesIO()
        other.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii", errors="replace", newline="\r\n"))
        assert certificate.run("export", PIECE)[0] == 0
        assert shown.getvalue() == content
    assert certifier_of(configuration, store, keeper).certificate(PIECE) == content
    code, out, err = certificate.run("export", OTHER)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"station: Piece {OTHER} was not released by a permit; it is disinfected (There is nothing that a certificate could say)",
        "  -> Ask again when it was released",
    ]
    assert certificate.run("export", PIECE, "--out", "no/where")[0] == 2
    store.close()

    # With nothing but the file and the key.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move("certificate.json", elsewhere)
    shutil.copy("keys/audit-signing.pub", elsewhere)
    for gone in ("data", "keys"):
        shutil.rmtree(gone)
    Path("station.toml").unlink()
    file, key = elsewhere / "certificate.json", elsewhere / "audit-signing.pub"
    code, out, err = certificate.run("verify", file, "--key", key)
    assert (code, err) == (0, "")
    assert out.startswith("Giấy xác nhận đúng / the certificate holds\n  urn:kt1:certificate:site-1:EE473124829VN:1\n")
    assert f"ảnh soi / scan: {PICTURE}; điểm / score: 0.1234567" in out
    told = json.loads(certificate.run("verify", file, "--key", key, "--json")[1])
    assert (told["holds"], told["piece_id"], told["authority"], told["witnessed_at"]) == (True, PIECE, "operator", None)
    members = members_of(content)
    leaf = next(fact["leaf"] for fact in members["facts"] if fact["kind"] == "disinfection.v1")
    file.write_bytes(content.replace(b'"40.0"', b'"41.0"', 1))
    code, out, err = certificate.run("verify", file, "--key", key)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "Giấy xác nhận KHÔNG đúng / the certificate does NOT hold",
        f"  ✗ {FLAWS[Flaw.NOT_IN_LOG]}: lá / leaf {leaf} (disinfection.v1)",
    ]
    told = json.loads(certificate.run("verify", file, "--key", key, "--json")[1])
    assert told == {"holds": False, "flaw": "not-in-log", "leaf": leaf, "kind": "disinfection.v1", "detail": ""}
    for arguments in (("verify", file), ("verify", file, "--key", "nothing.pub"), ("verify", "nothing.json", "--key", key), ("export",)):
        code, out, err = certificate.run(*arguments)
        assert (code, out) == (2, "")
        assert err


def test_every_flaw_has_its_words_in_both_languages():
    assert set(FLAWS) == set(Flaw)
    assert all(" / " in text for text in FLAWS.values())
