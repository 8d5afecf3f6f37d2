"""Power cuts and failing calls of the disk, a few of each: `make power-cuts` and `make disk-faults` run thousands."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import disk_shim
from tests.support.disk_writer import AS_IT_IS, COMMITS_NOT_FLUSHED, NAMES_NOT_FLUSHED
from tests.support.medium import Chance, Medium
from tests.support.power_cuts import cuts, replays, traces

ROOT = b"/r"


@pytest.fixture(scope="module")
def library() -> Path:
    built = disk_shim.library()
    if built is None:
        pytest.skip(disk_shim.WHY_NOT)
    return built


def test_power_cuts_lose_nothing_that_was_acknowledged_and_would_without_either_safeguard(library: Path, tmp_path: Path):
    whole, not_flushed, not_named = traces(library, tmp_path, rounds=2, first=0, how=(AS_IT_IS, COMMITS_NOT_FLUSHED, NAMES_NOT_FLUSHED))
    assert replays(*whole, tmp_path)
    assert [one for one in cuts(*whole, 24, "quick") if one.lost] == []
    # One is enough.
    assert any(line.startswith("lost: ('piece'") for one in cuts(*not_flushed, 30, "quick") for line in one.lost)
    assert any(line.startswith("lost: ('image'") for one in cuts(*not_named, 30, "quick") for line in one.lost)


PROGRAM = """
import logging, sys, tempfile, structlog
from pathlib import Path
from tests.support.disk_faults import A_WHILE, ONCE, Case, run_apart, use
from tests.support.disk_shim import Shim
from tests.support.power_cuts import memory
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
shim, struck = Shim(), 0
with tempfile.TemporaryDirectory(dir=memory()) as name:
    used = use(Path(name) / "used")
    for number, call in enumerate(map(int, sys.argv[1:])):
        case = Case(call=call, error=("EIO", "ENOSPC")[number % 2], lasting=(ONCE, A_WHILE)[number // 2 % 2], first=number % 5 == 4)
        outcome = run_apart(case, shim, used, rounds=1)
        assert not outcome.problems, (case.command(), outcome)
        struck += bool(outcome.struck)
print(struck)
"""


def test_a_station_stands_calls_of_its_disk_that_fail(library: Path):
    chance = random.Random(os.environ.get("KT1_SEED", "1"))
    calls = [str(chance.randrange(1, 220)) for _ in range(12)]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *calls], env=disk_shim.environment(library), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert int(ran.stdout) >= 10


def of(op: str, fd: int = 3, a: int = 0, b: int = 0, one: bytes = b"", two: bytes = b"") -> disk_shim.Record:
    return disk_shim.Record(op, fd, a, b, one, two)


def left(tmp_path: Path, seed: int, *some: disk_shim.Record) -> dict[str, bytes]:
    medium = Medium(Path("/r"))
    medium.follow([of("o", 3, 1, 0, ROOT + b"/f"), of("o", 4, 0, 1, ROOT), *some])
    target = tmp_path / str(seed)
    medium.after_cut(target, Chance(seed))
    return {path.name: path.read_bytes() for path in target.iterdir()}


def test_the_medium_keeps_what_was_flushed_and_may_keep_the_rest(tmp_path: Path):
    flush_file, flush_names = (of("s", 3, 1), of("S", 3, 1)), (of("s", 4, 2), of("S", 4, 2))
    first, second = of("w", 3, 0, 0, b"a" * 1024), of("w", 3, 512, 0, b"b" * 1024)
    seen = {repr(left(tmp_path, seed, first, *flush_file, *flush_names, second)) for seed in range(60)}
    assert all("a" * 512 in one for one in seen), "flushed sectors that nobody wrote again are there"
    assert repr({"f": b"a" * 1024}) in seen, "nothing of the second write"
    assert repr({"f": b"a" * 512 + b"b" * 1024}) in seen, "all of it"
    assert repr({"f": b"a" * 512 + b"b" * 512}) in seen or repr({"f": b"a" * 1024 + b"b" * 512}) in seen, "a sector of it"
    assert {*left(tmp_path, 99, first, *flush_file)} <= {"f"}
    assert {} in [left(tmp_path, seed, first, *flush_file) for seed in range(100, 130)], "a name that nobody flushed"


def test_what_waited_when_a_flush_failed_is_not_brought_by_the_next(tmp_path: Path):
    failed, fine = (of("s", 3, 1), of("S", 3, 1, 5)), (of("s", 3, 2), of("S", 3, 2))
    names = (of("s", 4, 3), of("S", 4, 3))
    write = of("w", 3, 0, 0, b"x")
    assert {"f": b""} in [left(tmp_path, seed, *names, write, *failed, *fine) for seed in range(30)]
    assert all(left(tmp_path, seed, *names, write, *failed, write, *fine) == {"f": b"x"} for seed in range(30, 50))
