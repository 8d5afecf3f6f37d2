import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sims.mail import KIND_SHARES, THREAT_SHARES, draw_mail, draw_piece, s10, s10_check_digit
from firmware_sims.mail_items import EVERYDAY
from firmware_sims.mail_layout import Place
from firmware_sims.test_piece import BARE_WIRES_X_MM, draw_test_piece


def drawn(seed: int, count: int):
    return draw_mail(np.random.default_rng(seed), count)


def test_check_digit_of_the_standard_example():
    assert s10_check_digit("47312482") == 9
    assert s10(47312482) == "EE473124829VN"


@given(st.integers(0, 99_999_999))
def test_identifiers_have_thirteen_characters_and_a_valid_digit(number: int):
    identifier = s10(number)
    assert len(identifier) == 13
    weighed = sum(int(digit) * weight for digit, weight in zip(identifier[2:10], (8, 6, 4, 2, 3, 5, 9, 7), strict=True))
    assert {0: 5, 1: 0}.get(weighed % 11, 11 - weighed % 11) == int(identifier[10])


def test_the_same_seed_draws_the_same_mail():
    first, second, other = drawn(5, 12), drawn(5, 12), drawn(6, 12)
    assert [piece.piece_id for piece in first] == [piece.piece_id for piece in second]
    assert [piece.piece_id for piece in first] != [piece.piece_id for piece in other]
    for one, two in zip(first, second, strict=True):
        assert one.weight_g == two.weight_g
        seen = [piece.body.transmission(tube_kv=160.0, line_mm=3.2, pixel_mm=3.2) for piece in (one, two)]
        np.testing.assert_array_equal(seen[0], seen[1])


def test_a_run_holds_what_it_promises():
    pieces = drawn(11, 200)
    assert len({piece.piece_id for piece in pieces}) == 200
    assert len({piece.serial for piece in pieces}) == 200
    assert sum(piece.truth == "threat" for piece in pieces) == 40
    assert {piece.kind for piece in pieces} == set(KIND_SHARES)
    assert 8 <= sum(piece.secrecy is not None for piece in pieces) <= 36
    assert {piece.secrecy for piece in pieces} == {None, "A", "B", "C"}
    assert {piece.urgency for piece in pieces} == {None, "hoa_toc", "hen_gio"}
    for piece in pieces:
        assert 100 <= piece.length_mm <= 450
        assert 50 <= piece.width_mm <= 380
        assert 3 < piece.weight_g < 12000
        assert piece.barcode == piece.piece_id
        assert (piece.threat_kind is None) == (piece.truth == "benign")
    threats = collections.Counter(piece.threat_kind for piece in pieces)
    assert set(threats) - {None} == {"blade", "handgun", "bomb", "powder", "dense_liquid", "shield"}


@pytest.mark.parametrize(("kind", "threat"), [(kind, threat) for kind, shares in THREAT_SHARES.items() for threat in shares])
def test_every_threat_can_be_seen_where_it_lies(kind: str, threat: str):
    piece = draw_piece(
        np.random.default_rng([3, len(kind), len(threat)]), serial=1, piece_id="EE473124829VN", threat_kind=threat, kind=kind
    )
    where = piece.body.threat_thickness_mm(line_mm=1.6, pixel_mm=1.6)
    seen = piece.body.transmission(tube_kv=160.0, line_mm=1.6, pixel_mm=1.6)
    assert where.shape == seen.shape[1:]
    assert (where > 0).sum() > 20
    assert seen[0][where > 0.05].mean() < seen[0][where == 0].mean()


def test_benign_pieces_have_no_threat_anywhere():
    piece = draw_piece(np.random.default_rng(9), serial=1, piece_id="EE473124829VN", kind="packet")
    assert piece.body.threat_thickness_mm(line_mm=2.0, pixel_mm=2.0).max() == 0


