"""What the gate's ring, a failing store and a freeze leave behind, on the real store."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import StationHealth
from station.domain.errors import StoreError
from station.domain.freeze import FreezeOrigin, freeze_subject
from station.domain.gate import Permit
from station.domain.identifiers import DEFAULT_SCHEMES
from station.domain.measurement import InfeedMeasurement
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading, Scan
from station.ports.lane_plc import Eye, EyeEdge, PassedPiece
from station.ports.store import RenderedEvent
from station.storage.store import SqliteStore
from station.workflow.exit_eye import ExitEye, exit_eye, left_by_itself
from station.workflow.freeze_steps import FreezeAsked
from station.workflow.identification import InfeedFacts
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.tracker import Track
from tests.support.clocks import SetClock

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
LANE, PIECE = "lane-1", "EE473124829VN"
LENGTH_MM = 200.0
LEFT = ExitEye(way_mm=180.0, b5_ran=True)
SHA = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(
        tmp_path,
        group_commit=False,
        render=lambda event, sequence: RenderedEvent(event_id=f"{event.piece_id}:{sequence}", body=event.status.value),
        reserve_bytes=0,
        floor_bytes=0,
        warn_bytes=0,
    )
    yield opened
    opened.close()


def a_journey(store: SqliteStore, *, lane_id: str = LANE, **policy: object) -> Journey:
    def health() -> StationHealth:
        return StationHealth(model_usable=True, model_proved=True, audit_ok=True, store_ok=True, frozen=False, test_piece_passed_at=NOW)

    rules = Policy(**{"sha256": "d" * 64, "authority_unmarked": Authority.OPERATOR, **policy})
    return Journey(lane_id=lane_id, store=store, policy=rules, clock=SetClock(NOW, step_s=0.001), health=health, schemes=DEFAULT_SCHEMES)


async def a_scanned_piece(store: SqliteStore, journey: Journey, *, score: float = 0.1) -> LanePiece:
    await store.write(lambda uow: uow.announce(Announcement(piece_id=PIECE), NOW))
    piece = LanePiece(track=Track(number=1, head_mm=500.0))
    facts = InfeedFacts(barcode=PIECE, length_mm=200.0, weight_g=50.0, radiation_nsv_per_h=100.0, on_lane=frozenset())
    await journey.identify(piece, facts, max_retries=2)
    await journey.scanning(piece)
    scan = Scan(
        piece_id=PIECE,
        visit=1,
        at=NOW,
        lane_id=LANE,
        sha256=SHA,
        acquisition=1,
        lines=300,
        pixels=512,
        length_mm=200.0,
        width_mm=100.0,
        kv=140.0,
        ma=1.0,
    )
    reading = ModelReading(
        piece_id=PIECE,
        visit=1,
        at=NOW,
        scan_sha256=SHA,
        model_sha256="e" * 64,
        score=score,
        threshold=0.5,
        p_value=0.4,
        calibration_n=1000,
        kind="envelope",
        duration_ms=5.0,
    )
    await journey.scanned(piece, scan, reading, None)
    return piece


def state_of(store: SqliteStore) -> PieceState:
    piece = store.read(lambda view: view.piece(PIECE))
    assert piece is not None
    return piece.state


def an_operator(decision: OperatorDecision, person: str = "An") -> OperatorReading:
    return OperatorReading(piece_id=PIECE, visit=1, at=NOW, scan_sha256=SHA, person=person, decision=decision, blind=False)


def test_a_reading_that_was_not_stored_clears_nothing(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    async def run() -> None:
        journey = a_journey(store)
        piece = await a_scanned_piece(store, journey)

        def failing(work: object) -> object:
            raise StoreError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(store, "write", failing)
            with pytest.raises(StoreError):
                await journey.decided(piece, an_operator(OperatorDecision.CLEAR))
        clearance = await journey.decided(piece, None)
        assert clearance.reasons == (Reason.DECISION_TIMEOUT,)

    asyncio.run(run())
    assert state_of(store) is PieceState.HELD


LATER: dict[PieceState, tuple[PieceState, ...]] = {
    PieceState.DISINFECTED: (),
    PieceState.HELD: (PieceState.HELD,),
    PieceState.FROZEN: (PieceState.FROZEN,),
    PieceState.IN_REVIEW: (PieceState.HELD, PieceState.IN_REVIEW),
    PieceState.CLEARED: (PieceState.HELD, PieceState.IN_REVIEW, PieceState.CLEARED),
    PieceState.REJECTED: (PieceState.HELD, PieceState.IN_REVIEW, PieceState.REJECTED),
    PieceState.HANDED_OVER: (PieceState.FROZEN, PieceState.HANDED_OVER),
    PieceState.RETURNED: (PieceState.HELD, PieceState.IN_REVIEW, PieceState.REJECTED, PieceState.RETURNED),
    PieceState.ESCAPED: (PieceState.ESCAPED,),
}
"""The states after which a piece with a permit is in that one."""
INSIDE_WITH_PERMIT = [PieceState.HELD, PieceState.FROZEN, PieceState.IN_REVIEW, PieceState.CLEARED, PieceState.REJECTED]


def permitted(store: SqliteStore, *, state: PieceState = PieceState.DISINFECTED) -> None:
    """A piece with a permit whose exit is not known."""
    store.write(
        lambda uow: uow.add_piece(
            Piece(
                piece_id=PIECE,
                state=PieceState.ARRIVED,
                visit=1,
                state_since=NOW,
                announcement=Announcement(piece_id=PIECE),
                announced=True,
                lane_id=LANE,
            )
        )
    ).result()
    steps = [PieceState.SCANNING, PieceState.SCANNED, PieceState.CLEARED, PieceState.DISINFECTING, PieceState.DISINFECTED]
    for step in [*steps, *LATER[state]]:
        store.write(lambda uow, step=step: uow.change_state(PIECE, step, NOW, lane_id=LANE)).result()
    measured = InfeedMeasurement(
        piece_id=PIECE, visit=1, at=NOW, lane_id=LANE, length_mm=LENGTH_MM, weight_g=50.0, radiation_nsv_per_h=100.0
    )
    store.write(lambda uow: uow.append(measured)).result()
    permit = Permit(piece_id=PIECE, visit=1, at=NOW, tag=7, challenge=99, valid_ms=1000, scan_sha256=SHA, nonce=5, policy_sha256="d" * 64)
    store.write(lambda uow: uow.append(permit)).result()


def settle(store: SqliteStore, *entries: tuple[int, int, int], at_exit: ExitEye = LEFT) -> list[int]:
    ring = [PassedPiece(seq=seq, tag=tag, challenge=challenge) for seq, tag, challenge in entries]
    return asyncio.run(_settled(store, ring, at_exit))


async def _settled(store: SqliteStore, ring: list[PassedPiece], at_exit: ExitEye) -> list[int]:
    return await a_journey(store).settle_permits(ring, at_exit)


def test_what_the_ring_says_left_is_released(store: SqliteStore):
    permitted(store)
    assert settle(store, (3, 7, 99)) == []
    assert state_of(store) is PieceState.RELEASED


def test_a_permit_without_a_passage_is_held_once_the_ring_was_read(store: SqliteStore):
    permitted(store)
    journey = a_journey(store)

    async def hold(*, ring_was_read: bool) -> None:
        await journey.hold_everything(Reason.RESTARTED, ring_was_read=ring_was_read)

    asyncio.run(hold(ring_was_read=False))
    assert state_of(store) is PieceState.DISINFECTED
    settle(store, (3, 7, 98))
    asyncio.run(hold(ring_was_read=True))
    assert state_of(store) is PieceState.HELD


def escapes(store: SqliteStore) -> list[str]:
    return [alarm.subject for alarm in store.read(lambda view: view.alarms(active_only=False)) if alarm.code is AlarmCode.ESCAPED]


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
def test_what_left_after_its_permit_counted_no_more_escaped_once(store: SqliteStore, state: PieceState):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    assert settle(store, (2, 5, 50), (3, 7, 99)) == [7]
    assert state_of(store) is PieceState.ESCAPED
    assert settle(store, (2, 5, 50), (3, 7, 99)) == []
    assert escapes(store) == [PIECE]


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
def test_what_stands_in_the_exit_after_its_permit_counted_no_more_escapes_when_it_slides_out(store: SqliteStore, state: PieceState):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    for _ in range(2):
        assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye(covered=True)) == []
        assert (state_of(store), escapes(store)) == (state, [])
    assert settle(store, (2, 5, 50), (3, 7, 99)) == [7]
    assert (state_of(store), escapes(store)) == (PieceState.ESCAPED, [PIECE])


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
@pytest.mark.parametrize("covered_before", [False, True])
def test_what_a_hand_took_out_of_the_exit_after_its_permit_counted_no_more_is_no_escape(
    store: SqliteStore, state: PieceState, covered_before: bool
):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    if covered_before:
        settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye(covered=True))
    for at_exit in (ExitEye(way_mm=60.0), LEFT):
        assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=at_exit) == []
    assert (state_of(store), escapes(store)) == (state, [])


@pytest.mark.parametrize("state", INSIDE_WITH_PERMIT)
def test_of_what_may_have_left_after_its_permit_counted_no_more_only_the_alarm_is_raised(store: SqliteStore, state: PieceState):
    """A PLC that started since has no edges: where the piece is nobody knows, and it is held or frozen anyway."""
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye()) == [7]
    assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=ExitEye()) == []
    assert (state_of(store), escapes(store)) == (state, [PIECE])


@pytest.mark.parametrize("state", [PieceState.HANDED_OVER, PieceState.RETURNED, PieceState.ESCAPED])
@pytest.mark.parametrize("at_exit", [ExitEye(), LEFT, ExitEye(covered=True)], ids=["nothing is known", "left", "covered"])
def test_a_passage_of_what_people_have_accounted_for_is_explained(store: SqliteStore, state: PieceState, at_exit: ExitEye):
    settle(store, (2, 5, 50))
    permitted(store, state=state)
    assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=at_exit) == []
    assert settle(store, (2, 5, 50), (3, 7, 99), (4, 8, 100)) == [8]
    assert (state_of(store), escapes(store)) == (state, [f"{LANE} #1"])


def test_a_passage_that_no_permit_explains_is_an_escape_once(store: SqliteStore):
    assert settle(store, (2, 5, 50)) == []
    assert settle(store, (2, 5, 50), (3, 6, 60)) == [6]
    assert settle(store, (2, 5, 50), (3, 6, 60)) == []


def test_every_escape_of_something_unknown_calls_people_on_every_lane_and_however_it_was_seen(store: SqliteStore):
    settle(store, (2, 5, 50))
    settle(store, (2, 5, 50), (3, 6, 60), (4, 8, 70))

    async def at_exits() -> None:
        await a_journey(store).escaped(None, "seen at the exit")
        await a_journey(store, lane_id="lane-2").escaped(None, "seen at the exit")

    asyncio.run(at_exits())
    open_now = [alarm for alarm in store.read(lambda view: view.alarms()) if alarm.cleared_at is None]
    assert sorted(alarm.subject for alarm in open_now) == ["lane-1 #1", "lane-1 #2", "lane-1 #3", "lane-2 #1"]
    assert {(alarm.code, alarm.priority, alarm.acknowledged_at) for alarm in open_now} == {
        (AlarmCode.ESCAPED, AlarmPriority.CRITICAL, None)
    }


def test_a_piece_that_escapes_again_calls_people_again(store: SqliteStore):
    permitted(store, state=PieceState.HELD)

    def open_now() -> list[int | None]:
        return [alarm.alarm_id for alarm in store.read(lambda view: view.alarms()) if alarm.acknowledged_at is None]

    asyncio.run(a_journey(store).escaped(PIECE, "once"))
    (first,) = open_now()
    assert first is not None
    store.write(lambda uow: uow.acknowledge_alarm(first, "an", NOW)).result()
    assert open_now() == []
    asyncio.run(a_journey(store).escaped(PIECE, "again"))
    assert len(open_now()) == 1
    told = [(alarm.detail, alarm.acknowledged_by) for alarm in store.read(lambda view: view.alarms(active_only=False))]
    assert told == [("again", None), ("once", "an")]


def test_of_each_exercise_that_nobody_confirmed_people_are_told_the_piece(store: SqliteStore):
    async def cut_off(piece_id: str) -> None:
        await a_journey(store).exercise_begins(piece_id)
        await a_journey(store).recall_exercise()

    for piece_id in (PIECE, "LP000000001VN"):
        asyncio.run(cut_off(piece_id))
    told = [(alarm.detail, alarm.cleared_at is None) for alarm in store.read(lambda view: view.alarms()) if alarm.acknowledged_at is None]
    assert told == [("LP000000001VN", True), (PIECE, False)]


@pytest.mark.parametrize("seq", [3, 65535])
def test_while_the_exit_is_covered_the_newest_passage_is_left_open_and_nothing_older_is_new_again(store: SqliteStore, seq: int):
    settle(store, (seq, 5, 50))
    permitted(store)
    newest = (seq % 0xFFFF + 1, 7, 99)
    for _ in range(2):
        assert settle(store, (seq, 5, 50), newest, at_exit=ExitEye(covered=True)) == []
        assert state_of(store) is PieceState.DISINFECTED
    assert settle(store, (seq, 5, 50), newest) == []
    assert state_of(store) is PieceState.RELEASED
    assert settle(store, (seq, 5, 50), newest, at_exit=ExitEye(covered=True)) == []
    assert settle(store, (seq, 5, 50), newest) == []


def test_the_first_ring_of_a_lane_is_taken_as_it_is_though_the_exit_is_covered(store: SqliteStore):
    assert settle(store, (2, 5, 50), at_exit=ExitEye(covered=True)) == []
    assert settle(store, (2, 5, 50)) == []


def test_an_escape_is_one_whatever_stands_in_the_exit(store: SqliteStore):
    settle(store, (2, 5, 50))
    assert settle(store, (2, 5, 50), (3, 6, 60), at_exit=ExitEye(covered=True)) == [6]


def edge(encoder: int, *, leading: bool, eye: Eye = Eye.EXIT) -> EyeEdge:
    return EyeEdge(seq=1, eye=eye, leading=leading, encoder=encoder)


def test_the_eye_tells_how_far_b5_ran_under_the_piece_and_whether_it_ran_on_over_the_wrap():
    out = [edge(0xFFFF_FF00, leading=True), edge(7, leading=False, eye=Eye.GATE), edge(744, leading=False)]
    assert exit_eye(covered=False, edges=out, b5_encoder=794) == ExitEye(way_mm=100.0)
    assert exit_eye(covered=False, edges=out, b5_encoder=795) == ExitEye(way_mm=100.0, b5_ran=True)
    assert exit_eye(covered=True, edges=out, b5_encoder=744) == ExitEye(covered=True)


@pytest.mark.parametrize("seen", [(), (False,), (True, True, False, False)], ids=["nothing", "only that it went", "twice that it went"])
def test_of_a_plc_that_forgot_the_edges_nothing_is_known(seen: tuple[bool, ...]):
    assert exit_eye(covered=False, edges=[edge(0, leading=leading) for leading in seen], b5_encoder=0) == ExitEye()


def test_what_came_to_the_eye_after_it_was_read_covers_it():
    came = [edge(0, leading=False), edge(9, leading=True)]
    assert exit_eye(covered=False, edges=came, b5_encoder=0) == ExitEye(covered=True)


@pytest.mark.parametrize(
    ("eye", "length_mm", "left"),
    [
        # Where B5 stood, it had let go of the piece at its middle; the half may be measured 10 mm too long.
        (ExitEye(way_mm=89.9), 200.0, False),
        (ExitEye(way_mm=90.0), 200.0, True),
        # Where it ran, it ran on while the chute took the second half; the half may be measured 10 mm too short.
        (ExitEye(way_mm=109.9, b5_ran=True), 200.0, False),
        (ExitEye(way_mm=110.0, b5_ran=True), 200.0, True),
        # What the eyes saw of a piece of 117 mm that a hand took when its middle was 10.5 mm short of the eye.
        (ExitEye(way_mm=50.0, b5_ran=True), 118.0, False),
        (ExitEye(covered=True, way_mm=180.0), 200.0, False),
        (ExitEye(), 200.0, False),
        (ExitEye(way_mm=180.0), None, False),
    ],
)
def test_only_what_b5_carried_beyond_its_middle_left_by_itself(eye: ExitEye, length_mm: float | None, left: bool):
    assert left_by_itself(eye, length_mm) is left


@pytest.mark.parametrize("at_exit", [ExitEye(), ExitEye(way_mm=95.0, b5_ran=True)], ids=["nothing is known", "taken while b5 ran"])
def test_what_is_not_known_to_have_left_by_itself_is_held_and_no_escape(store: SqliteStore, at_exit: ExitEye):
    settle(store, (2, 5, 50))
    permitted(store)
    for _ in range(2):
        assert settle(store, (2, 5, 50), (3, 7, 99), at_exit=at_exit) == []
        piece = store.read(lambda view: view.piece(PIECE))
        assert piece is not None
        assert (piece.state, piece.reasons) == (PieceState.HELD, (Reason.TRACK_LOST.value,))


def test_behind_what_left_before_another_came_to_the_exit_the_gate_had_shut(store: SqliteStore):
    permitted(store)
    settle(store, (3, 7, 99), (4, 8, 100), at_exit=ExitEye())
    assert state_of(store) is PieceState.RELEASED


def test_a_freeze_is_recorded_once_and_keeps_the_lane_frozen_also_when_the_suspect_is_handed_over(store: SqliteStore):
    async def run() -> Journey:
        journey = a_journey(store)
        piece = await a_scanned_piece(store, journey)
        asked = FreezeAsked(at=NOW, origin=FreezeOrigin.CONSOLE, person="An", suspect=PIECE, reading=an_operator(OperatorDecision.FREEZE))
        assert await journey.freeze(asked, present=[PIECE])
        assert not await journey.freeze(asked, suspect=piece.piece_id, present=[PIECE])
        assert not await journey.freeze(suspect=piece.piece_id, present=[PIECE])
        return journey

    journey = asyncio.run(run())
    assert state_of(store) is PieceState.FROZEN
    rows = store.read(lambda view: view.evidence(PIECE))
    assert [type(row.evidence).__name__ for row in rows][-2:] == ["OperatorReading", "Clearance"]
    (frozen,) = [row.evidence for row in store.read(lambda view: view.evidence(freeze_subject(LANE)))]
    assert (frozen.visit, frozen.person, frozen.suspects, frozen.on_belts) == (1, "An", (PIECE,), (PIECE,))
    store.write(lambda uow: uow.change_state(PIECE, PieceState.HANDED_OVER, NOW)).result()
    assert journey.must_stay_frozen()


def test_an_undecided_attention_stop_survives_a_restart(store: SqliteStore):
    async def run() -> Journey:
        journey = a_journey(store, freeze_score=0.9)
        await a_scanned_piece(store, journey, score=0.95)
        return journey

    journey = asyncio.run(run())
    assert state_of(store) is PieceState.SCANNED
    assert journey.must_stay_frozen()
