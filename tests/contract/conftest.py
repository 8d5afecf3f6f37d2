"""What several contract tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.settings import Configuration
from station.storage.backup_files import PART
from tests.support.backups import used_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Configuration]:
    """A station that has run; in the end nothing half written lies beside it."""
    yield used_site(tmp_path)
    assert not list((tmp_path / "site").glob(f"*{PART}"))
