import json
from pathlib import Path

import numpy as np
import pytest

from firmware_sims.mail import GENERATIONS, NEWEST_GENERATION, THREAT_SHARES, Piece, draw_mail, draw_piece
from firmware_sims.mail_catalogue import CLASSES, KIND_SHARES, THINGS
from firmware_sims.mail_layout import Place
from firmware_sims.tumble import Fall, tumbled

SECOND = GENERATIONS[NEWEST_GENERATION]
# Per generation and piece: kind, threat, length, width, height, weight, means and spreads of LE and HE. Those of the first were taken from
# the code as it was before there was a second.
FINGERPRINTS = json.loads(Path(__file__).with_name("mail_fingerprints.json").read_text(encoding="utf-8"))


def fingerprint(piece: Piece) -> list[object]:
    # Sums over a picture, not its bits: another processor adds up in another order.
    seen = piece.body.transmission(tube_kv=160.0, line_mm=3.2, pixel_mm=3.2)
    shades = [round(float(one), 6) for one in (seen[0].mean(), seen[1].mean(), seen[0].std(), seen[1].std())]
    return [piece.kind, piece.threat_kind, piece.length_mm, piece.width_mm, piece.height_mm, piece.weight_g, *shades]


def assert_the_same(pieces: list[Piece], generation: int):
    expected = FINGERPRINTS[str(generation)]
    assert len(pieces) == len(expected)
    for piece, (kind, threat, *numbers) in zip(pieces, expected, strict=True):
        drawn_kind, drawn_threat, *drawn = fingerprint(piece)
        assert (drawn_kind, drawn_threat) == (kind, threat)
        assert drawn == pytest.approx(numbers, rel=1e-5, abs=5e-6)


def of_second(kind: str, threat: str | None, seed: int = 3) -> Piece:
    rng = np.random.default_rng([seed, len(kind), sum((threat or "").encode())])
    return draw_piece(rng, serial=1, piece_id="X", kind=kind, threat_kind=threat, generation=NEWEST_GENERATION)


def test_the_first_generation_still_draws_the_same():
    # The shipped model, its calibration, the demo and the campaign stand on these pieces.
    pieces = draw_mail(np.random.default_rng(2026), 16)
    for kind, shares in THREAT_SHARES.items():
        for threat in (None, *shares):
            rng = np.random.default_rng([7, len(kind), len(threat or "")])
            pieces.append(draw_piece(rng, serial=1, piece_id="X", kind=kind, threat_kind=threat))
    assert_the_same(pieces, 1)


def frozen_pieces() -> list[Piece]:
    return [of_second(kind, threat) for kind in SECOND.packers for threat in (None, *list(SECOND.threat_shares[kind])[::2])]


def test_the_second_generation_is_frozen():
    # Whoever means to change what it draws adds a third one: models, thresholds and figures name the generation that they stand on.
    assert_the_same(frozen_pieces(), NEWEST_GENERATION)


@pytest.mark.parametrize("kind", SECOND.packers)
def test_every_forbidden_thing_is_seen_and_named_in_each_kind_that_holds_it(kind: str):
    for threat in SECOND.threat_shares[kind]:
        piece = of_second(kind, threat, seed=4)
        assert 100 <= piece.length_mm <= 450
        assert 50 <= piece.width_mm <= 380
        assert threat in {part.threat_class for part in piece.body.parts if part.threat}
        where = piece.body.threat_thickness_mm(line_mm=1.6, pixel_mm=1.6)
        assert where.shape == piece.body.transmission(tube_kv=100.0, line_mm=1.6, pixel_mm=1.6).shape[1:]
        assert (where > 0).sum() > 20, threat
    benign = of_second(kind, None)
    assert not any(part.threat for part in benign.body.parts)


def test_mail_of_the_second_generation_holds_all_classes_and_no_bags():
    assert set(CLASSES) == {name for shares in SECOND.threat_shares.values() for name in shares}
    assert len(CLASSES) == 12
    assert "baggage_like" in SECOND.packers
    assert "baggage_like" not in KIND_SHARES
    pieces = draw_mail(np.random.default_rng(12), 30, generation=NEWEST_GENERATION)
    assert {piece.kind for piece in pieces} <= set(KIND_SHARES)


@pytest.mark.parametrize("name", sorted(THINGS))
def test_a_thing_stays_within_its_reach_and_keeps_its_mass_on_edge(name: str):
    item = THINGS[name]
    flat = item.draw(np.random.default_rng([7, 1]), Place(x_mm=0.0, y_mm=0.0))
    for part in flat:
        x0, y0, x1, y1 = part.shape.bounds_mm()
        assert max(-x0, -y0, x1, y1) < item.reach_mm * 1.6
    upright = tumbled(flat, Fall(at=Place(x_mm=0.0, y_mm=0.0, angle_rad=0.4), tilt_rad=1.2, about_rad=0.7))
    assert [part.material for part in upright] == [part.material for part in flat]
