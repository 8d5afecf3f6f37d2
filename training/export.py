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
from onnx import TensorProto, helper
from torch import nn

from station.screening import site_fit
from station.screening.anomaly_model import INPUT, OUTPUTS
from station.screening.features import CHANNELS
from station.screening.limits import DEFAULT_LIMITS
from station.screening.spots import THREAT_CLASSES
from training.encoder import Bottleneck
from training.network import (
    CLASSES,
    FEATURES,
    HOT_TERMS,
    LEARNED,
    PLACE_CELLS,
    PLACE_STRIDE,
    PLAIN,
    PLAIN_IN_HEAT,
    TOP_CELLS,
    TOP_PLACES,
    TOP_PLAIN,
    HeatNet,
)
from training.onnx_graph import Graph

OPSET = 17
MODEL_FILE = "heat-net.onnx"
SIDE_MULTIPLE = 16


class _Graph(Graph):
    """A graph that knows the network's layers."""

    def convolution(self, source: str, name: str, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None, *, more: int = 0) -> str:
        """`more` outputs than the layer has are 0."""
        weight = layer.weight.detach().double()
        bias = torch.zeros(len(weight)).double() if layer.bias is None else layer.bias.detach().double()
        if norm is not None:
            scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
            weight = weight * scale.view(-1, 1, 1, 1)
            bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()
        weight, bias = nn.functional.pad(weight, (0, 0, 0, 0, 0, 0, 0, more)), nn.functional.pad(bias, (0, more))
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
            group=layer.groups,
            pads=[pad] * 4,
        )

    def bottleneck(self, source: str, name: str, block: Bottleneck) -> str:
        wide = source if block.expand is None else self.block(source, f"{name}.expand", block.expand)
        wide = self.block(wide, f"{name}.depthwise", block.depthwise)
        narrow = self.convolution(wide, f"{name}.project", block.project[0], block.project[1])
        return self.node("Add", [source, narrow], f"{name}.add") if block.beside else narrow

    def block(self, source: str, name: str, block: nn.Sequential) -> str:
        return self.node("Relu", [self.convolution(source, name, block[0], block[1])], f"{name}.relu")


