"""A piece that comes again: what a review has settled, and what it has not."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from feeding import PIECE, POLICY, Feeding

from station.domain.clearance import Outcome
from station.domain.measurement import InfeedMeasurement
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision
from station.workflow.refusals import RadiationRefusedError
from station.workflow.reviewing import facts_of_visit


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"weight_g": 250.0}, {"weight_g": 252.0}, Reason.WEIGHT_DIFFERS),
        ({"length_mm": 350.0}, {"length_mm": 344.0}, Reason.SIZE_DIFFERS),
        ({"radiation": 520.0}, {"radiation": 560.0}, Reason.RADIATION),
    ],
)
async def test_a_reviewed_figure_holds_once(feeding: Feeding, first: dict[str, float], second: dict[str, float], reason: Reason):
    feeding.announce()
    assert (await feeding.feed(**first)).reasons == (reason,)
    assert feeding.review("An") is PieceState.HELD
    assert feeding.review("Bình") is PieceState.CLEARED
    assert (await feeding.feed(**second)).outcome is Outcome.CLEARED
    assert feeding.known.state is PieceState.CLEARED


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"weight_g": 250.0}, {"weight_g": 300.0}, Reason.WEIGHT_DIFFERS),
        ({"weight_g": 250.0}, {"weight_g": 250.0, "radiation": 520.0}, Reason.RADIATION),
        ({"radiation": 900.0}, {"radiation": 1000.0}, Reason.RADIATION),
        ({"radiation": 520.0}, {"radiation": 900.0}, Reason.RADIATION),
    ],
)
async def test_a_figure_that_nobody_reviewed_holds(feeding: Feeding, first: dict[str, float], second: dict[str, float], reason: Reason):
    feeding.announce()
    await feeding.feed(**first)
    feeding.review("An", "Bình")
    assert (await feeding.feed(**second)).reasons == (reason,)


@pytest.mark.parametrize("radiation", [1000.0, 1500.0, math.nan])
async def test_radiation_at_the_attention_level_is_cleared_by_no_review(feeding: Feeding, radiation: float):
    feeding.announce()
    assert Reason.RADIATION in (await feeding.feed(radiation=radiation)).reasons
    with pytest.raises(RadiationRefusedError, match="hand it over"):
        feeding.review("An")
    assert not any(isinstance(fact, ReviewDecision) for fact in feeding.store.read(lambda view: facts_of_visit(view, feeding.known)))


@pytest.mark.parametrize("next_time", [100.0, 520.0])
async def test_less_radiation_on_a_later_visit_makes_no_review_possible(feeding: Feeding, next_time: float):
    feeding.announce()
    await feeding.feed(radiation=1500.0)
    assert (await feeding.feed(radiation=next_time)).reasons == (Reason.RADIATION,)
    with pytest.raises(RadiationRefusedError):
        feeding.review("An")


async def test_radiation_holds_until_a_review_whatever_is_measured_next(feeding: Feeding):
    feeding.announce()
    await feeding.feed(radiation=520.0)
    assert (await feeding.feed()).reasons == (Reason.RADIATION,)
    assert feeding.review("An", "Bình") is PieceState.CLEARED
    assert (await feeding.feed()).outcome is Outcome.CLEARED


async def test_a_review_is_used_up_by_the_visit_that_it_let_through(feeding: Feeding):
    feeding.announce()
    await feeding.feed(weight_g=250.0)
    feeding.review("An", "Bình")
    piece = await feeding.arrive(weight_g=250.0)
    assert (await feeding.scan(piece)).outcome is Outcome.CLEARED
    await feeding.disinfect(piece, Reason.DOSE_SHORT)
    assert (await feeding.feed(weight_g=250.0)).reasons == (Reason.WEIGHT_DIFFERS,)


async def test_a_visit_that_was_cut_short_uses_no_review_up(feeding: Feeding):
    feeding.announce()
    await feeding.feed(weight_g=250.0)
    feeding.review("An", "Bình")
    await feeding.arrive(weight_g=250.0)
    await feeding.journey.hold_everything(Reason.PURGED, ring_was_read=True)
    assert (await feeding.feed(weight_g=250.0)).outcome is Outcome.CLEARED


async def test_what_was_measured_is_kept(feeding: Feeding):
    feeding.announce()
    await feeding.feed(radiation=520.0)
    rows = feeding.store.read(lambda view: view.evidence(PIECE))
    (measured,) = [row.evidence for row in rows if isinstance(row.evidence, InfeedMeasurement)]
    assert (measured.length_mm, measured.weight_g, measured.radiation_nsv_per_h) == (200.0, 50.0, 520.0)
    assert [(one.reason, one.measured, one.limit) for one in measured.findings] == [(Reason.RADIATION, 520.0, 400.0)]


async def test_two_people_as_the_authority_clear_a_piece_where_it_lies(tmp_path: Path):
    feeding = Feeding(tmp_path, replace(POLICY, authority_unmarked=Authority.TWO_PEOPLE))
    feeding.announce()
    piece = await feeding.arrive()
    await feeding.scan(piece)
    assert (await feeding.journey.decided(piece, None)).outcome is Outcome.HELD
    assert feeding.review("An") is PieceState.HELD
    assert feeding.review("Bình") is PieceState.CLEARED
    assert (await feeding.feed()).outcome is Outcome.CLEARED
    feeding.store.close()
