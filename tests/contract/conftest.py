"""What several contract tests begin with."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from station.settings import Configuration
from station.storage.backup_files import PART
from station.storage.store import SqliteStore
from tests.support.backups import used_site
from tests.support.store_facts import opened
from tests.support.unhurried import UnhurriedLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A driver and its peer share the loop of a test: deadlines between them must not hang on how busy the machine is."""
    return {"unhurried": UnhurriedLoop} if item.path.name.startswith("test_drivers_") else {"real": asyncio.new_event_loop}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Configuration]:
    """A station that has run; in the end nothing half written lies beside it."""
    yield used_site(tmp_path)
    assert not list((tmp_path / "site").glob(f"*{PART}"))


@pytest.fixture(params=[True, False], ids=["group-commit", "inline"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SqliteStore]:
    """A store that commits in groups on its own thread, and one that commits at once."""
    with opened(tmp_path / "data", group_commit=request.param) as opened_store:
        yield opened_store
