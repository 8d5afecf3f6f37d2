"""A station as a service: what systemd and its journal hear of it, and how it ends. That its devices are not there hinders nothing."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from station.audit.seal import read_seal
from station.bootstrap import support_bundle
from station.bootstrap.audit import log_key, seal_file
from station.clock import SystemClock
from station.settings import edit, load, write_shipped
from station.storage.store import SqliteReader
from tests.e2e.programs import ROOT, wait_until
from tests.support.free_ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's ears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.setblocking(False)
        yield one


def test_a_service_says_when_it_is_there_that_it_lives_and_that_it_ends(
    tmp_path: Path, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
):
    write_shipped(tmp_path)
    config, port, heard = tmp_path / "station.toml", free_port(), []
    edit(config, {"http.port": port, "storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})

    def hears(line: str) -> bool:
        while True:
            try:
                heard.extend(systemd.recv(4096).decode().splitlines())
            except BlockingIOError:
                return line in heard

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    journal = tmp_path / "journal"
    with journal.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "station", "run", "--config", str(config)], stdout=out, stderr=out, cwd=ROOT, env=environment
        )
    try:
        wait_until(lambda: hears("READY=1"), what="the station to be ready")
        ready = heard.index("READY=1")
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in heard[:ready])
        assert "WATCHDOG=1" not in heard[:ready]
        # Twice: it was asked whether it lives, and answered.
        wait_until(lambda: hears("WATCHDOG=1") and heard.count("WATCHDOG=1") > 1, what="a sign of life")
        wrong = "kẻ lạ gõ mật khẩu này"
        answer = httpx.post(f"http://127.0.0.1:{port}/api/v1/session", json={"login": "an", "password": wrong}, trust_env=False, timeout=60)
        assert answer.status_code == 401
        quick = tuple(part for part in support_bundle.PARTS if part.name not in {"doctor.json", "model.json"})
        monkeypatch.setattr(support_bundle, "PARTS", quick)
        bundle = support_bundle.make_bundle(config, redact=True, now=SystemClock().utc_now())
        assert bundle.troubles == {}
        with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
            lanes = json.loads(archive.read("lanes.json"))["running"]
            assert archive.read("log.jsonl").splitlines()
        assert (lanes["ready"], list(lanes["lanes"])) == (True, ["lane-1"])
    finally:
        process.send_signal(signal.SIGTERM)
        # Who does not listen is not told: its queue is full of signs of life by now.
        wait_until(lambda: hears("STOPPING=1") or process.poll() is not None, what="the end to be told")
        code = process.wait(120)
    assert (code, "STOPPING=1" in heard) == (0, True)
    # The next start has nothing to reckon anew.
    configuration = load(config)
    key = log_key(configuration.audit_key_file, configuration.station.site)
    with closing(SqliteReader(configuration.data_dir)) as reader:
        leaves = reader.read(lambda view: view.audit_head()).size
    assert read_seal(seal_file(configuration.audit_key_file).read_text(encoding="utf-8"), key.verifier()).size == leaves
    lines = journal.read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["event"] for line in lines if line.startswith("{"))
    assert any("lane stopped" in line for line in lines)
    # Nobody sits at a journal: no link that lets somebody in stands there.
    assert "welcome#" not in "\n".join(lines)
    assert any("users add" in line for line in lines)
    assert wrong not in "\n".join(lines)
