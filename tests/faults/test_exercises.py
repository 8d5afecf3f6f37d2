"""Projected threats on a lane: whatever is said of them, the piece goes by its own image, and whoever saw one is told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from station.domain.access import Caller, Role
from station.domain.alarm import AlarmCode
from station.domain.clearance import Outcome
from station.domain.errors import ConflictError, TransitionError
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.projection import ProjectionAnswer, ProjectionResult
from station.domain.review import OperatorDecision, OperatorReading
from station.ports.screening import RawScan, ScreeningResult
from station.workflow import exercising
from station.workflow.views import DecisionRequest, ExerciseView, LaneState
from tests.support.moody_model import MoodyModel
from tests.support.scripted_people import OPERATOR, clear_everything
from tests.support.virtual_lane import LANE_ID, model_policy
from tests.support.virtual_scene import Scene, play

POLICY = model_policy(authority_unmarked=Authority.OPERATOR, projection_rate=0.04, decision_window_s=4.0, extension_s=8.0)
WINDOW_S = 12.0
CLEAR, HOLD, FREEZE = OperatorDecision.CLEAR, OperatorDecision.HOLD, OperatorDecision.FREEZE


@pytest.fixture(autouse=True)
def every_scan_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercising, "drawn_by", lambda _: 0.0)


class Screen:
    """The operator's lane page: says that it shows the truth as soon as it does (`broken`: never). Another's page says so before it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.broken = False
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            exercise = self._scene.station.lane.view().exercise
            if exercise is not None and not exercise.confirmed:
                answered = exercise.answer not in {ProjectionAnswer.WITHDRAWN, ProjectionAnswer.UNANSWERED}
                if answered:
                    assert not await self._says(exercise, "guard")
                if not self.broken:
                    assert await self._says(exercise, OPERATOR)

    async def _says(self, exercise: ExerciseView, login: str) -> bool:
        station = self._scene.station
        by = station.staff.caller(login)
        told = await station.handlers.confirm_exercise(LANE_ID, piece_id=exercise.piece_id, visit=exercise.visit, by=by)
        return told["confirmed"] is True

    def off(self) -> None:
        if self._task.done():
            self._task.result()
        self._task.cancel()


def request_of(scene: Scene) -> DecisionRequest | None:
    return scene.station.lane.view().request


async def say(scene: Scene, decision: OperatorDecision) -> dict[str, Any]:
    request = request_of(scene)
    assert request is not None
    return await scene.station.handlers.lane_decide(
        LANE_ID,
        piece_id=request.piece_id,
        visit=request.visit,
        scan_sha256=request.scan_sha256,
        decision=decision,
        by=scene.station.staff.caller(OPERATOR),
        once=scene.station.once(),
    )


async def shown(scene: Scene, **wishes: Any) -> str:
    """A piece into whose image a threat is projected, shown."""
    scene.people.operator = lambda _: None
    piece_id = await scene.feed(**wishes)
    await scene.until(lambda: request_of(scene) is not None, timeout_s=60.0)
    request = request_of(scene)
    assert request is not None
    assert request.piece_id == piece_id
    image = scene.station.lane.projected_image()
    assert image is not None
    assert request.scan_sha256 == image.reading.projected_sha256 == scene.station.lane.view().latest_scan_sha256
    assert (request.score, request.threshold) == (image.reading.score, image.reading.threshold)
    return piece_id


async def true_window(scene: Scene) -> None:
    """Wait until the true image may be decided."""
    await scene.until(lambda: (view := scene.station.lane.view()).exercise is not None and view.exercise.confirmed, timeout_s=20.0)
    await scene.settle(0.1)
    assert scene.station.lane.projected_image() is None
    request = request_of(scene)
    assert request is not None
    assert request.scan_sha256 == scene.newest_scan(request.piece_id)
    assert request.seconds_left > WINDOW_S - 1.0


def the_result(scene: Scene, piece_id: str) -> ProjectionResult:
    (result,) = scene.facts(piece_id, ProjectionResult)
    return result


