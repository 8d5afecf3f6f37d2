"""A scene on virtual time: a running lane with people around it, something that goes wrong, and what must hold afterwards."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from firmware_sims.ledger import Stay
from station.domain.piece import Piece, PieceState
from station.domain.policy import Policy
from station.domain.test_piece import TestPieceRun, TestPieceTrend
from station.ports.screening import ScreeningEngine
from station.screening.anomaly_model import InlineScreening
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.test_pieces import keep_run
from station.workflow.views import LaneState
from tests.support.dangers import DANGERS
from tests.support.scripted_people import ScriptedPeople, to_review
from tests.support.virtual_lane import LANE_ID, VirtualStation, ended, start
from tests.support.virtual_time import EPOCH, run_virtual

T = TypeVar("T")

MODELS = Path(__file__).parents[2] / "station" / "screening" / "models"
SHARED_MEMORY = Path("/dev/shm")
MEMORY = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
"""Where a station's files lie: its commits need not reach a disk here."""
MORNING = EPOCH - timedelta(hours=1)
START_S = 120.0
TEST_PIECE_S = 20.0
TEST_PIECE_TRIES = 3
RECOVERY_S = 900.0


@cache
def shipped_model() -> InlineScreening:
    """The model that the station ships, read once per process."""
    return InlineScreening(MODELS, alpha=0.05, pictures=False)


