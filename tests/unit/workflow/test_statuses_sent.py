"""Every status of the contract is told where it happens, numbered per piece over all its visits."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from station.domain.events import PieceStatus
from station.domain.gate import Permit
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.review import ReviewOutcome
from station.workflow import reviewing
from station.workflow.handlers import Handlers
from station.workflow.once import Once
from tests.unit.workflow.feeding import PIECE, Feeding

S = PieceStatus


def told(feeding: Feeding) -> list[tuple[PieceStatus, int]]:
    outbox = feeding.store.read(lambda view: view.events_of(PIECE))
    assert [event.sequence for event in outbox] == list(range(1, len(feeding.events) + 1))
    return [(event.status, event.visit) for event in feeding.events]


def test_a_piece_that_is_held_once_and_leaves_on_its_second_visit(tmp_path: Path):
    async def run(feeding: Feeding) -> None:
        feeding.announce()
        first = await feeding.arrive()
        await feeding.scan(first)
        await feeding.disinfect(first, Reason.DOSE_SHORT)
        second = await feeding.arrive()
        await feeding.scan(second)
        await feeding.disinfect(second)
        assert isinstance(await feeding.journey.ask_gate(second, feeding.at_gate(second)), Permit)
        await feeding.journey.released(second, ring_seq=1, exit_seen=True)
        assert feeding.known.state is PieceState.RELEASED

    feeding = Feeding(tmp_path)
    asyncio.run(run(feeding))
    assert told(feeding) == [
        *[(status, 1) for status in (S.ARRIVED, S.SCREENED, S.CLEARED, S.HELD)],
        *[(status, 2) for status in (S.ARRIVED, S.SCREENED, S.CLEARED, S.DISINFECTED, S.RELEASED)],
    ]
    feeding.store.close()


@pytest.mark.parametrize(("returned", "last"), [(True, S.RETURNED), (False, S.HANDED_OVER)])
def test_a_piece_that_is_rejected_leaves_by_hand(tmp_path: Path, returned: bool, last: PieceStatus):
    async def run(feeding: Feeding) -> None:
        feeding.announce()
        feeding.model_usable = False
        piece = await feeding.arrive()
        await feeding.scan(piece)
        await feeding.journey.hold(piece, Reason.TRACK_LOST)
        at, by = feeding.clock.utc_now(), feeding.staff.add("An")
        feeding.store.write(lambda uow: reviewing.claim(uow, PIECE, by, at, timedelta(minutes=2))).result()
        request = reviewing.ReviewRequest(
            piece_id=PIECE, outcome=ReviewOutcome.REJECT, scan_sha256=piece.scan and piece.scan.sha256, note="", by=by
        )
        feeding.store.write(lambda uow: reviewing.decide(uow, request, feeding.policy, at)).result()
        await handlers(feeding).hand_over(PIECE, returned=returned, to="BĐTW", by=by, once=Once(key="k", fingerprint="f"))

    feeding = Feeding(tmp_path)
    asyncio.run(run(feeding))
    assert told(feeding) == [(status, 1) for status in (S.ARRIVED, S.SCREENED, S.HELD, S.REJECTED, last)]
    feeding.store.close()


def test_a_piece_that_is_frozen_is_handed_over_or_escapes(tmp_path: Path):
    async def run(feeding: Feeding) -> None:
        feeding.announce()
        await feeding.arrive()
        await feeding.journey.freeze(suspect=PIECE, present=[PIECE])
        await feeding.journey.escaped(PIECE, "seen past the gate")

    feeding = Feeding(tmp_path)
    asyncio.run(run(feeding))
    assert told(feeding) == [(status, 1) for status in (S.ARRIVED, S.FROZEN, S.ESCAPED)]
    feeding.store.close()


def test_a_piece_that_is_withdrawn_never_came(tmp_path: Path):
    feeding = Feeding(tmp_path)
    feeding.announce()
    asyncio.run(handlers(feeding).cancel(PIECE, once=Once(key="k", fingerprint="f")))
    assert told(feeding) == [(S.CANCELLED, 0)]
    feeding.store.close()


def handlers(feeding: Feeding) -> Handlers:
    return Handlers(store=feeding.store, lanes={}, policy=feeding.policy, clock=feeding.clock, feed=NoFeed())  # type: ignore[arg-type]


class NoFeed:
    def publish(self, name: str, data: str) -> None:
        pass
