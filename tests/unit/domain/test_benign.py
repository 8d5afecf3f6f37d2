"""Which pieces may stand for harmless mail."""

from dataclasses import replace
from typing import Any

import pytest

from station.domain.benign import BenignScan, Unfit, first_scan
from station.domain.clearance import Outcome
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.review import OperatorDecision, ReviewDecision, ReviewOutcome
from station.domain.scan import ModelReading
from tests.support.site_store import released
from tests.support.store_facts import at

SHA = "a" * 64
IDENTIFIED, SCAN, _READ, CLEARED = released("EE473124829VN", SHA)
READ = replace(_READ, blind=False)
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
BLIND = replace(READ, blind=True)
HELD = replace(READ, decision=OperatorDecision.HOLD)
SECRET = Announcement(piece_id=PIECE.piece_id, secrecy=Secrecy.C)


READING = ModelReading(
    piece_id=PIECE.piece_id,
    visit=1,
    at=at(2),
    scan_sha256=SHA,
    model_sha256="m" * 64,
    score=0.9,
    threshold=0.5,
    p_value=0.01,
    calibration_n=0,
    kind="packet",
    duration_ms=1.0,
)


@pytest.mark.parametrize(
    ("facts", "blind"),
    [
        ((IDENTIFIED, SCAN, READ, CLEARED), False),
        ((IDENTIFIED, SCAN, HELD, CLEARED, REVIEW), False),
        ((IDENTIFIED, SCAN, CLEARED, REVIEW), False),
        # in the blind sample: whoever else clears, and although an alarm held it until people looked again
        ((IDENTIFIED, SCAN, BLIND, CLEARED), True),
        ((IDENTIFIED, SCAN, BLIND, BY_MODEL), True),
        ((IDENTIFIED, SCAN, READING, BLIND, replace(BY_MODEL, outcome=Outcome.HELD), REVIEW), True),
        ((IDENTIFIED, SCAN, replace(HELD, blind=True), BY_MODEL, REVIEW), True),
        ((IDENTIFIED, SCAN, READ, CLEARED, replace(SCAN, visit=2, sha256="b" * 64), replace(BY_MODEL, visit=2)), False),
        # a later scan was read blind, not the one that serves
        ((IDENTIFIED, SCAN, READ, CLEARED, replace(BLIND, visit=2, scan_sha256="b" * 64)), False),
    ],
)
def test_the_first_scan_of_a_piece_that_people_let_pass_serves(facts: tuple[Any, ...], blind: bool):
    found = first_scan(PIECE, facts)
    assert isinstance(found, BenignScan)
    assert (found.scan, found.blind) == (SCAN, blind)


def test_a_piece_is_of_the_kind_that_it_had_when_the_model_read_it():
    facts = (IDENTIFIED, SCAN, BLIND, BY_MODEL)
    assert first_scan(PIECE, facts).kind == "unknown"
    projected = replace(READING, kind="parcel", projected_sha256="f" * 64)
    assert first_scan(PIECE, (*facts, projected, replace(READING, kind="parcel", scan_sha256="b" * 64), READING)).kind == "packet"


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
