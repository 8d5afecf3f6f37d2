from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from station.domain.errors import ScreeningError
from station.screening.anomaly_model import OnnxModel
from station.screening.manifest import load_model
from station.screening.site_fit import Cells, Head
from station.screening.site_pieces import BenignPiece, Rng, ScanSource, Source
from station.screening.site_scoring import Delivered, _each, _evenly, require_head, scores_by_kind, settled
from tests.support import screening_models as models
from tests.support.site_store import benign_scan

SCAN = benign_scan(1)


def piece(name: str, load: Callable[[], Source] = lambda: ScanSource(scan=SCAN, tube_kv=140.0)) -> BenignPiece:
    return BenignPiece(name=name, kind="envelope", sha256=name, load=load)


def test_each_piece_has_its_own_chance_whoever_is_beside_it_and_one_that_fails_stops_no_other():
    def broken() -> Source:
        raise ScreeningError("cut short")

    def draw(_: Source, rng: Rng) -> float:
        return float(rng.random())

    pieces = [piece("a"), piece("b", broken), piece("c")]
    told: list[tuple[str, int, int]] = []
    alone, together = (
        {one.name: str(found) for one, found in _each(draw, part, "phase", seed=1, jobs=jobs, progress=lambda *at: told.append(at))}
        for part, jobs in ((pieces[2:], 1), (pieces, 3))
    )
    assert together["b"] == "cut short"
    assert together["c"] == alone["c"] != together["a"]
    assert told == [("phase", 1, 1), ("phase", 1, 3), ("phase", 2, 3), ("phase", 3, 3)]


def test_the_new_head_leaves_a_middling_benign_piece_as_hot_as_it_was():
    rng = np.random.default_rng(1)
    shipped = Head(weights=rng.standard_normal(8).astype(np.float32), bias=np.float32(-2))
    new = Head(weights=shipped.weights * 3, bias=np.float32(40))
    usual = [Cells(features=rng.standard_normal((150, 8)), threat=np.zeros(150, bool), weights=np.ones(150)) for _ in range(9)]
    odd = replace(usual[0], features=usual[0].features * 100)
    levels = [
        np.median([np.sort(one.features @ head.weights + head.bias)[-64:].mean() for one in [*usual, odd]])
        for head in (shipped, settled(new, shipped, [*usual, odd]))
    ]
    assert levels[1] == pytest.approx(levels[0], abs=1e-4)


def test_threats_of_each_class_count_the_same():
    cells = Cells(features=np.zeros((3, 8), np.float32), threat=np.asarray([True, False, True]), weights=np.full(3, 0.5, np.float32))
    even = _evenly([("blade", cells), ("shield", cells), ("shield", cells)])
    np.testing.assert_allclose([one.weights[0] for one in even], (0.5, 0.25, 0.25))
    assert all(one.weights[1] == 0.5 for one in even)


def test_scores_are_kept_for_each_kind_and_for_all():
    scored = [(replace(piece("a"), kind="packet"), 0.3), (piece("b"), 0.2), (replace(piece("c"), kind="unknown"), 0.1)]
    assert scores_by_kind(scored, "unknown") == {"unknown": [0.1, 0.2, 0.3], "envelope": [0.2], "packet": [0.3]}


def test_only_a_model_that_shows_what_its_head_sees_can_be_fitted(tmp_path: Path):
    def delivered(made: onnx.ModelProto) -> Delivered:
        manifest, data = load_model(models.write_model(tmp_path, made), trusted_keys=models.KEYS)
        return Delivered(manifest=manifest, data=data, load=OnnxModel)

    assert len(require_head(delivered(models.site_model())).weights) == models.FEATURES
    with pytest.raises(ScreeningError, match=r"small has no head that a site could fit \(model: it has 0 weights 'head.w'\)"):
        require_head(delivered(models.sound_model()))
    shipped, data = load_model(models.SHIPPED)
    with pytest.raises(ScreeningError, match="gives no features of its cells"):
        require_head(Delivered(manifest=shipped, data=data, load=OnnxModel))
