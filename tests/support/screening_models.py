"""Small model folders, sound and hostile, and synthetic raw scans for the screening tests."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper

from station.ports.screening import RawScan
from station.ports.xray import DetectorInfo

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = (base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode(),)
"""What a station must trust to load these models."""

SHIPPED = Path(__file__).resolve().parents[2] / "station" / "screening" / "models"


def constant(name: str, values: list[float] | np.ndarray, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, kind), name)


def model(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], *, score_shape: list[int] | None = None) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("channels", TensorProto.FLOAT, [1, 4, "r", "c"])],
        [
            helper.make_tensor_value_info("heat", TensorProto.FLOAT, [1, 1, "hr", "hc"]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, score_shape or [1]),
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def heat_nodes(bias: float) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Mean darkness of 4 x 4 cells as heat; its mean as score; `bias` is added before the sigmoid."""
    weight = np.zeros((1, 4, 1, 1), np.float32)
    weight[0, 2] = 1.0
    nodes = [
        helper.make_node("AveragePool", ["channels"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["pooled", "w", "b"], ["logits"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["logits"], ["heat"]),
        helper.make_node("ReduceMean", ["heat"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    return nodes, [constant("w", weight), constant("b", [bias])]


def sound_model() -> onnx.ModelProto:
    return model(*heat_nodes(-1.0))


FEATURES = 8
"""Of the small model with a head: channels' means, their squares' stand-ins, and four plain scores."""


def naming_model(head: np.ndarray | None = None, bias: float = -4.0) -> onnx.ModelProto:
    """All four outputs: features are mixtures of the channels' means, a linear head makes heat of them, dense material is a handgun."""
    weights = np.zeros(FEATURES, np.float32) if head is None else np.asarray(head, np.float32)
    if head is None:
        weights[-1] = 20.0
    mixed = np.zeros((FEATURES, 4, 1, 1), np.float32)
    for at in range(FEATURES):
        mixed[at, at % 4] = 1.0 if at >= 4 else -0.5
    named = np.zeros((12, FEATURES, 1, 1), np.float32)
    named[1, -1] = 9.0
    nodes = [
        helper.make_node("AveragePool", ["channels"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["pooled", "mixed.w"], ["features"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["features", "head.w", "head.b"], ["logits"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["features", "named.w"], ["classes"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["logits"], ["heat"]),
        helper.make_node("ReduceMean", ["heat"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    constants = [
        constant("mixed.w", mixed),
        constant("head.w", weights.reshape(1, -1, 1, 1)),
        constant("head.b", [bias]),
        constant("named.w", named),
    ]
    made = model(nodes, constants)
    shapes = {"classes": [1, 12, "hr", "hc"], "features": [1, FEATURES, "hr", "hc"]}
    made.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    return made


def site_model(*, dense: float = 2.0, bias: float = -2.0) -> onnx.ModelProto:
    """As `naming_model`, but the score is that of the 32 hottest cells, and its head sees `dense` material alone."""
    head = np.zeros(FEATURES, np.float32)
    head[-1] = dense
    made = naming_model(head, bias)
    made.graph.initializer.append(constant("hottest", [32], np.int64))
    del made.graph.node[-1]
    made.graph.node.extend(
        [
            helper.make_node("Flatten", ["logits"], ["flat"], axis=1),
            helper.make_node("TopK", ["flat", "hottest"], ["top", "places"], axis=1),
            helper.make_node("ReduceMean", ["top"], ["level"], axes=[1], keepdims=0),
            helper.make_node("Sigmoid", ["level"], ["score"]),
        ]
    )
    return made


def nan_model() -> onnx.ModelProto:
    return model(*heat_nodes(float("nan")))


def outside_model() -> onnx.ModelProto:
    nodes, weights = heat_nodes(0.0)
    nodes[2] = helper.make_node("Add", ["logits", "logits"], ["heat"])
    weights[1] = constant("b", [7.0])
    return model(nodes, weights)


def wrong_shape_model() -> onnx.ModelProto:
    nodes, weights = heat_nodes(0.0)
    nodes[0] = helper.make_node("AveragePool", ["channels"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8])
    return model(nodes, weights)


def wrong_names_model() -> onnx.ModelProto:
    sound = sound_model()
    sound.graph.output[1].name = "heat2"
    sound.graph.node[3].output[0] = "heat2"
    return sound


def slow_model(channels: int = 512) -> onnx.ModelProto:
    """Only allowed operators, but minutes of work: a wide convolution on an enlarged picture, again and again."""
    nodes, weights = heat_nodes(0.0)
    rng = np.random.default_rng(0)
    weights += [
        constant("wide.w", rng.random((channels, 4, 1, 1), np.float32)),
        constant("deep.w", (rng.random((channels, channels, 1, 1), np.float32) - 0.5) * 0.05),
        constant("back.w", rng.random((4, channels, 1, 1), np.float32) * 1e-6),
    ]
    chain = [helper.make_node("Conv", ["channels", "wide.w"], ["x0"], kernel_shape=[1, 1])]
    count = 60
    chain += [helper.make_node("Conv", [f"x{i}", "deep.w"], [f"x{i + 1}"], kernel_shape=[1, 1]) for i in range(count)]
    chain.append(helper.make_node("Conv", [f"x{count}", "back.w"], ["narrow"], kernel_shape=[1, 1]))
    nodes[0] = helper.make_node("AveragePool", ["narrow"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4])
    return model(chain + nodes, weights)


def memory_bomb_model() -> onnx.ModelProto:
    """Only allowed operators, but the picture is blown up forty times each way: many gigabytes."""
    nodes, weights = heat_nodes(0.0)
    weights += [constant("up", [1, 1, 40, 40])]
    bomb = helper.make_node("Resize", ["channels", "", "up"], ["large"], mode="nearest")
    nodes[0] = helper.make_node("AveragePool", ["large"], ["pooled"], kernel_shape=[160, 160], strides=[160, 160])
    return model([bomb, *nodes], weights)


def infinite_model() -> onnx.ModelProto:
    nodes, weights = heat_nodes(1.0)
    weights.append(constant("most", [3e38]))
    nodes[2:3] = [helper.make_node("Mul", ["logits", "most"], ["more"]), helper.make_node("Mul", ["more", "most"], ["heat"])]
    return model(nodes, weights)


def whole_number_score_model() -> onnx.ModelProto:
    """The score is where the greatest heat lies, a whole number."""
    nodes, weights = heat_nodes(0.0)
    weights += [constant("one", [1], np.int64)]
    nodes[3:] = [
        helper.make_node("ReduceMean", ["heat"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("TopK", ["mean", "one"], ["greatest", "score"]),
    ]
    made = model(nodes, weights)
    made.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    return made


def bomb_at_load_model() -> onnx.ModelProto:
    """The runtime blows a constant up while it prepares the model: 64 GB."""
    nodes, weights = heat_nodes(0.0)
    weights += [constant("small", np.ones((1, 1, 4, 4), np.float32)), constant("up", [1, 1, 32768, 32768])]
    nodes += [
        helper.make_node("Resize", ["small", "", "up"], ["large"], mode="nearest"),
        helper.make_node("ReduceMean", ["large"], ["large_mean"], axes=[1, 2, 3], keepdims=0),
    ]
    nodes[3] = helper.make_node("ReduceMean", ["heat"], ["mean"], axes=[1, 2, 3], keepdims=0)
    nodes.append(helper.make_node("Add", ["mean", "large_mean"], ["score"]))
    return model(nodes, weights)


def filled_model(operator: str) -> onnx.ModelProto:
    """`ConstantOfShape`, `Tile` or `Expand` to many gigabytes."""
    nodes, weights = heat_nodes(0.0)
    shape = constant("shape", [1, 1, 1 << 17, 1 << 17], np.int64)
    inputs = {"ConstantOfShape": ["shape"], "Tile": ["channels", "shape"], "Expand": ["channels", "shape"]}[operator]
    return model([helper.make_node(operator, inputs, ["unused"]), *nodes], [*weights, shape])


def claimed_shape_model() -> onnx.ModelProto:
    """A weight of four numbers that claims to be of 2 to the 62."""
    made = sound_model()
    made.graph.initializer[0].dims[:] = [1 << 31, 1 << 31, 1, 1]
    return made


def _body(node: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([node], "body", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])


def branch_model() -> onnx.ModelProto:
    """An operator that nobody allowed hides in the branches of an `If`."""
    nodes, weights = heat_nodes(0.0)
    hidden = [_body(helper.make_node("Einsum", ["channels"], ["inner"], equation="abcd->abcd")) for _ in range(2)]
    weights.append(numpy_helper.from_array(np.asarray(True), "yes"))
    return model([helper.make_node("If", ["yes"], ["unused"], then_branch=hidden[0], else_branch=hidden[1]), *nodes], weights)


def endless_model() -> onnx.ModelProto:
    """A `Loop` over 2 to the 62 rounds."""
    nodes, weights = heat_nodes(0.0)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    weights += [constant("rounds", 1 << 62, np.int64), numpy_helper.from_array(np.asarray(True), "yes")]  # type: ignore[arg-type]
    return model([helper.make_node("Loop", ["rounds", "yes", "channels"], ["unused"], body=body), *nodes], weights)


def _varint(number: int) -> bytes:
    data = b""
    while number > 0x7F:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


def hidden_nodes_model() -> bytes:
    """A sound file with a second helping of nodes under a field key that only a careless reader takes for the graph's."""
    extra = onnx.GraphProto()
    extra.node.append(helper.make_node("Einsum", ["channels"], ["unused"], equation="abcd->abcd"))
    data = extra.SerializeToString()
    return sound_model().SerializeToString() + _varint((7 << 3 | 2) + (1 << 32)) + _varint(len(data)) + data


def own_format_model() -> bytes:
    """A sound file that begins as if it were in the runtime's own format."""
    return b"\x12\x06\x00\x00ORTM" + sound_model().SerializeToString()


def loop_model() -> onnx.ModelProto:
    """An operator that is not on the allow-list."""
    nodes, weights = heat_nodes(0.0)
    nodes.insert(0, helper.make_node("Einsum", ["channels"], ["unused"], equation="abcd->abcd"))
    return model(nodes, weights)


def custom_domain_model() -> onnx.ModelProto:
    sound = sound_model()
    sound.graph.node[2].domain = "evil.example"
    return sound


def subgraph_model() -> onnx.ModelProto:
    sound = sound_model()
    inner = helper.make_graph([], "inner", [], [])
    sound.graph.node[2].attribute.append(helper.make_attribute("body", inner))
    return sound


def external_data_model() -> onnx.ModelProto:
    sound = sound_model()
    tensor = sound.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return sound


def manifest_content(data: bytes, **changes: Any) -> dict[str, Any]:
    scores = np.linspace(0.2, 0.6, 800).tolist()
    content = {
        "format": 1,
        "name": "small",
        "model_file": "model.onnx",
        "model_sha256": hashlib.sha256(data).hexdigest(),
        "input": {"grid_mm": 0.8, "side_multiple": 16, "channels": ["attenuation", "material", "darkness", "dense_material"]},
        "calibration": {"unknown": scores, "envelope": scores[:600], "packet": scores[:20]},
        "freeze_score": None,
        "freeze_n": 0,
        "generator_version": 1,
        "training_data_sha256": "0" * 64,
        "fitted_site": None,
        "detection_lower_95": None,
        "metrics": {},
    }
    return {**content, **changes}


def write_model(
    folder: Path, made: onnx.ModelProto | bytes, *, signed: bool = True, signer: Ed25519PrivateKey = SIGNER, **changes: Any
) -> Path:
    """A whole model folder; `changes` replace members of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    data = made if isinstance(made, bytes) else made.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    manifest = json.dumps(manifest_content(data, **changes)).encode()
    (folder / "manifest.json").write_bytes(manifest)
    if signed:
        (folder / "manifest.sig").write_bytes(base64.b64encode(signer.sign(manifest)))
        (folder / "project-key.pub").write_bytes(base64.b64encode(signer.public_key().public_bytes_raw()))
    return folder


def raw_scan(
    *,
    lines: int = 260,
    pixels: int = 256,
    boxes: tuple[tuple[int, int, int, int, float, float], ...] = ((60, 70, 120, 130, 0.8, 0.86),),
    lag: int = 5,
    noise: float = 0.004,
    seed: int = 1,
    kind: str = "envelope",
    **changes: Any,
) -> RawScan:
    """Counts of rectangles (x, y, width, height, LE and HE transmission) on an empty belt; HE comes `lag` lines later."""
    rng = np.random.default_rng(seed)
    gain = 40000 * (1 + 0.05 * rng.standard_normal((2, pixels)))
    dark = 1000 + 20 * rng.standard_normal((2, pixels))
    t = np.ones((2, lines, pixels))
    for x, y, width, height, le, he in boxes:
        t[0, y : y + height, x : x + width] *= le
        t[1, y + lag : y + lag + height, x : x + width] *= he
    t += noise * np.sqrt(t) * rng.standard_normal(t.shape)
    counts = np.clip(dark[:, None] + gain[:, None] * t, 0, 65534).astype(np.uint16)
    members: dict[str, Any] = {
        "le": counts[0],
        "he": counts[1],
        "dark_le": dark[0].astype(np.float32),
        "dark_he": dark[1].astype(np.float32),
        "air_le": (dark + gain)[0].astype(np.float32),
        "air_he": (dark + gain)[1].astype(np.float32),
        "info": DetectorInfo(model="T", pixels=pixels, pixel_pitch_mm=0.8, line_pitch_mm=0.8, he_lag_lines=lag, full_scale=65535),
        "lost_lines": 0,
        "saturated": False,
        "speed_error_share": 0.0,
        "beam_error_share": 0.0,
        "calibration_age_s": 10.0,
        "kind": kind,
    }
    return RawScan(**{**members, **changes})
