"""A station knows a piece's kind by its announcement alone: calibration, fit and judgement go by that, sorts as mail brings them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from firmware_sims.mail import GENERATIONS, NEWEST_GENERATION
from firmware_sims.mail_room import ANNOUNCED_KINDS as MAIL_ROOM_ANNOUNCES
from station.screening.manifest import ANNOUNCED_KINDS
from training import calibrate, views
from training.bench import Bench
from training.kinds import MAIL_KINDS, announced, drawn_sort, sorts_of, threats_of
from training.make_dataset import Recipe, written
from training.pieces import read_set
from training.unseen_mail import generator

DRAWN = GENERATIONS[NEWEST_GENERATION]


def test_sorts_are_announced_as_the_mail_room_announces_them():
    assert {sort: announced(sort) for sort in DRAWN.kind_shares} == MAIL_ROOM_ANNOUNCES
    assert set(MAIL_ROOM_ANNOUNCES.values()) == set(MAIL_KINDS)
    assert announced("baggage_like") == "baggage_like"


def test_sorts_of_a_kind_come_as_mail_brings_them():
    rng = np.random.default_rng(1)
    for kind, sorts in (("parcel", ("document_parcel", "small_parcel")), ("unknown", tuple(DRAWN.kind_shares)), ("packet", ("packet",))):
        count = Counter(drawn_sort(rng, DRAWN, kind) for _ in range(6000))
        whole = sum(DRAWN.kind_shares[sort] for sort in sorts)
        assert set(count) == set(sorts)
        for sort in sorts:
            share = DRAWN.kind_shares[sort] / whole
            # five standard errors
            assert abs(count[sort] / 6000 - share) <= 5 * (share * (1 - share) / 6000) ** 0.5


def test_a_forbidden_thing_comes_in_the_sorts_that_carry_it_alone():
    first = GENERATIONS[1]
    assert sorts_of(first, "parcel", "dense_liquid") == ["small_parcel"]
    assert {drawn_sort(np.random.default_rng(seed), first, "parcel", "dense_liquid") for seed in range(20)} == {"small_parcel"}
    assert "handgun" not in threats_of(DRAWN, "envelope")
    assert set(threats_of(DRAWN, "parcel")) == set(DRAWN.threat_shares["small_parcel"])
    with pytest.raises(ValueError, match="announced as 'envelope' is drawn with handgun"):
        drawn_sort(np.random.default_rng(1), DRAWN, "envelope", "handgun")
    # a sort is no kind: whoever asks for pieces by it would judge by what no announcement says
    with pytest.raises(ValueError, match="announced as 'small_parcel'"):
        drawn_sort(np.random.default_rng(1), DRAWN, "small_parcel")


def test_calibration_scores_are_of_the_kinds_that_are_announced():
    orders = calibrate.benign_orders(calibrate.CALIBRATION_SEED, 3)
    assert Counter(order.kind for order in orders) == dict.fromkeys(ANNOUNCED_KINDS, 3)
    assert {order.drawn().kind for order in orders if order.kind == "parcel"} <= {"document_parcel", "small_parcel"}
    found = calibrate.Scored(
        kinds=["parcel", "unknown", "packet", "parcel", "envelope"],
        threats=["", "", "", "blade", ""],
        scores=[0.4, 0.3, 0.2, 0.9, 0.1],
    )
    assert calibrate.calibration_scores(found) == {"envelope": [0.1], "packet": [0.2], "parcel": [0.4], "unknown": [0.3]}
    carried = {(order.kind, order.threat) for order in calibrate.threat_orders(1, 1)}
    assert carried == {(kind, threat) for kind in MAIL_KINDS for threat in threats_of(DRAWN, kind)}
    assert {order.kind for order in calibrate.mail_orders(1, 3)} == {"unknown"}


def test_a_scan_on_the_bench_says_what_tracking_would():
    source = generator(NEWEST_GENERATION)
    piece = source.draw(5, "parcel", "blade", 0)
    assert piece.kind in {"document_parcel", "small_parcel"}
    assert Bench(1, pixels=128).scan(piece).kind == "parcel"


def test_held_pieces_are_checked_in_groups_that_have_a_threshold(tmp_path: Path):
    list(written(tmp_path, Recipe(seed=3, kind="small_parcel", generation=NEWEST_GENERATION), range(1), jobs=1))
    (piece,) = read_set(tmp_path)
    assert [view.group for view in views._seen(0, piece)] == ["parcel"]
