from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_station import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def same_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """For tests that turn no clock and leave nothing behind that another one of their file would meet."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    yield desk
    desk.close()
