"""`station demo --headless` as a newcomer runs it: other processes, real ptys and sockets, and the simulated world's own judgement."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.e2e.programs import processes_naming, station
from tests.e2e.report_shape import check_harmless, check_shape

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PIECES = 6


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """One demo's data directory, report, and what it said."""
    directory = tmp_path_factory.mktemp("demo")
    arguments = ["--pieces", str(PIECES), "--seed", "11", "--speed", "4"]
    ended = station("demo", "--headless", *arguments, "--report", "report.json", "--data", "data", cwd=directory, limit_s=500)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    return directory, json.loads((directory / "report.json").read_text(encoding="utf-8")), ended.stderr


def test_the_report_keeps_its_contract_and_nothing_unsafe_happened(demo: tuple[Path, dict[str, Any], str]):
    _, report, _ = demo
    check_shape(report)
    check_harmless(report)
    assert (report["seed"], report["speed"], len(report["pieces"])) == (11, 4.0, PIECES)
    assert report["world"]["released"] > 0
    assert len({piece["piece_id"] for piece in report["pieces"]}) == PIECES
    assert report["simulated_s"] > report["wall_s"]


def test_it_says_what_a_newcomer_needs(demo: tuple[Path, dict[str, Any], str]):
    directory, _, said = demo
    assert "/lane/lane-1" in said
    assert "/review" in said
    assert "MODEL NOT PROVED ON THIS SITE" in said
    assert str(directory / "data") in said


def test_nothing_is_left_running(demo: tuple[Path, dict[str, Any], str]):
    directory, _, _ = demo
    assert processes_naming(str(directory)) == []


def test_the_other_commands_work_on_its_data(demo: tuple[Path, dict[str, Any], str]):
    directory, report, _ = demo
    config = ["--config", str(directory / "data" / "station.toml")]
    valid = station("config", "validate", *config)
    assert (valid.returncode, "valid (1 lane(s)" in valid.stdout) == (0, True)
    assert "station run" in valid.stderr
    shown = json.loads(station("config", "show", "--json", *config).stdout)
    assert shown["station"]["site"] == "demo"
    assert shown["policy"]["unproved_model"] is True
    status = station("tracking", "status", "--json", *config)
    assert status.returncode == 0
    assert json.loads(status.stdout)["receipted"] == report["tracking"]["events"]
    audit = station("audit", "verify", "--json", *config)
    assert audit.returncode == 0
    told = json.loads(audit.stdout)
    assert told["size"] > PIECES
    assert told["signed"] == told["size"]
    assert told["witnessed"] > 0


def test_the_doctor_finds_the_devices_gone_and_all_else_well(demo: tuple[Path, dict[str, Any], str]):
    directory, _, _ = demo
    ended = station("doctor", "--json", "--config", str(directory / "data" / "station.toml"))
    assert ended.returncode == 3
    checks = {check["name"]: check for check in json.loads(ended.stdout)}
    assert [name for name, check in checks.items() if check["ok"]] == [
        "database",
        "data directory",
        "disk",
        "model",
        "attention stop",
        "lane-1 test piece",
        "freeze checklist",
        "lane-1 recipe",
        "tracking signing key",
        "tracking receiver key",
        "image keys",
        "backup",
        "clock",
    ]
    gone = [check for check in checks.values() if not check["ok"]]
    assert len(gone) == 6
    assert all(check["remedy"] for check in gone)


def test_what_the_demo_waives_no_station_takes_over(demo: tuple[Path, dict[str, Any], str]):
    directory, _, _ = demo
    ended = station("run", "--config", str(directory / "data" / "station.toml"))
    assert ended.returncode == 2
    what, remedy = ended.stderr.splitlines()
    assert "policy.toml:" in what
    assert "unproved_model" in what
    assert remedy.startswith("  -> ")


def draw_pictures(directory: Path) -> None:
    """Four pictures in the colours of a security scanner: two with things, one with a knife of steel, one nearly empty."""
    rng = np.random.default_rng(3)
    rows = []
    for number, threat in enumerate([False, True, False, False]):
        picture = Image.new("RGB", (320, 200), (252, 252, 250))
        pen = ImageDraw.Draw(picture)
        pen.rectangle((20, 20, 300, 180), fill=(246, 214, 170), outline=(230, 190, 140))
        for _ in range(0 if number == 3 else 5):
            x, y = (int(value) for value in rng.integers((40, 40), (240, 140)))
            pen.ellipse((x, y, x + 40, y + 26), fill=(232, 168, 96))
        if threat:
            pen.polygon([(90, 90), (230, 96), (240, 104), (90, 112)], fill=(24, 40, 120))
        name = f"piece-{number}.png"
        picture.save(directory / name)
        rows.append({"file": name, "is_threat": int(threat)})
    with (directory / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=["file", "is_threat"])
        writer.writeheader()
        writer.writerows(rows)


def test_real_pictures_are_what_the_detector_sees(tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    draw_pictures(pictures)
    report_file = tmp_path / "report.json"
    arguments = ["--pieces", "4", "--seed", "3", "--speed", "4", "--images", str(pictures)]
    ended = station("demo", "--headless", *arguments, "--report", str(report_file), cwd=tmp_path, limit_s=500)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(report_file.read_text(encoding="utf-8"))
    check_shape(report)
    check_harmless(report)
    sources = [piece["image_source"] for piece in report["pieces"]]
    assert set(sources) <= {f"piece-{number}.png" for number in range(4)}
    assert all((piece["truth"] == "threat") == (piece["image_source"] == "piece-1.png") for piece in report["pieces"])
    assert all(piece["scan_sha256"] is not None for piece in report["pieces"])


def test_a_truncated_picture_is_told_by_name(tmp_path: Path):
    draw_pictures(tmp_path)
    broken = tmp_path / "piece-2.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    ended = station("demo", "--headless", "--pieces", "4", "--images", str(tmp_path), cwd=tmp_path, limit_s=120)
    what, remedy = ended.stderr.splitlines()[-2:]
    assert (ended.returncode, str(broken) in what, "not a whole picture" in what) == (1, True, True)
    assert "Mend" in remedy
    assert processes_naming(str(tmp_path)) == []
