"""One call of a site at work fails, or some in a row do: what must hold then."""

import errno
import gc
import json
import os
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from station.domain.errors import StationError
from tests.support.clocks import SetClock
from tests.support.disk_shim import Record, Shim, records
from tests.support.disk_site import Fact, Site, Work, losses
from tests.support.medium import Chance, Medium
from tests.support.power_cuts import memory
from tests.support.vaults import DAY

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
ONCE, A_WHILE = 1, 40
"""Calls in a row that fail."""
ROUNDS = 5
AFTERWARDS = (11, 13)
"""Pieces after the fault; with the first a day ends."""
STARTS = 80
"""More starts than any fault lasts: the least that a start asks of the disk is one call."""
RETRY_S, PATIENCE_S = 0.2, 20.0
CALLS = frozenset("wosteruld")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Call `call` of a station fails, and those after it till `lasting` did; `first`: on an empty disk, not on one that it used before."""

    call: int
    error: str
    lasting: int
    first: bool = False

    def command(self) -> str:
        """What repeats it."""
        start = "first" if self.first else "used"
        mode = "once" if self.lasting == ONCE else "a-while"
        which = f"--from {self.call} --to {self.call} --errors {self.error} --modes {mode}"
        return f"python -m tests.campaign.disk_faults --start {start} {which}"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of it. `problems`: what did not hold; the rest says what the fault met."""

    problems: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    refused_starts: int = 0
    failed: int = 0
    facts: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """A site that was used and closed, and the facts that were acknowledged in it."""

    root: Path
    facts: tuple[Fact, ...]


def use(directory: Path) -> Used:
    """Make one."""
    facts: list[Fact] = []
    site = Site(directory, SetClock(DAY))
    work = Work(site, facts.append, name="before")
    for number in (0, 3, 7):
        work.round(number)
    site.close()
    assert not work.failed
    return Used(directory, tuple(facts))


def clock_after(facts: Iterator[Fact] | list[Fact] | tuple[Fact, ...]) -> SetClock:
    """The site's day after these."""
    return SetClock(max([DAY, *(datetime.fromisoformat(fact[1]) for fact in facts if fact[0] == "day")]))


def calls_until(shim: Shim, used: Used | None, writes: int) -> int:
    """How many calls an unharmed site makes until that many of them were writes, or until it is open, on an empty disk."""
    with _place(used) as (root, log):
        shim.watch(root, log)
        site = Site(root, clock_after(used.facts if used else []))
        opened = shim.calls()
        if used is not None:
            work = Work(site, lambda _: None)
            for number in range(ROUNDS):
                work.round(number)
        site.close()
        if used is None:
            return opened
        called = [one.op for one in records(log) if one.op in CALLS]
    places = [place for place, op in enumerate(called, 1) if op == "w"]
    return places[min(writes, len(places)) - 1]


def run(case: Case, shim: Shim, used: Used, rounds: int = ROUNDS) -> Outcome:
    """Have it happen, in this process, within so many pieces; with fewer than usual only what a power cut leaves is looked at."""
    outcome, before = Outcome(), None if case.first else used
    with _place(before) as (root, log):
        shim.watch(root, log)
        shim.fail(case.call, case.call + case.lasting - 1, ERRORS[case.error])
        open_before = _descriptors()
        told: list[Fact] = list(before.facts) if before else []
        clock = clock_after(told)

        def tell(fact: Fact) -> None:
            shim.note(json.dumps(fact))
            told.append(fact)

        try:
            site = _start(root, clock, outcome)
            _work(site, tell, shim, outcome, rounds)
            site.close()
        except Exception as error:  # noqa: BLE001 - whatever it was, the station must not have met it
            outcome.problems.append(f"not told in the station's words: {error!r}")
            return outcome
        if (left := _descriptors()) != open_before:
            outcome.problems.append(f"{left - open_before} descriptors were left open")
        all_records = list(records(log))
        shim.watch(Path("/nowhere"), Path(os.devnull))
        outcome.struck = [one.one.decode().replace(str(root), "") for one in all_records if one.op == "x"]
        outcome.facts = len(told)
        _judge(root, all_records, told, before, outcome, quick=rounds < ROUNDS)
    return outcome


