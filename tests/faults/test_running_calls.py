"""A lane calls people while it still runs: to a bin that is full, and for a test piece that falls due."""

from datetime import timedelta

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from tests.support.virtual_lane import LANE_ID, model_policy
from tests.support.virtual_scene import Scene, play

HOLD_BIN_EYE = 8
TEST_PIECE_MAX_AGE_H = 1.04
"""A scene's test piece has passed an hour before it begins."""


def called(scene: Scene, code: AlarmCode) -> list[Alarm]:
    """Newest first."""
    return [alarm for alarm in scene.station.store.read(lambda view: view.alarms(active_only=False)) if alarm.code is code]


async def fill_hold_bin(scene: Scene) -> None:
    """A piece that nobody announced falls onto what is in the bin, and stays before its eye."""
    piece_id = await scene.feed(announced=False)
    await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
    scene.station.fault("world", "eye_stuck", eye=HOLD_BIN_EYE, blocked=True)


def test_a_bin_that_stays_covered_calls_people_until_its_eye_is_free():
    async def scene(scene: Scene) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        await fill_hold_bin(scene)
        await scene.settle(1.5)
        assert called(scene, AlarmCode.BIN_FULL) == []
        await scene.settle(1.4)
        (alarm,) = called(scene, AlarmCode.BIN_FULL)
        assert (alarm.priority, alarm.subject, alarm.cleared_at) == (AlarmPriority.HIGH, LANE_ID, None)
        assert alarm.detail == "covered eyes=word-eye-hold-bin"
        scene.station.clear_fault("world", "eye_stuck", eye=HOLD_BIN_EYE)
        await scene.settle(1.0)
        (alarm,) = called(scene, AlarmCode.BIN_FULL)
        assert alarm.cleared_at is not None
        assert scene.running
        scene.people.reviews = scene.people.refeeds_pieces = True

    play(scene)


def test_pieces_that_fall_into_a_bin_one_after_the_other_call_nobody():
    async def scene(scene: Scene) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        pieces = [await scene.feed(announced=False) for _ in range(3)]
        for piece_id in pieces:
            await scene.until(lambda piece_id=piece_id: scene.where(piece_id)["place"] == "hold_bin")
        assert called(scene, AlarmCode.BIN_FULL) == []
        scene.people.reviews = scene.people.refeeds_pieces = True

    play(scene)


def test_a_lane_that_stopped_at_a_full_bin_and_starts_again_calls_no_more():
    """The PLC takes an eye that stays covered while the belt runs for a jam."""

    async def scene(scene: Scene) -> None:
        await fill_hold_bin(scene)
        await scene.until_stopped(timeout_s=15.0)
        (alarm,) = called(scene, AlarmCode.BIN_FULL)
        assert alarm.cleared_at is None
        await scene.settle(5.0)
        scene.station.clear_fault("world", "eye_stuck", eye=HOLD_BIN_EYE)
        await scene.until_running()
        (alarm,) = called(scene, AlarmCode.BIN_FULL)
        assert alarm.cleared_at is not None

    play(scene)


def test_a_test_piece_that_falls_due_while_the_lane_runs_calls_people_at_once():
    async def scene(scene: Scene) -> None:
        passed_at = scene.station.journey.test_piece_passed_at()
        assert passed_at is not None
        assert called(scene, AlarmCode.TEST_PIECE_MISSING) == []
        due_at = passed_at + timedelta(hours=TEST_PIECE_MAX_AGE_H)
        await scene.settle((due_at - scene.station.clock.utc_now()).total_seconds() - 5.0)
        assert called(scene, AlarmCode.TEST_PIECE_MISSING) == []
        await scene.settle(10.0)
        (alarm,) = called(scene, AlarmCode.TEST_PIECE_MISSING)
        assert (alarm.priority, alarm.subject, alarm.cleared_at) == (AlarmPriority.MEDIUM, LANE_ID, None)
        assert alarm.detail == passed_at.isoformat()
        assert timedelta(0) < alarm.raised_at - due_at < timedelta(seconds=2)
        assert scene.running
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.HELD)
        assert Reason.TEST_PIECE_MISSING in scene.reasons(piece_id)
        scene.station.do(do="test_piece")
        await scene.until(lambda: scene.station.journey.test_piece_passed_at() not in {None, passed_at})
        (alarm,) = called(scene, AlarmCode.TEST_PIECE_MISSING)
        assert alarm.cleared_at is not None

    play(scene, policy=model_policy(test_piece_max_age_h=TEST_PIECE_MAX_AGE_H))