@dataclass(kw_only=True)
class Scene:
    """A lane that runs, with its people. `pieces` are the covers of what was fed, by id."""

    station: VirtualStation
    people: ScriptedPeople
    directory: Path
    policy: Policy | None
    pieces: dict[str, dict[str, Any]] = field(default_factory=dict)
    released_further: bool = False
    _people_task: asyncio.Task[None] | None = None

    # --- pieces

    async def feed(self, *, announced: bool = True, **wishes: Any) -> str:
        """Draw a piece as asked (a packet if nothing is said), announce it and queue it; its id."""
        cover = self.station.do(do="piece", **{"kind": "packet", **wishes})["piece"]
        self.pieces[cover["piece_id"]] = cover
        if announced:
            await self.station.announce(cover)
        self.station.do(do="feed", piece_id=cover["piece_id"])
        return str(cover["piece_id"])

    async def feed_lighter(self) -> str:
        """A packet that weighs 300 g less than was announced: it is held for that until people have cleared it; its id."""
        cover = self.station.do(do="piece", kind="packet")["piece"]
        self.pieces[cover["piece_id"]] = cover
        await self.station.announce({**cover, "weight_g": cover["weight_g"] + 300.0})
        self.station.do(do="feed", piece_id=cover["piece_id"])
        return str(cover["piece_id"])

    def piece(self, piece_id: str) -> Piece | None:
        """What the station believes of a piece."""
        return self.station.store.read(lambda view: view.piece(piece_id))

    def where(self, piece_id: str) -> dict[str, Any]:
        """Where the piece really is."""
        return self.station.do(do="where", piece_id=piece_id)

    def stay(self, piece_id: str) -> Stay:
        """The truth about the piece's present stay on the lane."""
        load = self.station.simulated.world.find(self.station.simulated.mail_room.known(piece_id))
        assert load is not None
        return load.stay

    def facts(self, subject: str, kind: type[T]) -> list[T]:
        """The facts of that kind on record of a piece, or of what else facts are told of, oldest first."""
        rows = self.station.store.read(lambda view: view.evidence(subject))
        return [row.evidence for row in rows if isinstance(row.evidence, kind)]

    def reasons(self, piece_id: str) -> set[str]:
        """Every reason that the piece was ever held for."""
        changes = self.station.store.read(lambda view: view.history(piece_id))
        return {str(reason) for change in changes for reason in change.reasons}

    def states(self, piece_id: str) -> list[PieceState]:
        """Every state that the piece went through."""
        return [change.after for change in self.station.store.read(lambda view: view.history(piece_id))]

    def piece_is_identified(self, piece_id: str) -> bool:
        """True when the lane has seen who the piece is on its present visit."""
        known = self.piece(piece_id)
        return known is not None and known.visit > 0

    def newest_scan(self, piece_id: str) -> str:
        """The hash of the newest scan of the piece's visit."""
        known = self.piece(piece_id)
        assert known is not None
        scan_sha256, _ = self.station.store.read(lambda view: to_review(view, known))
        assert scan_sha256 is not None
        return scan_sha256

    def people_needed(self, piece_id: str) -> int:
        """How many people must clear the piece."""
        known = self.piece(piece_id)
        assert known is not None
        return self.station.store.read(lambda view: to_review(view, known))[1]

    # --- waiting

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 120.0) -> None:
        """Wait in virtual time."""
        await self.station.until(condition, timeout_s=timeout_s)

    async def until_at(self, piece_id: str, head_mm: float, *, timeout_s: float = 120.0) -> None:
        """Wait until the piece's head is at that place of the lane."""
        world = self.station.simulated.world
        piece = self.station.simulated.mail_room.known(piece_id)
        await self.until(lambda: (load := world.find(piece)) is not None and load.head_mm >= head_mm, timeout_s=timeout_s)

    async def settle(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def until_stopped(self, *, timeout_s: float = 60.0) -> None:
        """Wait until the lane has left its running state."""
        await self.until(lambda: not self.running, timeout_s=timeout_s)

    async def until_running(self, *, timeout_s: float = RECOVERY_S) -> None:
        """Wait until the lane runs (again)."""
        await self.until(lambda: self.running, timeout_s=timeout_s)

    async def until_state(self, piece_id: str, *states: PieceState, timeout_s: float = 120.0) -> None:
        """Wait until the station believes the piece in one of these states."""
        await self.until_known(lambda: (piece := self.piece(piece_id)) is not None and piece.state in states, timeout_s=timeout_s)

    async def until_known(self, condition: Callable[[], bool], *, timeout_s: float = 120.0) -> None:
        """Wait for what the store says, which is too dear to be asked at every step."""
        await self.station.until(condition, timeout_s=timeout_s, look_every_s=0.5)

    @property
    def running(self) -> bool:
        """True while pieces can move."""
        return self.station.lane.view().state in {LaneState.RUNNING, LaneState.WAITING, LaneState.ATTENTION}

    # --- what must hold

    def dangers(self) -> dict[str, int]:
        """The counters of the world that name a danger and are not 0."""
        world = self.station.world()
        return {name: world[name] for name in DANGERS if world[name]}

    async def still_releases(self, pieces: int = 1) -> None:
        """The lane, without a restart of the station, lets further pieces out, and nothing unsafe happened."""
        fed = [await self.feed() for _ in range(pieces)]
        await self.until_known(lambda: all(self.where(piece_id)["place"] == "outside" for piece_id in fed), timeout_s=RECOVERY_S)
        self.released_further = True

    async def restart_station(self, *, kill: bool, dead_s: float = 0.0) -> None:
        """End the station (as by `kill -9`, or in order) and start another over the same data and the same lane, that much later."""
        old = self.station
        await self.end_people()
        await old.stop(kill=kill)
        await asyncio.sleep(dead_s)
        self.station = await start(self.directory, old.screening, policy=self.policy, after=old)
        self.people.station = self.station
        self.begin_people()

    # --- people

    def begin_people(self) -> None:
        """The people begin to work."""
        self._people_task = asyncio.get_running_loop().create_task(self.people.work())

    async def end_people(self) -> None:
        """They go home; what they failed with is raised."""
        if self._people_task is not None:
            await ended(self._people_task)

    def check_alive(self) -> None:
        """Raise what the lane or the people failed with; neither ends before it is told to."""
        for task in (self.station.lane_task, self._people_task):
            if task is not None and task.done():
                task.result()
                raise AssertionError(f"{task} has ended")


@asynccontextmanager
async def running_scene(
    *,
    seed: int = 1,
    policy: Policy | None = None,
    screening: ScreeningEngine | None = None,
    test_piece: Literal["on record", "run", "missing"] = "on record",
) -> AsyncIterator[Scene]:
    """A lane that has started; its test piece passed this morning, as the record says, or runs through now, or is missing."""
    directory = Path(tempfile.mkdtemp(prefix="lane-", dir=MEMORY))
    try:
        if test_piece == "on record":
            (directory / "data").mkdir()
            (directory / "data" / DATABASE_NAME).write_bytes(record_of_test_piece())
        station = await start(directory, screening or shipped_model(), seed=seed, policy=policy)
        scene = Scene(station=station, people=ScriptedPeople(station=station), directory=directory, policy=policy)
        try:
            await scene.until(lambda: scene.running, timeout_s=START_S)
            if test_piece == "run":
                await pass_test_piece(scene)
            scene.begin_people()
            yield scene
        finally:
            try:
                await scene.end_people()
            finally:
                await scene.station.close()
    finally:
        shutil.rmtree(directory)


@cache
def record_of_test_piece() -> bytes:
    """A system of record that knows nothing but this morning's test piece, made once per process."""
    run = TestPieceRun(
        piece_id="TEST-0000", visit=1, at=MORNING, lane_id=LANE_ID, passed=True, values=(), not_asked=(), warnings=(), error=""
    )
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        store = SqliteStore(Path(directory), group_commit=False, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
        store.write(lambda uow: keep_run(uow, run, TestPieceTrend())).result()
        store.close()
        return (Path(directory) / DATABASE_NAME).read_bytes()


async def pass_test_piece(scene: Scene) -> None:
    """Run the test piece through the beam; a good one may fail once in hundreds of runs."""
    for _ in range(TEST_PIECE_TRIES):
        scene.station.do(do="test_piece")
        deadline_s = scene.station.clock.monotonic_s() + TEST_PIECE_S
        while scene.station.journey.test_piece_passed_at() is None and scene.station.clock.monotonic_s() < deadline_s:
            await scene.settle(0.5)
        if scene.station.journey.test_piece_passed_at() is not None:
            return
    raise AssertionError(f"none of {TEST_PIECE_TRIES} test pieces passed")


def play(scene: Callable[[Scene], Awaitable[None]], *, unnoticed: dict[str, int] | None = None, **how: Any) -> None:
    """Play a scene; in the end nothing unsafe may have happened but what is named, and the lane must release a further piece.

    A scene whose older pieces are still on their way when its trouble is over asks for the further piece itself: they go together.
    """

    async def main() -> None:
        async with running_scene(**how) as running:
            await scene(running)
            if not running.released_further:
                await running.still_releases()
            assert running.dangers() == (unnoticed or {}), f"dangers: {running.dangers()}, expected: {unnoticed}"

    run_virtual(main)
