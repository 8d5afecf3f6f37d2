"""A store of its own for each test, and one piece that is fed in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.domain.policy import Policy
from station.ports.store import RenderedEvent
from station.storage.store import SqliteStore
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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """With events that say no more than their status."""
    opened = SqliteStore(
        tmp_path,
        group_commit=False,
        render=lambda event, sequence: RenderedEvent(event_id=f"{event.piece_id}:{sequence}", body=event.status.value),
        reserve_bytes=0,
        floor_bytes=0,
        warn_bytes=0,
    )
    yield opened
    opened.close()
