"""For all tests."""

import logging
import sys
import threading
from collections.abc import Iterator
from logging.handlers import QueueHandler

import pytest
import structlog
from hypothesis import settings

from station.storage import store
from tests.support.fresh_databases import migrate_fresh

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Of a thousand fresh stores a run needs only the first from Alembic.
store.migrate = migrate_fresh


@pytest.fixture(autouse=True)
def _log_as_at_first() -> Iterator[None]:
    """A test that runs the command line in this process binds the log to its own captured output, which ends with it."""
    hooks = sys.excepthook, threading.excepthook
    yield
    structlog.reset_defaults()
    sys.excepthook, threading.excepthook = hooks
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, QueueHandler)]:
        root.removeHandler(handler)
        handler.close()
