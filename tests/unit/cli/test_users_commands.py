"""`station users …` and `station config tls`: at the machine itself, never a password on the command line."""

import asyncio
import json
import re
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from station.api.guards import Guards
from station.api.server import ApiServer
from station.api.texts import Texts
from station.auth.passwords import Argon2Passwords
from station.bootstrap import access as access_root
from station.bootstrap.access import let_somebody_in, open_access
from station.bootstrap.stores import open_store
from station.bootstrap.tls import check_tls_certificate, make_tls_certificate
from station.clock import SystemClock
from station.domain.errors import ConfigurationError
from station.settings import edit, load
from station.workflow.access import Visitor
from station.workflow.feed import EventFeed
from tests.support.accounts import CHEAP, PASSWORD
from tests.support.terminal import Terminal

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(access_root, "Argon2Passwords", lambda: Argon2Passwords(CHEAP))
    terminal = Terminal(monkeypatch, capsys)
    assert terminal.run("config", "init", tmp_path)[0] == 0
    edit(tmp_path / "station.toml", {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})
    return terminal


def test_people_are_let_in_and_out_at_the_machine(terminal: Terminal, tmp_path: Path):
    code, link, _ = terminal.run("users", "add", "lan", "--role", "operator", "--role", "reviewer", "--clearance", "B", "--name", "Lan")
    assert (code, re.fullmatch(r"http://127\.0\.0\.1:8080/welcome#\S{43}\n", link) is not None) == (0, True)
    assert terminal.run("users", "add", "admin", "--role", "administrator")[0] == 0
    (admin, lan) = json.loads(terminal.run("users", "list", "--json")[1])
    assert (admin["login"], lan) == (
        "admin",
        {"login": "lan", "name": "Lan", "roles": ["operator", "reviewer"], "clearance": "B", "disabled": False, "has_password": False},
    )
    assert terminal.run("users", "roles", "lan", "--role", "auditor", "--clearance", "none")[0] == 0
    assert terminal.run("users", "disable", "LAN")[0] == 0
    said = terminal.run("users", "list")[1]
    assert "lan  Lan  auditor  none  đã khóa / disabled" in said
    assert terminal.run("users", "password-link", "lan")[0] == 1
    assert terminal.run("users", "enable", "lan")[0] == 0
    assert terminal.run("users", "password-link", "lan")[1] != link
    assert terminal.run("users", "disable", "admin")[2].startswith("station: Nobody would be left")
    for wrong in (("disable", "nobody"), ("add", "lan", "--role", "operator"), ("add", "Bình", "--role", "operator")):
        assert terminal.run("users", *wrong)[0] == 1
    assert terminal.run("users", "add", "x", "--role", "operator", "--clearance", "D")[0] == 2
    assert terminal.run("users", "add", "x", "--role", "king")[0] == 2
    token = terminal.run("users", "token", "add", "tracking", "--clearance", "A")[1].strip()
    assert token.startswith("kt1m_")
    assert terminal.run("users", "token", "list")[1] == "tracking  A\n"
    assert terminal.run("users", "token", "revoke", "tracking")[0] == 0
    assert terminal.run("users", "token", "revoke", "tracking")[0] == 1
    store = open_store(load(tmp_path / "station.toml"))
    try:
        assert terminal.run("users", "list")[2].startswith("station: The data directory")
        events = [row.evidence.event for row in store.read(lambda view: view.evidence("ACCESS"))]
    finally:
        store.close()
    assert events[:2] == ["user-added", "link-made"]
    assert {"user-changed", "user-disabled", "user-enabled", "token-added", "token-revoked"} <= set(events)


def test_the_first_start_makes_an_administrator_until_one_has_a_password(terminal: Terminal, tmp_path: Path):
    store = open_store(load(tmp_path / "station.toml"))
    try:
        access, accounts = open_access(store, SystemClock())

        async def start() -> None:
            first, second = await let_somebody_in(accounts), await let_somebody_in(accounts)
            assert first is not None
            assert second is not None
            with pytest.raises(Exception, match="used, has expired"):
                await access.choose_password(first, PASSWORD, Visitor(source="127.0.0.1"))
            came = await access.choose_password(second, PASSWORD, Visitor(source="127.0.0.1"))
            assert (came.caller.name, came.caller.roles) == ("admin", {"administrator"})
            assert await let_somebody_in(accounts) is None

        asyncio.run(start())
    finally:
        store.close()


def test_a_certificate_of_the_sites_own(terminal: Terminal, tmp_path: Path):
    code, said, _ = terminal.run("config", "tls", "--name", "localhost", "--name", "127.0.0.1")
    assert code == 0
    assert 'tls_certificate_file = "keys/console.pem"' in said
    certificate, key = tmp_path / "keys/console.pem", tmp_path / "keys/console.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert terminal.run("config", "tls", "--name", "localhost")[0] == 2
    checked = check_tls_certificate(certificate, key, SystemClock().utc_now())
    assert checked.sha256 in said
    edit(tmp_path / "station.toml", {"http.host": "192.168.1.5"})
    assert terminal.run("config", "validate")[0] == 2
    edit(tmp_path / "station.toml", {"http.tls_key_file": "keys/console.key"})
    assert "tls_key_file: stands without tls_certificate_file" in terminal.run("config", "validate")[2]
    edit(tmp_path / "station.toml", {"http.tls_certificate_file": "keys/console.pem"})
    assert terminal.run("config", "validate")[0] == 0


def test_what_cannot_be_served_is_refused(tmp_path: Path):
    pairs = [(tmp_path / f"{name}.pem", tmp_path / f"{name}.key") for name in ("one", "two")]
    for certificate, key in pairs:
        make_tls_certificate(certificate, key, ["station.local", "::1"], NOW)
    (certificate, key), (_, other) = pairs

    def refused(words: str, *files: Any, now: datetime = NOW) -> None:
        with pytest.raises(ConfigurationError, match=words):
            check_tls_certificate(*files, now)

    check_tls_certificate(certificate, key, NOW)
    refused("is not that of the certificate", certificate, other)
    refused("ended on", certificate, key, now=NOW + timedelta(days=731))
    refused("cannot be read", tmp_path / "none.pem", key)
    refused("cannot be read", key, key)
    key.chmod(0o640)
    refused("others may read", certificate, key)
    with pytest.raises(ConfigurationError, match="host name cannot be used"):
        make_tls_certificate(tmp_path / "bad.pem", tmp_path / "bad.key", ["trạm"], NOW)
    assert not (tmp_path / "bad.key").exists()


def test_beyond_the_loopback_everything_goes_by_tls(tmp_path: Path):
    files = (tmp_path / "console.pem", tmp_path / "console.key")
    make_tls_certificate(*files, ["localhost", "127.0.0.1"], SystemClock().utc_now())
    app = FastAPI()
    app.add_middleware(Guards, texts=Texts(), hosts=("127.0.0.1",))
    app.get("/scheme")(lambda: {"ok": True})
    server = ApiServer(app, feed=EventFeed(epoch="e"), port=0, tls=files)
    server.start()
    try:
        assert server.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(files[0]))
        answer = httpx.get(f"{server.url}/scheme", verify=trusting, trust_env=False)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert server._server.config.ssl.minimum_version is ssl.TLSVersion.TLSv1_2
        for wrong, verify in (
            (server.url.replace("https", "http"), trusting),
            (server.url, ssl.create_default_context()),
        ):
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{wrong}/scheme", verify=verify, trust_env=False)
    finally:
        server.stop()
