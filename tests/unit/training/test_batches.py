"""Sets are mapped and batches made without torch; what is checked here is what training relies on."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from firmware_sims.mail import NEWEST_GENERATION
from firmware_sims.mail_catalogue import CLASSES, LABELS
from station.screening.spots import THREAT_CLASSES
from training.augment import Sample, cropped, pictured, resized, stacked, turned
from training.batches import BAGS, SHAPES, Batches, made_ahead
from training.make_dataset import Recipe, written
from training.pieces import HELD_EVERY, INDEX_FILE, Stored, forbidden, read_set, split


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    list(written(out, Recipe(seed=21, threat_share=0.6, kind="envelope", generation=NEWEST_GENERATION), range(12), jobs=1))
    return out


def test_a_mapped_piece_is_the_piece_in_its_file(folder: Path):
    pieces = read_set(folder)
    assert len(pieces) == 12
    for piece in pieces:
        with np.load(piece.file) as stored:
            np.testing.assert_allclose(piece.crop(slice(3, 40), slice(5, 50)), stored["t"][:, 3:40, 5:50] / 65535, atol=1e-6)
            np.testing.assert_array_equal(piece.labels(), stored["labels"])
            np.testing.assert_array_equal(np.where(forbidden(piece.labels()), piece.labels(), 0), stored["mask"])
            assert (piece.kind, piece.threat, piece.generation) == (str(stored["kind"]), str(stored["threat_kind"]), NEWEST_GENERATION)
            held = {CLASSES[int(one) - 1] for one in np.unique(stored["mask"]) if one}
        assert {name for at, name in enumerate(CLASSES) if piece.classes >> at & 1} == held
        assert piece.taken().tube_kv >= 100


def test_the_index_is_made_anew_when_the_set_has_changed(folder: Path, tmp_path: Path):
    before = read_set(folder)
    assert read_set(folder) == before
    for piece in before[:3]:
        (tmp_path / piece.file.name).write_bytes(piece.file.read_bytes())
    assert len(read_set(tmp_path)) == 3
    (tmp_path / before[0].file.name).unlink()
    assert [one.file.name for one in read_set(tmp_path)] == [one.file.name for one in before[1:3]]
    np.savez_compressed(tmp_path / before[0].file.name, t=np.ones((2, 4, 4), np.uint16), mask=np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="compressed"):
        read_set(tmp_path)
    for file in tmp_path.glob("*.npz"):
        if file.name != INDEX_FILE:
            file.unlink()
    with pytest.raises(FileNotFoundError, match="no pieces"):
        read_set(tmp_path)


def test_batches_depend_on_seed_and_number_alone(folder: Path):
    pieces = read_set(folder)
    one, other = Batches(pieces, seed=3), Batches(pieces, seed=3)
    last, first = one[7], one[0]
    np.testing.assert_array_equal(other[7].channels, last.channels)
    np.testing.assert_array_equal(other[0].labels, first.labels)
    assert not np.array_equal(Batches(pieces, seed=4)[7].labels, last.labels)
    for batch in (first, last):
        count, side = batch.channels.shape[0], batch.channels.shape[2]
        assert (count, side) in SHAPES
        assert batch.channels.shape == (count, 4, side, side)
        assert batch.labels.shape == (count, side // 4, side // 4)
        assert batch.channels.dtype == np.float32
        assert np.isfinite(batch.channels).all()
        assert batch.labels.max() <= len(LABELS)


def test_batches_made_ahead_by_workers_are_those_in_order(folder: Path):
    batches = Batches(read_set(folder), seed=3)
    with closing(made_ahead(batches, 5, workers=2)) as ahead:
        for step in (5, 6, 7):
            made = next(ahead)
            np.testing.assert_array_equal(made.channels, batches[step].channels)
            np.testing.assert_array_equal(made.labels, batches[step].labels)


def test_a_crop_shows_the_forbidden_thing_where_its_labels_say(folder: Path):
    piece = next(one for one in read_set(folder) if one.threat)
    rng = np.random.default_rng(5)
    for _ in range(6):
        sample = turned(cropped(piece, 160, rng), rng)
        assert sample.t.shape == (2, 160, 160)
        assert sample.labels.shape == (40, 40)
    small = cropped(piece, 1024, rng)
    # the piece lies whole in its air, labels and picture moved alike
    assert (small.labels > 0).sum() == (piece.labels() > 0).sum()
    rows, columns = (np.flatnonzero((small.t[0] < 0.999).any(axis=axis)) for axis in (1, 0))
    hot = np.argwhere(forbidden(small.labels))
    assert rows[0] <= 4 * hot[:, 0].max() <= rows[-1] + 4
    assert columns[0] <= 4 * hot[:, 1].max() <= columns[-1] + 4


def test_a_picture_keeps_order_and_a_resized_one_keeps_the_thing(folder: Path):
    piece = next(one for one in read_set(folder) if one.threat)
    rng = np.random.default_rng(6)
    sample = cropped(piece, 320, rng)
    seen = pictured(sample.t, rng)
    assert seen.shape == sample.t.shape
    assert ((seen > 0) & (seen <= 1)).all()
    dark, clear = sample.t[0] < 0.75, sample.t[0] > 0.98
    assert seen[0][clear].mean() > seen[0][dark].mean()
    small = resized(sample, 224)
    assert small.t.shape == (2, 224, 224)
    assert small.labels.shape == (56, 56)
    assert (small.labels > 0).mean() == pytest.approx((sample.labels > 0).mean(), abs=0.01)


def test_what_is_forbidden_is_seen_through_a_pile():
    t = np.full((2, 4, 4), 0.5, np.float32)
    spanner = 1 + LABELS.index("spanner")
    book, blade, nothing = 1 + LABELS.index("book"), 1 + LABELS.index("blade"), 0
    first = Sample(t, np.asarray([[spanner, spanner, nothing, blade, nothing]], np.uint8))
    second = Sample(t, np.asarray([[book, blade, book, book, nothing]], np.uint8))
    pile = stacked(first, second)
    assert pile.labels.tolist() == [[spanner, blade, book, blade, nothing]]
    assert (pile.t == 0.25).all()


def stored(kind: str, threat: str, classes: tuple[str, ...] = ()) -> Stored:
    bits = sum(1 << CLASSES.index(name) for name in classes)
    return Stored(
        file=Path("none"),
        offset=0,
        shape=(64, 64),
        labels_offset=0,
        kind=kind,
        threat=threat,
        classes=bits,
        conditions="{}",
        generation=NEWEST_GENERATION,
    )


def classes_of(piece: Stored) -> set[str]:
    return {name for at, name in enumerate(CLASSES) if piece.classes >> at & 1}


def test_what_is_held_is_never_trained_on_and_a_class_left_out_is_neither_trained_nor_fitted_on():
    # the number of a set's sorts and HELD_EVERY have no divisor in common, so that every sort is among what is held
    sorts = [
        ("blade", ("blade",)),
        ("bomb", ("bomb", "shield")),
        ("", ()),
        ("shield", ()),
        ("bomb", ("bomb",)),
        ("powder", ("powder",)),
        ("", ()),
    ]
    pieces = [stored("packet", threat, classes) for threat, classes in sorts * 40]
    whole = split(pieces)
    assert len(whole.trained) + len(whole.held) == len(pieces)
    assert len(whole.held) == len(pieces) // HELD_EVERY
    assert whole.apart == []
    without = split(pieces, leave_out="shield")
    has_it = [one for one in whole.held if one.threat == "shield" or "shield" in classes_of(one)]
    assert without.apart == has_it
    assert {one.threat for one in has_it} == {"bomb", "shield"}
    assert without.held == [one for one in whole.held if one not in has_it]
    for seen in (without.trained, without.held):
        assert {one.threat for one in seen} == {"blade", "bomb", "powder", ""}
        assert not any("shield" in classes_of(one) for one in seen)
    assert Counter(one.threat for one in without.trained)["blade"] == Counter(one.threat for one in whole.trained)["blade"]


def test_classes_of_generator_masks_and_words_come_in_one_order():
    assert tuple(THREAT_CLASSES) == CLASSES


def test_a_set_without_ordinary_pieces_is_refused():
    with pytest.raises(ValueError, match="ordinary pieces"):
        Batches([stored(BAGS, "blade")], seed=1)
