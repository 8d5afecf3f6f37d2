"""The units for systemd: verified by systemd itself where it is there, and they start what there is."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from station.bootstrap.service_manager import ServiceManager
from station.cli import app
from station.cli.run import START_SILENCE_S

UNITS = Path(__file__).parents[2] / "deploy/systemd"
PROGRAM = "/opt/kt1-station/.venv/bin/station"
SERVICES = ("kt1-station.service", "kt1-receiver.service", "kt1-station-backup.service")


def section(name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",), dict_type=dict)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name, encoding="utf-8")
    return dict(parser["Service"])


@pytest.fixture
def analyze(tmp_path: Path) -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not on this machine")
    for unit in UNITS.iterdir():
        # It wants the program itself to be there.
        (tmp_path / unit.name).write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true"), encoding="utf-8")
    return found


def test_systemd_finds_no_fault_in_the_units(analyze: str, tmp_path: Path):
    units = [str(tmp_path / unit.name) for unit in sorted(UNITS.iterdir())]
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("name", "most"), [(SERVICES[0], 1.8), (SERVICES[1], 1.5), (SERVICES[2], 0.7)])
def test_the_units_are_hardened_as_far_as_they_were(analyze: str, tmp_path: Path, name: str, most: float):
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(tmp_path / name)], capture_output=True, text=True, check=False, timeout=60
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= most


@pytest.mark.parametrize("name", SERVICES[:2])
def test_a_unit_starts_a_command_that_there_is(name: str):
    program, *words = shlex.split(section(name)["ExecStart"])
    assert program == PROGRAM
    command = typer.main.get_command(app)
    while words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_units_times_fit_the_program():
    station = section("kt1-station.service")
    assert float(station["TimeoutStartSec"]) == START_SILENCE_S
    watched = ServiceManager({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": f"{station['WatchdogSec']}000000"}, pid=1)
    assert watched.watchdog_s == float(station["WatchdogSec"])
    assert (station["Type"], station["KillMode"], station["Restart"], station["LimitCORE"]) == ("notify", "mixed", "on-failure", "0")
