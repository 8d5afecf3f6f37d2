"""One seed: a lane with people works for some hours while things go wrong at random moments, and what must hold then and after."""

import asyncio
import contextlib
import hashlib
import json
import random
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from firmware_sims.simulated_lane import STEP_S
from station.domain.errors import StationError
from station.domain.policy import Authority, Policy
from station.ports.lane_plc import Eye
from station.workflow.views import LaneState
from tests.campaign import mishaps
from tests.campaign.accounting import MANY, Books
from tests.campaign.bystander import Bystander
from tests.campaign.hands import by_hand, taken_as_left
from tests.campaign.mishaps import Mishap
from tests.campaign.requests import Operator, Requests
from tests.campaign.words import Words
from tests.support.defects import defects
from tests.support.hanging_disk import HangingDisk
from tests.support.scripted_people import clear_everything
from tests.support.virtual_lane import model_policy
from tests.support.virtual_scene import Scene, running_scene
from tests.support.virtual_time import run_virtual

KV = 140.0
MEAN_GAP_S = 90.0
PAIRED = 0.15
"""So many mishaps come two at a time."""

MEDDLES = 0.04
LONGEST_LOOK_S = 40.0
LEAST_RELEASED_PER_H = 60.0
"""A lane that stands or holds nearly everything would be safe too."""

TICK_S = 1.0
QUEUED = 3
SHELF = 40
EMPTY_S = 600.0
"""A lane whose belts do not run empty in this time, with nothing fed in any more, is stuck."""
REST_S = 10.0
CLAIMS_S = 10.0
FREEZE_SCORE = 0.99
"""Most threats of the campaign's mail reach it, and hardly anything else."""
COMMITS_TO_DEATH = 25
DEATH_LIMIT_S = 60.0
LONGEST_DEAD_S = 20.0
"""Until a computer that died, or was shut down, runs a station again."""


@dataclass(kw_only=True)
class Result:
    """What one seed did. `wrong` is empty when everything held; `digest` is over the world's ledger and the station's states: the same
    seed, the same digest.

    `tree_sha256`: of the code that did it, so that hours count together only where one and the same code ran.
    """

    seed: int
    hours: float
    authority: str = ""
    wrong: list[str] = field(default_factory=list)
    fed: int = 0
    released: int = 0
    mishaps: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    starts: int = 0
    freezes: int = 0
    threats_released: int = 0
    seconds: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    tree_sha256: str = ""
    wall_s: float = 0.0

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), sort_keys=True)


def policy_of(seed: int) -> Policy:
    """Even seeds: the model clears. Odd ones: an operator does, and what reaches the freeze score stops the lane."""
    if seed % 2:
        return model_policy(authority_unmarked=Authority.OPERATOR, freeze_score=FREEZE_SCORE)
    return model_policy()


