"""A deadline is the driver's, and no matter of how busy the machine is: over a scripted wire on virtual time, else on an unhurried loop."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.support.unhurried import UnhurriedLoop
from tests.support.virtual_time import VirtualLoop

SCRIPTED = frozenset({"test_modbus.py", "test_stx_link.py"})


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop of each test in this folder."""
    return {"virtual": VirtualLoop} if item.path.name in SCRIPTED else {"unhurried": UnhurriedLoop}
