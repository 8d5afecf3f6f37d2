"""A receiver in doubt is asked with one event now and then; one poisonous piece slows nobody."""

import random

from station.tracking.pacing import IN_DOUBT_FROM, Pace

CHANCE = random.Random(1)


def failed(pace: Pace, pieces: int, now_s: float = 0.0) -> Pace:
    for number in range(pieces):
        pace = pace.failed(f"P{number}", now_s, CHANCE)
    return pace


def test_one_piece_that_always_fails_slows_nobody():
    pace = Pace()
    for now_s in range(100):
        pace = pace.failed("P1", float(now_s), CHANCE)
    assert pace.room(100.0, most=8, active=3) == 5


def test_many_pieces_that_fail_put_the_receiver_in_doubt_until_something_works():
    pace = failed(Pace(), IN_DOUBT_FROM - 1)
    assert pace.room(0.0, most=8, active=0) == 8
    pace = failed(Pace(), IN_DOUBT_FROM)
    assert pace.room(1.0, most=8, active=0) == 1
    assert pace.room(1.0, most=8, active=1) == 0
    waits = []
    for _ in range(40):
        now_s = pace.not_before_s
        pace = pace.failed("P1", now_s, CHANCE)
        waits.append(pace.not_before_s - now_s)
    assert max(waits) <= 300 < 2 * max(waits)
    assert pace.answered(now_s).room(pace.not_before_s, most=8, active=0) == 8


def test_what_the_receiver_asks_for_counts_for_every_event_and_at_most_five_minutes():
    pace = Pace().failed("P1", 10.0, CHANCE, retry_after_s=30.0)
    # One piece may be told so for its own sake.
    assert pace.room(10.0, most=8, active=0) == 8
    pace = pace.failed("P2", 10.0, CHANCE, retry_after_s=30.0)
    assert (pace.room(39.9, most=8, active=0), pace.room(40.0, most=8, active=0)) == (0, 8)
    assert failed(Pace(), 1).failed("P2", 0.0, CHANCE, retry_after_s=1e9).not_before_s == 300.0


def test_a_receiver_that_is_gone_is_asked_every_five_minutes():
    pace = Pace().told_gone(100.0)
    assert (pace.room(399.9, most=8, active=0), pace.room(400.0, most=8, active=0)) == (0, 1)
    pace = pace.failed("P1", 400.0, CHANCE)
    assert (pace.room(699.9, most=8, active=0), pace.room(700.0, most=8, active=0)) == (0, 1)
    # A refusal is no receipt: one event every five minutes, still.
    pace = pace.answered(700.0)
    assert (pace.gone, pace.room(999.9, most=8, active=0), pace.room(1000.0, most=8, active=0)) == (True, 0, 1)
