"""How soon the watch over the model notices a change of known size, and how often it calls one where there is none.

Three kinds of mail, 600 calibration scores each, scores normal in their logit; every run is a site of its own with its own calibration. The
change begins after `--after` good pieces. Run lengths are pieces from the change to the stop of the model, capped at `--limit`;
`missed` is the share of runs in which nothing was noticed by then. `python -m benchmarks.drift [--runs N] [--null-pieces N]`
"""

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from station.screening.drift import TRIP_CAPITAL
from station.screening.martingale import DriftMartingale
from station.screening.score_bag import ScoreBag

KINDS = {"envelope": (-3.0, 0.8, 0.5), "packet": (-2.0, 1.0, 0.3), "parcel": (-1.2, 1.3, 0.2)}
"""Mean and standard deviation of the logit of a score, and share of the mail."""
CALIBRATION = 600
LEVEL = TRIP_CAPITAL * (len(KINDS) + 1)

FEW, SOME = 0.05, 0.15

Change = Callable[[random.Random, float, float], float]
"""A changed logit out of the generator, the kind's mean and its standard deviation."""

CHANGES: dict[str, Change] = {
    "none": lambda rng, mean, sd: rng.gauss(mean, sd),
    "+0.1 sd": lambda rng, mean, sd: rng.gauss(mean + 0.1 * sd, sd),
    "+0.25 sd": lambda rng, mean, sd: rng.gauss(mean + 0.25 * sd, sd),
    "+0.5 sd": lambda rng, mean, sd: rng.gauss(mean + 0.5 * sd, sd),
    "+1 sd": lambda rng, mean, sd: rng.gauss(mean + sd, sd),
    "+2 sd": lambda rng, mean, sd: rng.gauss(mean + 2 * sd, sd),
    "-0.25 sd": lambda rng, mean, sd: rng.gauss(mean - 0.25 * sd, sd),
    "-0.5 sd": lambda rng, mean, sd: rng.gauss(mean - 0.5 * sd, sd),
    "-1 sd": lambda rng, mean, sd: rng.gauss(mean - sd, sd),
    "spread x 1.5": lambda rng, mean, sd: rng.gauss(mean, 1.5 * sd),
    "5 % very odd": lambda rng, mean, sd: rng.gauss(mean + (4 * sd if rng.random() < FEW else 0.0), sd),
    "15 % very odd": lambda rng, mean, sd: rng.gauss(mean + (4 * sd if rng.random() < SOME else 0.0), sd),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One site: what changes, after how many pieces, for how long it is followed, and its seed."""

    change: str
    after: int
    limit: int
    seed: int


def follow(run: Run) -> int | None:
    """Pieces from the change to the stop; negative for a stop before it, None when there was none."""
    rng = random.Random(f"{run.change}/{run.after}/{run.seed}")  # noqa: S311 - a simulation
    names, shares = list(KINDS), [share for *_, share in KINDS.values()]
    bags = {kind: ScoreBag.of(_score(rng.gauss(mean, sd)) for _ in range(CALIBRATION)) for kind, (mean, sd, _) in KINDS.items()}
    games = dict.fromkeys((*names, "overall"), DriftMartingale())
    changed = CHANGES[run.change]
    for number in range(run.after + run.limit):
        (kind,) = rng.choices(names, shares)
        mean, sd, _ = KINDS[kind]
        logit = rng.gauss(mean, sd) if number < run.after else changed(rng, mean, sd)
        p = bags[kind].add(_score(logit), tie_share=1.0 - rng.random())
        for name in (kind, "overall"):
            games[name] = games[name].step(p)
            if games[name].most >= LEVEL:
                return number + 1 - run.after
    return None


def _score(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def summary(change: str, after: int, limit: int, found: list[int | None]) -> dict[str, Any]:
    """Figures of the runs of one change."""
    noticed = [length for length in found if length is not None and length > 0]
    capped = sorted(limit if length is None else length for length in found if length is None or length > 0)
    return {
        "change": change,
        "after": after,
        "runs": len(found),
        "early": sum(length is not None and length <= 0 for length in found),
        "mean": statistics.fmean(capped) if capped else None,
        "median": statistics.median(capped) if capped else None,
        "p90": capped[math.ceil(0.9 * len(capped)) - 1] if capped else None,
        "missed": 1 - len(noticed) / len(capped) if capped else None,
    }


def main() -> None:
    """Print the table; `--json FILE` writes it too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="of each change")
    parser.add_argument("--limit", type=int, default=20_000, help="pieces followed after a change")
    parser.add_argument("--after", type=int, nargs="*", default=[0, 10_000], help="good pieces before the change")
    parser.add_argument("--null-runs", type=int, default=200)
    parser.add_argument("--null-pieces", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json")
    given = parser.parse_args()
    rows = []
    sys.stdout.write(f"{'change':14s} {'after':>7s} {'runs':>5s} {'mean':>9s} {'median':>8s} {'p90':>8s} {'missed':>7s} {'early':>6s}\n")
    with ProcessPoolExecutor(given.workers) as pool:
        for after in given.after:
            for change in CHANGES:
                if change == "none":
                    continue
                found = list(pool.map(follow, [Run(change=change, after=after, limit=given.limit, seed=s) for s in range(given.runs)]))
                row = summary(change, after, given.limit, found)
                rows.append(row)
                sys.stdout.write(
                    f"{change:14s} {after:7d} {row['runs']:5d} {row['mean']:9.1f} {row['median']:8.1f} {row['p90']:8d} "
                    f"{row['missed']:7.1%} {row['early']:6d}\n"
                )
                sys.stdout.flush()
        nulls = list(pool.map(follow, [Run(change="none", after=0, limit=given.null_pieces, seed=s) for s in range(given.null_runs)]))
    alarms = sum(length is not None for length in nulls)
    rows.append({"change": "none", "runs": len(nulls), "pieces": given.null_pieces, "false_alarms": alarms, "bound": 1 / TRIP_CAPITAL})
    sys.stdout.write(
        f"no change: {alarms} of {len(nulls)} sites stopped within {given.null_pieces} pieces; promised at most 1 in {TRIP_CAPITAL:g}\n"
    )
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:  # noqa: PTH123 - named by the caller
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
