"""Write the trained network as a plain ONNX file, node by node, and its signed manifest.

The graph is written by hand so that it holds nothing but the operators that the station allows; batch normalisation is folded into the
convolutions. `check` compares it with the network in torch.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from station.screening.features import CHANNELS
from station.screening.limits import DEFAULT_LIMITS
from training.network import PLAIN_IN_HEAT, TOP_CELLS, HeatNet, heat_logits

OPSET = 17
MODEL_FILE = "heat-net.onnx"
SIDE_MULTIPLE = 16


class _Graph:
    """Nodes and weights in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, outputs: int = 1, **attributes: Any) -> str:
        names = [name] if outputs == 1 else [f"{name}.{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=name, **attributes))
        return names[0]

    def convolution(self, source: str, name: str, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> str:
        weight = layer.weight.detach().double()
        bias = torch.zeros(len(weight)).double() if layer.bias is None else layer.bias.detach().double()
        if norm is not None:
            scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
            weight = weight * scale.view(-1, 1, 1, 1)
            bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()
        inputs = [
            source,
            self.constant(f"{name}.w", weight.float().numpy()),
            self.constant(f"{name}.b", bias.float().numpy()),
        ]
        pad = layer.padding[0]
        return self.node(
            "Conv",
            inputs,
            name,
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            dilations=list(layer.dilation),
            pads=[pad] * 4,
        )

    def block(self, source: str, name: str, block: nn.Sequential) -> str:
        return self.node("Relu", [self.convolution(source, name, block[0], block[1])], f"{name}.relu")

    def doubled(self, source: str, name: str) -> str:
        scales = self.constant(f"{name}.scales", np.asarray([1, 1, 2, 2], np.float32))
        return self.node(
            "Resize",
            [source, "", scales],
            name,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )


def build(net: HeatNet) -> onnx.ModelProto:
    """The network as ONNX: `channels` (1, 4, rows, columns) in, `heat` (1, 1, rows/4, columns/4) and `score` (1,) in 0…1 out."""
    graph = _Graph()
    level1 = graph.block(graph.block(graph.block("channels", "stem", net.stem), "down1", net.down1), "same1", net.same1)
    level2 = graph.block(graph.block(level1, "down2", net.down2), "same2", net.same2)
    level3 = graph.block(graph.block(level2, "down3", net.down3), "same3", net.same3)
    level3 = graph.block(graph.block(level3, "wide3", net.wide3), "far3", net.far3)
    lifted = graph.doubled(graph.convolution(level3, "lift3", net.lift3), "up3")
    level2 = graph.block(graph.node("Add", [level2, lifted], "add2"), "merge2", net.merge2)
    lifted = graph.doubled(graph.convolution(level2, "lift2", net.lift2), "up2")
    level1 = graph.block(graph.node("Add", [level1, lifted], "add1"), "merge1", net.merge1)
    learned = graph.convolution(level1, "head", net.head)

    starts, ends, axes = (graph.constant(f"plain.{name}", np.asarray([at], np.int64)) for name, at in (("from", 2), ("to", 4), ("axis", 1)))
    plain = graph.node("Slice", ["channels", starts, ends, axes], "plain.slice")
    plain = graph.node("AveragePool", [plain], "plain.pool", kernel_shape=[4, 4], strides=[4, 4])
    weights = nn.functional.softplus(net.plain.detach()).view(1, 2, 1, 1).numpy()
    weighted = graph.node("Conv", [plain, graph.constant("plain.w", weights)], "plain.sum", kernel_shape=[1, 1])
    logits = graph.node("Add", [learned, weighted], "logits")
    smooth = graph.node(
        "AveragePool",
        [logits],
        "smooth",
        kernel_shape=[3, 3],
        strides=[1, 1],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
    )
    for index in range(2):
        plain = graph.node(
            "AveragePool",
            [plain],
            f"plain.smooth{index}",
            kernel_shape=[5, 5],
            strides=[1, 1],
            pads=[2, 2, 2, 2],
            count_include_pad=1,
        )
    fused = graph.constant("fused.w", np.full((1, 2, 1, 1), PLAIN_IN_HEAT, np.float32))
    fused = graph.node("Conv", [plain, fused], "fused", kernel_shape=[1, 1])
    graph.node("Sigmoid", [graph.node("Add", [smooth, fused], "heat.logits")], "heat")

    flat = graph.node("Flatten", [smooth], "flat", axis=1)
    terms = []
    for index, cells in enumerate(TOP_CELLS):
        count = graph.constant(f"top{index}.k", np.asarray([cells], np.int64))
        top = graph.node("TopK", [flat, count], f"top{index}", outputs=2, axis=1)
        mean = graph.node("ReduceMean", [top], f"mean{index}", axes=[1], keepdims=0)
        weight = graph.constant(f"piece.{index}", net.piece.detach()[index : index + 1].numpy())
        terms.append(graph.node("Mul", [mean, weight], f"term{index}"))
    total = graph.node("Add", terms, "terms")
    total = graph.node("Add", [total, graph.constant("piece.bias", net.piece.detach()[2:3].numpy())], "piece")
    graph.node("Sigmoid", [total], "score")

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "heat-net",
            [helper.make_tensor_value_info("channels", TensorProto.FLOAT, [1, len(CHANNELS), "rows", "columns"])],
            [
                helper.make_tensor_value_info("heat", TensorProto.FLOAT, [1, 1, "heat_rows", "heat_columns"]),
                helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]),
            ],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="kt1-training",
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def check(net: HeatNet, model: bytes) -> float:
    """Greatest difference between the network and the file on random input."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    channels = np.random.default_rng(0).random((1, len(CHANNELS), 160, 208), np.float32)
    heat, score = session.run(["heat", "score"], {"channels": channels})
    with torch.no_grad():
        logits, piece = net(torch.from_numpy(channels))
    differences = (
        np.abs(heat - torch.sigmoid(heat_logits(logits, torch.from_numpy(channels))).numpy()).max(),
        np.abs(score - torch.sigmoid(piece).numpy()).max(),
    )
    return float(max(differences))


def load_weights(path: Path) -> HeatNet:
    """The trained network from its weights."""
    net = HeatNet()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write and sign `manifest.json` with a fresh key whose private half is forgotten at once: what it signed can never be re-signed."""
    model = (folder / MODEL_FILE).read_bytes()
    manifest = {
        "format": 1,
        "model_file": MODEL_FILE,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "input": {"grid_mm": DEFAULT_LIMITS.grid_mm, "side_multiple": SIDE_MULTIPLE, "channels": list(CHANNELS)},
        **content,
    }
    data = json.dumps(manifest, sort_keys=True, indent=1).encode()
    key = Ed25519PrivateKey.generate()
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sig").write_bytes(base64.b64encode(key.sign(data)) + b"\n")
    (folder / "project-key.pub").write_bytes(base64.b64encode(key.public_key().public_bytes_raw()) + b"\n")
