"""Ports for programs that must be told theirs beforehand, or that come back to the one that they had."""

import itertools
import os
import socket

FIRST = 20_000
"""Below what Linux gives to whoever connects, or listens on a port that is not said."""

RANGES, IN_EACH = 250, 40

_own = itertools.cycle(range(FIRST + os.getpid() % RANGES * IN_EACH, FIRST + (os.getpid() % RANGES + 1) * IN_EACH))


def free_port() -> int:
    """A port that nobody has, and that nobody gets by chance until it is listened on: each process of a test run has a range of its own."""
    for port in itertools.islice(_own, IN_EACH):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("there is no free port in the range of this process")
