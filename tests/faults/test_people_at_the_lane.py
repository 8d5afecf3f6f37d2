"""What people do and fail to do: freezing, late decisions, review, and what covers say."""

from station.domain.alarm import AlarmCode
from station.domain.errors import RefusedError
from station.domain.piece import PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.domain.test_piece import TestPieceRun
from station.workflow.views import DecisionRequest, LaneCommand, LaneState
from tests.support.moody_model import MoodyModel
from tests.support.plain_search import image_in_clear
from tests.support.scripted_people import OPERATOR, clear_everything
from tests.support.virtual_lane import LANE_ID, VirtualStation, model_policy
from tests.support.virtual_scene import Scene, play, running_scene
from tests.support.virtual_time import run_virtual

B3 = 2
BRAKED_S = 0.5
ALL_BUT_CERTAIN = 0.999
"""An attention score that no piece of these scenes reaches by itself."""


def after(seconds: float, scene: Scene, decision: OperatorDecision):
    """An operator who takes that long for each decision."""
    asked_at: dict[str, float] = {}

    def answer(request: DecisionRequest) -> OperatorDecision | None:
        now_s = scene.station.clock.monotonic_s()
        return decision if now_s - asked_at.setdefault(request.scan_sha256, now_s) >= seconds else None

    return answer


def test_a_late_decision_keeps_b3_waiting_and_harms_no_scan():
    async def scene(scene: Scene) -> None:
        scene.people.operator = after(30.0, scene, OperatorDecision.CLEAR)
        first, second = await scene.feed(), await scene.feed()
        await scene.until(lambda: scene.station.lane.view().state is LaneState.WAITING, timeout_s=60.0)
        await scene.settle(3.0)
        assert scene.station.simulated.world.belt_speed_mm_s(B3) == 0.0
        await scene.until_state(first, PieceState.RELEASED)
        await scene.until_state(second, PieceState.RELEASED)
        assert scene.people.starts == 0
        scene.people.operator = clear_everything

    play(scene, policy=model_policy(authority_unmarked=Authority.OPERATOR))


def test_nobody_decides_and_the_piece_is_held():
    async def scene(scene: Scene) -> None:
        scene.people.reviews = False
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.HELD, timeout_s=180.0)
        assert Reason.DECISION_TIMEOUT in scene.reasons(piece_id)
        scene.people.reviews = True
        scene.people.operator = clear_everything
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)

    play(scene, policy=model_policy(authority_unmarked=Authority.OPERATOR, decision_window_s=4.0, extension_s=10.0))


def test_the_operator_holds_a_piece():
    async def scene(scene: Scene) -> None:
        scene.people.operator = after(0.0, scene, OperatorDecision.HOLD)
        scene.people.reviews = False
        piece_id = await scene.feed()
        await scene.until_state(piece_id, PieceState.HELD)
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
        scene.people.operator = clear_everything
        scene.people.reviews = True

    play(scene, policy=model_policy(authority_unmarked=Authority.OPERATOR))


def test_an_operator_reads_the_sample_blind_whatever_the_model_found():
    model = MoodyModel()
    asked: list[DecisionRequest] = []

    def read_blind(request: DecisionRequest) -> OperatorDecision:
        asked.append(request)
        return OperatorDecision.CLEAR

    async def scene(scene: Scene) -> None:
        scene.people.operator = read_blind
        calm = await scene.feed()
        await scene.until_state(calm, PieceState.RELEASED)
        scene.people.reviews = False
        model.alarmed = True
        alarmed = await scene.feed()
        await scene.until_state(alarmed, PieceState.HELD)
        model.alarmed = False
        assert scene.reasons(alarmed) == {Reason.MODEL_ALARM}
        assert [request.piece_id for request in asked] == [calm, alarmed]
        assert all(request.blind and (request.score, request.findings) == (None, ()) for request in asked)
        scene.people.reviews = True
        await scene.until_state(alarmed, PieceState.RELEASED, timeout_s=300.0)

    play(scene, screening=model, policy=model_policy(blind_sample=1.0))


def standing_alarms(station: VirtualStation) -> set[AlarmCode]:
    """Codes of the alarms whose cause has not gone."""
    return {alarm.code for alarm in station.store.read(lambda view: view.alarms()) if alarm.cleared_at is None}


def test_freezing_keeps_everything_in_place_over_a_reboot_of_the_plc():
    async def scene(scene: Scene) -> None:
        station = scene.station
        scene.people.unfreezes = False
        piece_id = await scene.feed()
        await scene.until_at(piece_id, 4200.0)
        await station.handlers.freeze(LANE_ID, by=station.staff.caller(OPERATOR))
        await scene.until(lambda: station.lane.view().state is LaneState.FROZEN, timeout_s=5.0)
        await scene.settle(BRAKED_S)
        place, boots = scene.where(piece_id), station.simulated.plc.boot_count
        station.fault("lane_plc", "reboot")
        await scene.settle(20.0)
        assert station.simulated.plc.boot_count == boots + 1
        assert station.simulated.plc.freeze_latch
        assert scene.where(piece_id) == place
        assert not station.simulated.world.beam_on
        assert station.simulated.world.uv.level_mw_per_cm2 == 0.0
        await refused(station.handlers.lane_command(LANE_ID, LaneCommand.START, person=OPERATOR, once=station.once()))
        assert AlarmCode.FROZEN in standing_alarms(station)
        scene.people.unfreezes = True
        await scene.until_running()
        assert standing_alarms(station).isdisjoint({AlarmCode.FROZEN, AlarmCode.DEVICE_LOST})

    play(scene)


