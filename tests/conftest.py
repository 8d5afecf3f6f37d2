"""For all tests."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _log_as_at_first() -> Iterator[None]:
    """A test that runs the command line in this process binds the log to its own captured output, which ends with it."""
    yield
    structlog.reset_defaults()
