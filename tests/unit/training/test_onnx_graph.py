"""Means in the exported graph are over the cells that a picture has: what lies beyond its edge is nobody's logit."""

import ast
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import training
from station.screening.anomaly_model import OnnxModel
from station.screening.onnx_file import check_onnx
from training.onnx_graph import Graph


def run(values: np.ndarray, size: int, stride: int, *, air_outside: bool) -> np.ndarray:
    """The mean of the first channel of `values`, as the station's runtime makes it."""
    graph = Graph()
    logits = graph.part("channels", "logits", axis=1, start=0, end=1)
    graph.mean(logits, "heat", size, stride, air_outside=air_outside)
    graph.node("ReduceMean", ["heat"], "score", axes=[1, 2, 3], keepdims=0)
    shapes = {"heat": [1, 1, "hr", "hc"], "score": [1]}
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "means",
            [helper.make_tensor_value_info("channels", TensorProto.FLOAT, [1, 4, "r", "c"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    ).SerializeToString()
    check_onnx(made)
    return np.asarray(OnnxModel(made)(np.repeat(values[None, None], 4, axis=1))[0][0, 0])


def expected(values: np.ndarray, size: int, stride: int) -> np.ndarray:
    reach = size // 2
    rows, columns = (range(0, side, stride) for side in values.shape)
    return np.asarray(
        [
            [values[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].mean(dtype=np.float64) for x in columns]
            for y in rows
        ]
    )


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (9, 3)])
def test_a_mean_at_the_edge_is_over_the_cells_that_there_are(size: int, stride: int):
    rng = np.random.default_rng(1)
    values = rng.normal(-4, 1, (16, 22)).astype(np.float32)
    np.testing.assert_allclose(run(values, size, stride, air_outside=False), expected(values, size, stride), rtol=1e-5)
    cold = np.full((16, 16), -5, np.float32)
    np.testing.assert_allclose(run(cold, size, stride, air_outside=False), -5, rtol=1e-6)


def test_air_outside_counts_where_that_is_what_lies_there():
    dark = run(np.ones((16, 16), np.float32), 5, 1, air_outside=True)
    assert dark[0, 0] == pytest.approx(9 / 25)
    assert dark[8, 8] == pytest.approx(1)


@pytest.mark.parametrize(("module", "called"), [("network", "pooled"), ("export", "graph.mean")])
def test_network_and_file_count_air_in_the_plain_scores_alone(module: str, called: str):
    tree = ast.parse((Path(training.__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == called]
    with_air = [any(key.arg == "air_outside" for key in call.keywords) for call in calls]
    # darkness and dense material are smoothed twice; logits of cells and of places have no air in them
    assert sorted(with_air) == [False, False, True, True]
