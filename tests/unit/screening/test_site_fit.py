from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from station.domain.errors import ScreeningError
from station.screening.anomaly_model import OnnxModel
from station.screening.onnx_file import check_onnx
from station.screening.site_fit import HEAD_BIAS, HEAD_WEIGHTS, PLAIN_FEATURES, Cells, Head, fit_head, head_of, picked, with_head
from tests.support import screening_models as models

MODEL = models.naming_model().SerializeToString()
COUNT = models.FEATURES
TRUTH = np.concatenate([np.linspace(-1.5, 1.5, COUNT - PLAIN_FEATURES), [0.0, 0.5, 0.0, 2.0]]).astype(np.float32)


def cells(rng: np.random.Generator, count: int, *, truth: np.ndarray = TRUTH, bias: float = -1.0) -> Cells:
    features = rng.standard_normal((count, COUNT)).astype(np.float32) * np.linspace(0.2, 3, COUNT, dtype=np.float32)
    threat = rng.random(count) < 1 / (1 + np.exp(-(features @ truth + bias)))
    return Cells(features=features, threat=threat, weights=np.ones(count, np.float32))


def test_the_edited_file_gives_exactly_the_new_logits_and_nothing_else_changes():
    rng = np.random.default_rng(1)
    new = Head(weights=rng.standard_normal(COUNT).astype(np.float32), bias=np.float32(0.25))
    edited = with_head(MODEL, new)
    assert len(edited) == len(MODEL)
    read = head_of(edited)
    np.testing.assert_array_equal(read.weights, new.weights)
    assert read.bias == new.bias
    # the same graph, written with these weights from the start, is the same file
    assert edited == models.naming_model(new.weights, float(new.bias)).SerializeToString()
    channels = rng.random((1, 4, 64, 80), np.float32)
    model = OnnxModel(edited)
    heat, _, classes = model(channels)
    features = model.features(channels)
    logits = np.einsum("f,frc->rc", new.weights, features) + new.bias
    np.testing.assert_allclose(heat[0, 0], 1 / (1 + np.exp(-logits)), atol=1e-6)
    np.testing.assert_array_equal(features, OnnxModel(MODEL).features(channels))
    np.testing.assert_array_equal(classes, OnnxModel(MODEL)(channels)[2])


def test_the_fit_finds_the_head_that_made_the_labels():
    rng = np.random.default_rng(2)
    shipped = Head(weights=np.zeros(COUNT, np.float32), bias=np.float32(0))
    fitted = fit_head([cells(rng, 6000), cells(rng, 6000)], shipped, pull=1e-6)
    assert np.abs(fitted.weights - TRUTH).max() < 0.25
    assert (fitted.weights[-PLAIN_FEATURES:] >= 0).all()


def test_where_the_site_says_little_the_shipped_head_stays():
    shipped = Head(weights=np.maximum(TRUTH[::-1], 0).copy(), bias=np.float32(-1))
    few = cells(np.random.default_rng(3), 400, truth=shipped.weights)
    stays, goes = (np.abs(fit_head([few], shipped, pull=pull).weights - shipped.weights).max() for pull in (10.0, 1e-6))
    assert stays < 0.01 < goes


def test_weights_of_plain_scores_never_fall_below_zero():
    rng = np.random.default_rng(4)
    against = TRUTH.copy()
    against[-PLAIN_FEATURES:] = -2.0
    fitted = fit_head([cells(rng, 3000, truth=against)], Head(weights=np.ones(COUNT, np.float32), bias=np.float32(0)), pull=1e-6)
    np.testing.assert_array_equal(fitted.weights[-PLAIN_FEATURES:], 0.0)
    assert fitted.weights[0] < 0


def test_picked_cells_stand_for_the_whole_scan():
    rng = np.random.default_rng(5)
    features = rng.standard_normal((COUNT, 20, 30)).astype(np.float32)
    threat = np.zeros((20, 30), bool)
    threat[3:5, 4:9] = True
    head = Head(weights=TRUTH, bias=np.float32(0))
    chosen = picked(features, threat, head, most=100, rng=rng)
    assert chosen.threat.sum() == 10
    assert len(chosen.threat) == 110
    assert chosen.weights.sum() == pytest.approx(600)
    cold = (features.reshape(COUNT, -1).T @ TRUTH)[~threat.ravel()]
    taken = np.sort((chosen.features @ TRUTH)[~chosen.threat])
    # at least the 50 hottest; those by chance are colder
    np.testing.assert_allclose(taken[-50:], np.sort(cold)[-50:], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"threat": np.zeros(50, bool)}, "with a projected threat"),
        ({"features": np.full((50, COUNT), np.nan, np.float32)}, "finite"),
        ({"features": np.zeros((50, COUNT + 1), np.float32)}, "expected"),
    ],
)
def test_cells_that_cannot_be_fitted_on_are_refused(change: dict[str, np.ndarray], says: str):
    given = replace(cells(np.random.default_rng(6), 50), **change)
    with pytest.raises(ScreeningError, match=says):
        fit_head([given], Head(weights=TRUTH, bias=np.float32(0)))


def test_only_a_sound_head_goes_into_a_file_that_has_one():
    head = head_of(MODEL)
    with pytest.raises(ScreeningError, match="no number"):
        with_head(MODEL, replace(head, bias=np.float32("nan")))
    with pytest.raises(ScreeningError, match="room for"):
        with_head(MODEL, replace(head, weights=head.weights[1:]))
    with pytest.raises(ScreeningError, match=f"0 weights '{HEAD_WEIGHTS}'"):
        head_of(models.sound_model().SerializeToString())
    twice = onnx.ModelProto.FromString(MODEL)
    twice.graph.initializer.append(models.constant(HEAD_BIAS, [1.0]))
    with pytest.raises(ScreeningError, match=f"2 weights '{HEAD_BIAS}'"):
        head_of(twice.SerializeToString())
    listed = onnx.ModelProto.FromString(MODEL)
    bias = next(one for one in listed.graph.initializer if one.name == HEAD_BIAS)
    bias.ClearField("raw_data")
    bias.data_type = TensorProto.FLOAT
    bias.float_data.append(1.0)
    check_onnx(listed.SerializeToString())
    with pytest.raises(ScreeningError, match="not stored as raw"):
        head_of(listed.SerializeToString())
