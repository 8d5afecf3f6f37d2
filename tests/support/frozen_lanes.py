"""The freezes of one lane: a scripted PLC's latch over the real store."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from station.domain.clearance import StationHealth
from station.domain.errors import DeviceProtocolError, DeviceUnreachableError
from station.domain.freeze import FreezeOrigin, freeze_subject
from station.domain.identifiers import DEFAULT_SCHEMES
from station.domain.policy import Policy
from station.ports.lane_plc import Command, CommandResult
from station.settings import SHIPPED_DIRECTORY, load_checklist
from station.storage.store import SqliteStore
from station.workflow.freeze_steps import FreezeAsked, current_freeze, do_step, give_all_clear
from station.workflow.frozen_lane import FrozenLane
from station.workflow.journey import Journey
from tests.support.clocks import SetClock
from tests.support.staff import Staff

LANE = "lane-1"
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
LIST = load_checklist(SHIPPED_DIRECTORY / "checklists" / "freeze.toml")


@dataclass
class Status:
    """What the PLC shows of its latch and key."""

    freeze_latch: bool
    status_bits: int


@dataclass
class ScriptedPlc:
    """A latch and a key. `while_clearing` happens while the PLC is busy with the command, before it answers.

    `cut`: the link must be made anew. `unbelievable`: what is written gets there, and no reading proves anything.
    """

    latch: bool = False
    key: bool = False
    dead: bool = False
    cut: bool = False
    unbelievable: bool = False
    answer: CommandResult | None = None
    while_clearing: Callable[[], Awaitable[None]] | None = None
    commands: list[Command] = field(default_factory=list)

    async def connect(self, *, frozen: bool = False) -> Status:
        if not self.dead:
            self.cut = False
            self.latch = self.latch or frozen
        return await self.read_status()

    async def read_status(self) -> Status:
        self._demand_alive()
        if self.unbelievable:
            self.cut = True
            raise DeviceProtocolError("a stale image")
        return Status(freeze_latch=self.latch, status_bits=int(self.key))

    async def freeze(self) -> None:
        self._demand_alive()
        self.latch = True

    async def command(self, command: Command) -> CommandResult:
        self._demand_alive()
        self.commands.append(command)
        if self.answer is None:
            self.latch = False
        if self.while_clearing is not None:
            await self.while_clearing()
        return self.answer or CommandResult.ACCEPTED

    def _demand_alive(self) -> None:
        if self.dead or self.cut:
            raise DeviceUnreachableError("no answer")


class Frozen:
    """One lane's freezes over a store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.clock, self.plc = store, SetClock(NOW, step_s=0.001), ScriptedPlc()
        self.staff = Staff(store, self.clock, "an", "binh")
        self.lane = self.another_run()

    def another_run(self) -> FrozenLane:
        def health() -> StationHealth:
            return StationHealth(model_usable=True, model_proved=True, audit_ok=True, store_ok=True, frozen=False, test_piece_passed_at=NOW)

        policy = Policy(sha256="d" * 64)
        journey = Journey(lane_id=LANE, store=self.store, policy=policy, clock=self.clock, health=health, schemes=DEFAULT_SCHEMES)
        self.lane = FrozenLane(self.plc, journey, self.clock, LIST)  # type: ignore[arg-type]
        return self.lane

    async def freeze(self, person: str = "an") -> None:
        await self.lane.freeze(FreezeAsked(at=self.clock.utc_now(), origin=FreezeOrigin.CONSOLE, person=person))

    async def settle(self) -> bool:
        """Look, with everything durable that can be."""
        over = await self.lane.look()
        self.lane.keep_record(suspect=None, present=())
        for _ in range(5):
            await asyncio.sleep(0)
        return over

    def all_clear(self, *people: str) -> None:
        """With the whole checklist; by both people where none is named."""
        freeze = self.store.read(lambda view: current_freeze(view, LANE))
        assert freeze is not None
        for step in [step.id for step in LIST.steps if not step.powder_only]:
            self.store.write(lambda uow, step=step: do_step(uow, LANE, freeze.number, step, self.staff.caller("an"), LIST, NOW)).result()
        for person in people or ("an", "binh"):
            by = self.staff.caller(person)
            self.store.write(
                lambda uow, by=by: give_all_clear(uow, LANE, freeze.number, by, LIST, self.clock.utc_now(), present=["An"], note="")
            ).result()

    def facts(self, kind: type) -> list[int]:
        rows = self.store.read(lambda view: view.evidence(freeze_subject(LANE)))
        return [row.visit for row in rows if isinstance(row.evidence, kind)]


def play(scene: Callable[[Frozen], Awaitable[None]], frozen: Frozen) -> None:
    """A scene of a lane that was frozen, with everything recorded."""

    async def main() -> None:
        await frozen.freeze()
        await frozen.settle()
        await scene(frozen)

    asyncio.run(main())
