"""The station itself fails: its disk, its model, its computer; and it comes back to a lane with pieces on it."""

import asyncio
import itertools
from typing import Any

import pytest

from firmware_sims import mail_room
from station.domain.alarm import AlarmCode
from station.domain.clearance import Clearance, Outcome
from station.domain.gate import GateAction, Permit
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.workflow.durable import COMMIT_LIMIT_S
from station.workflow.says import Says, say
from station.workflow.views import LaneCommand
from tests.support.hanging_disk import HangingDisk
from tests.support.moody_model import MoodyModel
from tests.support.scripted_people import OPERATOR, clear_everything
from tests.support.store_facts import check_audit
from tests.support.virtual_lane import LANE_ID, model_policy
from tests.support.virtual_scene import Scene, play


def test_a_failing_model_holds_the_piece():
    model = MoodyModel()

    async def scene(scene: Scene) -> None:
        scene.people.reviews = False
        model.sick = True
        piece_id = await scene.feed()
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin", timeout_s=60.0)
        assert scene.reasons(piece_id) & {Reason.MODEL_FAILED, Reason.NO_MODEL_READING}
        model.sick = False
        scene.people.reviews = True

    play(scene, screening=model)


def test_a_verdict_is_timed_though_the_session_ends_before_the_piece_does():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.CLEARED)
        await scene.station.handlers.lane_command(LANE_ID, LaneCommand.STOP, person="An", once=scene.station.once())
        await scene.until_stopped()
        assert [entry[:2] for entry in scene.station.lane.counts.decision_s] == [(piece_id, 1)]

    play(scene)


def test_a_full_disk_holds_the_lane_until_there_is_room():
    async def scene(scene: Scene) -> None:
        for head_mm in (600.0, 1900.0, 3000.0, 4400.0, 5750.0):
            piece_id = await scene.feed()
            await scene.until_at(piece_id, head_mm)
            scene.station.store.disk_is_full = True
            await scene.settle(30.0)
            assert not scene.running, head_mm
            assert scene.where(piece_id)["place"] != "outside" or PieceState.RELEASED in scene.states(piece_id), head_mm
            scene.station.store.disk_is_full = False
            await scene.until_running()

    play(scene)


@pytest.mark.parametrize("heads_mm", [(300.0, 1900.0, 4400.0), (600.0, 3000.0, 5750.0)])
def test_a_disk_that_hangs_stops_the_lane_until_it_answers(heads_mm: tuple[float, ...]):
    async def hang(scene: Scene, head_mm: float) -> str:
        piece_id = await scene.feed()
        await scene.until_at(piece_id, head_mm)
        disk = HangingDisk(scene.station.store)
        await scene.until_stopped(timeout_s=15.0)
        await scene.settle(60.0)
        lane = scene.station.lane
        view = lane.view()
        assert not scene.running, head_mm
        assert [device.name for device in view.devices if not device.ok] == ["lane"]
        assert view.alarm is not None
        assert view.alarm.code is AlarmCode.STORE_FAILING
        assert scene.where(piece_id)["place"] != "outside" or PieceState.DISINFECTED in scene.states(piece_id)
        disk.answer()
        await scene.settle(1.0)
        assert AlarmCode.STORE_FAILING in {alarm.code for alarm in scene.station.store.read(lambda view: view.alarms())}
        await scene.until_running()
        assert lane.view().alarm is None
        return piece_id

    async def scene(scene: Scene) -> None:
        pieces = [await hang(scene, head_mm) for head_mm in heads_mm]
        await scene.still_releases()
        alarms = scene.station.store.read(lambda view: view.alarms(active_only=False))
        assert all(alarm.cleared_at is not None for alarm in alarms if alarm.code is AlarmCode.STORE_FAILING)
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        check_audit(scene.station.store)

    play(scene)


def identified_late(scene: Scene, first_s: float) -> list[float]:
    """The first piece's arrival takes so long to become durable; how long each so far was made to take."""
    journey, delays_s, took_s = scene.station.lane._journey, iter([first_s]), []
    identify = journey.identify

    async def slow(*args: Any, **named: Any) -> None:
        took_s.append(next(delays_s, 0.0))
        await asyncio.sleep(took_s[-1])
        await identify(*args, **named)

    journey.identify = slow  # type: ignore[method-assign]
    return took_s


