"""What a person at a terminal gets: exit codes, one line what, one line what to do."""

import json
import os
import resource
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from station.bootstrap.stores import open_store
from station.cli.errors import EXIT_DOES_NOT_HOLD
from station.cli.model_fit import MATRIX_THREADS
from station.cli.options import SYSTEM_CONFIGURATION
from station.cli.output import FOR_ITS_OWNER, put_file
from station.clock import SystemClock
from station.domain.errors import ConfigurationError
from station.domain.test_piece import TestPieceRun, TestPieceTrend, TestValue, TrendWarning
from station.settings import edit, load
from station.tracking.signatures import load_or_create_key, public_text
from station.workflow.test_pieces import keep_run
from tests.support.terminal import Terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def site(terminal: Terminal, tmp_path: Path) -> Path:
    assert terminal.run("config", "init", tmp_path)[0] == 0
    return tmp_path / "station.toml"


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (("frobnicate",), "No such command 'frobnicate'", "--help"),
        (("demo", "--nope"), "No such option: --nope", "demo --help"),
        (("demo", "--pieces", "many"), "--pieces", "demo --help"),
        (("demo", "--lanes", "99"), "--lanes", "demo --help"),
        (("demo", "--speed", "9"), "--speed 9 is not possible over real wires", "at most 4"),
        (("demo", "--speed", "0"), "--speed 0 is not possible", "above 0"),
        (("demo", "--images", "nowhere"), "--images nowhere: there is no such directory", "manifest.csv"),
        (("demo", "--report", "no/where.json"), "--report no/where.json", "exists"),
        (("demo", "--data", "/dev/null/x"), "--data /dev/null/x cannot be made", "Name a directory"),
        (("run", "--config", "nothere.toml"), "nothere.toml: cannot be read", "station config init"),
        (("config", "validate"), "cannot be read", "station config init"),
        (("doctor", "--config", "nothere.toml"), "nothere.toml: cannot be read", "--config"),
        (("tracking", "receiver"), "No station's public key was given", "--station-key"),
        (("model", "score", "--images", "nowhere", "--json", "out.json"), "nowhere: there is no such directory", "Name a folder"),
        (("model", "evaluate", "--json", "out.json"), "One list of pictures is wanted", "--pairs CSV"),
        (("model", "evaluate", "--pairs", "a.csv", "--manifest", "b.csv", "--json", "out.json"), "One list of pictures", "not both"),
        (("model", "evaluate", "--pairs", "nowhere.csv", "--json", "out.json"), "nowhere.csv: cannot be read", "benign_file"),
        (("model", "evaluate", "--pairs", "a.csv", "--json", "no/out.json"), "--json no/out.json cannot be written", "exists"),
        (("model", "score", "--images", ".", "--json", "out.json"), "holds no picture", ".jpg or .png"),
        (("model", "fit", "--since", "2026-01-01"), "cannot be read", "station config init"),
        (("model", "adopt", "site-1"), "Missing option '--supervisor'", "adopt --help"),
        (("model", "score", "--images", ".", "--json", "out.json", "--palette", "sepia"), "palette 'sepia' is not known", "dense-black"),
    ],
)
def test_a_mistake_is_told_in_two_lines(terminal: Terminal, arguments: tuple[str, ...], what: str, remedy: str):
    code, out, err = terminal.run(*arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith("station: ")
    assert what in first
    assert second.startswith("  -> ")
    assert remedy in second


@pytest.mark.parametrize("arguments", [(), ("config",), ("tracking",), ("model",)])
def test_without_a_command_the_help_is_shown(terminal: Terminal, arguments: tuple[str, ...]):
    code, out, err = terminal.run(*arguments)
    assert code == 2
    assert "--help" in out
    assert err == ""


def test_the_shipped_configuration_is_valid_and_is_never_overwritten(terminal: Terminal, site: Path):
    code, out, err = terminal.run("config", "validate")
    assert (code, err) == (0, "")
    assert "valid (1 lane(s)" in out
    code, _, err = terminal.run("config", "init", site.parent)
    assert code == 2
    assert "exists already" in err


def test_show_tells_every_key_and_no_secret(terminal: Terminal, site: Path):
    _, out, _ = terminal.run("config", "show", "--config", site)
    assert "station.http.port = 8080" in out
    assert "policy.alpha = 0.05" in out
    values = json.loads(terminal.run("config", "show", "--json", "--config", site)[1])
    assert values["lanes"]["lane-1"]["plc"]["unit"] == 1
    assert values["station"]["tracking"]["signing_key_file"] == "keys/tracking-signing.key"


def test_the_card_of_the_model_in_use_is_shown(terminal: Terminal, site: Path):
    code, shipped, _ = terminal.run("model", "card")
    assert code == 0
    assert "self-graded" in shipped
    assert terminal.run("model", "card", "--config", site)[1] == shipped
    edit(site, {"screening.model": "none-here"})
    for named in (("--config", site), ()):
        code, out, err = terminal.run("model", "card", *named)
        assert (code, out) == (1, "")
        assert "manifest.json cannot be read" in err
    site.unlink()
    assert terminal.run("model", "card")[1] == shipped


def test_a_fit_takes_its_pieces_from_one_place_and_a_new_site_has_no_model_of_its_own(
    terminal: Terminal, site: Path, monkeypatch: pytest.MonkeyPatch
):
    # given here, so that the command does not begin anew in the place of this test
    monkeypatch.setenv(MATRIX_THREADS, "1")
    for arguments in ((), ("--benign", ".", "--since", "2026-01-01")):
        code, out, err = terminal.run("model", "fit", *arguments, "--config", site)
        assert (code, out) == (2, "")
        assert "Give --benign DIR or --since DATE, not both" in err
    (site.parent / "empty").mkdir()
    code, _, err = terminal.run("model", "fit", "--benign", site.parent / "empty", "--config", site)
    assert code == 2
    assert "holds no picture" in err
    code, out, err = terminal.run("model", "list", "--json", "--config", site)
    assert (code, json.loads(out), err) == (0, {"models": [], "history": []}, "")
    code, out, err = terminal.run("model", "rollback", "--supervisor", "Lan", "--config", site)
    assert (code, out) == (1, "")
    assert "there is none before it" in err


@pytest.mark.parametrize("command", ["validate", "show"])
def test_a_wrong_key_is_named_with_its_place(terminal: Terminal, site: Path, command: str):
    site.write_text(site.read_text(encoding="utf-8").replace("port = 8080", "prot = 8080"), encoding="utf-8")
    code, _, err = terminal.run("config", command, "--config", site)
    assert code == 2
    line = site.read_text(encoding="utf-8").splitlines().index("prot = 8080") + 1
    assert f"{site}:{line}: http.prot: unknown key" in err
    assert "Allowed: host, names, port" in err


def test_only_the_demo_may_waive_the_proof_of_the_model(terminal: Terminal, site: Path):
    edit(site.parent / "policy.toml", {"unproved_model": True})
    code, _, err = terminal.run("config", "validate", "--config", site)
    assert code == 2
    assert "unproved_model" in err
    edit(site, {"site": "demo"})
    code, out, err = terminal.run("config", "validate", "--config", site)
    assert code == 0
    assert "valid" in out
    assert "`station run` refuses it" in err
    code, _, err = terminal.run("run", "--config", site)
    assert code == 2
    assert "only the demo may waive" in err


def test_one_process_is_the_whole_station(terminal: Terminal, site: Path):
    code, _, err = terminal.run("run", "--config", site, "--role", "api")
    assert code == 2
    assert "--role all" in err
    code, _, err = terminal.run("run", "--config", site, "--lane", "lane-7")
    assert code == 2
    assert "Name one of: lane-1" in err


def test_before_the_first_start_there_is_nothing_to_tell(terminal: Terminal, site: Path):
    code, _, err = terminal.run("tracking", "status", "--config", site)
    assert code == 1
    assert "There is no database" in err
    assert "start the station once" in err


def told_in_two_lines(terminal: Terminal, *arguments: str | Path) -> tuple[int, str, str]:
    code, _, err = terminal.run(*arguments)
    first, second = err.splitlines()
    assert first.startswith("station: ")
    assert second.startswith("  -> ")
    return code, first, second


def test_a_place_that_cannot_be_looked_at_is_told(terminal: Terminal, site: Path):
    # No more than EACCES or EIO is this "there is none".
    edit(site, {"data_dir": "x" * 300})
    for command in (("tracking", "status"), ("audit", "verify"), ("backup", "backups"), ("vault", "status"), ("report", "day")):
        code, first, _ = told_in_two_lines(terminal, *command, "--config", site)
        assert (code, "File name too long" in first) == (3, True), command
    code, out, err = terminal.run("doctor", "--json", "--config", site)
    assert (code, err) == (3, "")
    checks = {check["name"]: check for check in json.loads(out)}
    assert not any(checks[name]["ok"] for name in ("database", "data directory", "disk", "devices"))


@pytest.fixture
def unsearchable(tmp_path: Path) -> Iterator[None]:
    """This directory is one that the user may not search: another one than root, whom nothing is denied."""
    here = tmp_path.stat().st_mode
    tmp_path.chmod(0)
    os.seteuid(65534 if os.getuid() == 0 else os.getuid())
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        tmp_path.chmod(here)


def test_where_this_user_may_not_look_the_systems_configuration_counts(terminal: Terminal, unsearchable: None):
    code, first, _ = told_in_two_lines(terminal, "config", "validate")
    assert (code, str(SYSTEM_CONFIGURATION) in first) == (2, True)


def test_a_receiver_that_cannot_serve_is_told(terminal: Terminal, tmp_path: Path):
    key = tmp_path / "keys" / "station.pub"
    key.parent.mkdir(mode=0o700)
    key.write_text(public_text(load_or_create_key(tmp_path / "keys" / "station.key")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for place in (("--port", str(taken.getsockname()[1])), ("--port", "0", "--host", "no.such.host.invalid")):
            code, first, _ = told_in_two_lines(terminal, "tracking", "receiver", "--station-key", key, *place)
            assert (code, "cannot listen on" in first) == (3, True)
    ready = ("--port", "0", "--ready-file", "no/where.json")
    code, first, _ = told_in_two_lines(terminal, "tracking", "receiver", "--station-key", key, "--data", "other", *ready)
    assert (code, "no/where.json cannot be written" in first) == (2, True)


def test_what_was_named_is_written_whole_or_stays(tmp_path: Path):
    old, link = tmp_path / "old", tmp_path / "link"
    old.write_bytes(b"older")
    link.symlink_to(old)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(ConfigurationError, match="cannot be written: File too large"):
            put_file(old, b"x" * 3000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(ConfigurationError, match="/dev/full cannot be written: No space left"):
        put_file(Path("/dev/full"), b"x")
    assert old.read_bytes() == b"older"
    reading, writing = os.pipe()
    put_file(Path(f"/dev/fd/{writing}"), b"piped")
    assert os.read(reading, 100) == b"piped"
    os.close(reading)
    os.close(writing)
    put_file(link, b"newer", mode=FOR_ITS_OWNER)
    assert (old.read_bytes(), link.is_symlink(), old.stat().st_mode & 0o777) == (b"newer", True, 0o600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old"]


def test_the_doctor_names_a_remedy_for_each_trouble(terminal: Terminal, site: Path):
    lane = site.parent / "devices" / "lane-1.toml"
    nowhere = "tcp:127.0.0.1:9"
    edit(lane, {"detector.command": nowhere, "detector.lines": nowhere, "plc.endpoint": nowhere})
    edit(site, {"tracking.receiver": "http://127.0.0.1:9"})
    code, out, _ = terminal.run("doctor", "--json", "--config", site)
    assert code == 3
    checks = {check["name"]: check for check in json.loads(out)}
    assert checks["disk"]["ok"]
    assert checks["model"]["ok"]
    assert checks["attention stop"]["found"].startswith("none: ")
    for name in ("database", "tracking signing key", "tracking receiver key", "lane-1 lane_plc", "lane-1 line_detector"):
        assert not checks[name]["ok"]
        assert checks[name]["remedy"]
    _, table, _ = terminal.run("doctor", "--config", site)
    assert "✗" in table
    assert "✓" in table


def test_the_doctor_tells_how_the_test_piece_stands(terminal: Terminal, site: Path):
    def found() -> dict[str, Any]:
        _, out, _ = terminal.run("doctor", "--json", "--config", site)
        return next(check for check in json.loads(out) if check["name"] == "lane-1 test piece")

    def run(at: datetime, *, measured: float = 1.0, drifts: bool = False) -> None:
        value = TestValue(name="turned-deg", measured=measured, limit=4.0, passed=measured <= 4)
        warning = TrendWarning(name="air-signal-share", reference=0.5, newest=0.25, rises=False)
        kept = TestPieceRun(
            piece_id="TEST-0001",
            visit=1,
            at=at,
            lane_id="lane-1",
            passed=value.passed,
            values=(value,),
            not_asked=(),
            warnings=(warning,) if drifts else (),
            error="",
        )
        opened = open_store(load(site, demo=True))
        try:
            opened.write(lambda uow: keep_run(uow, kept, TestPieceTrend())).result()
        finally:
            opened.close()

    assert "There is no database" in found()["found"]
    now = SystemClock().utc_now()
    run(now - timedelta(days=2))
    assert found()["ok"]
    assert "too long ago" in found()["found"]
    run(now, measured=4.5)
    assert not found()["ok"]
    assert "failed (turned-deg 4.5 (4))" in found()["found"]
    run(now, drifts=True)
    assert not found()["ok"]
    assert "drifts: air-signal-share 0.5 → 0.25" in found()["found"]
    assert "before the test fails" in found()["remedy"]
    run(now)
    assert found()["ok"]


def test_the_watch_over_the_model_is_shown_and_taken_back_by_name(terminal: Terminal, site: Path):
    opened = open_store(load(site, demo=True))
    try:
        opened.write(lambda uow: uow.set_value("drift:trip", "{")).result()
    finally:
        opened.close()
    code, out, _ = terminal.run("model", "resume", "--config", site, "--supervisor", " ", "--note", "looked")
    assert code == EXIT_DOES_NOT_HOLD
    code, out, _ = terminal.run("model", "resume", "--config", site, "--supervisor", "Lan", "--note", "detector repaired")
    assert code == 0
    assert "Lan" in out
    code, _, err = terminal.run("model", "resume", "--config", site, "--supervisor", "Lan", "--note", "again")
    assert code == EXIT_DOES_NOT_HOLD
    assert "has not been stopped" in err
    code, out, _ = terminal.run("model", "drift", "--config", site)
    assert code == 0
    assert "overall" in out
    assert out.strip().endswith("tripped: no")
    code, out, _ = terminal.run("model", "drift", "--config", site, "--json")
    assert json.loads(out)["tripped"] is None


def test_coverage_is_printed(terminal: Terminal):
    code, out, _ = terminal.run("model", "coverage", "--draws", "100")
    assert code == 0
    assert "own parcel" in out
