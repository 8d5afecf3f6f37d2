"""The lane's durable side with one piece: scanned, or with a permit whose exit is not known; and what the gate's ring makes of it."""

import asyncio

from station.domain.alarm import AlarmCode
from station.domain.clearance import StationHealth
from station.domain.gate import Permit
from station.domain.identifiers import DEFAULT_SCHEMES
from station.domain.measurement import InfeedMeasurement
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.policy import Authority, Policy
from station.ports.lane_plc import PassedPiece
from station.storage.store import SqliteStore
from station.workflow.exit_eye import ExitEye
from station.workflow.identification import InfeedFacts
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.tracker import Track
from tests.support.clocks import SetClock
from tests.unit.workflow.feeding import LANE, NOW, PIECE, a_reading, a_scan

LENGTH_MM = 200.0
SHA = "a" * 64


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
    await journey.scanned(piece, a_scan(SHA, NOW), a_reading(SHA, NOW, score=score), None)
    return piece


def state_of(store: SqliteStore) -> PieceState:
    piece = store.read(lambda view: view.piece(PIECE))
    assert piece is not None
    return piece.state


LEFT = ExitEye(way_mm=180.0, b5_ran=True)

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


def escapes(store: SqliteStore) -> list[str]:
    return [alarm.subject for alarm in store.read(lambda view: view.alarms(active_only=False)) if alarm.code is AlarmCode.ESCAPED]