def test_the_freeze_key_at_the_lane_and_a_restart_of_the_station_while_frozen():
    async def scene(scene: Scene) -> None:
        scene.people.unfreezes = False
        piece_id = await scene.feed()
        await scene.until_at(piece_id, 2800.0)
        scene.station.do(do="press_freeze_key")
        await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=5.0)
        await scene.settle(BRAKED_S)
        place = scene.where(piece_id)
        await scene.restart_station(kill=True)
        await scene.settle(20.0)
        assert scene.station.lane.view().state is LaneState.FROZEN
        assert scene.where(piece_id) == place
        scene.people.unfreezes = True
        await scene.until_running()

    play(scene)


def test_an_attention_stop_nobody_answers_stays_frozen():
    """Neither the panel at the lane nor a restart of the station moves the piece, until two people have given the all clear."""
    model = MoodyModel()
    policy = model_policy(freeze_score=ALL_BUT_CERTAIN, decision_window_s=5.0, extension_s=10.0)

    async def main() -> None:
        async with running_scene(screening=model, policy=policy) as scene:
            scene.people.operator = lambda _: None
            scene.people.unfreezes = scene.people.reviews = False
            model.alarmed = True
            piece_id = await scene.feed()
            await scene.until(lambda: scene.station.lane.view().state is LaneState.ATTENTION, timeout_s=60.0)
            await scene.settle(1.0)
            assert not any(belt.speed_mm_s for belt in scene.station.simulated.world.belts)
            place = scene.where(piece_id)
            await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=60.0)
            await scene.until_state(piece_id, PieceState.FROZEN)
            scene.people.clear_at_panel()
            await scene.settle(30.0)
            await scene.restart_station(kill=True)
            await scene.settle(30.0)
            assert not scene.running
            assert scene.station.simulated.plc.freeze_latch
            assert scene.where(piece_id) == place
            model.alarmed = False
            scene.people.unfreezes = True
            await scene.until_running()
            assert (scene.states(piece_id)[-1], scene.reasons(piece_id)) == (PieceState.HELD, {Reason.FROZEN})
            assert scene.dangers() == {}

    run_virtual(main)


def test_an_attention_stop_that_a_dead_station_left_can_be_handed_over():
    """The computer dies while everybody looks at the scan: the piece is frozen when it comes back, and there is a way out."""
    model = MoodyModel()

    async def main() -> None:
        async with running_scene(screening=model, policy=model_policy(freeze_score=ALL_BUT_CERTAIN)) as scene:
            scene.people.operator = lambda _: None
            scene.people.unfreezes = scene.people.reviews = False
            model.alarmed = True
            piece_id = await scene.feed(threat="bomb")
            await scene.until(lambda: scene.station.lane.view().state is LaneState.ATTENTION, timeout_s=60.0)
            await scene.settle(1.0)
            model.alarmed = False
            place = scene.where(piece_id)
            await scene.restart_station(kill=True)
            await scene.until(lambda: scene.station.lane.view().state is LaneState.FROZEN, timeout_s=60.0)
            await scene.settle(5.0)
            assert scene.where(piece_id) == place
            assert scene.states(piece_id)[-1] is PieceState.FROZEN
            assert standing_alarms(scene.station) == {AlarmCode.FROZEN}
            station = scene.station
            by = station.staff.caller(OPERATOR)
            await station.handlers.hand_over(piece_id, returned=False, to="the police", by=by, once=station.once())
            scene.people.unfreezes = True
            await scene.until_running()
            await scene.still_releases()
            assert scene.dangers() == {}
            assert standing_alarms(scene.station) == set()

    run_virtual(main)


def test_an_attention_stop_is_answered_with_hold():
    model = MoodyModel()

    async def scene(scene: Scene) -> None:
        model.alarmed = True
        piece_id = await scene.feed(threat="bomb")
        await scene.until(lambda: scene.station.lane.view().state is LaneState.ATTENTION, timeout_s=60.0)
        model.alarmed = False
        await scene.until_state(piece_id, PieceState.REJECTED, timeout_s=120.0)
        assert scene.where(piece_id)["place"] in {"hold_bin", "away"}

    play(scene, screening=model, policy=model_policy(freeze_score=ALL_BUT_CERTAIN))