def build(net: HeatNet) -> onnx.ModelProto:
    """The network as ONNX, its linear head by the names that `station.screening.site_fit` knows.

    `channels` (1, 4, rows, columns) in; out come, h and w being rows/4 and columns/4, `heat` (1, 1, h, w) and `score` (1,) in 0…1,
    `classes` (1, 12, h, w) and `features` (1, 48, h, w).
    """
    graph = _Graph()
    plain, smooth = _plain_scores(graph)
    features = graph.node("Add", [_learned(graph, net), _placed(graph, plain, smooth)], "features")
    classes = nn.Conv2d(FEATURES, CLASSES, 1)
    classes.weight.data = nn.functional.pad(net.classes.weight.detach(), (0, 0, 0, 0, 0, PLAIN))
    classes.bias.data = net.classes.bias.detach()
    graph.convolution(features, "classes", classes)
    head = [
        graph.constant(site_fit.HEAD_WEIGHTS, net.head_weights().detach().view(1, FEATURES, 1, 1).numpy()),
        graph.constant(site_fit.HEAD_BIAS, net.head.bias.detach().numpy()),
    ]
    logits = graph.mean(graph.node("Conv", [features, *head], "cells", kernel_shape=[1, 1]), "logits", 3)
    fused = graph.constant("fused.w", np.full((1, 2, 1, 1), PLAIN_IN_HEAT, np.float32))
    fused = graph.node("Conv", [smooth, fused], "fused", kernel_shape=[1, 1])
    graph.node("Sigmoid", [graph.node("Add", [logits, fused], "heat.logits")], "heat")
    graph.node("Sigmoid", [_piece(graph, net, logits, smooth)], "score")
    outputs = {
        "heat": [1, 1, "heat_rows", "heat_columns"],
        "score": [1],
        "classes": [1, CLASSES, "heat_rows", "heat_columns"],
        "features": [1, FEATURES, "heat_rows", "heat_columns"],
    }
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "heat-net",
            [helper.make_tensor_value_info("channels", TensorProto.FLOAT, [1, len(CHANNELS), "rows", "columns"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="kt1-training",
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _learned(graph: _Graph, net: HeatNet) -> str:
    """The learned features, with places for the plain ones, which hold 0."""
    at, seen = graph.block("channels", "stem", net.encoder.stem), []
    for number, stage in enumerate(net.encoder.stages):
        for index, block in enumerate(stage):
            at = graph.bottleneck(at, f"stage{number}.{index}", block)
        seen.append(at)
    _, cells, two_cells, _, four_cells = seen
    lifted = graph.doubled(graph.convolution(four_cells, "lift3", net.lift3), "up3")
    two_cells = graph.node("Add", [graph.convolution(two_cells, "beside2", net.beside2), lifted], "add2")
    lifted = graph.doubled(graph.convolution(graph.block(two_cells, "merge2", net.merge2), "lift2", net.lift2), "up2")
    cells = graph.node("Add", [graph.convolution(cells, "beside1", net.beside1), lifted], "add1")
    return graph.node("Relu", [graph.convolution(cells, "merge1", net.merge1[0], net.merge1[1], more=PLAIN)], "merge1.relu")


def _plain_scores(graph: _Graph) -> tuple[str, str]:
    """Darkness and dense material of each cell, and smoothed."""
    plain = graph.part("channels", "plain", axis=1, start=2, end=4)
    plain = graph.node("AveragePool", [plain], "plain.pool", kernel_shape=[4, 4], strides=[4, 4])
    smooth = graph.mean(plain, "plain.smooth0", 5, air_outside=True)
    return plain, graph.mean(smooth, "plain.smooth1", 5, air_outside=True)


def _placed(graph: _Graph, plain: str, smooth: str) -> str:
    """The plain features at their places among all, the learned ones' places holding 0."""
    terms = []
    for index, source in enumerate((plain, smooth)):
        place = np.zeros((FEATURES, 2, 1, 1), np.float32)
        for at in range(2):
            place[LEARNED + 2 * index + at, at] = 1.0
        terms.append(graph.node("Conv", [source, graph.constant(f"place{index}.w", place)], f"place{index}", kernel_shape=[1, 1]))
    return graph.node("Add", terms, "placed")


def _piece(graph: _Graph, net: HeatNet, logits: str, smooth: str) -> str:
    """The piece's logit."""
    weights = net.piece_weights.numpy()
    most = max(TOP_CELLS)
    ordered = graph.top(graph.node("Flatten", [logits], "flat", axis=1), "top", most)
    terms = []
    for index, cells in enumerate(TOP_CELLS):
        part = ordered if cells == most else graph.part(ordered, f"top.{cells}", axis=1, start=0, end=cells)
        terms.append(graph.weighted_mean(part, f"piece.top{cells}", weights[index]))
    places = graph.mean(logits, "places", PLACE_CELLS, PLACE_STRIDE)
    places = graph.top(graph.node("Flatten", [places], "places.flat", axis=1), "places.top", TOP_PLACES)
    terms.append(graph.weighted_mean(places, "piece.places", weights[HOT_TERMS - 1]))
    for at in range(2):
        one = graph.part(smooth, f"dark{at}", axis=1, start=at, end=at + 1)
        one = graph.top(graph.node("Flatten", [one], f"dark{at}.flat", axis=1), f"dark{at}.top", TOP_PLAIN)
        terms.append(graph.weighted_mean(one, f"piece.dark{at}", weights[HOT_TERMS + at]))
    total = graph.constant("piece.bias", net.piece_bias.numpy())
    for index, term in enumerate(terms):
        total = graph.node("Add", [total, term], f"piece.sum{index}")
    return total


def check(net: HeatNet, model: bytes) -> float:
    """Greatest difference between the network and the file on random input."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    channels = np.random.default_rng(0).random((1, len(CHANNELS), 160, 208), np.float32)
    found = session.run(list(OUTPUTS), {INPUT: channels})
    with torch.no_grad():
        read = net(torch.from_numpy(channels))
    wanted = (torch.sigmoid(read.heat), torch.sigmoid(net.piece(read.terms)), read.classes, read.features)
    return float(max(np.abs(one - other.numpy()).max() for one, other in zip(found, wanted, strict=True)))


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write and sign `manifest.json` with a fresh key whose private half is forgotten at once: what it signed can never be re-signed."""
    model = (folder / MODEL_FILE).read_bytes()
    manifest = {
        "format": 1,
        "model_file": MODEL_FILE,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "input": {"grid_mm": DEFAULT_LIMITS.grid_mm, "side_multiple": SIDE_MULTIPLE, "channels": list(CHANNELS)},
        "classes": list(THREAT_CLASSES),
        **content,
    }
    data = json.dumps(manifest, sort_keys=True, indent=1).encode()
    key = Ed25519PrivateKey.generate()
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sig").write_bytes(base64.b64encode(key.sign(data)) + b"\n")
    (folder / "project-key.pub").write_bytes(base64.b64encode(key.public_key().public_bytes_raw()) + b"\n")
