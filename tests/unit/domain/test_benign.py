"""Which pieces may stand for harmless mail."""

from dataclasses import replace
from typing import Any

import pytest

from station.domain.benign import Unfit, first_scan
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.review import OperatorDecision, ReviewDecision, ReviewOutcome
from tests.support.site_store import released
from tests.support.store_facts import at

SHA = "a" * 64
IDENTIFIED, SCAN, READ, CLEARED = released("EE473124829VN", SHA)
PIECE = Piece(
    piece_id="EE473124829VN",
    state=PieceState.RELEASED,
    visit=1,
    state_since=at(),
    announcement=Announcement(piece_id="EE473124829VN"),
    announced=True,
)
REVIEW = ReviewDecision(piece_id=PIECE.piece_id, visit=1, at=at(9), scan_sha256=SHA, person="hoa", outcome=ReviewOutcome.CLEAR)
BY_MODEL = replace(CLEARED, authority=Authority.MODEL)
HELD = replace(READ, decision=OperatorDecision.HOLD)
SECRET = Announcement(piece_id=PIECE.piece_id, secrecy=Secrecy.C)


@pytest.mark.parametrize(
    "facts",
    [
        (IDENTIFIED, SCAN, READ, CLEARED),
        (IDENTIFIED, SCAN, HELD, CLEARED, REVIEW),
        (IDENTIFIED, SCAN, CLEARED, REVIEW),
        (IDENTIFIED, SCAN, replace(READ, blind=True), BY_MODEL),
        (IDENTIFIED, SCAN, READ, CLEARED, replace(SCAN, visit=2, sha256="b" * 64), replace(BY_MODEL, visit=2)),
    ],
)
def test_the_first_scan_of_a_piece_that_people_let_pass_serves(facts: tuple[Any, ...]):
    assert first_scan(PIECE, facts) == SCAN


@pytest.mark.parametrize(
    ("change", "facts", "why"),
    [
        ({"state": PieceState.CLEARED}, (IDENTIFIED, SCAN, READ, CLEARED), Unfit.NOT_RELEASED),
        ({"announcement": SECRET}, (IDENTIFIED, SCAN, READ, CLEARED), Unfit.MARKED),
        ({"announced": False}, (IDENTIFIED, SCAN, READ, CLEARED), Unfit.MARKED),
        # announced as unmarked only after it came: nobody knew what it was when it was scanned
        ({}, (replace(IDENTIFIED, secrecy=Secrecy.A), SCAN, READ, CLEARED), Unfit.MARKED),
        ({}, (SCAN, READ, CLEARED), Unfit.MARKED),
        ({"piece_id": "TEST-1"}, (IDENTIFIED, SCAN, READ, CLEARED), Unfit.NO_NAME),
        ({"piece_id": "LOCAL-1-1"}, (IDENTIFIED, SCAN, READ, CLEARED), Unfit.NO_NAME),
        ({}, (IDENTIFIED, replace(SCAN, visit=2), READ, CLEARED), Unfit.NO_SCAN),
        # the model let it through, or only its alarm brought it before people
        ({}, (IDENTIFIED, SCAN, BY_MODEL), Unfit.MODEL_CHOSE),
        ({}, (IDENTIFIED, SCAN, READ, BY_MODEL, REVIEW), Unfit.MODEL_CHOSE),
        ({}, (IDENTIFIED, SCAN, READ), Unfit.MODEL_CHOSE),
        ({}, (IDENTIFIED, SCAN, HELD, CLEARED), Unfit.NOBODY_CLEARED),
        ({}, (IDENTIFIED, SCAN, replace(READ, projected_sha256="f" * 64), CLEARED), Unfit.NOBODY_CLEARED),
        ({}, (IDENTIFIED, SCAN, replace(READ, scan_sha256="b" * 64), CLEARED), Unfit.NOBODY_CLEARED),
    ],
)
def test_what_might_not_be_harmless_or_was_chosen_by_the_model_does_not_serve(change: dict[str, Any], facts: tuple[Any, ...], why: Unfit):
    assert first_scan(replace(PIECE, **change), facts) is why
