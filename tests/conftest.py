"""For all tests."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _log_as_at_first() -> Iterator[None]:
    """A test that runs the command line in this process binds the log to its own captured output, which ends with it."""
    yield
    structlog.reset_defaults()
