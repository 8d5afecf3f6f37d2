"""Parts of the score that can be switched off while measuring, by editing a copy of the model's file; the station has no such switch.

A part is named by what it is in the ONNX graph: a weight that becomes zero, or nodes that become a plain passing-on. What else was chosen
in the network and its training is named too (`CHOICES`), so that a table of what was measured says what was not.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from station.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: `weights` are initialisers to be zeroed, `nodes` are averages to be passed through."""

    weights: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


PARTS = {
    "without plain terms in the heat": Part(weights=("fused.w",)),
    "without plain terms in the logits": Part(weights=("plain.w",)),
    "without any plain terms": Part(weights=("fused.w", "plain.w")),
    "without smoothing of the logits": Part(nodes=("smooth",)),
    "without smoothing of the plain terms": Part(nodes=("plain.smooth0", "plain.smooth1")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One design choice that nothing here switches off.

    `modules` of `training.network.HeatNet` are what it made there, if anything; a model has it if its file has the initialiser `weight`.
    """

    modules: tuple[str, ...] = ()
    weight: str


CHOICES = {
    "channels of the input": Choice(weight="stem.w"),
    "encoder, its depth and width": Choice(modules=("encoder",), weight="stem.w"),
    "encoder's beginning with weights of photographs": Choice(weight="stage0.0.depthwise.w"),
    "decoder from coarse to fine": Choice(modules=("lift3", "beside2", "merge2", "lift2", "beside1", "merge1"), weight="lift3.w"),
    "linear head over the features of a cell": Choice(modules=("head",), weight="head.w"),
    "plain features in the linear head": Choice(modules=("head_plain",), weight="place0.w"),
    "head of classes": Choice(modules=("classes",), weight="classes.w"),
    "names of everyday things, learned and not exported": Choice(modules=("things",), weight="stage0.0.depthwise.w"),
    "means of the hottest cells' logits in the score": Choice(weight="piece.bias"),
    "mean of the hottest places' logits in the score": Choice(weight="piece.places.w"),
    "darkest and densest cells in the score": Choice(weight="piece.dark0.w"),
    "score's weights, fitted last": Choice(modules=("piece_weights", "piece_bias", "rough_bias"), weight="piece.places.w"),
    "samples, losses, rate and averaging of the training": Choice(weight="stem.w"),
}
"""By name. The initialisers are those of the shipped file and of `training.export`."""


def untested(data: bytes, tested: Collection[str]) -> list[str]:
    """What of the model was not measured: parts that are not among the `tested`, as those that it does not have, and all its choices."""
    has = {one.name for one in onnx.load_from_string(data).graph.initializer}
    return [*(name for name in PARTS if name not in tested), *(name for name, choice in CHOICES.items() if choice.weight in has)]


def without(data: bytes, part: Part) -> bytes | None:
    """The model with the part switched off; None when it has no such part."""
    model = onnx.load_from_string(data)
    weights = {one.name: one for one in model.graph.initializer}
    nodes = {one.name: one for one in model.graph.node}
    if not (set(part.weights) <= weights.keys() and set(part.nodes) <= nodes.keys()):
        return None
    for name in part.weights:
        weights[name].CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(weights[name])), name))
    for name in part.nodes:
        nodes[name].op_type = "Identity"
        del nodes[name].attribute[:]
    result: bytes = model.SerializeToString()
    return result


def ablated(data: bytes) -> dict[str, bytes]:
    """Every part that the model has, by name, switched off.

    Raises:
        ConfigurationError: it has none of them.
    """
    found = {name: changed for name, part in PARTS.items() if (changed := without(data, part)) is not None}
    if not found:
        raise ConfigurationError(
            "The model has none of the parts that can be switched off",
            consequence="there is nothing to compare",
            remedy="Name its parts in training/ablations.py",
        )
    return found
