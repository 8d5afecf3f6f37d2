"""Decision and permit latency and pieces per hour of whole demos in real time, with 1, 2 and 4 lanes; one lane is the baseline.

Simulators and receiver run in processes of their own, as `station demo` starts them. Full belt speed allows 900 pieces an hour and
lane: 200 mm/s, a piece every 800 mm.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LANES = (1, 2, 4)
PIECES_PER_LANE = 48
"""A lane's first end and its last lie 12 s further apart than the pieces follow one another: what is held ends first, and nearer."""
SEED = 7
LIMIT_S = 900.0
BELT_PIECES_PER_HOUR = 900.0
"""Of one lane: 200 mm/s at a pitch of 800 mm."""


def command_of(lanes: int, pieces: int, seed: int, report: Path) -> list[str]:
    """The demo's command; what it keeps goes beside the report."""
    command = [sys.executable, "-m", "station", "demo", "--headless", "--speed", "1", "--seed", str(seed), "--report", str(report)]
    return [*command, "--lanes", str(lanes), "--pieces", str(pieces * lanes), "--data", str(report.parent / "data")]


def timing_of(report: dict[str, Any]) -> dict[str, float]:
    """The latencies of a demo's report, and its pieces per hour."""
    timing = report["timing"]
    latencies = {f"{what}_{part}_ms": timing[f"{what}_ms"][part] for what in ("decision", "permit") for part in ("p50", "p99")}
    return {**latencies, "pieces_per_hour": timing["pieces_per_hour"]}


def demo(lanes: int, pieces: int, seed: int = SEED) -> dict[str, Any]:
    """One demo at speed 1; its `timing`, with the CPU seconds of all its processes and what its world counted."""
    with tempfile.TemporaryDirectory(prefix="kt1-bench-") as directory:
        report = Path(directory) / "report.json"
        command = command_of(lanes, pieces, seed, report)
        before, load = _children_cpu_s(), os.getloadavg()[0]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603 - our own program
        if not report.exists():
            raise RuntimeError(f"the demo ended with {done.returncode} and without a report: {done.stderr[-400:]}")
        found = json.loads(report.read_text(encoding="utf-8"))
    timing = timing_of(found)
    return {
        "lanes": lanes,
        "pieces": pieces * lanes,
        "exit_code": done.returncode,
        **timing,
        "share_of_belt_speed": timing["pieces_per_hour"] / (BELT_PIECES_PER_HOUR * lanes),
        "cores_used": (_children_cpu_s() - before) / found["wall_s"],
        "load_before": load,
        "wall_s": found["wall_s"],
    }


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(lanes: tuple[int, ...] = LANES, pieces: int = PIECES_PER_LANE) -> list[dict[str, Any]]:
    """Run the demos one after the other; `…_to_one` are ratios to the first."""
    rows = [demo(count, pieces) for count in lanes]
    for row in rows:
        for name in ("decision_p50_ms", "decision_p99_ms", "permit_p50_ms", "permit_p99_ms", "pieces_per_hour", "cores_used"):
            row[f"{name}_to_one"] = row[name] / rows[0][name] if rows[0][name] else 0.0
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lanes", type=int, nargs="+", default=LANES)
    parser.add_argument("--pieces", type=int, default=PIECES_PER_LANE, help="of each lane")
    given = parser.parse_args()
    print(json.dumps(run(tuple(given.lanes), given.pieces), indent=1))  # noqa: T201 - its answer
