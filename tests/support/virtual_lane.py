"""A whole lane on virtual time: the simulated devices, the real drivers over in-process wires, the real store, the real workflow."""

import asyncio
import itertools
import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from firmware_sims.control import Control
from firmware_sims.simulated_lane import STEP_S, SimulatedLane
from station.disinfect.recipes import tunnel_recipe
from station.domain.clearance import StationHealth
from station.domain.events import PieceEvent, PieceStatus
from station.domain.identifiers import DEFAULT_SCHEMES
from station.domain.piece import Announcement, Secrecy, Urgency
from station.domain.policy import Authority, Policy
from station.drivers.barcode_reader import BarcodeReaderDriver
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.link import Streams
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.lane_devices import LaneDevices
from station.ports.screening import ModelInfo, ScreeningEngine
from station.ports.store import RenderedEvent, UnitOfWork
from station.settings import load
from station.settings.shipped import write_shipped
from station.storage.store import SqliteStore
from station.storage.writer import Pending
from station.workflow.equipment import Equipment, LaneSettings
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers
from station.workflow.journey import Journey
from station.workflow.lane import Lane
from station.workflow.once import Once
from station.workflow.tube_use import idle_days
from station.workflow.unfreezing import Unfreezing
from station.workflow.views import LaneView
from tests.support.heard_codes import HeardReader
from tests.support.staff import Staff
from tests.support.vaults import vault
from tests.support.virtual_time import VirtualClock, VirtualLoop

T = TypeVar("T")

LANE_ID = "lane-1"
PEOPLE = ("operator", "reviewer 1", "reviewer 2", "guard", "chief")


class MortalStore(SqliteStore):
    """The real store of a station whose computer may die right after a commit, before anybody learns of it."""

    dies_after_commits: int | None = None
    disk_is_full: bool = False
    observer: Callable[[str], object] | None = None
    """Told which piece's clearance is durable now, as a reader of the outbox learns it: not of what was rolled back."""
    _cleared: list[str]

    def __init__(self, directory: Path, **options: Any) -> None:
        self._cleared = []
        super().__init__(directory, render=self._render, **options)

    @property
    def died(self) -> bool:
        """True from the fatal commit on."""
        return self.dies_after_commits is not None and self.dies_after_commits <= 0

    def write(self, work: Callable[[UnitOfWork], T]) -> Pending[T]:
        """Commit; when its hour has come, never answer."""
        if self.died:
            return Pending(Future())
        pending = super().write(partial(_without_room, work) if self.disk_is_full else work)
        self._tell_observer(pending)
        if self.dies_after_commits is not None:
            self.dies_after_commits -= 1
        return Pending(Future()) if self.died else pending

    def _render(self, event: PieceEvent, sequence: int) -> RenderedEvent:
        if event.status is PieceStatus.CLEARED:
            self._cleared.append(event.piece_id)
        body = json.dumps({"piece": event.piece_id, "sequence": sequence, "status": event.status.value})
        return RenderedEvent(event_id=f"site:{event.piece_id}:{sequence}", body=body)

    def _tell_observer(self, pending: Pending[Any]) -> None:
        cleared, self._cleared = self._cleared, []
        try:
            pending.result()
        except Exception:  # noqa: BLE001 - whoever asked for the change hears of it
            return
        for piece_id in cleared if self.observer is not None else ():
            self.observer(piece_id)


def _without_room(work: Callable[[UnitOfWork], T], unit: Any) -> T:
    """Let SQLite itself find that there is no room, whichever connection this is, also for a work that would fit into a page it has."""
    unit._connection.exec_driver_sql("PRAGMA max_page_count=1")
    try:
        done = work(unit)
        unit._connection.exec_driver_sql("INSERT INTO value (key, content) VALUES ('no room', hex(zeroblob(1000000)))")
        return done
    finally:
        unit._connection.exec_driver_sql("PRAGMA max_page_count=1000000000")


class MainsSwitch:
    """Every wire of one station; `cut` is what happens to them when its computer dies."""

    def __init__(self, sim: SimulatedLane) -> None:
        self._sim = sim
        self._writers: list[asyncio.StreamWriter] = []
        self.off = False

    async def connect(self, endpoint: str) -> Streams:
        """The drivers' connector."""
        if self.off:
            raise ConnectionRefusedError("this station is dead")
        reader, writer = await self._sim.connect(endpoint.split(":")[1].split("?", maxsplit=1)[0])
        self._writers = [one for one in self._writers if not one.is_closing()]
        self._writers.append(writer)
        return reader, writer  # type: ignore[return-value]

    def cut(self) -> None:
        """Nothing more is said to any device."""
        self.off = True
        for writer in self._writers:
            writer.transport.abort()


