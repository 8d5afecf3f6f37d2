"""A piece that comes before its announcement: held, and brought to an end once tracking has told of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from feeding import PIECE, POLICY, Feeding

from station.domain.clearance import Outcome
from station.domain.events import PieceStatus
from station.domain.gate import Refusal
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.tracking.message import MessageRules, object_event
from station.workflow.identification import InfeedFacts
from station.workflow.lane_piece import LanePiece
from station.workflow.refusals import LevelUnknownRefusedError
from station.workflow.tracker import Track

SENDS_LEVELS = MessageRules(site="site", send_secrecy=True)


@pytest.fixture
def accepting(tmp_path: Path) -> Iterator[Feeding]:
    """A site that accepts pieces which nobody announced, and lets the model clear the highest level, as which they count."""
    feeding = Feeding(tmp_path, replace(POLICY, hold_unannounced=False, authority_a=Authority.MODEL))
    yield feeding
    feeding.store.close()


async def test_it_is_cleared_on_its_next_visit(feeding: Feeding):
    assert (await feeding.feed()).reasons == (Reason.UNANNOUNCED,)
    feeding.announce()
    assert (await feeding.feed()).outcome is Outcome.CLEARED


async def test_two_people_clear_it_where_it_lies(feeding: Feeding):
    await feeding.feed()
    with pytest.raises(LevelUnknownRefusedError):
        feeding.review("An")
    feeding.announce()
    assert feeding.review("An", "Bình") is PieceState.CLEARED
    assert (await feeding.feed()).outcome is Outcome.CLEARED


async def test_an_announcement_in_the_middle_of_a_visit_counts_from_the_next_one_on(feeding: Feeding):
    piece = await feeding.arrive()
    feeding.announce()
    assert (await feeding.scan(piece)).reasons == (Reason.UNANNOUNCED,)
    assert (await feeding.feed()).outcome is Outcome.CLEARED


async def test_nothing_is_told_of_its_content_until_its_level_is_known(feeding: Feeding):
    await feeding.feed(radiation=520.0)
    told = [object_event(event, SENDS_LEVELS) for event in feeding.events]
    assert all("kt1:secrecy" not in data and Reason.RADIATION not in data["kt1:reasons"] for data in told)
    assert Reason.UNANNOUNCED in told[-1]["kt1:reasons"]
    feeding.announce()
    await feeding.feed(radiation=520.0)
    assert Reason.RADIATION in object_event(feeding.events[-1], SENDS_LEVELS)["kt1:reasons"]


async def test_a_test_piece_is_shown_though_nobody_announces_it(feeding: Feeding):
    piece = LanePiece(track=Track(number=1, head_mm=500.0))
    facts = InfeedFacts(barcode="TEST-0001", length_mm=400.0, weight_g=900.0, radiation_nsv_per_h=100.0, on_lane=frozenset())
    await feeding.journey.identify(piece, facts, max_retries=0)
    assert (piece.is_test, piece.level) == (True, None)


async def test_where_unannounced_pieces_are_accepted_they_count_as_the_highest_level(tmp_path: Path):
    site = Feeding(tmp_path, replace(POLICY, hold_unannounced=False))
    awaiting = await site.feed()
    assert (awaiting.outcome, awaiting.authority) == (Outcome.AWAITING, Authority.TWO_PEOPLE)
    site.store.close()


async def test_what_it_is_said_to_be_is_held_against_what_was_measured(feeding: Feeding):
    await feeding.feed(weight_g=250.0)
    feeding.announce()
    assert (await feeding.feed(weight_g=250.0)).reasons == (Reason.WEIGHT_DIFFERS,)


async def test_a_level_that_comes_late_holds_and_is_kept_in_every_event(feeding: Feeding):
    piece = await feeding.arrive(radiation=520.0)
    feeding.announce(Announcement(piece_id=PIECE, secrecy=Secrecy.B))
    await feeding.scan(piece)
    assert [event.secrecy for event in feeding.events if event.status is PieceStatus.HELD] == [Secrecy.B]
    assert (await feeding.feed()).reasons == (Reason.RADIATION, Reason.UNANNOUNCED)


async def test_where_unannounced_pieces_are_accepted_a_late_level_still_holds(accepting: Feeding):
    piece = await accepting.arrive()
    accepting.announce(Announcement(piece_id=PIECE, secrecy=Secrecy.A))
    assert (await accepting.scan(piece)).reasons == (Reason.UNANNOUNCED,)


async def test_where_unannounced_pieces_are_accepted_the_gate_looks_once_more(accepting: Feeding):
    piece = await accepting.arrive()
    assert (await accepting.scan(piece)).outcome is Outcome.CLEARED
    await accepting.disinfect(piece)
    accepting.announce(Announcement(piece_id=PIECE, secrecy=Secrecy.A))
    answer = await accepting.journey.ask_gate(piece, accepting.at_gate(piece))
    assert isinstance(answer, Refusal)
    assert answer.reasons == (Reason.UNANNOUNCED,)
    assert accepting.known.state is PieceState.HELD


async def test_an_accepted_piece_that_nobody_announced_leaves(accepting: Feeding):
    piece = await accepting.arrive()
    await accepting.scan(piece)
    await accepting.disinfect(piece)
    answer = await accepting.journey.ask_gate(piece, accepting.at_gate(piece))
    assert not isinstance(answer, Refusal), answer
