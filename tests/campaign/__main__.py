"""`python -m tests.campaign --hours 1 --seeds 1..200 --jobs 2 --state FILE`: runs the seeds that are not done yet."""
# ruff: noqa: T201 - a program for the terminal

import argparse
import gc
import hashlib
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests.campaign.lane_hours import Result, Run
from tests.support.defects import listen
from tests.support.virtual_scene import MODELS

YOUNG_OBJECTS = 50_000
CONFIG = Path(__file__).parents[2] / "station" / "config"
PACKAGES = ("firmware_sims", "station", "tests")


def main() -> int:
    """Run the campaign; 0 when every seed held, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="simulated lane-hours of each seed")
    parser.add_argument("--seeds", default="1..10", help="A..B, both included, or one number")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--state", type=Path, help="JSON lines; seeds that are in it and were run with the same code are not run again")
    parser.add_argument("--tell", action="store_true", help="print what happens (with one job)")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    tree = _tree_sha256()
    done = _read(options.state, tree)
    todo = [seed for seed in seeds if (seed, options.hours) not in done]
    results = [done[seed, options.hours] for seed in seeds if (seed, options.hours) in done]
    print(f"code {tree[:12]}: {len(results)} of {len(seeds)} seeds done before", flush=True)
    for number, result in enumerate(_run(todo, options), start=1):
        result.tree_sha256 = tree
        if options.state is not None:
            with options.state.open("a", encoding="utf-8") as file:
                file.write(result.as_json() + "\n")
        results.append(json.loads(result.as_json()))
        _tell(number, len(todo), result)
    return _sum_up(results)


def _tree_sha256() -> str:
    """Over the code that plays: every module of this project that is loaded by now, the model and the configuration."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in PACKAGES}
    files = {Path(module.__file__) for module in modules.values() if module.__file__} | set(MODELS.rglob("*.*")) | set(CONFIG.rglob("*.*"))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _read(state: Path | None, tree: str) -> dict[tuple[int, float], dict[str, Any]]:
    """The results that this code made."""
    if state is None or not state.exists():
        return {}
    results = [json.loads(line) for line in state.read_text(encoding="utf-8").splitlines()]
    return {(result["seed"], result["hours"]): result for result in results if result.get("tree_sha256") == tree}


def _one(seed: int, hours: float) -> Result:
    listen(quiet=True)
    return _play(Run(seed, hours))


def _play(run: Run) -> Result:
    # What is there now stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    return run.play()


def _run(seeds: list[int], options: argparse.Namespace) -> Iterable[Result]:
    if options.jobs == 1:
        listen(quiet=not options.tell)
        for seed in seeds:
            yield _play(Run(seed, options.hours, tell=options.tell))
        return
    with ProcessPoolExecutor(max_workers=options.jobs) as pool:
        for future in as_completed([pool.submit(_one, seed, options.hours) for seed in seeds]):
            yield future.result()


def _tell(number: int, count: int, result: Result) -> None:
    pace = result.hours * 3600.0 / result.wall_s
    print(
        f"{number}/{count} seed {result.seed}: {'ok' if not result.wrong else 'WRONG'}, {result.released} of {result.fed} released, "
        f"{sum(result.mishaps.values())} mishaps, {result.kills} kills, {result.starts} starts, {pace:.0f} x real time",
        flush=True,
    )
    for wrong in result.wrong[:5]:
        print(f"    {wrong[:600]}", flush=True)
    if result.wrong:
        print(f"    again: python -m tests.campaign --hours {result.hours:g} --seeds {result.seed} --tell", flush=True)


def _sum_up(results: list[dict[str, Any]]) -> int:
    failed = sorted(result["seed"] for result in results if result["wrong"])
    print(
        f"{sum(result['hours'] for result in results):g} lane-hours, {sum(result['released'] for result in results)} pieces released, "
        f"{sum(sum(result['mishaps'].values()) for result in results)} mishaps, {sum(result['kills'] for result in results)} kills; "
        f"seeds that failed: {failed or 'none'}",
        flush=True,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
