"""The power goes at random moments of a station's work: `make power-cuts`. The model of the medium: docs/reference/faulty-disks.md."""
# ruff: noqa: T201 - a program for the terminal

import argparse
import logging
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from tests.support.disk_shim import WHY_NOT, library
from tests.support.disk_writer import AS_IT_IS, COMMITS_NOT_FLUSHED, NAMES_NOT_FLUSHED
from tests.support.power_cuts import Cut, cut_again, cuts, memory, replays, traces

ROUNDS = 16
KEPT = Path("build/power-cuts")
"""Traces in which something was lost, so that a cut can be made again."""


def main() -> int:
    """Run it; 1 when the product lost something, or when a control lost nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cuts-of-a-trace", type=int, default=100)
    parser.add_argument("--controls", type=int, default=100, help="cuts of the product without a safeguard, each")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", nargs=4, metavar=("ROOT", "TRACE", "AFTER", "CHANCE"), help="one cut of a kept trace once more")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if given.again:
        root, trace, after, chance = given.again
        again = cut_again(Path(root), Path(trace), int(after), chance)
        print(again.facts, *again.lost, sep="\n")
        return int(bool(again.lost))
    if library() is None:
        print(WHY_NOT, file=sys.stderr)
        return 2
    lost, done, facts = 0, 0, 0
    shares = [min(given.cuts_of_a_trace, given.cuts - begun) for begun in range(0, given.cuts, given.cuts_of_a_trace)]
    with ProcessPoolExecutor(given.jobs) as pool:
        for made in pool.map(partial(_trace, given.seed, AS_IT_IS), range(len(shares)), shares):
            done, facts, lost = done + len(made), facts + sum(one.facts for one in made), lost + sum(bool(one.lost) for one in made)
            print(f"{done} of {given.cuts} cuts, {facts} acknowledged facts asked for, {lost} cuts that lost something", flush=True)
    missing = 0
    for how, what in ((COMMITS_NOT_FLUSHED, "('"), (NAMES_NOT_FLUSHED, "('image'")):
        if given.controls:
            made = _trace(given.seed, how, 0, given.controls)
            losing = sum(any(f"lost: {what}" in line for line in one.lost) for one in made)
            print(f"control {how}: {losing} of {len(made)} cuts lost something acknowledged", flush=True)
            missing += not losing
    return int(bool(lost or missing))


def _trace(seed: int, how: str, number: int, count: int) -> list[Cut]:
    """A trace of its own, and cuts of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    built = library()
    assert built is not None
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        ((root, log),) = traces(built, Path(name), rounds=ROUNDS, first=1_000 * number, how=(how,))
        assert replays(root, log, Path(name)), "the trace does not hold everything that happened to the files"
        made = list(cuts(root, log, count, f"{seed}/{how}/{number}"))
        if how == AS_IT_IS:
            _tell(made, root, log, f"{seed}-{number}.log")
        return made


def _tell(made: list[Cut], root: Path, log: Path, name: str) -> None:
    for one in made:
        if not one.lost:
            continue
        KEPT.mkdir(parents=True, exist_ok=True)
        if not (KEPT / name).exists():
            shutil.copy(log, KEPT / name)
        kinds = Counter(line.split(":")[0] for line in one.lost)
        print(f"lost after record {one.after}: {one.lost[0]} {dict(kinds)}", flush=True)
        print(f"  python -m tests.campaign.power_cuts --again {root} {KEPT / name} {one.after} {one.chance}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