def unconfirmed(scene: Scene) -> list[tuple[str, bool]]:
    """Exercises that nobody was told of, newest first, and whether their alarm still stands."""
    alarms = scene.station.store.read(lambda view: view.alarms(active_only=False))
    return [(alarm.detail, alarm.cleared_at is None) for alarm in alarms if alarm.code is AlarmCode.EXERCISE_UNCONFIRMED]


class SwitchedModel(MoodyModel):
    """It sees nothing in anything, unless it is `alarmed`."""

    async def read(self, scan: RawScan) -> ScreeningResult:
        result = await super().read(scan)
        return result if self.alarmed else replace(result, score=0.0, p_value=1.0, findings=(), model_findings=())


def exercise(scenes: Callable[[Scene, Screen], Awaitable[None]], monkeypatch: pytest.MonkeyPatch, screening: MoodyModel) -> None:
    """Play it; the rest of the lane's work has no exercises."""

    async def main(scene: Scene) -> None:
        screen = Screen(scene)
        try:
            await scenes(scene, screen)
            monkeypatch.setattr(exercising, "drawn_by", lambda _: 1.0)
            scene.people.operator = clear_everything
            scene.people.reviews = scene.people.refeeds_pieces = scene.people.unfreezes = scene.people.hands_over_frozen = True
        finally:
            screen.off()

    play(main, screening=screening, policy=POLICY)


def test_the_piece_goes_by_its_own_image_whatever_is_said_of_the_projected_one(monkeypatch: pytest.MonkeyPatch):
    model = SwitchedModel()

    async def scene(scene: Scene, screen: Screen) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        await missed(scene, screen)
        await called(scene)
        await nobody_answered(scene)
        model.alarmed = True
        await not_shown(scene, kind="small_parcel", threat="bomb")
        model.alarmed = False

    exercise(scene, monkeypatch, model)


async def missed(scene: Scene, screen: Screen) -> None:
    """A clear of the projected image clears nothing, nor does a reading of it that some mistake hands over; the true image is cleared."""
    piece_id = await shown(scene)
    station = scene.station
    session = station.lane._session
    assert session is not None
    (pending,) = session.decisions.pending
    assert pending.exercise is not None
    threat = pending.exercise.made.threat
    reading = session.decisions._reading(pending, CLEAR, OPERATOR)
    for scan_sha256 in (threat.scan_sha256, threat.projected_sha256):
        passed_off = replace(reading, scan_sha256=scan_sha256, projected_sha256=threat.projected_sha256)
        assert (await station.journey.decided(pending.piece, passed_off)).outcome is Outcome.AWAITING
    by = station.staff.caller(OPERATOR)
    with pytest.raises(ConflictError):
        await station.lane.decide(piece_id=piece_id, visit=1, scan_sha256=threat.scan_sha256, decision=CLEAR, by=by)
    screen.broken = True
    assert (await say(scene, CLEAR))["exercise"]
    await scene.settle(0.1)
    with pytest.raises(TransitionError):
        await say(scene, CLEAR)
    screen.broken = False
    await true_window(scene)
    assert scene.states(piece_id)[-1] is PieceState.SCANNED
    result = the_result(scene, piece_id)
    assert (result.answer, result.person, result.threat) == (ProjectionAnswer.MISSED, OPERATOR, threat)
    assert result.revealed_at is not None
    assert not (await say(scene, CLEAR))["exercise"]
    *_, last = scene.facts(piece_id, OperatorReading)
    assert (last.scan_sha256, last.projected_sha256) == (threat.scan_sha256, None)
    await scene.until(lambda: scene.where(piece_id)["place"] == "outside")
    today = station.clock.utc_now().date()
    (person,) = [one for one in station.store.read(lambda view: view.reader_counts(today, today)) if not one.by_model]
    assert (person.projections, person.hits, person.plain) == (1, 0, 0)


async def called(scene: Scene) -> None:
    """A hold call stops every belt; holding the true image holds it."""
    piece_id = await shown(scene)
    await say(scene, HOLD)
    await scene.settle(0.7)
    assert not any(belt.speed_mm_s for belt in scene.station.simulated.world.belts)
    assert scene.station.lane.view().state is LaneState.ATTENTION
    await true_window(scene)
    assert the_result(scene, piece_id).answer is ProjectionAnswer.CALLED_HOLD
    await say(scene, HOLD)
    await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")


