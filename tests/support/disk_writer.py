"""A site at work on the shim; says in the shim's records what was acknowledged.

Usage: python -m tests.support.disk_writer DIRECTORY ROUNDS FIRST HOW...: works in DIRECTORY/HOW, its records are DIRECTORY/HOW.log.
"""

import json
import logging
import os
import sys
from contextlib import closing
from pathlib import Path

import structlog

from station import durable_file
from station.storage import sqlite
from tests.support.clocks import SetClock
from tests.support.disk_shim import Shim
from tests.support.disk_site import LANE_DAYS, Site, work_in_lanes
from tests.support.vaults import DAY

AS_IT_IS, COMMITS_NOT_FLUSHED, NAMES_NOT_FLUSHED = "as-it-is", "commits-not-flushed", "names-not-flushed"
"""The product, and it with one safeguard taken out."""


def run(root: Path, log: Path, rounds: int, first: int, how: str) -> None:
    """All of it, in this process."""
    if how == COMMITS_NOT_FLUSHED:
        sqlite.PRAGMAS["synchronous"] = ("NORMAL", 1)
    shim = Shim()
    shim.watch(root, log)
    with closing(Site(root, SetClock(DAY), days=LANE_DAYS)) as site:
        if how == NAMES_NOT_FLUSHED:
            # That of `write_durably` and of what makes directories.
            durable_file.flush_directory = lambda _directory: None  # type: ignore[assignment]
        work_in_lanes(site, lambda fact: shim.note(json.dumps(fact)), rounds, first=first)
    assert shim.writes_down(), f"{log} is not complete"


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    directory, rounds, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for how in sys.argv[4:]:
        root = directory / how
        root.mkdir()
        # A process for each, which is cheap from here on.
        child = os.fork()
        if not child:
            run(root, directory / f"{how}.log", rounds, first, how)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(1)


if __name__ == "__main__":
    main()
