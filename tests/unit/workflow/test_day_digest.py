"""Count and root tell whether a day is the same on both sides, and what differs is named by piece and sequence."""

import random

from station.ports.outbox import EventDigest
from station.workflow.day_digest import LEAF_DOMAIN, Difference, Finding, compare, day_root
from tests.support.store_facts import merkle_root


def digest(piece: int, sequence: int, body: str = "a", *, receipted: bool = True) -> EventDigest:
    return EventDigest(
        piece_id=f"P{piece}", sequence=sequence, event_id=f"S:P{piece}:{sequence}", body_sha256=body * 64, receipted=receipted
    )


def leaf(one: EventDigest) -> bytes:
    return f"{one.piece_id}\n{one.sequence}\nS:{one.piece_id}:{one.sequence}\n{one.body_sha256}".encode()


DAY = [digest(piece, sequence) for piece in range(4) for sequence in range(1, 4)]


def test_the_root_is_that_of_the_events_in_order_of_piece_and_sequence():
    assert day_root(DAY) == merkle_root([LEAF_DOMAIN + leaf(one) for one in DAY]).hex()
    shuffled = random.Random(3).sample(DAY, len(DAY))
    assert day_root(shuffled) == day_root(DAY)
    assert len({day_root(DAY[:-1]), day_root([*DAY[:-1], digest(3, 3, "b")]), day_root([*DAY, DAY[0]]), day_root(DAY), day_root([])}) == 5


def test_every_difference_is_named():
    theirs = [*DAY[1:5], digest(1, 3, "b"), *DAY[6:], digest(9, 1), DAY[7]]
    waiting = digest(8, 1, receipted=False)
    found = compare(DAY, [*DAY, waiting], theirs)
    assert found == (
        Finding(difference=Difference.MISSING, piece_id="P0", sequence=1),
        Finding(difference=Difference.DIFFERS, piece_id="P1", sequence=3),
        Finding(difference=Difference.TWICE, piece_id="P2", sequence=2),
        Finding(difference=Difference.UNKNOWN, piece_id="P9", sequence=1),
    )
    assert compare(DAY, [*DAY, waiting], DAY) == compare(DAY, [*DAY, waiting], [*DAY, waiting]) == ()
