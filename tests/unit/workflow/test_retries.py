"""A piece whose dose falls short comes back as often as the recipe allows, then people look at it."""

import pytest
from feeding import MAX_RETRIES, Feeding

from station.domain.clearance import Outcome
from station.domain.piece import PieceState
from station.domain.reasons import Reason

pytestmark = pytest.mark.usefixtures("announced")


async def try_once(feeding: Feeding, *against: Reason) -> tuple[str, ...]:
    """Feed the piece in, clear it, light it; what it is held for."""
    piece = await feeding.arrive()
    assert (await feeding.scan(piece)).outcome is Outcome.CLEARED
    await feeding.disinfect(piece, *against)
    return feeding.known.reasons


async def use_up(feeding: Feeding) -> None:
    for _ in range(MAX_RETRIES):
        assert await try_once(feeding, Reason.DOSE_SHORT) == (Reason.DOSE_SHORT,)
    assert await try_once(feeding, Reason.DOSE_SHORT) == (Reason.DOSE_SHORT, Reason.RETRIES_USED_UP)


async def test_the_last_try_may_succeed(feeding: Feeding):
    for _ in range(MAX_RETRIES):
        await try_once(feeding, Reason.DOSE_SHORT)
    await try_once(feeding)
    assert feeding.known.state is PieceState.DISINFECTED


async def test_after_the_last_try_it_is_not_lit_again_without_a_review(feeding: Feeding):
    await use_up(feeding)
    assert feeding.events[-1].reasons == (Reason.DOSE_SHORT, Reason.RETRIES_USED_UP)
    for _ in range(2):
        assert (await feeding.feed()).reasons == (Reason.RETRIES_USED_UP,)


async def test_two_people_let_it_be_tried_again_as_often(feeding: Feeding):
    await use_up(feeding)
    assert feeding.review("An") is PieceState.HELD
    assert feeding.review("Bình") is PieceState.CLEARED
    await use_up(feeding)
    await feeding.feed()
    assert feeding.review("An", "Bình") is PieceState.CLEARED
    await try_once(feeding)
    assert feeding.known.state is PieceState.DISINFECTED


async def test_one_clearance_that_is_not_followed_lifts_nothing(feeding: Feeding):
    await use_up(feeding)
    feeding.review("An")
    assert Reason.RETRIES_USED_UP in (await feeding.feed()).reasons


async def test_a_review_for_something_else_starts_the_count_anew(feeding: Feeding):
    await try_once(feeding, Reason.DOSE_SHORT)
    assert (await feeding.feed(radiation=520.0)).reasons == (Reason.RADIATION,)
    feeding.review("An", "Bình")
    await use_up(feeding)


@pytest.mark.parametrize("reason", [Reason.SAMPLES_MISSING, Reason.LAMP_FAULT, Reason.DEVICE_LOST])
async def test_a_cycle_that_failed_otherwise_counts_too(feeding: Feeding, reason: Reason):
    for _ in range(MAX_RETRIES):
        await try_once(feeding, reason)
    assert await try_once(feeding, reason) == (reason, Reason.RETRIES_USED_UP)
