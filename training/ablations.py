"""Parts of the score that can be switched off while measuring, by editing a copy of the model's file; the station has no such switch.

A part is named by what it is in the ONNX graph: a weight that becomes zero, or nodes that become a plain passing-on.
"""

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
