from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firmware_sims.body import ThingBody
from firmware_sims.mail import NEWEST_GENERATION, draw_piece
from firmware_sims.mail_catalogue import CLASSES, LABELS
from training.conditions import LEAST, MOST, NOMINAL, Conditions, detected, draw_conditions, from_json, projected, variance
from training.contact_sheet import read_piece, write_sheet
from training.make_dataset import Recipe, drawn_piece, labels, piece_file, shown, written
from training.survey import report, surveyed
from training.visibility import visibility

RECIPE = Recipe(seed=9, threat_share=0.6, generation=NEWEST_GENERATION)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    assert sum(written(out, RECIPE, range(14), jobs=1)) == 14
    return out


def test_a_set_depends_on_seed_and_number_alone_and_is_taken_up_where_it_was_left(folder: Path, tmp_path: Path):
    first = piece_file(folder, RECIPE.seed, 0)
    before = first.stat().st_mtime_ns
    piece_file(folder, RECIPE.seed, 3).rename(tmp_path / "kept.npz")
    list(written(folder, RECIPE, range(14), jobs=1))
    assert first.stat().st_mtime_ns == before
    with np.load(tmp_path / "kept.npz") as kept, np.load(piece_file(folder, RECIPE.seed, 3)) as again:
        assert set(kept) == set(again)
        for name in kept:
            np.testing.assert_array_equal(kept[name], again[name])


def test_files_say_what_is_in_the_piece(folder: Path):
    kinds = set()
    for number in range(14):
        piece = drawn_piece(RECIPE.seed, number, threat_share=0.6, generation=NEWEST_GENERATION)
        read = read_piece(piece_file(folder, RECIPE.seed, number))
        assert (read.kind, read.threat_kind) == (piece.kind, piece.threat_kind or "")
        assert read.mask.shape == tuple(-(-side // 4) for side in read.t.shape[1:])
        named = {CLASSES[value - 1] for value in np.unique(read.mask) if value}
        assert named <= {read.threat_kind, "shield"} - {""}
        assert (read.visibility > 0) == bool(read.threat_kind)
        assert read.conspicuity <= read.visibility
        assert 100 <= read.conditions.tube_kv <= 180
        kinds.add(read.kind)
    assert len(kinds) > 2


@pytest.mark.parametrize("threat", ["handgun", "powder"])
def test_drawing_apart_gives_what_the_beam_sees(threat: str):
    piece = draw_piece(
        np.random.default_rng(2), serial=1, piece_id="X", kind="small_parcel", threat_kind=threat, generation=NEWEST_GENERATION
    )
    seen = shown(piece, NOMINAL)
    whole = piece.body.transmission(tube_kv=160.0, line_mm=0.8, pixel_mm=0.8)
    assert np.abs(seen.t - whole).mean() < 1e-4
    assert (seen.without >= seen.t - 1e-5).all()
    changed = np.abs(seen.without - seen.t).max(axis=0) > 0.02
    covered = np.kron(seen.mask > 0, np.ones((4, 4), bool))[: changed.shape[0], : changed.shape[1]]
    assert covered[changed].mean() > 0.97


def test_labels_name_everyday_things_where_they_lie():
    piece = drawn_piece(4, 1, threat_share=1.0, kind="small_parcel", generation=NEWEST_GENERATION)
    assert isinstance(piece.body, ThingBody)
    seen = shown(piece, NOMINAL)
    found = labels(piece, seen.mask, NOMINAL)
    np.testing.assert_array_equal(found[seen.mask > 0], seen.mask[seen.mask > 0])
    things = {part.thing for part in piece.body.parts if part.thing}
    named = {LABELS[value - 1] for value in np.unique(found) if value}
    assert things
    assert named <= things | set(CLASSES)
    assert len(named & things) >= len(things) - 1
    for name in named & things:
        less = replace(piece.body, parts=tuple(part for part in piece.body.parts if part.thing != name))
        without = shown(replace(piece, body=less), NOMINAL).t
        changed = np.abs(without - seen.t).max(axis=0)
        where = np.kron(found == 1 + LABELS.index(name), np.ones((4, 4), bool))[: changed.shape[0], : changed.shape[1]]
        assert changed[where].mean() > 5 * changed[~where].mean()


def test_conditions_survive_writing_and_reach_every_scanner():
    drawn = [draw_conditions(np.random.default_rng(seed)) for seed in range(300)]
    assert from_json(drawn[0].as_json()) == drawn[0]
    assert {one.tube_kv for one in drawn} == set(range(100, 190, 10))
    pixels = np.asarray([one.pixel_mm for one in drawn])
    assert 0.4 <= pixels.min() < 0.6
    assert 2.5 < pixels.max() <= 3.2
    assert any(one.dead for one in drawn)
    assert any(one.slip_mm < -0.3 for one in drawn)


def test_a_scan_is_as_noisy_as_its_variance_says():
    t = np.full((2, 300, 300), 0.25, np.float32)
    calm = Conditions(column_spread=0.0)
    scans = np.stack([detected(t, calm, np.random.default_rng(seed)) for seed in range(6)])
    assert scans.var(axis=(0, 2, 3)) == pytest.approx(variance(t, calm).mean(axis=(1, 2)), rel=0.02)
    broken = detected(t, Conditions(dead=1, hot=1), np.random.default_rng(1))
    assert broken.min() == pytest.approx(LEAST)
    assert 1.1 < broken.max() < MOST
    assert projected(t, Conditions(pixel_mm=1.6)).shape == (2, 150, 150)


def test_visibility_is_contrast_over_noise_times_root_of_area_and_structure_hides():
    without = np.full((2, 200, 200), 0.5, np.float32)
    thing = without.copy()
    thing[:, 80:100, 80:120] *= 0.99
    noise = variance(without, NOMINAL)[:, 0, 0]
    expected = np.sqrt((0.005**2 / noise).sum() * 800)
    seen, apart = visibility(thing, without, NOMINAL)
    assert seen == pytest.approx(expected, rel=1e-3)
    assert apart == pytest.approx(seen, rel=1e-3)
    assert visibility(without, without, NOMINAL) == (0.0, 0.0)
    grainy = without * (1 + 0.05 * np.random.default_rng(1).standard_normal(without.shape, dtype=np.float32))
    assert visibility(grainy * thing / without, grainy, NOMINAL)[1] < 0.1 * seen


def test_the_sheet_and_the_survey_are_written(folder: Path, tmp_path: Path):
    write_sheet(tmp_path / "sheet.png", sorted(folder.glob("*.npz")), seed=1)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    text = report(surveyed(folder))
    assert "AUROC of darkness" in text
    with pytest.raises(FileNotFoundError, match="draw some"):
        surveyed(tmp_path / "nowhere")