class Run:
    """The run of one seed."""

    def __init__(self, seed: int, hours: float, *, tell: bool = False) -> None:
        self.result = Result(seed=seed, hours=hours)
        self._rng = random.Random(f"campaign/{seed}")
        self._tell = tell
        self._to_clear: list[tuple[float, Mishap]] = []
        self._dies_at_s: float | None = None
        self._hanging: HangingDisk | None = None
        self._books = Books()
        self._words = Words()
        self._bystander: Bystander | None = None
        self._freeze: int | None = None
        self._requests = Requests(rng=random.Random(f"campaign/{seed}/requests"), wrong=self.result.wrong)
        self._claims_due_s = 0.0
        self._shelf: list[dict[str, Any]] = []

    def play(self) -> Result:
        """Run it all; never raises for what the lane did."""
        defects()
        started_s = time.perf_counter()
        try:
            run_virtual(self._main)
        except AssertionError as error:
            self.result.wrong.append(str(error)[:2000])
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a campaign goes on with the next seed
            self.result.wrong.append(repr(error)[:2000])
        self.result.wrong += [f"a defect: {event}" for event in defects()]
        self.result.wall_s = time.perf_counter() - started_s
        return self.result

    async def _main(self) -> None:
        policy = policy_of(self.result.seed)
        self.result.authority = policy.authority_unmarked.value
        async with running_scene(seed=self.result.seed, policy=policy, test_piece="run") as scene:
            scene.people.operator = Operator(self.result.seed, scene.station.clock)
            scene.people.hands_over_frozen = True
            self._bystander = Bystander(lambda: scene.station, kv=KV, wrong=self.result.wrong)
            self._words.listen(scene.station)
            try:
                await self._work(scene)
                await self._put_right(scene)
                await scene.still_releases()
                await self._come_to_rest(scene)
                self.result.wrong += self._books.wrongs(scene, self._words)
            finally:
                self._count(scene)

    async def _work(self, scene: Scene) -> None:
        clock = scene.station.clock
        end_s = clock.monotonic_s() + self.result.hours * 3600.0
        next_s = clock.monotonic_s() + self._rng.expovariate(1.0 / MEAN_GAP_S)
        while clock.monotonic_s() < end_s:
            await self._tick(scene)
            self._clear_what_is_over(scene)
            if self._dies_at_s is None:
                await self._feed(scene)
            if clock.monotonic_s() >= next_s:
                next_s = clock.monotonic_s() + self._rng.expovariate(1.0 / MEAN_GAP_S)
                scene.people.frozen_at_least_s = self._rng.uniform(0.0, LONGEST_LOOK_S)
                for _ in range(2 if self._rng.random() < PAIRED else 1):
                    await self._happen(scene, mishaps.draw(self._rng))

    async def _tick(self, scene: Scene) -> None:
        await scene.settle(TICK_S)
        scene.check_alive()
        await self._mind_death(scene)
        self._books.note_ring(scene)
        if any(mishap.name == "eye_stuck" and mishap.args["eye"] == Eye.EXIT for _, mishap in self._to_clear):
            self._books.note_exit_eye(scene)
        await self._mind_freeze(scene)
        now_s = scene.station.clock.monotonic_s()
        if now_s >= self._claims_due_s and self._disk_works(scene):
            self._claims_due_s = now_s + CLAIMS_S
            await scene.station.handlers.hold_expired_claims()
        dangers = scene.dangers()
        assert not dangers, f"at {now_s:.1f} s: {dangers}"

    async def _mind_freeze(self, scene: Scene) -> None:
        """While the lane is frozen people try what they must not; it may only come free by two who said so."""
        if scene.station.lane.view().state is LaneState.FROZEN:
            with contextlib.suppress(StationError):
                self._freeze = scene.people.number_of_freeze()
            await self._meddle(scene)
        elif scene.running and self._freeze is not None:
            if not self._words.freeze_may_end(self._freeze):
                self.result.wrong.append(f"freeze {self._freeze} ended with the word of {sorted(self._words.all_clears[self._freeze])}")
            self._freeze = None

    async def _meddle(self, scene: Scene) -> None:
        chance = self._rng.random()
        if chance < MEDDLES:
            scene.people.clear_at_panel()
        elif chance < 2 * MEDDLES:
            with contextlib.suppress(StationError):
                await scene.people.tick()
                await scene.people.give_all_clear("chief")

    def _disk_works(self, scene: Scene) -> bool:
        return self._hanging is None and self._dies_at_s is None and not scene.station.store.disk_is_full

    async def _feed(self, scene: Scene) -> None:
        station = scene.station
        while len(station.simulated.mail_room.queue) < QUEUED and self._disk_works(scene):
            if not self._shelf:
                # Drawn one by one there would be no threat among them: their number is rounded.
                self._shelf = station.do(do="mail", count=SHELF)["pieces"]
            cover = self._shelf.pop()
            scene.pieces[cover["piece_id"]] = cover
            if self._rng.random() < 0.97:
                # Whoever could not announce tries again later; for this piece that is too late.
                with contextlib.suppress(StationError):
                    await station.announce(cover)
            station.do(do="feed", piece_id=cover["piece_id"])
            self.result.fed += 1

    async def _happen(self, scene: Scene, mishap: Mishap) -> None:
        self._say(scene, str(mishap))
        kind = f"{mishap.device} {mishap.name}" + (" by stealth" if mishap.args.get("stealth") else "")
        self.result.mishaps[kind] = self.result.mishaps.get(kind, 0) + 1
        if mishap.device == "station":
            await self._happen_to_station(scene, mishap)
            return
        if mishap.device == "api":
            self._requests.ask(scene.station, mishap.name)
            return
        if mishap.device == "hands":
            self._books.note_as_left(scene, taken_as_left(scene, mishap.name, **mishap.args))
            self._books.note_hand(scene, *by_hand(scene, mishap.name, **mishap.args))
            return
        if mishap.name == "eye_stuck" and mishap.args["eye"] == Eye.EXIT:
            self._books.note_exit_eye(scene)
        if (mishap.device, mishap.name) == ("lane_plc", "reboot"):
            self._books.note_untold(scene)
        scene.station.fault(mishap.device, mishap.name, **mishap.args)
        if mishap.lasts_s:
            self._to_clear.append((scene.station.clock.monotonic_s() + mishap.lasts_s, mishap))

    async def _happen_to_station(self, scene: Scene, mishap: Mishap) -> None:
        now_s = scene.station.clock.monotonic_s()
        if mishap.name == "freeze_key":
            scene.station.do(do="press_freeze_key")
        elif mishap.name == "disk_hangs":
            if self._hanging is None:
                self._hanging = HangingDisk(scene.station.store)
                self._to_clear.append((now_s + mishap.lasts_s, mishap))
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
        await self._requests.give_up()
        if self._hanging is not None:
            # What a disk that hangs has not taken yet is lost with the computer; the PLC may have seen too much since to tell it anew.
            self._books.note_untold(scene)
            self._hanging = None
        was_full = scene.station.store.disk_is_full
        await scene.restart_station(kill=kill, dead_s=self._rng.uniform(0.0, LONGEST_DEAD_S))
        scene.station.store.disk_is_full = was_full
        self._words.listen(scene.station)

    def _clear_what_is_over(self, scene: Scene, *, all_of_it: bool = False) -> None:
        now_s = scene.station.clock.monotonic_s()
        over = [mishap for at_s, mishap in self._to_clear if all_of_it or at_s <= now_s]
        self._to_clear = [(at_s, mishap) for at_s, mishap in self._to_clear if not (all_of_it or at_s <= now_s)]
        for mishap in over:
            if mishap.name == "disk_hangs":
                self._answer_disk()
            elif mishap.device == "station":
                scene.station.store.disk_is_full = False
            else:
                scene.station.clear_fault(mishap.device, mishap.name, **mishap.clear)

    def _answer_disk(self) -> None:
        hanging, self._hanging = self._hanging, None
        if hanging is not None:
            hanging.answer()

    async def _put_right(self, scene: Scene) -> None:
        if self._dies_at_s is not None:
            await self._restart(scene, kill=True)
        self._clear_what_is_over(scene, all_of_it=True)
        await self._requests.give_up()
        scene.people.operator = clear_everything
        scene.people.frozen_at_least_s = 0.0
        scene.station.simulated.mail_room.queue.clear()

    async def _come_to_rest(self, scene: Scene) -> None:
        """Nothing is fed in any more, and the lane ends what it has begun."""
        scene.people.refeeds_pieces = False
        world, mail_room = scene.station.simulated.world, scene.station.simulated.mail_room
        mail_room.queue.clear()
        deadline_s = scene.station.clock.monotonic_s() + EMPTY_S
        while world.loads or not scene.running:
            assert scene.station.clock.monotonic_s() < deadline_s, f"does not come to rest: {scene.station.lane.view()}"
            await self._tick(scene)
        await scene.settle(REST_S)
        await scene.end_people()

    def _count(self, scene: Scene) -> None:
        result, station = self.result, scene.station
        result.released = station.world()["released"]
        if result.released < LEAST_RELEASED_PER_H * result.hours and not result.wrong:
            result.wrong.append(f"only {result.released} pieces were released in {result.hours:g} h")
        result.starts = scene.people.starts
        result.freezes = scene.people.unfrozen
        stays = station.do(do="stays")["stays"]
        result.threats_released = sum(stay["released"] and stay["truth"] != "benign" for stay in stays)
        if self._bystander is not None:
            result.seconds = {state: round(steps * STEP_S) for state, steps in self._bystander.steps.items()}
        states = station.store.read(lambda view: [(known.piece_id, known.state) for known in view.pieces(limit=MANY)])
        told = json.dumps([stays, sorted(states)], sort_keys=True)
        result.digest = hashlib.sha256(told.encode()).hexdigest()

    def _say(self, scene: Scene, what: str) -> None:
        if self._tell:
            print(f"{scene.station.clock.monotonic_s():9.1f} s  {scene.station.lane.view().state.value:9} {what}", flush=True)  # noqa: T201
