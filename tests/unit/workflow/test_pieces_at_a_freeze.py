"""What lies on the belts at a freeze is reviewed again, whatever people were deciding or had decided about it just then."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from feeding import PIECE, Feeding

from station.domain.clearance import Outcome
from station.domain.freeze import FreezeOrigin
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.workflow import reviewing
from station.workflow.freeze_steps import FreezeAsked

LEASE = timedelta(minutes=2)


@pytest.fixture
def policy() -> Policy:
    """People clear every piece."""
    return Policy(sha256="d" * 64)


async def held(feeding: Feeding) -> None:
    piece = await feeding.arrive()
    await feeding.scan(piece)
    await feeding.journey.decided(piece, None)


async def claimed(feeding: Feeding) -> None:
    await held(feeding)
    by, at = feeding.staff.add("an"), feeding.clock.utc_now()
    feeding.store.write(lambda uow: reviewing.claim(uow, PIECE, by, at, LEASE)).result()


async def cleared(feeding: Feeding) -> None:
    await held(feeding)
    assert feeding.review("an") is PieceState.CLEARED


async def freeze(feeding: Feeding, suspect: str | None = None, *, followed: bool = True) -> None:
    on_belts = (PIECE,) if followed else ()
    asked = FreezeAsked(at=feeding.clock.utc_now(), origin=FreezeOrigin.CONSOLE, person="op", suspect=suspect, on_belts=on_belts)
    await feeding.journey.freeze(asked)


Stand = Callable[[Feeding], Awaitable[None]]


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize("stand", [held, claimed, cleared])
async def test_it_is_held_for_the_freeze_when_it_is_fed_in_again(feeding: Feeding, stand: Stand) -> None:
    await stand(feeding)
    await freeze(feeding)
    late = feeding.clock.utc_now() + LEASE
    feeding.store.write(lambda uow: reviewing.release_if_expired(uow, PIECE, late)).result()
    again = await feeding.feed()
    assert (again.outcome, Reason.FROZEN in again.reasons) == (Outcome.HELD, True)
    assert feeding.review("binh") is PieceState.HELD
    assert feeding.review("chi") is PieceState.CLEARED
    assert (await feeding.feed()).outcome is Outcome.CLEARED


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize("stand", [held, claimed, cleared])
async def test_a_suspect_is_frozen(feeding: Feeding, stand: Stand) -> None:
    await stand(feeding)
    await freeze(feeding, PIECE)
    assert feeding.known.state is PieceState.FROZEN
    assert feeding.store.read(lambda view: view.claim(PIECE)) is None


@pytest.mark.parametrize("again", [False, True])
async def test_who_freezes_a_frozen_lane_suspects_what_people_have_cleared_there_since(feeding: Feeding, *, again: bool) -> None:
    feeding.announce(Announcement(piece_id=PIECE, secrecy=Secrecy.C, length_mm=200.0, weight_g=50.0))
    await held(feeding)
    await freeze(feeding)
    assert feeding.review("an", "binh") is PieceState.CLEARED
    if again:
        await freeze(feeding, followed=False)
    else:
        # A station that starts again only looks.
        await feeding.journey.freeze()
    assert ((await feeding.feed()).outcome is Outcome.HELD) == again