@pytest.mark.parametrize("name", sorted(EVERYDAY))
def test_everyday_things_stay_within_their_reach(name: str):
    item = EVERYDAY[name]
    for seed in range(12):
        parts = item.draw(np.random.default_rng([seed, 1]), Place(x_mm=0.0, y_mm=0.0))
        assert parts
        assert not any(part.threat for part in parts)
        for part in parts:
            x0, y0, x1, y1 = part.shape.bounds_mm()
            assert max(-x0, -y0, x1, y1) < item.reach_mm * 1.6


def test_darkness_alone_does_not_find_the_threats():
    # The generator must not hand the answer to whoever counts dark pixels: AUROC of the darkest share at most 0.85.
    darkness = {True: [], False: []}
    for piece in drawn(21, 240):
        low = piece.body.transmission(tube_kv=160.0, line_mm=3.2, pixel_mm=3.2)[0]
        darkness[piece.truth == "threat"].append(float(np.mean(low < 0.15)))
    wins = [(threat > benign) + 0.5 * (threat == benign) for threat in darkness[True] for benign in darkness[False]]
    assert 0.5 < float(np.mean(wins)) <= 0.85


def test_the_test_piece_is_always_the_same_and_shows_its_elements():
    piece, again = draw_test_piece(serial=1, number=1), draw_test_piece(serial=2, number=1)
    assert piece.piece_id == again.piece_id == "TEST-0001"
    seen = -np.log(piece.body.transmission(tube_kv=160.0, line_mm=0.8, pixel_mm=0.8))
    np.testing.assert_array_equal(seen, -np.log(again.body.transmission(tube_kv=160.0, line_mm=0.8, pixel_mm=0.8)))

    def at(x_mm: float, y_mm: float) -> np.ndarray:
        return seen[:, int(x_mm / 0.8), int(y_mm / 0.8)]

    steel = [at(39 + 30 * index, 12)[1] for index in range(6)]
    assert all(np.diff(steel) > 0.15)
    assert all(at(49 + 30 * index, 20)[1] > steel[index] + 0.003 for index in range(6))
    carrier = at(15, 100)
    depths = []
    for x in BARE_WIRES_X_MM.values():
        row = int(x / 0.8)
        depths.append(seen[0, row - 2 : row + 3, int(58 / 0.8)].sum() - 5 * carrier[0])
    assert all(np.diff(depths) < 0)
    assert depths[-1] > 0.005
    for disc in ((14, 14), (286, 14), (14, 186), (250, 186)):
        assert at(*disc)[1] > 4
    organic, inorganic = at(109, 130) - carrier, at(109, 158) - carrier
    assert organic[0] / organic[1] < 1.3
    assert inorganic[0] / inorganic[1] > 1.7


@pytest.mark.parametrize(("turn_deg", "backwards"), [(3.0, False), (-3.0, True), (0.0, True)])
def test_the_test_piece_may_lie_crooked_and_backwards(turn_deg: float, backwards: bool):
    straight, laid = draw_test_piece(serial=1, number=1), draw_test_piece(serial=2, number=1, turn_deg=turn_deg, backwards=backwards)
    assert laid.weight_g == pytest.approx(straight.weight_g, rel=0.01)
    assert laid.length_mm >= straight.length_mm
    seen = laid.body.transmission(tube_kv=160.0, line_mm=0.8, pixel_mm=0.8)[1]
    angle = np.radians(turn_deg) + (np.pi if backwards else 0.0)
    u, v = 250.0 - 150.0, 186.0 - 100.0
    x = laid.length_mm / 2 + u * np.cos(angle) - v * np.sin(angle)
    y = laid.width_mm / 2 + u * np.sin(angle) + v * np.cos(angle)
    assert seen[int(x / 0.8), int(y / 0.8)] < 0.02


def test_the_test_piece_is_not_laid_askew():
    with pytest.raises(ValueError, match="turn_deg"):
        draw_test_piece(serial=1, number=1, turn_deg=40.0)
