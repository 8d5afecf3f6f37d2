"""A whole lane on virtual time: the simulated devices, the real drivers over in-process wires, the real store, the real workflow."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from station.ports.store import EventRenderer, RenderedEvent
from station.settings import load
from station.settings.shipped import write_shipped
from station.storage.image_store import FileImageStore
from station.storage.store import SqliteStore
from station.workflow.equipment import Equipment, LaneSettings
from station.workflow.journey import Journey
from station.workflow.lane import Lane
from station.workflow.views import LaneView
from tests.support.virtual_time import VirtualClock, VirtualLoop

T = TypeVar("T")

LANE_ID = "lane-1"


@dataclass(kw_only=True)
class VirtualStation:
    """One lane with everything around it. `control` is the simulators' control, without its socket."""

    loop: VirtualLoop
    clock: VirtualClock
    simulated: SimulatedLane
    control: Control
    store: SqliteStore
    journey: Journey
    lane: Lane
    views: list[LaneView]
    tasks: list[asyncio.Task[Any]]

    def do(self, **request: Any) -> dict[str, Any]:
        """Ask the simulators' control; fails loudly."""
        answer = self.control.handle(request)
        assert answer.pop("ok"), answer
        return answer

    async def announce(self, cover: dict[str, Any]) -> None:
        """Pre-advice of one piece, as the tracking system would give it."""
        announcement = announcement_of(cover)
        await self.store.write(lambda uow: uow.announce(announcement, self.clock.utc_now()))

    async def until(self, condition: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait in virtual time, 50 ms at a time; fails when it takes too long."""
        deadline_s = self.clock.monotonic_s() + timeout_s
        while not condition():
            for task in self.tasks:
                if task.done():
                    task.result()
            assert self.clock.monotonic_s() < deadline_s, f"waited {timeout_s} s: {self.lane.view()}"
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End every task, wire and file."""
        for task in reversed(self.tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.simulated.close()
        self.store.close()


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


def render_for(sim: SimulatedLane) -> EventRenderer:
    """Makes small outgoing messages, and tells the simulated world which clearances an observer of the events saw."""

    def render(event: PieceEvent, sequence: int) -> RenderedEvent:
        if event.status is PieceStatus.CLEARED:
            sim.world.note_clearance(event.piece_id)
        return _small(event, sequence)

    return render


def _small(event: PieceEvent, sequence: int) -> RenderedEvent:
    body = json.dumps({"piece": event.piece_id, "sequence": sequence, "status": event.status.value})
    return RenderedEvent(event_id=f"site:{event.piece_id}:{sequence}", body=body)


async def inline(work: Callable[[], T]) -> T:
    """Run blocking work at once: on virtual time there is nothing that it could delay."""
    return work()


def model_policy(**changes: Any) -> Policy:
    """The demo's policy: the model clears unmarked pieces, with the proof that it would need waived."""
    return Policy(**{"sha256": "d" * 64, "authority_unmarked": Authority.MODEL, "unproved_model": True, **changes})


async def start(
    directory: Path,
    screening: ScreeningEngine,
    *,
    seed: int = 1,
    pixels: int = 128,
    policy: Policy | None = None,
    simulated: SimulatedLane | None = None,
) -> VirtualStation:
    """Build and start everything on the running virtual loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock = VirtualClock(loop)
    sim = simulated or SimulatedLane(seed=seed, pixels=pixels)

    async def connector(endpoint: str) -> Streams:
        reader, writer = await sim.connect(endpoint.split(":")[1].split("?", maxsplit=1)[0])
        return reader, writer  # type: ignore[return-value]

    salts = itertools.count()
    store = SqliteStore(
        directory / "data",
        group_commit=False,
        render=render_for(sim),
        random_bytes=lambda n: next(salts).to_bytes(n, "big"),
        reserve_bytes=0,
        floor_bytes=0,
        warn_bytes=0,
    )
    write_shipped(directory / "config")
    shipped = load(directory / "config" / "station.toml")
    recipe = tunnel_recipe(shipped.lanes[0].recipe.values, sha256=shipped.lanes[0].recipe.sha256)
    devices = LaneDevices(
        plc=LanePlcDriver("tcp:lane_plc:1", 1, clock=clock, connector=connector),
        generator=XrayGeneratorDriver("serial:xray_generator", clock=clock, connector=connector),
        detector=LineDetectorDriver("tcp:line_detector.command:1", "tcp:line_detector.lines:1", connector=connector),
        unit=DisinfectionUnitDriver("serial:disinfection_unit?baudrate=115200", 2, clock=clock, connector=connector),
        infeed_reader=BarcodeReaderDriver("serial:barcode_reader", clock=clock, connector=connector),
        gate_reader=BarcodeReaderDriver("serial:gate_reader", clock=clock, connector=connector),
    )
    model: ModelInfo = await screening.start()
    equipment = Equipment(
        settings=LaneSettings(lane_id=LANE_ID, kv=140.0, ma=1.0, recipe=recipe),
        devices=devices,
        clock=clock,
        screening=screening,
        images=FileImageStore(directory / "images"),
        run_blocking=inline,
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

    journey = Journey(lane_id=LANE_ID, store=store, policy=policy or model_policy(), clock=clock, health=health, schemes=DEFAULT_SCHEMES)
    views: list[LaneView] = []
    lane = Lane(equipment, journey, on_view=lambda view: views.append(view) if not views or views[-1].state != view.state else None)
    station = VirtualStation(
        loop=loop,
        clock=clock,
        simulated=sim,
        control=Control(sim),
        store=store,
        journey=journey,
        lane=lane,
        views=views,
        tasks=[],
    )
    station.tasks.append(loop.create_task(_step_forever(sim)))
    station.tasks.append(loop.create_task(lane.run()))
    return station


async def _step_forever(sim: SimulatedLane) -> None:
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        sim.step()
        due_s += STEP_S
        await asyncio.sleep(max(0.0, due_s - loop.time()))


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on a fresh virtual loop."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)

        async def body() -> T:
            return await main()

        return loop.run_until_complete(body())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
