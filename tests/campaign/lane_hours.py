"""One seed: a lane with people works for some hours while things go wrong at random moments, and what must hold then and after."""

import contextlib
import hashlib
import json
import random
import time
from dataclasses import asdict, dataclass, field

from station.domain.errors import StationError
from station.domain.gate import Permit
from station.domain.piece import PieceState
from tests.campaign import mishaps
from tests.campaign.mishaps import Mishap
from tests.support.store_facts import check_audit
from tests.support.virtual_lane import run_virtual
from tests.support.virtual_scene import Scene, running_scene

MEAN_GAP_S = 90.0
TICK_S = 1.0
QUEUED = 3
STUCK_S = 900.0
"""A lane that releases nothing for so long after everything was put right is stuck."""
COMMITS_TO_DEATH = 25
DEATH_LIMIT_S = 60.0


@dataclass(kw_only=True)
class Result:
    """What one seed did. `wrong` is empty when everything held; `digest` is over the world's ledger: the same seed, the same digest."""

    seed: int
    hours: float
    wrong: list[str] = field(default_factory=list)
    fed: int = 0
    released: int = 0
    mishaps: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    starts: int = 0
    digest: str = ""
    wall_s: float = 0.0

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), sort_keys=True)


class Run:
    """The run of one seed."""

    def __init__(self, seed: int, hours: float, *, tell: bool = False) -> None:
        self.result = Result(seed=seed, hours=hours)
        self._rng = random.Random(f"campaign/{seed}")
        self._tell = tell
        self._to_clear: list[tuple[float, Mishap]] = []
        self._dies_at_s: float | None = None

    def play(self) -> Result:
        """Run it all; never raises for what the lane did."""
        started_s = time.perf_counter()
        try:
            run_virtual(self._main)
        except AssertionError as error:
            self.result.wrong.append(str(error)[:2000])
        except Exception as error:  # noqa: BLE001 - a campaign goes on with the next seed
            self.result.wrong.append(repr(error)[:2000])
        self.result.wall_s = time.perf_counter() - started_s
        return self.result

    async def _main(self) -> None:
        async with running_scene(seed=self.result.seed) as scene:
            try:
                await self._work(scene)
                await self._put_right(scene)
                await scene.still_releases()
            finally:
                self._account(scene)

    async def _work(self, scene: Scene) -> None:
        clock = scene.station.clock
        end_s = clock.monotonic_s() + self.result.hours * 3600.0
        next_s = clock.monotonic_s() + self._rng.expovariate(1.0 / MEAN_GAP_S)
        while clock.monotonic_s() < end_s:
            await scene.settle(TICK_S)
            await self._mind_death(scene)
            self._clear_what_is_over(scene)
            if self._dies_at_s is None:
                await self._feed(scene)
            if clock.monotonic_s() >= next_s:
                next_s = clock.monotonic_s() + self._rng.expovariate(1.0 / MEAN_GAP_S)
                await self._happen(scene, mishaps.draw(self._rng))
            dangers = scene.dangers()
            assert not dangers, f"at {clock.monotonic_s():.1f} s: {dangers}"

    async def _feed(self, scene: Scene) -> None:
        station = scene.station
        while len(station.simulated.mail_room.queue) < QUEUED and not station.store.disk_is_full:
            (cover,) = station.do(do="mail", count=1)["pieces"]
            scene.pieces[cover["piece_id"]] = cover
            if self._rng.random() < 0.97:
                # Whoever could not announce tries again later; for this piece that is too late.
                with contextlib.suppress(StationError):
                    await station.announce(cover)
            station.do(do="feed", piece_id=cover["piece_id"])
            self.result.fed += 1

    async def _happen(self, scene: Scene, mishap: Mishap) -> None:
        self._say(scene, str(mishap))
        kind = f"{mishap.device} {mishap.name}"
        self.result.mishaps[kind] = self.result.mishaps.get(kind, 0) + 1
        if mishap.device == "station":
            await self._happen_to_station(scene, mishap)
            return
        scene.station.fault(mishap.device, mishap.name, **mishap.args)
        if mishap.lasts_s:
            self._to_clear.append((scene.station.clock.monotonic_s() + mishap.lasts_s, mishap))

    async def _happen_to_station(self, scene: Scene, mishap: Mishap) -> None:
        now_s = scene.station.clock.monotonic_s()
        if mishap.name == "freeze_key":
            scene.station.do(do="press_freeze_key")
        elif mishap.name == "disk_full":
            scene.station.store.disk_is_full = True
            self._to_clear.append((now_s + mishap.lasts_s, mishap))
        elif mishap.name == "kill_at_commit":
            scene.station.store.dies_after_commits = self._rng.randint(1, COMMITS_TO_DEATH)
            self._dies_at_s = now_s + DEATH_LIMIT_S
        else:
            await self._restart(scene, kill=mishap.name == "kill")

    async def _mind_death(self, scene: Scene) -> None:
        if self._dies_at_s is not None and (scene.station.store.died or scene.station.clock.monotonic_s() > self._dies_at_s):
            await self._restart(scene, kill=True)

    async def _restart(self, scene: Scene, *, kill: bool) -> None:
        self._dies_at_s = None
        self.result.kills += kill
        await scene.restart_station(kill=kill)

    def _clear_what_is_over(self, scene: Scene, *, all_of_it: bool = False) -> None:
        now_s = scene.station.clock.monotonic_s()
        over = [mishap for at_s, mishap in self._to_clear if all_of_it or at_s <= now_s]
        self._to_clear = [(at_s, mishap) for at_s, mishap in self._to_clear if not (all_of_it or at_s <= now_s)]
        for mishap in over:
            if mishap.device == "station":
                scene.station.store.disk_is_full = False
            else:
                scene.station.clear_fault(mishap.device, mishap.name, **mishap.clear)

    async def _put_right(self, scene: Scene) -> None:
        if self._dies_at_s is not None:
            await self._restart(scene, kill=True)
        self._clear_what_is_over(scene, all_of_it=True)
        scene.station.simulated.mail_room.queue.clear()

    def _account(self, scene: Scene) -> None:
        """Everything that must be true of the world and of the store, whatever happened."""
        result, station = self.result, scene.station
        result.released = station.world()["released"]
        result.starts = scene.people.starts
        stays = station.do(do="stays")["stays"]
        result.digest = hashlib.sha256(json.dumps(stays, sort_keys=True).encode()).hexdigest()
        wrong = result.wrong
        if scene.dangers():
            wrong.append(f"dangers: {scene.dangers()}")
        bins = station.do(do="bins")
        outside = set(bins["outside"])
        for piece_id in scene.pieces:
            self._account_piece(scene, piece_id, left=piece_id in outside)
        try:
            check_audit(station.store)
        except AssertionError as error:
            wrong.append(f"audit: {error}")

    def _account_piece(self, scene: Scene, piece_id: str, *, left: bool) -> None:
        wrong, store = self.result.wrong, scene.station.store
        place = scene.where(piece_id)["place"]
        known = scene.piece(piece_id)
        if known is None:
            if left:
                wrong.append(f"{piece_id} left, and nobody knows it")
            return
        stays = scene.station.simulated.world.ledger.stays_of(piece_id)
        passed_gate = any(stay.opening is not None for stay in stays)
        if known.state is PieceState.RELEASED and not passed_gate:
            wrong.append(f"{piece_id} is said to be released, was never under the gate and is at {place}")
        if left and known.state is not PieceState.RELEASED:
            permits = [row.evidence for row in store.read(lambda view: view.evidence(piece_id)) if isinstance(row.evidence, Permit)]
            if not permits:
                wrong.append(f"{piece_id} left without a permit and is {known.state.value}")
        sequences = [event.sequence for event in store.read(lambda view: view.events_of(piece_id))]
        if sequences != list(range(1, len(sequences) + 1)):
            wrong.append(f"{piece_id}: event sequence {sequences}")

    def _say(self, scene: Scene, what: str) -> None:
        if self._tell:
            print(f"{scene.station.clock.monotonic_s():9.1f} s  {scene.station.lane.view().state.value:9} {what}", flush=True)  # noqa: T201
