"""One piece that is fed in, on a store of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.domain.policy import Policy
from tests.unit.workflow.feeding import POLICY, Feeding


@pytest.fixture
def policy() -> Policy:
    """A site whose model clears unmarked pieces."""
    return POLICY


@pytest.fixture
def feeding(tmp_path: Path, policy: Policy) -> Iterator[Feeding]:
    feeding = Feeding(tmp_path, policy)
    yield feeding
    feeding.store.close()


@pytest.fixture
def announced(feeding: Feeding) -> None:
    """The piece is announced before anything is done with it."""
    feeding.announce()
