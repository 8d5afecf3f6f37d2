"""Each of a station's first calls to its disk fails, once or for a while: `make disk-faults`; see docs/reference/faulty-disks.md."""
# ruff: noqa: T201 - a program for the terminal

import argparse
import itertools
import logging
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import structlog

from tests.support.disk_faults import A_WHILE, ERRORS, ONCE, Case, calls_until, run_apart, soak, use
from tests.support.disk_shim import WHY_NOT, Shim, environment, library
from tests.support.power_cuts import memory

MODES = {"once": ONCE, "a-while": A_WHILE}
MOST_KB = 8 << 10


def main() -> int:
    """Run it; 1 when something did not hold, each with the command that repeats it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", choices=("used", "first", "both"), default="both", help="on a disk that it used before, or an empty one")
    parser.add_argument("--writes", type=int, default=500, help="calls up to this write of a used station")
    parser.add_argument("--from", type=int, default=1, dest="begin", help="go on from this call")
    parser.add_argument("--to", type=int, help="up to this call")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--errors", nargs="+", choices=tuple(ERRORS), default=tuple(ERRORS))
    parser.add_argument("--modes", nargs="+", choices=tuple(MODES), default=tuple(MODES))
    parser.add_argument("--soak", type=int, default=300, help="faults in one process, whose memory is measured; not with --to")
    given = parser.parse_args()
    try:
        shim = Shim()
    except RuntimeError:
        return _again_on_the_shim()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        used = use(Path(name) / "used")
        failing = 0
        for start in ("used", "first") if given.start == "both" else (given.start,):
            first = start == "first"
            last = given.to or calls_until(shim, None if first else used, given.writes)
            cases = itertools.product(range(given.begin, last + 1, given.step), given.errors, given.modes)
            tally: Counter[str] = Counter()
            for call, error, mode in cases:
                case = Case(call=call, error=error, lasting=MODES[mode], first=first)
                outcome = run_apart(case, shim, used)
                tally["cases"] += 1
                tally["did not strike"] += not outcome.struck
                tally["refused to start at first"] += bool(outcome.refused_starts)
                tally["told whoever asked"] += bool(outcome.failed)
                tally["did without"] += bool(outcome.struck) and not outcome.refused_starts and not outcome.failed
                tally["facts"] += outcome.facts
                if outcome.problems:
                    failing += 1
                    print(f"call {call} {error} {mode}, {', '.join(outcome.struck[:3])}: {outcome.problems[:3]}", flush=True)
                    print(f"  {case.command()}", flush=True)
                if not tally["cases"] % 100:
                    print(f"{start}: call {call} of {last}; {dict(tally)}; {failing} failing", flush=True)
            print(f"{start}: done to call {last}; {dict(tally)}; {failing} failing", flush=True)
    if given.to is None and given.soak:
        grown = soak(shim, given.soak, seed=1)
        print(f"{grown.faults} faults in one process; {grown.descriptors} descriptors, {grown.kilobytes} KiB more than after the first 30")
        failing += grown.descriptors > 0 or grown.kilobytes > MOST_KB
    return int(bool(failing))


def _again_on_the_shim() -> int:
    built = library()
    if built is None:
        print(WHY_NOT, file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "tests.campaign.disk_faults", *sys.argv[1:]]
    return subprocess.run(command, env=environment(built), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
