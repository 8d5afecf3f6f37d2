"""Who hands a shift over, with what words, and who may take it over."""

from dataclasses import replace
from datetime import timedelta

import pytest
from domain_facts import LATER, NOW
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import RefusedError
from station.domain.piece import Secrecy
from station.domain.shift import (
    NotHandedOverError,
    OpenCounts,
    SamePersonError,
    ShiftHandedOver,
    ShiftTakenError,
    ShiftTakenOver,
    WordsHiddenError,
    hand_over,
    take_over,
)

SHIFT, SERIAL = "2026-06-01-2", 62_184
STANDING = OpenCounts(held_pieces=4, open_claims=3, standing_alarms=2, frozen_lanes=1)
LEVELS = (None, Secrecy.C, Secrecy.B, Secrecy.A)
"""From the lowest clearance to the highest."""

HANDED_OVER = ShiftHandedOver(
    piece_id="SHIFT",
    visit=SERIAL,
    at=NOW,
    shift=SHIFT,
    person="Lan Anh",
    clearance=Secrecy.B,
    note="Cổng 2 kẹt",
    held_pieces=4,
    open_claims=3,
    standing_alarms=2,
    frozen_lanes=1,
)
TAKEN_OVER = ShiftTakenOver(
    piece_id="SHIFT", visit=SERIAL, at=LATER, shift=SHIFT, handed_over_by="Lan Anh", handed_over_at=NOW, person="Minh"
)


def handed(*facts: object, person: str = "Lan Anh", note: str = "Cổng 2 kẹt") -> ShiftHandedOver:
    return hand_over(facts, serial=SERIAL, shift=SHIFT, person=person, clearance=Secrecy.B, note=note, standing=STANDING, at=NOW)


def taken(*facts: object, person: str = "Minh", clearance: Secrecy | None = Secrecy.B) -> ShiftTakenOver:
    return take_over(facts, person=person, clearance=clearance, handed_over_at=NOW, at=LATER)


def test_who_hands_over_leaves_words_and_what_is_open():
    assert handed() == HANDED_OVER
    assert handed(person="  Lan \n Anh", note=" Cổng  2\tkẹt ") == HANDED_OVER
    assert handed(note="") == replace(HANDED_OVER, note="")


def test_new_words_of_anybody_go_before_older_ones():
    assert handed(HANDED_OVER, person="Hoa") == replace(HANDED_OVER, person="Hoa")
    newer = replace(HANDED_OVER, at=LATER, person="Hoa", note="Cổng 2 đã sửa")
    over = take_over([HANDED_OVER, newer], person="Minh", clearance=Secrecy.A, handed_over_at=LATER, at=LATER)
    assert over == replace(TAKEN_OVER, handed_over_by="Hoa", handed_over_at=LATER)


@pytest.mark.parametrize(("person", "note"), [("", "x"), ("n" * 81, "x"), ("Lan", "n" * 1001), ("Lan", "\x1b[2J")])
def test_words_and_names_that_cannot_be_shown_are_refused(person: str, note: str):
    with pytest.raises(RefusedError) as refused:
        handed(person=person, note=note)
    assert refused.value.consequence == "Nothing was changed"


def test_another_person_takes_over_who_has_read_the_newest_words():
    assert taken(HANDED_OVER) == TAKEN_OVER
    assert taken(HANDED_OVER, person=" Minh ") == TAKEN_OVER


@pytest.mark.parametrize(
    "facts",
    [
        (),
        ("something else",),
        (replace(HANDED_OVER, at=LATER),),
        (replace(HANDED_OVER, at=NOW - timedelta(microseconds=1)),),
        (HANDED_OVER, replace(HANDED_OVER, at=LATER, person="Hoa")),
    ],
)
def test_nobody_takes_over_words_that_were_never_said_or_are_not_the_newest(facts: tuple[object, ...]):
    with pytest.raises(NotHandedOverError, match="with these words") as refused:
        taken(*facts)
    assert refused.value.code == "shift-not-handed-over"
    assert refused.value.consequence == "Nothing was recorded"
    assert refused.value.remedy


@pytest.mark.parametrize("person", ["Lan Anh", " lan  ANH "])
def test_nobody_takes_over_from_themselves(person: str):
    with pytest.raises(SamePersonError, match="hands this shift over") as refused:
        taken(HANDED_OVER, person=person, clearance=Secrecy.A)
    assert refused.value.code == "shift-same-person"
    assert refused.value.consequence == "Nothing was recorded"
    assert refused.value.remedy


@pytest.mark.parametrize("writer", LEVELS)
@pytest.mark.parametrize("reader", LEVELS)
def test_nobody_confirms_words_of_somebody_with_more_clearance(writer: Secrecy | None, reader: Secrecy | None):
    words = replace(HANDED_OVER, clearance=writer)
    if LEVELS.index(reader) >= LEVELS.index(writer):
        assert taken(words, clearance=reader) == TAKEN_OVER
        return
    with pytest.raises(WordsHiddenError, match="Lan Anh has more clearance than Minh") as refused:
        taken(words, clearance=reader)
    assert refused.value.code == "shift-words-hidden"
    assert refused.value.consequence == "Nothing was recorded"
    assert refused.value.remedy


@given(st.lists(st.sampled_from([HANDED_OVER, replace(HANDED_OVER, person="Hoa")]), max_size=4), st.integers(0, 4))
def test_once_taken_over_a_shift_takes_no_more_words_and_nobody_else(facts: list[ShiftHandedOver], place: int):
    facts_and_end = [*facts[:place], TAKEN_OVER, *facts[place:]]
    for attempt in (handed, taken):
        with pytest.raises(ShiftTakenError, match=f"Minh has taken shift {SHIFT} over from Lan Anh") as refused:
            attempt(*facts_and_end, person="Tuấn")
        assert refused.value.code == "shift-taken-over"
        assert refused.value.consequence == "Nothing was recorded"
        assert refused.value.remedy


def test_nobody_takes_a_responsibility_without_a_name():
    with pytest.raises(RefusedError, match="Nobody took the responsibility"):
        taken(HANDED_OVER, person="  ")
