"""Names of image keys, whose time is over, and who still needs an image."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.piece import PieceState, Secrecy
from station.domain.vault import ImageKey, Retention, ahead, due, level_name, level_named, needs_images, strictest

LEVELS = (*Secrecy, None)


def key(day: date, level: Secrecy | None = None, serial: str = "0badcafe") -> ImageKey:
    return ImageKey(day=day, level=level, serial=serial)


@given(st.dates(), st.sampled_from(LEVELS), st.integers(0, 2**32 - 1))
def test_a_keys_name_is_read_back(day: date, level: Secrecy | None, serial: int):
    one = key(day, level, f"{serial:08x}")
    assert ImageKey.parse(one.key_id) == one
    assert level_named(level_name(level)) is level


@pytest.mark.parametrize(
    "text", ["", "2026-11-20-A", "2026-13-20-A-0badcafe", "2026-11-20-D-0badcafe", "2026-11-20-A-0BADCAFE", "../2026-11-20-A-0badcafe"]
)
def test_other_texts_name_no_key(text: str):
    assert ImageKey.parse(text) is None


def test_an_image_counts_as_the_strictest_of_its_pieces():
    assert strictest([None, Secrecy.C, Secrecy.B]) is Secrecy.B
    assert strictest([None]) is None
    # Nobody knows whose it is.
    assert strictest([]) is Secrecy.A


@pytest.mark.parametrize(("level", "days"), [(Secrecy.A, 1), (Secrecy.B, 2), (Secrecy.C, 3), (None, 4)])
def test_a_key_is_due_when_its_whole_days_are_over(level: Secrecy | None, days: int):
    retention = Retention(days_a=1, days_b=2, days_c=3, days_unmarked=4)
    one = key(date(2026, 2, 27), level)
    last = date.fromordinal(one.day.toordinal() + days)
    assert due([one], retention, last) == ()
    assert due([one], retention, date.fromordinal(last.toordinal() + 1)) == (one,)
    assert due([one], retention, date(2026, 1, 1)) == ()


def test_keys_of_days_to_come_are_ahead_tomorrows_apart():
    # A station whose clock runs a little ahead makes tomorrow's key before midnight.
    keys = [key(date(2026, 3, day)) for day in (4, 1, 2, 3, 31)]
    assert ahead(keys, date(2026, 3, 1)) == (keys[0], keys[3], keys[4])
    assert ahead(keys, date(2026, 4, 1)) == ()


def test_the_oldest_goes_first():
    old, new = key(date(2026, 1, 1)), key(date(2026, 1, 2), Secrecy.A)
    assert due([new, old], Retention(), date(2027, 1, 1)) == (old, new)


def test_images_stay_while_a_piece_is_not_done_with_and_after_an_escape():
    gone = {PieceState.RELEASED, PieceState.RETURNED, PieceState.HANDED_OVER, PieceState.CANCELLED}
    assert {state for state in PieceState if not needs_images(state)} == gone
