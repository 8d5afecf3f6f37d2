"""A site at work on the shim; says in the shim's records what was acknowledged.

Usage: python -m tests.support.disk_writer ROOT LOG ROUNDS FIRST [HOW]
"""

import json
import sys
from contextlib import closing
from pathlib import Path

from station.storage import durable_file, image_store, key_files, sqlite
from tests.support.clocks import SetClock
from tests.support.disk_shim import Shim
from tests.support.disk_site import LANE_DAYS, Site, work_in_lanes
from tests.support.vaults import DAY

AS_IT_IS, COMMITS_NOT_FLUSHED, NAMES_NOT_FLUSHED = "as-it-is", "commits-not-flushed", "names-not-flushed"
"""The product, and it with one safeguard taken out."""


def spoil(how: str) -> None:
    """Take that safeguard out of this process."""
    if how == COMMITS_NOT_FLUSHED:
        sqlite.PRAGMAS["synchronous"] = ("NORMAL", 1)
    elif how == NAMES_NOT_FLUSHED:
        for module in (durable_file, image_store, key_files):
            if hasattr(module, "flush_directory"):
                module.flush_directory = lambda _directory: None  # type: ignore[attr-defined]
    elif how != AS_IT_IS:
        raise ValueError(how)


def main() -> None:
    root, log, rounds, first = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    spoil(sys.argv[5] if len(sys.argv) > 5 else AS_IT_IS)
    shim = Shim()
    shim.watch(root, log)
    with closing(Site(root, SetClock(DAY), days=LANE_DAYS)) as site:
        work_in_lanes(site, lambda fact: shim.note(json.dumps(fact)), rounds, first=first)
    assert shim.writes_down()


if __name__ == "__main__":
    main()