def test_covers_that_say_nothing_or_something_wrong():
    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        unknown = await scene.feed(announced=False)
        unreadable = await scene.feed(unreadable=True)
        # The last digit before the country is the check digit.
        wrong_digit = await scene.feed(piece_id="EE123456785VN", barcode="EE123456784VN")
        empty = await scene.feed(barcode="?")
        for piece_id in (unknown, unreadable, wrong_digit, empty):
            await scene.until(lambda piece_id=piece_id: scene.where(piece_id)["place"] == "hold_bin", timeout_s=120.0)
        assert Reason.UNANNOUNCED in scene.reasons(unknown)
        held = scene.station.store.read(lambda view: view.pieces(states=[PieceState.HELD]))
        local = [set(piece.reasons) for piece in held if piece.piece_id.startswith("LOCAL-")]
        assert len(local) == 3
        assert sum(Reason.BARCODE_UNREADABLE in reasons for reasons in local) == 1
        assert sum(Reason.BARCODE_MALFORMED in reasons for reasons in local) == 2

    play(scene)


def test_a_piece_that_comes_before_its_announcement_leaves_after_it():
    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = False
        lane = scene.station.lane
        piece_id = await scene.feed(announced=False)
        await scene.until_state(piece_id, PieceState.HELD, timeout_s=120.0)
        await scene.until(lambda: lane.view().latest_piece_id == piece_id)
        assert lane.view().latest_level is Secrecy.A
        assert {piece.piece_id: piece.marked for piece in lane.view().pieces} == {piece_id: True, "TEST-0001": False}
        await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
        scene.people.refeeds_pieces = True
        await scene.station.announce(scene.pieces[piece_id])
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=300.0)
        assert (lane.view().latest_piece_id, lane.view().latest_scan_sha256) == (piece_id, scene.newest_scan(piece_id))
        assert Reason.UNANNOUNCED in scene.reasons(piece_id)

    play(scene, test_piece="run")


def test_a_reviewed_weight_holds_a_piece_once():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed_lighter()
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        assert Reason.WEIGHT_DIFFERS in scene.reasons(piece_id)
        known = scene.piece(piece_id)
        assert known is not None
        assert known.visit == 2

    play(scene)


def test_without_a_passed_test_piece_nothing_is_cleared():
    async def scene(scene: Scene) -> None:
        scene.people.reviews = False
        await held_for_the_test_piece(scene)
        scene.station.do(do="test_piece")
        await scene.until(lambda: scene.station.journey.test_piece_passed_at() is not None)
        scene.people.reviews = True

    play(scene, test_piece="missing")


def test_a_test_piece_that_fails_takes_the_earlier_pass_away():
    """The morning's pass is worth nothing once the scanner is seen to have got worse, also after a restart of the station."""

    async def run_test_piece(scene: Scene) -> TestPieceRun:
        before = scene.station.journey.test_piece_run()
        scene.station.do(do="test_piece", turn_deg=1.5, backwards=True)
        await scene.until(lambda: scene.station.journey.test_piece_run() not in {None, before})
        run = scene.station.journey.test_piece_run()
        assert run is not None
        return run

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        assert scene.station.journey.test_piece_passed_at() is not None
        scene.station.fault("line_detector", "noisy", counts=500.0)
        failed = await run_test_piece(scene)
        assert not failed.passed
        assert "mark-behind-steel-mm" in {one.name for one in failed.values if not one.passed}
        assert scene.station.journey.test_piece_passed_at() is None
        assert AlarmCode.TEST_PIECE_FAILED in standing_alarms(scene.station)
        scene.station.clear_fault("line_detector", "noisy")
        await held_for_the_test_piece(scene)
        await scene.restart_station(kill=True)
        await scene.until_running()
        await held_for_the_test_piece(scene)
        assert (await run_test_piece(scene)).passed
        assert standing_alarms(scene.station).isdisjoint({AlarmCode.TEST_PIECE_FAILED, AlarmCode.TEST_PIECE_MISSING})
        scene.people.refeeds_pieces = scene.people.reviews = True

    play(scene, test_piece="run")


async def held_for_the_test_piece(scene: Scene) -> None:
    """A piece that nothing else speaks against ends in the hold bin."""
    piece_id = await scene.feed()
    await scene.until(lambda: scene.where(piece_id)["place"] == "hold_bin")
    assert scene.reasons(piece_id) == {Reason.TEST_PIECE_MISSING.value}


def test_a_held_piece_is_cleared_by_people_and_leaves_on_its_second_visit():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed(kind="small_parcel", threat="blade")
        await scene.until_state(piece_id, PieceState.REJECTED, PieceState.RELEASED, timeout_s=300.0)
        benign = await scene.feed()
        scene.station.fault("world", "scale_offset", grams=900.0)
        await scene.until_state(benign, PieceState.HELD, timeout_s=120.0)
        scene.station.clear_fault("world", "scale_offset")
        await scene.until_state(benign, PieceState.RELEASED, timeout_s=300.0)
        assert scene.people.reviewed[benign] >= 1
        known = scene.piece(benign)
        assert known is not None
        assert known.visit >= 2
        # The first picture was read again for the comparison, and neither lies in clear.
        assert image_in_clear(scene.directory, scene.newest_scan(benign)) == set()

    play(scene)


async def refused(request) -> None:  # noqa: ANN001 - any coroutine
    """The request must be refused."""
    try:
        await request
    except RefusedError:
        return
    raise AssertionError("it was not refused")
