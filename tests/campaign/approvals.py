"""1 000 races of approvals for pieces that take two people: `make approvals`."""
# ruff: noqa: T201 - a program for the terminal

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

from tests.support.approvals import Approvals


def main() -> None:
    """Run it; whoever counts twice is an assertion error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, closing(Approvals(Path(name))) as approvals:
        ends = approvals.race(given.races)
    print(f"{given.races} races: {', '.join(f'{count} x {end}' for end, count in sorted(ends.items()))}; nobody counted twice")


if __name__ == "__main__":
    main()