@pytest.mark.parametrize("slow_s", [2.5, 4.0, 20.0])
def test_a_piece_whose_arrival_becomes_durable_late_keeps_its_own_tag(slow_s: float):
    """The lane waits for it: nothing is held, and nothing goes by the tag of another."""

    async def scene(scene: Scene) -> None:
        took_s = identified_late(scene, slow_s)
        pieces = [await scene.feed() for _ in range(3)]
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED)
            assert scene.piece(piece_id).visit == 1  # type: ignore[union-attr]
        assert took_s == [slow_s, 0.0, 0.0]

    play(scene)


def test_a_piece_that_another_followed_too_closely_before_it_had_its_tag_is_held(monkeypatch: pytest.MonkeyPatch):
    """The PLC would give its tag to the newer one."""
    monkeypatch.setattr(mail_room, "PITCH_MM", 640.0)

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        identified_late(scene, 4.0)
        pieces = [await scene.feed(kind="envelope") for _ in range(3)]
        await scene.until_at(pieces[2], 1100.0)
        session = scene.station.lane._session
        assert session is not None
        assert [piece.piece_id for piece in session.pieces] == pieces
        tags = [track.tag for track in scene.station.simulated.plc.tracker.tracks]
        assert tags == [0, session.pieces[1].tag, session.pieces[2].tag]
        await scene.until_state(pieces[0], PieceState.HELD)
        assert scene.reasons(pieces[0]) == {Reason.TRACK_LOST}
        assert scene.running
        scene.people.refeeds_pieces = scene.people.reviews = True

    play(scene)


def test_a_disk_that_answers_late_stops_nothing():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_at(piece_id, 1900.0)
        disk = HangingDisk(scene.station.store)
        await scene.settle(COMMIT_LIMIT_S - 1.0)
        assert disk.waiting
        disk.answer()
        await scene.until_state(piece_id, PieceState.RELEASED)
        assert scene.people.starts == 0

    play(scene)


def test_a_decision_that_the_disk_does_not_take_stops_the_lane_though_who_asked_has_gone():
    """It may become durable later, so nothing goes on without it."""

    async def scene(scene: Scene) -> None:
        store, lane = scene.station.store, scene.station.lane
        scene.people.starts_lane = False
        piece_id = await scene.feed()
        await scene.until(lambda: lane.view().request is not None)
        request = lane.view().request
        assert request is not None
        disk, by = HangingDisk(store), scene.station.staff.caller(OPERATOR)
        clears = lane.decide(piece_id=piece_id, visit=1, scan_sha256=request.scan_sha256, decision=OperatorDecision.CLEAR, by=by)
        asking = asyncio.get_running_loop().create_task(clears)
        await scene.settle(1.0)
        asking.cancel()
        await scene.until_stopped(timeout_s=COMMIT_LIMIT_S)
        assert lane.view().request is None
        assert say(Says.STORE_FAILS) in {device.detail for device in lane.view().devices}
        await scene.settle(1.0)
        disk.answer()
        scene.people.operator, scene.people.starts_lane = clear_everything, True
        await scene.until_running()
        assert PieceState.HELD in scene.states(piece_id)
        check_audit(store)

    play(scene, policy=model_policy(authority_unmarked=Authority.OPERATOR))


@pytest.mark.parametrize("heads_mm", [(300.0, 3500.0, 5500.0), (1500.0, 4300.0, 5830.0), (2400.0, 5000.0, 5950.0)])
def test_the_station_restarts_with_pieces_on_the_belts(heads_mm: tuple[float, ...]):
    """Killed, and ended in order; then people feed in again what they find in the bin, and all of it leaves."""

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = False
        pieces = []
        for head_mm, (kill, dead_s) in itertools.product(heads_mm, ((True, 5.0), (False, 0.0))):
            first, second = await scene.feed(), await scene.feed()
            pieces += [first, second]
            await scene.until_at(first, head_mm)
            await scene.restart_station(kill=kill, dead_s=dead_s)
            await scene.until_running()
        scene.people.refeeds_pieces = True
        await scene.still_releases()
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        check_audit(scene.station.store)

    play(scene)