def run_apart(case: Case, shim: Shim, used: Used, rounds: int = ROUNDS) -> Outcome:
    """Have it happen in a process of its own, which costs little from here on."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        try:
            answer = asdict(run(case, shim, used, rounds))
        except BaseException as error:  # noqa: BLE001 - told by the parent
            answer = asdict(Outcome(problems=[f"the trial itself failed: {error!r}"]))
        os.write(sending, json.dumps(answer).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return Outcome(**json.loads(answer)) if answer else Outcome(problems=["the process ended"])


@contextmanager
def _place(used: Used | None) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        root = Path(name) / "site"
        if used is None:
            root.mkdir()
        else:
            shutil.copytree(used.root, root)
        yield root, Path(name) / "log"


def _start(root: Path, clock: SetClock, outcome: Outcome) -> Site:
    """Start it, again and again as whoever looks after it does, until it starts."""
    while True:
        try:
            return Site(root, clock, retry_s=RETRY_S)
        except StationError:
            outcome.refused_starts += 1
            if outcome.refused_starts > STARTS:
                raise


def _work(site: Site, tell: Any, shim: Shim, outcome: Outcome, rounds: int) -> None:
    work = Work(site, tell)
    for number in range(rounds):
        work.round(number)
    shim.heal()
    outcome.failed = work.failed
    if work.unnoticed:
        outcome.problems.append(f"{work.unnoticed} changes failed and the store called itself healthy")
    if not _becomes(site.store.healthy):
        outcome.problems.append("the store does not get healthy by itself")
    for number in AFTERWARDS:
        work.round(number)
    if work.failed != outcome.failed:
        outcome.problems.append("what comes after the fault is not stored")
    if not site.audit.intact:
        outcome.problems.append("the audit log's keeper does not come back")


def _becomes(well: Any) -> bool:
    waiting, tries = threading.Event(), int(PATIENCE_S / 0.01)
    return any(well() or waiting.wait(0.01) for _ in range(tries))


def _judge(root: Path, all_records: list[Record], told: list[Fact], before: Used | None, outcome: Outcome, *, quick: bool) -> None:
    medium = Medium(root, before.root if before else None)
    medium.follow(all_records)
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        cut = Path(name) / "cut"
        medium.after_cut(cut, Chance(0, share=0.0))
        outcome.problems += [f"after a power cut: {line}" for line in losses(cut, told)[:5]]
    if not quick:
        outcome.problems += losses(root, told)[:5]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """After so many faults in one process: what it holds more than after the first ones."""

    faults: int
    descriptors: int
    kilobytes: int


def soak(shim: Shim, cycles: int, seed: int, warm: int = 30) -> Growth:
    """One site, and a fault of random kind, place and length again and again, each followed by recovery; what it then holds more."""
    chance, first = random.Random(seed), (0, 0)
    with _place(None) as (root, _):
        shim.watch(root, Path(os.devnull))
        site = Site(root, SetClock(DAY), retry_s=RETRY_S)
        for cycle in range(cycles):
            work = Work(site, lambda _: None, name=f"S{cycle}.")
            begin = shim.calls() + chance.randrange(1, 120)
            shim.fail(begin, begin + chance.choice((0, 0, 5, 40)), chance.choice(list(ERRORS.values())))
            work.round(4 * cycle)
            shim.heal()
            assert _becomes(site.store.healthy), f"not healthy again after fault {cycle}"
            if cycle == warm:
                first = (_descriptors(), _resident_kb())
        last = (_descriptors(), _resident_kb())
        site.close()
    return Growth(faults=cycles, descriptors=last[0] - first[0], kilobytes=last[1] - first[1])


def _resident_kb() -> int:
    gc.collect()
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1])


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
