"""For the tests of the settings."""

from pathlib import Path

import pytest

from station.settings import write_shipped


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KT1_SITE", "KT1_HTTP__PORT"):
        monkeypatch.delenv(name, raising=False)
    write_shipped(tmp_path)
    return tmp_path / "station.toml"