@pytest.mark.parametrize("dead_s", [1.0, 8.0])
@pytest.mark.parametrize("head_mm", [5805.0, 5865.0])
def test_a_piece_that_the_station_finds_half_out_has_not_left(head_mm: float, dead_s: float):
    """The gate's ring is written when its head comes to the exit eye. Without a station the belts stop; somebody lifts it out."""

    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed(kind="packet")
        await scene.until_at(piece_id, head_mm)
        scene.people.refeeds_pieces = scene.people.reviews = False
        await scene.restart_station(kill=True, dead_s=dead_s)
        await scene.until_running()
        assert scene.where(piece_id)["place"] == "hold_bin"
        assert scene.states(piece_id)[-1] is PieceState.HELD
        assert scene.reasons(piece_id) == {Reason.TRACK_LOST}
        assert PieceState.RELEASED not in scene.states(piece_id)
        scene.people.refeeds_pieces = scene.people.reviews = True
        await scene.still_releases()
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        assert scene.where(piece_id)["place"] == "outside"
        check_audit(scene.station.store)

    play(scene)


COMMITS_OF_TWO = 13
"""What two pieces commit at the least from when they are fed until both are released."""

COMMITS_OF_A_SECOND_WAY = 7
"""What a piece that people have cleared commits from then on."""


async def until_it_dies(scene: Scene, commits: int) -> None:
    """The computer dies right after so many further commits."""
    store = scene.station.store
    store.dies_after_commits = commits
    await scene.until(lambda: store.died)
    await asyncio.sleep(0.3)


@pytest.mark.parametrize("last_commits", [range(first, min(first + 5, COMMITS_OF_TWO + 1)) for first in range(1, COMMITS_OF_TWO + 1, 5)])
def test_the_computer_dies_right_after_a_commit(last_commits: range):
    """What was committed is true, and what was not acted upon did not happen, whichever commit was the last."""

    async def scene(scene: Scene) -> None:
        scene.people.reviews = scene.people.refeeds_pieces = False
        pieces = []
        for commits in last_commits:
            fed = [await scene.feed() for _ in range(2)]
            pieces += fed
            await until_it_dies(scene, commits)
            await scene.restart_station(kill=True)
            await scene.until_running()
        scene.people.reviews = scene.people.refeeds_pieces = True
        await scene.still_releases()
        for piece_id in pieces:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
            sequences = [event.sequence for event in scene.station.store.read(lambda view, piece_id=piece_id: view.events_of(piece_id))]
            assert sequences == list(range(1, len(sequences) + 1))
        check_audit(scene.station.store)

    play(scene)


def test_the_computer_dies_while_a_reviewed_piece_goes_its_second_way():
    """Nothing of the review is lost, nothing of the second visit is done twice."""

    async def scene(scene: Scene) -> None:
        for commits in range(1, COMMITS_OF_A_SECOND_WAY + 1):
            piece_id = await scene.feed_lighter()
            await scene.until_state(piece_id, PieceState.CLEARED, timeout_s=120.0)
            await until_it_dies(scene, commits)
            await scene.restart_station(kill=True)
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
            cleared = [fact for fact in scene.facts(piece_id, Clearance) if fact.outcome is Outcome.CLEARED]
            permits, passed = scene.facts(piece_id, Permit), scene.facts(piece_id, GateAction)
            assert len({fact.visit for fact in cleared}) == len(cleared), commits
            assert len(passed) == 1, commits
            assert permits[-1].challenge == passed[0].challenge, commits
            sequences = [event.sequence for event in scene.station.store.read(lambda view, piece_id=piece_id: view.events_of(piece_id))]
            assert sequences == list(range(1, len(sequences) + 1)), commits
        check_audit(scene.station.store)

    play(scene)
