"""The exit eye tells of a piece where the encoder says that it is not: what the next start makes of the gate's ring."""

from types import SimpleNamespace
from typing import Any

import pytest
from feeding import LANE, Feeding

from station.domain.alarm import AlarmCode
from station.domain.errors import StoreError
from station.domain.gate import Permit
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.ports.lane_plc import Eye, EyeEdge, LaneEvents, LaneStatus, PassedPiece
from station.workflow.equipment import LaneTrouble
from station.workflow.exercises import Exercises
from station.workflow.exit_eye import ExitEye
from station.workflow.geometry import LaneGeometry
from station.workflow.lane_piece import LanePiece
from station.workflow.session import LaneSession

GATE_OPEN = 1
POLL_MM = 20.0
LEFT = ExitEye(way_mm=450.0)


async def permitted(feeding: Feeding) -> tuple[LanePiece, PassedPiece]:
    """A piece with a permit, and what the ring says when the exit eye sees something under it."""
    feeding.announce()
    piece = await feeding.arrive()
    await feeding.scan(piece)
    await feeding.disinfect(piece)
    permit = await feeding.journey.ask_gate(piece, feeding.at_gate(piece))
    assert isinstance(permit, Permit)
    return piece, PassedPiece(seq=3, tag=permit.tag, challenge=permit.challenge)


async def start_again(feeding: Feeding, *ring: PassedPiece) -> None:
    """What a start makes durable of what was on the belts, where the exit eye tells of nothing but a piece that left."""
    await feeding.journey.settle_permits(ring, LEFT)
    await feeding.journey.hold_everything(Reason.RESTARTED, ring_was_read=False)
    await feeding.journey.settle_permits(ring, LEFT)
    await feeding.journey.hold_everything(Reason.RESTARTED, ring_was_read=True)


def a_session(feeding: Feeding) -> LaneSession:
    """A session whose control loop does not run; readings of the lane are handed to it."""
    settings = SimpleNamespace(lane_id=LANE, geometry=LaneGeometry(), recipe=None, unit_id="uv-1", clock_jump_ms=0)
    clock = SimpleNamespace(monotonic_s=lambda: 0.0, utc_now=feeding.clock.utc_now)
    equipment: Any = SimpleNamespace(settings=settings, clock=clock, devices=SimpleNamespace(plc=None))
    prepared: Any = SimpleNamespace(lines=None, calibration=None, ring=())
    ignored: Any = lambda *_: None  # noqa: E731
    return LaneSession(
        equipment, feeding.journey, prepared, Exercises(), check=ignored, on_poll=ignored, on_end=ignored, on_decision=ignored
    )


def reading(way_mm: float) -> LaneStatus:
    zeros = dict.fromkeys(LaneStatus.__dataclass_fields__, 0)
    known = {"encoders": (round(way_mm * 10),) * 5, "belt_speeds_mm_s": (200,) * 5, "gate": GATE_OPEN}
    return LaneStatus(**{**zeros, "zone_tags": (0,) * 7, "freeze_latch": False, "read_at_s": 0.0, **known})  # type: ignore[arg-type]


def events(*edges: EyeEdge, passed: tuple[PassedPiece, ...] = ()) -> LaneEvents:
    return LaneEvents(read_at_s=0.0, uptime_ms=0, boot_count=1, edges=edges, passed=passed)


@pytest.mark.parametrize(("off_mm", "becomes"), [(-80.0, PieceState.HELD), (70.0, PieceState.RELEASED)])
async def test_only_an_edge_that_comes_too_early_speaks_against_the_ring(feeding: Feeding, off_mm: float, becomes: PieceState):
    """One that slipped and came late, in the reading in which it would have been missed, has left under its permit."""
    piece, entry = await permitted(feeding)
    session = a_session(feeding)
    session.pieces.append(piece)
    session.permits.add((entry.tag, entry.challenge))
    piece.track.head_mm, piece.track.head_eye, piece.track.length_mm = 5960.0 + off_mm - POLL_MM, Eye.GATE, 200.0
    session.tracker.tracks.append(piece.track)
    session.tracker.poll(reading(0.0), events())
    edge = EyeEdge(seq=1, eye=Eye.EXIT, leading=True, encoder=round(POLL_MM * 10))
    trouble = await session._record(reading(POLL_MM), events(edge, passed=(entry,)))
    assert isinstance(trouble, LaneTrouble)
    await start_again(feeding, entry)
    assert feeding.known.state is becomes


async def test_an_early_exit_that_could_not_be_stored_releases_nothing_either(feeding: Feeding, monkeypatch: pytest.MonkeyPatch):
    piece, entry = await permitted(feeding)

    def failing(work: object) -> object:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(feeding.store, "write", failing)
        with pytest.raises(StoreError):
            await feeding.journey.exit_disbelieved(piece, [entry])
    await start_again(feeding, entry)
    assert (feeding.known.state, feeding.known.reasons) == (PieceState.HELD, (Reason.TRACK_LOST.value,))


async def test_an_escape_that_a_running_lane_alarmed_about_is_none_at_the_next_start(feeding: Feeding):
    """The gate opened on a permit that the lane had taken back, and for a tag of which nobody knows."""
    piece, entry = await permitted(feeding)
    await feeding.journey.settle_permits((), LEFT)
    session = a_session(feeding)
    session.pieces.append(piece)
    for passed in (entry, PassedPiece(seq=4, tag=77, challenge=5)):
        with pytest.raises(LaneTrouble):
            await session._check_ring((passed,))
    assert feeding.known.state is PieceState.ESCAPED
    assert await feeding.journey.settle_permits((entry, PassedPiece(seq=4, tag=77, challenge=5)), LEFT) == []
    escapes = [alarm.subject for alarm in feeding.store.read(lambda view: view.alarms()) if alarm.code is AlarmCode.ESCAPED]
    assert sorted(escapes) == [piece.known_id, "lane-1 #1"]