@dataclass(kw_only=True)
class VirtualStation:
    """One lane with everything around it. `control` is the simulators' control, without its socket.

    `target_mj_per_cm2` is the dose that its recipe demands. `lane_task` ends with the station, `world_task` with the world, which goes on
    without a station.
    """

    loop: VirtualLoop
    clock: VirtualClock
    simulated: SimulatedLane
    control: Control
    store: MortalStore
    journey: Journey
    lane: Lane
    handlers: Handlers
    unfreezing: Unfreezing
    mains: MainsSwitch
    screening: ScreeningEngine
    staff: Staff
    views: list[LaneView]
    target_mj_per_cm2: float
    lane_task: asyncio.Task[Any]
    world_task: asyncio.Future[None]
    _requests: int = field(default=0)

    def do(self, **request: Any) -> dict[str, Any]:
        """Ask the simulators' control; fails loudly."""
        answer = self.control.handle(request)
        assert answer.pop("ok"), answer
        return answer

    async def announce(self, cover: dict[str, Any]) -> None:
        """Pre-advice of one piece, as the tracking system would give it."""
        announcement = announcement_of(cover)
        await self.store.write(lambda uow: uow.announce(announcement, self.clock.utc_now()))

    def once(self) -> Once:
        """The identity of a new request."""
        self._requests += 1
        return Once(key=f"{self.clock.monotonic_s():.3f}-{self._requests}", fingerprint="")

    def world(self) -> dict[str, int]:
        """The counters of the simulated world."""
        return self.simulated.world.ledger.judge(dose_mj_per_cm2=self.target_mj_per_cm2)

    def fault(self, device: str, name: str, **args: Any) -> dict[str, Any]:
        """Make a fault, or let a hand do something."""
        return self.do(do="fault", device=device, name=name, args=args)

    def clear_fault(self, device: str, name: str, **args: Any) -> None:
        """End a fault."""
        self.do(do="clear_fault", device=device, name=name, args=args)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float, look_every_s: float = 0.05) -> None:
        """Wait in virtual time; fails when it takes too long."""
        deadline_s = self.clock.monotonic_s() + timeout_s
        while not condition():
            for task in (self.world_task, self.lane_task):
                if task.done():
                    task.result()
            assert self.clock.monotonic_s() < deadline_s, f"waited {timeout_s} s: {self.lane.view()}"
            await asyncio.sleep(look_every_s)

    async def close(self) -> None:
        """End every task, wire and file."""
        try:
            await self.stop()
        finally:
            try:
                await ended(self.world_task)
            finally:
                await self.simulated.close()

    async def stop(self, *, kill: bool = False) -> None:
        """End the station alone; the simulated lane goes on. Killed, it says no last word to any device."""
        if kill:
            self.mains.cut()
        try:
            await ended(self.lane_task)
        finally:
            self.store.close()