async def nobody_answered(scene: Scene) -> None:
    piece_id = await shown(scene)
    await true_window(scene)
    result = the_result(scene, piece_id)
    assert (result.answer, result.person) == (ProjectionAnswer.UNANSWERED, None)
    assert result.answered_after_s == pytest.approx(WINDOW_S, abs=0.5)
    await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
    assert scene.facts(piece_id, OperatorReading) == []


async def not_shown(scene: Scene, **wishes: Any) -> None:
    images: list[object] = []
    scene.people.operator = lambda _: images.append(scene.station.lane.projected_image())
    piece_id = await scene.feed(**wishes)
    await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
    assert not any(images)
    assert scene.facts(piece_id, ProjectionResult) == []


async def freezes_and_withdraws(scene: Scene, shown_id: str, *, by: Caller, names: str | None) -> None:
    await scene.station.handlers.freeze(LANE_ID, by=by, piece_id=names)
    assert scene.station.simulated.plc.freeze_latch
    await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=5.0)
    await scene.settle(1.0)
    result = the_result(scene, shown_id)
    assert (result.answer, result.person) == (ProjectionAnswer.WITHDRAWN, None)
    assert scene.facts(shown_id, OperatorReading) == []
    told = scene.station.lane.view().exercise
    assert told is not None
    assert told.piece_id == shown_id
    assert told.confirmed


def test_silence_after_a_freeze_call_freezes_and_the_lane_s_own_freeze_at_once(monkeypatch: pytest.MonkeyPatch):
    async def scene(scene: Scene, screen: Screen) -> None:
        scene.people.unfreezes = scene.people.reviews = scene.people.refeeds_pieces = False
        scene.people.hands_over_frozen = True
        piece_id = await shown(scene)
        await say(scene, FREEZE)
        await true_window(scene)
        assert the_result(scene, piece_id).answer is ProjectionAnswer.CALLED_FREEZE
        assert not scene.station.simulated.plc.freeze_latch
        place = scene.where(piece_id)
        await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=30.0)
        await scene.settle(3.0)
        assert scene.states(piece_id)[-1] is PieceState.FROZEN
        assert scene.where(piece_id) == place
        scene.people.unfreezes = True
        await scene.until_running()
        scene.people.unfreezes = False
        other = await shown(scene)
        await freezes_and_withdraws(scene, other, by=scene.station.staff.caller(OPERATOR), names=None)
        scene.people.unfreezes = True
        await scene.until_running()
        scene.people.unfreezes = False
        # Who reads no scans freezes what lies there, whatever the screen shows: that is no reader's answer.
        other = await shown(scene)
        technician = replace(scene.station.staff.caller(OPERATOR), name="technician", roles=frozenset({Role.TECHNICIAN}))
        await freezes_and_withdraws(scene, other, by=technician, names=other)

    exercise(scene, monkeypatch, SwitchedModel())


def test_a_screen_that_does_not_show_the_truth_and_a_station_that_dies(monkeypatch: pytest.MonkeyPatch):
    async def scene(scene: Scene, screen: Screen) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        screen.broken = True
        piece_id = await shown(scene)
        await say(scene, CLEAR)
        await scene.until(lambda: unconfirmed(scene) == [(piece_id, True)], timeout_s=2.0)
        assert scene.states(piece_id)[-1] is PieceState.HELD
        assert the_result(scene, piece_id).revealed_at is None
        screen.broken = False
        await scene.until(lambda: unconfirmed(scene) == [(piece_id, False)], timeout_s=1.0)
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
        other = await shown(scene)
        await scene.restart_station(kill=True)
        assert scene.station.lane.projected_image() is None
        await scene.until_running()
        assert scene.states(other)[-1] is PieceState.HELD
        assert scene.facts(other, OperatorReading) == scene.facts(piece_id, OperatorReading) == []
        assert other in dict(unconfirmed(scene))

    exercise(scene, monkeypatch, SwitchedModel())
