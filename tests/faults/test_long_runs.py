"""A lane whose mail never stops must all the same take new dark lines in time."""

from dataclasses import replace

from station.domain.alarm import AlarmCode
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.workflow.equipment import LaneSettings
from station.workflow.session import DRAIN_S
from station.workflow.views import LaneState
from tests.support.moody_model import CalmModel
from tests.support.scripted_people import clear_everything
from tests.support.virtual_lane import model_policy
from tests.support.virtual_scene import Scene, play

DARK_MAX_AGE_S = LaneSettings.__dataclass_fields__["dark_max_age_s"].default
QUEUED = 3


async def age_dark_lines(scene: Scene, age_s: float) -> None:
    """As if the lane had run for so long since they were taken."""
    session = scene.station.lane._session
    assert session is not None
    calibration = session.calibration
    session.calibration = replace(calibration, dark_at_s=scene.station.clock.monotonic_s() - age_s)


async def keep_feeding(scene: Scene, fed: list[str]) -> None:
    while len(scene.station.simulated.mail_room.queue) < QUEUED:
        fed.append(await scene.feed())


def starts(scene: Scene) -> bool:
    return scene.station.lane.view().state is LaneState.STARTING


def test_mail_that_never_stops_waits_until_the_lane_has_calibrated():
    async def scene(scene: Scene) -> None:
        scene.people.starts_lane = False
        fed: list[str] = []
        for _ in range(30):
            await keep_feeding(scene, fed)
            await scene.settle(1.0)
        await age_dark_lines(scene, DARK_MAX_AGE_S - 5.0)
        seen = set()
        while scene.running:
            await keep_feeding(scene, fed)
            await scene.settle(0.5)
            seen |= {device.detail for device in scene.station.lane.view().devices if device.name == "lane"}
        assert "drains" in seen
        await scene.until(lambda: starts(scene), timeout_s=5.0)
        await scene.until_running()
        assert not scene.station.store.read(lambda view: view.alarms())
        for _ in range(30):
            await keep_feeding(scene, fed)
            await scene.settle(1.0)
        for piece_id in fed:
            assert not scene.reasons(piece_id) & {Reason.CALIBRATION_STALE, Reason.PURGED}
        scene.station.simulated.mail_room.queue.clear()

    play(scene, screening=CalmModel())


def test_belts_that_do_not_run_empty_are_emptied():
    async def scene(scene: Scene) -> None:
        scene.people.starts_lane = False
        await scene.until_at(await scene.feed(), 1000.0)
        await age_dark_lines(scene, DARK_MAX_AGE_S + DRAIN_S - 5.0)
        began_s = scene.station.clock.monotonic_s()
        await scene.until(lambda: starts(scene), timeout_s=10.0)
        assert 4.0 <= scene.station.clock.monotonic_s() - began_s <= 8.0
        await scene.until_running()

    play(scene, screening=CalmModel())


def test_somebody_who_is_deciding_is_waited_for():
    async def scene(scene: Scene) -> None:
        scene.people.starts_lane = False
        scene.people.operator = lambda _request: None
        await scene.feed()
        await scene.until(lambda: scene.station.lane.view().request is not None, timeout_s=60.0)
        await age_dark_lines(scene, DARK_MAX_AGE_S + DRAIN_S + 1.0)
        await scene.settle(5.0)
        assert scene.running
        scene.people.operator = clear_everything
        await scene.until(lambda: starts(scene), timeout_s=10.0)
        assert not any(alarm.code is AlarmCode.FROZEN for alarm in scene.station.store.read(lambda view: view.alarms()))
        await scene.until_running()

    play(scene, screening=CalmModel(), policy=model_policy(authority_unmarked=Authority.OPERATOR))
