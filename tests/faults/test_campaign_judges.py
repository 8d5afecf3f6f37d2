"""The campaign itself: it finds nothing in the lane as it is, and finds lanes that were spoilt on purpose."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from firmware_sims.control import Control
from firmware_sims.simulated_lane import SimulatedLane
from station.domain.review import OperatorDecision
from station.workflow.deciding import Decisions
from station.workflow.frozen_lane import FrozenLane
from station.workflow.session import LaneSession
from tests.campaign import mishaps
from tests.campaign.bystander import Bystander
from tests.campaign.lane_hours import KV, Run
from tests.campaign.mishaps import Mishap
from tests.campaign.requests import Operator
from tests.support.defects import listen
from tests.support.virtual_scene import Scene, play

MANY_PEOPLE_SEED = 11
"""An odd one: people decide."""
HOURS = 0.1
HOURS_WITH_A_DEFECT = 0.04
"""Nothing of what spoils a lane here takes longer to be met."""


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    listen(quiet=True)
    yield
    structlog.reset_defaults()


def wrongs(hours: float = HOURS_WITH_A_DEFECT) -> list[str]:
    """What the campaign says."""
    return Run(MANY_PEOPLE_SEED, hours).play().wrong


def test_a_lane_as_it_is_shows_nothing_wrong():
    assert wrongs(HOURS) == []


def test_every_fault_that_is_drawn_is_one_that_its_device_has():
    control, rng = Control(SimulatedLane(seed=1, pixels=128)), random.Random(1)
    drawn = [mishap for mishap in (mishaps.draw(rng) for _ in range(4000)) if mishap.device not in {"station", "api", "hands"}]
    for mishap in drawn:
        for request in (
            {"do": "fault", "device": mishap.device, "name": mishap.name, "args": mishap.args},
            {"do": "clear_fault", "device": mishap.device, "name": mishap.name, "args": mishap.clear},
        ):
            assert control.handle(request)["ok"], mishap
    assert len({(mishap.device, mishap.name) for mishap in drawn}) > 100


def test_a_seed_repeats_exactly():
    assert Run(MANY_PEOPLE_SEED, 0.02).play().digest == Run(MANY_PEOPLE_SEED, 0.02).play().digest


def test_a_defect_that_a_restart_of_the_lane_hides_is_told(monkeypatch: pytest.MonkeyPatch):
    async def run(session: LaneSession) -> None:
        await asyncio.sleep(30.0)
        raise KeyError("a defect")

    monkeypatch.setattr(LaneSession, "run", run)
    assert any("a defect: lane ended by a defect" in wrong for wrong in wrongs())


def test_a_freeze_that_never_reaches_the_plc_is_seen(monkeypatch: pytest.MonkeyPatch):
    async def latch(_: FrozenLane) -> None:
        return None

    monkeypatch.setattr(FrozenLane, "_latch", latch)
    monkeypatch.setattr(mishaps, "draw", lambda _: Mishap(device="api", name="freeze"))
    assert any("moves or shines although frozen" in wrong for wrong in wrongs())


def test_a_hold_that_is_taken_for_a_clearance_is_found(monkeypatch: pytest.MonkeyPatch):
    decide = Decisions.decide

    async def cleared(decisions: Decisions, **said: Any) -> Any:
        return await decide(decisions, **said | {"decision": OperatorDecision.CLEAR})

    monkeypatch.setattr(Decisions, "decide", cleared)
    monkeypatch.setattr(Operator, "__call__", lambda *_: OperatorDecision.HOLD)
    assert any("somebody held it" in wrong for wrong in wrongs())


def test_an_opening_for_a_piece_that_is_not_ready_is_seen():
    async def scene(scene: Scene) -> None:
        wrong: list[str] = []
        Bystander(lambda: scene.station, kv=KV, wrong=wrong)
        piece_id = await scene.feed()
        await scene.until_at(piece_id, 1200.0)
        plc, world = scene.station.simulated.plc, scene.station.simulated.world
        (tag,) = [tag for tag in plc.tracker.zone_tags() if tag]
        world.ledger.gate_opened(now_ms=world.now_ms, permit_tag=tag)
        assert wrong == [f"at {scene.station.simulated.simulated_s:.1f} s: the gate opened for: {piece_id}: not scanned"]
        world.ledger.openings.clear()

    play(scene)
