"""Some requests drawn from the interface's own description get only answers that it knows; `make api-fuzz` draws many."""

import subprocess
import sys
from pathlib import Path

from station.api.problems import MEDIA_TYPE
from tests.support.api_station import Desk

ROOT = Path(__file__).parents[2]


def test_drawn_requests_get_only_answers_that_are_described():
    arguments = ["--examples", "2", "--phases", "fuzzing"]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.campaign.api_fuzz", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Fuzzing" in ran.stdout


def test_every_operation_is_described_with_its_errors_and_with_who_is_let_in(tmp_path: Path):
    desk = Desk(tmp_path)
    try:
        description = desk.client.get("/openapi.json").json()
    finally:
        desk.close()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            named = f"{method} {path}"
            assert list(operation["responses"]["default"]["content"]) == [MEDIA_TYPE], named
            is_open = path in {"/healthz", "/readyz"} or (method == "post" and path in {"/api/v1/session", "/api/v1/session/link"})
            assert operation.get("security") == (None if is_open else [{"session": []}, {"program": []}]), named
