"""`python -m benchmarks.test_piece [--seeds N] [PIXELS ...]`: which faults of a scanner, from which size on, the test piece notices.

For each size the share of detectors (a seed each) on which the test failed, and the value that failed first. A few minutes on one core.
"""

import argparse
import sys
from collections import Counter

import numpy as np

from station.domain.errors import ScreeningError
from station.screening.test_piece import score
from training.test_piece_bench import FAULTS, Fault, TestPieceBench

MOST_TURN_DEG = 3.0


def failures(pixels: int, seeds: int, fault: Fault | None, size: float = 0.0) -> tuple[int, Counter[str]]:
    """How many of `seeds` detectors failed the test, and by which values."""
    failed, why = 0, Counter[str]()
    for seed in range(seeds):
        rng = np.random.default_rng([seed, pixels])
        bench = TestPieceBench(seed, pixels=pixels)
        try:
            if fault is not None:
                fault.spoil(bench, size)
            turn_deg = float(rng.uniform(-MOST_TURN_DEG, MOST_TURN_DEG))
            result = score(bench.scan_test_piece(turn_deg=turn_deg, backwards=bool(rng.integers(2))))
        except ScreeningError:
            failed += 1
            why["refused"] += 1
            continue
        failed += not result.passed
        why.update(name for name, (_, _, passed) in result.values.items() if not passed)
    return failed, why


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pixels", nargs="*", type=int, default=[128, 512])
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    for pixels in given.pixels:
        _say(f"\n{pixels} pixels, {given.seeds} detectors; failed at each size\n")
        _say("| what | sizes | failed, % | by |\n|---|---|---|---|")
        sound, why = failures(pixels, given.seeds, None)
        _say(f"| nothing | | {100 * sound // given.seeds} | {', '.join(why)} |")
        for fault in FAULTS:
            found = [failures(pixels, given.seeds, fault, size) for size in fault.sizes]
            shares = ", ".join(f"{100 * failed // given.seeds}" for failed, _ in found)
            names = ", ".join(f"`{name}`" for name, _ in sum((why for _, why in found), Counter[str]()).most_common(3))
            _say(f"| {fault.name} | {', '.join(f'{size:g}' for size in fault.sizes)} | {shares} | {names} |")


if __name__ == "__main__":
    main()