async def ended(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait for its end; what it failed with is raised."""
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, Exception):
        raise result


def announcement_of(cover: dict[str, Any]) -> Announcement:
    """The announcement that belongs to a piece's cover."""
    return Announcement(
        piece_id=cover["piece_id"],
        secrecy=Secrecy(cover["secrecy"]) if cover["secrecy"] else None,
        urgency=Urgency(cover["urgency"]) if cover["urgency"] else None,
        destination=cover["destination"],
        sender_unit=cover["sender_unit"],
        kind=cover["kind"],
        length_mm=cover["length_mm"],
        width_mm=cover["width_mm"],
        height_mm=cover["height_mm"],
        weight_g=cover["weight_g"],
    )


async def inline(work: Callable[[], T]) -> T:
    """Run blocking work at once: on virtual time there is nothing that it could delay."""
    return work()


def model_policy(**changes: Any) -> Policy:
    """The demo's policy: the model clears unmarked pieces, with the proof that it would need waived. Nothing is sampled unless asked."""
    return Policy(**{"sha256": "d" * 64, "authority_unmarked": Authority.MODEL, "unproved_model": True, "blind_sample": 0.0, **changes})


async def start(
    directory: Path,
    screening: ScreeningEngine,
    *,
    seed: int = 1,
    pixels: int = 128,
    policy: Policy | None = None,
    after: VirtualStation | None = None,
) -> VirtualStation:
    """Build and start everything on the running virtual loop; `after` another station, at the same lane in the same world."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock = VirtualClock(loop)
    sim = after.simulated if after else SimulatedLane(seed=seed, pixels=pixels)

    mains = MainsSwitch(sim)
    connector = mains.connect
    salts = itertools.count(round(clock.monotonic_s() * 1e6))
    store = MortalStore(
        directory / "data",
        group_commit=False,
        random_bytes=lambda n: next(salts).to_bytes(n, "big"),
        reserve_bytes=0,
        floor_bytes=0,
        warn_bytes=0,
    )
    store.observer = sim.world.note_clearance
    if not (directory / "config").exists():
        write_shipped(directory / "config")
    shipped = load(directory / "config" / "station.toml")
    recipe = tunnel_recipe(shipped.lanes[0].recipe.values, sha256=shipped.lanes[0].recipe.sha256)
    off_days = store.read(lambda view: idle_days(view, LANE_ID, clock.utc_now(), unknown_days=0.0))
    devices = LaneDevices(
        plc=LanePlcDriver("tcp:lane_plc:1", 1, clock=clock, connector=connector),
        generator=XrayGeneratorDriver("serial:xray_generator", clock=clock, connector=connector, idle_days=off_days),
        detector=LineDetectorDriver("tcp:line_detector.command:1", "tcp:line_detector.lines:1", connector=connector),
        unit=DisinfectionUnitDriver("serial:disinfection_unit?baudrate=115200", 2, clock=clock, connector=connector),
        infeed_reader=HeardReader("serial:barcode_reader", world=sim.world, clock=clock, connector=connector),
        gate_reader=BarcodeReaderDriver("serial:gate_reader", clock=clock, connector=connector),
    )
    model: ModelInfo = await screening.start()
    equipment = Equipment(
        settings=LaneSettings(lane_id=LANE_ID, kv=140.0, ma=1.0, recipe=recipe),
        devices=devices,
        clock=clock,
        screening=screening,
        images=vault(directory / "images", clock),
        run_blocking=inline,
        checklist=shipped.checklist,
    )
    journey: Journey

    def health() -> StationHealth:
        return StationHealth(
            model_usable=True,
            model_proved=model.proved,
            audit_ok=True,
            store_ok=store.healthy(),
            frozen=False,
            test_piece_passed_at=journey.test_piece_passed_at(),
        )

    policy = policy or model_policy()
    journey = Journey(lane_id=LANE_ID, store=store, policy=policy, clock=clock, health=health, schemes=DEFAULT_SCHEMES)
    views: list[LaneView] = []
    lane = Lane(equipment, journey, on_view=lambda view: views.append(view) if not views or views[-1].state != view.state else None)
    return VirtualStation(
        loop=loop,
        clock=clock,
        simulated=sim,
        control=Control(sim),
        store=store,
        journey=journey,
        lane=lane,
        handlers=Handlers(store=store, lanes={LANE_ID: lane}, policy=policy, clock=clock, feed=EventFeed(epoch="virtual", capacity=64)),
        unfreezing=Unfreezing(store=store, clock=clock, checklist=shipped.checklist, feed=EventFeed(epoch="virtual", capacity=64)),
        mains=mains,
        screening=screening,
        staff=Staff(store, clock, *PEOPLE),
        views=views,
        target_mj_per_cm2=recipe.target_mj_per_cm2,
        world_task=after.world_task if after else _stepping(sim, loop),
        lane_task=loop.create_task(lane.run()),
    )


def _stepping(sim: SimulatedLane, loop: VirtualLoop) -> asyncio.Future[None]:
    """Step the world until what is returned is cancelled; a step that fails ends it. By timers, which cost less than a task that sleeps."""
    stepping: asyncio.Future[None] = loop.create_future()
    due_s = loop.time()

    def step() -> None:
        nonlocal due_s
        if stepping.done():
            return
        try:
            sim.step()
        except BaseException as error:
            # Whoever looks at the world's task hears of it; a test's own end and a pressed key end the loop, too.
            stepping.set_exception(error)
            if isinstance(error, Exception):
                return
            raise
        due_s += STEP_S
        # Not the step itself: whoever's timer is due at the same moment and was set before goes first.
        loop.call_later(due_s - loop.time(), loop.call_soon, step)

    loop.call_soon(step)
    return stepping
