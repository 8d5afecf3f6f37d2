"""`python -m tests.e2e.kill_campaign --kills 50`: kill -9 at random moments, simulators and tracking living on."""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.killed_station import WORKING, KilledStation

LANE_UP_S = 180.0
RELEASE_S = 180.0
MOMENTS = {"after-permit": 0.2, "leaving": 0.15, "starting": 0.2, "working": 0.45}
LEAVING_MM = 5940.0
"""So far out, a piece leaves by itself although the belts stop; one that has just got its permit stands half out."""
LONGEST_WORK_S = 6.0
LONGEST_DEAD_S = 3.0
PIECES_AFTER = 2


def running(rig: KilledStation) -> bool:
    """True when the lane works with a piece on its belts."""
    return rig.lane.get("state") in WORKING and bool(rig.lane["pieces"])


def kill_once(rig: KilledStation, rng: random.Random, *, moment: str | None = None) -> str:
    """Kill the station at a moment of that kind, start it again, and check what must hold. Returns the moment's name."""
    chosen = moment or rng.choices(list(MOMENTS), list(MOMENTS.values()))[0]
    if chosen != "starting":
        rig.until(lambda: running(rig), limit_s=LANE_UP_S, what="a piece on a running lane")
        head_mm = LEAVING_MM if chosen == "leaving" else 0.0
        if chosen == "working" or not rig.until_at_gate(head_mm=head_mm, limit_s=RELEASE_S):
            rig.work(rng.uniform(0.0, LONGEST_WORK_S))
    else:
        rig.work(rng.uniform(0.0, LONGEST_WORK_S))
    rig.kill()
    rig.work(rng.uniform(0.0, LONGEST_DEAD_S))
    rig.check_nothing_lost()
    rig.start()
    return chosen


def finish(rig: KilledStation) -> None:
    """In the end the lane works as if nothing had happened: further pieces leave, and both ends agree."""
    rig.until(lambda: running(rig), limit_s=LANE_UP_S, what="the lane to run again")
    before = rig.hands.do("world")["world"]["released"]
    rig.until(
        lambda: rig.hands.do("world")["world"]["released"] >= before + PIECES_AFTER, limit_s=RELEASE_S, what="further pieces to be released"
    )
    rig.until(lambda: rig.lane["state"] in WORKING, limit_s=LANE_UP_S, what="the lane to run")
    assert rig.ask("/api/v1/lanes/lane-1/commands", {"command": "stop"})
    rig.end()
    rig.check_nothing_lost()
    rig.start()
    rig.check_tracking()
    rig.until(lambda: rig.lane.get("state") in WORKING, limit_s=LANE_UP_S, what="the lane to run once more")
    rig.check_world()


def campaign(directory: Path, *, kills: int, seed: int, say: Callable[[str], None]) -> dict[str, int]:
    """Kill that often; returns what was counted. Any broken promise raises."""
    moments: dict[str, int] = {}
    with ExitStack() as stack:
        rig = KilledStation.make(directory, seed=seed, stack=stack)
        rng = random.Random(seed)
        rig.start()
        for number in range(kills):
            moment = kill_once(rig, rng)
            moments[moment] = moments.get(moment, 0) + 1
            say(f"kill {number + 1} of {kills}: {moment}; {len(rig.facts)} facts acknowledged, {len(rig.effects)} effects")
        finish(rig)
        world = rig.hands.do("world")["world"]
        return {
            "kills": rig.kills,
            **{f"kills_{name.replace('-', '_')}": count for name, count in sorted(moments.items())},
            "facts_acknowledged": len(rig.facts),
            "facts_lost": 0,
            "effects": len(rig.effects),
            "found_by_ring": len(rig.found_by_ring()),
            **world,
        }


def main() -> int:
    """Run the campaign; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.kill_campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything here")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kt1-kill-")))
        directory.mkdir(parents=True, exist_ok=True)
        counted = campaign(directory, kills=arguments.kills, seed=arguments.seed, say=lambda line: print(line, flush=True))  # noqa: T201
    print(json.dumps(counted, indent=1))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
