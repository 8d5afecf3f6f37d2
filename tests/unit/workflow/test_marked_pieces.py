"""Pieces that carry a level, on the real store: whatever happened before, no single person lets out one that was held."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from feeding import MAX_RETRIES, PIECE, Feeding

from station.domain.access import Role
from station.domain.clearance import Clearance, Outcome
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading, ReviewOutcome
from station.workflow import reviewing
from station.workflow.lane_piece import LanePiece
from station.workflow.refusals import NotPermittedError
from station.workflow.reviewing import ReviewRequest

OPERATOR = frozenset({Role.OPERATOR})
Hold = Callable[[Feeding, LanePiece], Awaitable[None]]


@pytest.fixture
def policy() -> Policy:
    """People clear every piece."""
    return Policy(sha256="d" * 64)


def mark(feeding: Feeding, level: Secrecy) -> None:
    feeding.announce(Announcement(piece_id=PIECE, secrecy=level, length_mm=200.0, weight_g=50.0))


async def clears(feeding: Feeding, piece: LanePiece, login: str, roles: frozenset[Role] = OPERATOR) -> Clearance:
    assert piece.scan is not None
    feeding.staff.add(login, roles=roles)
    reading = OperatorReading(
        piece_id=PIECE,
        visit=piece.visit,
        at=feeding.clock.utc_now(),
        scan_sha256=piece.scan.sha256,
        person=login,
        decision=OperatorDecision.CLEAR,
        blind=True,
    )
    return await feeding.journey.decided(piece, reading, await feeding.staff.confirmed(login))


async def timeout(feeding: Feeding, piece: LanePiece) -> None:
    await feeding.scan(piece)
    await feeding.journey.decided(piece, None)


async def purged(feeding: Feeding, piece: LanePiece) -> None:
    await feeding.scan(piece)
    await feeding.journey.hold_everything(Reason.PURGED, ring_was_read=True)


async def dose_short(feeding: Feeding, piece: LanePiece) -> None:
    await feeding.scan(piece)
    assert (await clears(feeding, piece, "an")).outcome is Outcome.CLEARED
    await feeding.disinfect(piece, Reason.DOSE_SHORT)


async def one_of_two(feeding: Feeding, piece: LanePiece) -> None:
    await timeout(feeding, piece)
    assert feeding.review("an") is PieceState.HELD


async def after_a_review(feeding: Feeding, piece: LanePiece) -> None:
    await timeout(feeding, piece)
    assert feeding.review("an", "binh") is PieceState.CLEARED
    again = await feeding.arrive()
    assert (await feeding.scan(again)).outcome is Outcome.CLEARED
    await feeding.disinfect(again, Reason.DOSE_SHORT)


@pytest.mark.parametrize("held", [timeout, purged, dose_short, one_of_two, after_a_review])
@pytest.mark.parametrize("level", [Secrecy.B, Secrecy.C])
async def test_whatever_it_was_held_for_feeding_it_in_again_makes_no_review_needless(feeding: Feeding, level: Secrecy, held: Hold) -> None:
    mark(feeding, level)
    await held(feeding, await feeding.arrive())
    assert feeding.known.state is PieceState.HELD
    for _ in range(2):
        assert (await feeding.feed()).outcome is Outcome.HELD
    assert feeding.review("chi") is PieceState.HELD
    assert feeding.review("dung") is PieceState.CLEARED
    assert (await feeding.feed()).outcome is Outcome.CLEARED


async def test_level_a_takes_a_reviewer_among_the_two(feeding: Feeding) -> None:
    mark(feeding, Secrecy.A)
    piece = await feeding.arrive()
    await feeding.scan(piece)
    assert (await clears(feeding, piece, "an")).outcome is Outcome.AWAITING
    with pytest.raises(NotPermittedError):
        await clears(feeding, piece, "binh")
    assert (await clears(feeding, piece, "chi", frozenset({Role.OPERATOR, Role.REVIEWER}))).outcome is Outcome.CLEARED


async def test_news_of_the_first_clearance_is_told_to_nobody(feeding: Feeding) -> None:
    mark(feeding, Secrecy.A)
    piece = await feeding.arrive()
    await feeding.scan(piece)
    told: list[str] = []
    feeding.journey._on_change = told.append
    assert (await clears(feeding, piece, "an")).outcome is Outcome.AWAITING
    assert told == []
    await clears(feeding, piece, "chi", frozenset({Role.REVIEWER}))
    assert told == [PIECE]


@pytest.mark.parametrize("away", [{"disabled": True}, {"roles": frozenset({Role.TECHNICIAN})}, {"clearance": Secrecy.B}])
async def test_who_was_sent_away_or_may_not_any_more_counts_no_longer(feeding: Feeding, away: dict[str, Any]) -> None:
    mark(feeding, Secrecy.A)
    piece = await feeding.arrive()
    await feeding.scan(piece)
    await clears(feeding, piece, "an")
    feeding.staff.add("an", **away)
    with pytest.raises(NotPermittedError):
        await clears(feeding, piece, "chi", frozenset({Role.OPERATOR, Role.REVIEWER}))
    await feeding.journey.decided(piece, None)
    assert feeding.review("binh") is PieceState.HELD
    feeding.staff.add("binh", **away)
    assert feeding.review("chi") is PieceState.HELD
    assert feeding.review("dung") is PieceState.CLEARED


async def test_a_hold_of_an_unmarked_piece_that_no_review_cleared_stands_whoever_was_sent_away(feeding: Feeding) -> None:
    feeding.announce()
    for _ in range(MAX_RETRIES + 1):
        piece = await feeding.arrive()
        await feeding.scan(piece)
        assert (await clears(feeding, piece, "an")).outcome is Outcome.CLEARED
        await feeding.disinfect(piece, Reason.DOSE_SHORT)
    assert feeding.review("binh") is PieceState.HELD
    feeding.staff.add("binh", disabled=True)
    assert feeding.review("chi") is PieceState.HELD
    assert Reason.RETRIES_USED_UP in (await feeding.feed()).reasons


async def test_a_second_opinion_stands_over_the_next_visit(feeding: Feeding) -> None:
    feeding.announce()
    piece = await feeding.arrive()
    await feeding.scan(piece)
    await feeding.journey.decided(piece, None)
    by, at = feeding.staff.add("an"), feeding.clock.utc_now()
    feeding.store.write(lambda uow: reviewing.claim(uow, PIECE, by, at, timedelta(minutes=2))).result()
    sha256 = piece.scan.sha256 if piece.scan else None
    request = ReviewRequest(piece_id=PIECE, outcome=ReviewOutcome.SECOND_OPINION, scan_sha256=sha256, note="", by=by)
    feeding.store.write(lambda uow: reviewing.decide(uow, request, feeding.policy, at)).result()
    assert (await feeding.feed()).reasons == (Reason.SECOND_OPINION,)
