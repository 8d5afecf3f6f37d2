"""Traces of a site at work, and power cuts at random moments of them."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.disk_shim import Record, environment, records
from tests.support.disk_site import LANE_DAYS, losses
from tests.support.medium import Chance, Medium

SHARE_OF_STARTS = 0.1
"""Of the cuts, those before the first acknowledged fact: while the site is opened for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The power went after so many records; `chance` seeds what became of what was not flushed. `lost`: what is not as it must be."""

    after: int
    chance: str
    facts: int
    lost: tuple[str, ...]


def memory() -> Path | None:
    """A place that is quick; what the real disk does with flushes does not matter here."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > 1 << 30 else None


def traces(library: Path, directory: Path, *, rounds: int, first: int, how: tuple[str, ...]) -> list[tuple[Path, Path]]:
    """Let a site work in `directory` in each of these ways; gives (its root, its records) of each."""
    command = [sys.executable, "-m", "tests.support.disk_writer", str(directory), str(rounds), str(first), *how]
    subprocess.run(command, env=environment(library), check=True)
    return [(directory / one, directory / f"{one}.log") for one in how]


def cuts(root: Path, log: Path, count: int, seed: str) -> Iterator[Cut]:
    """Cut the power at so many random moments of a trace."""
    all_records, chance = list(records(log)), random.Random(seed)
    begun = next(place for place, one in enumerate(all_records) if one.op == "n")
    moments = sorted(
        chance.randrange(begun) if chance.random() < SHARE_OF_STARTS else chance.randrange(begun, len(all_records) + 1)
        for _ in range(count)
    )
    medium, done = Medium(root), 0
    for number, moment in enumerate(moments):
        medium.follow(all_records[done:moment])
        done = moment
        yield _cut(medium, all_records[:moment], f"{seed}/{number}")


def cut_again(root: Path, log: Path, after: int, chance: str) -> Cut:
    """That very cut once more."""
    before = list(records(log))[:after]
    medium = Medium(root)
    medium.follow(before)
    return _cut(medium, before, chance)


def replays(root: Path, log: Path, directory: Path) -> bool:
    """Whether a trace holds everything: all of it makes the very files that are there after the site was closed."""
    medium = Medium(root)
    medium.follow(records(log))
    copy = directory / "copy"
    medium.after_cut(copy, Chance(0, share=1.0))
    return _content(copy) == _content(root)


def _content(directory: Path) -> dict[Path, bytes]:
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _cut(medium: Medium, before: list[Record], chance: str) -> Cut:
    facts = [json.loads(one.one) for one in before if one.op == "n"]
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        target = Path(name) / "site"
        medium.after_cut(target, Chance(chance))
        return Cut(after=len(before), chance=chance, facts=len(facts), lost=tuple(losses(target, facts, days=LANE_DAYS)))
