"""Nodes and weights of an ONNX graph in the making, of operators that the station allows alone; needs no torch."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """Nodes and weights by name; each method adds what it says and gives the name of what comes out."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """A weight."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, outputs: int = 1, **attributes: Any) -> str:
        """Any node; the name of its first output."""
        names = [name] if outputs == 1 else [f"{name}.{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=name, **attributes))
        return names[0]

    def doubled(self, source: str, name: str) -> str:
        """Each cell four times."""
        scales = self.constant(f"{name}.scales", np.asarray([1, 1, 2, 2], np.float32))
        return self.node(
            "Resize",
            [source, "", scales],
            name,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def mean(self, source: str, name: str, size: int, stride: int = 1, *, air_outside: bool = False) -> str:
        """Mean over size × size, of the cells that the picture has; `air_outside` counts as 0 what lies beyond it."""
        how = {"kernel_shape": [size, size], "strides": [stride, stride], "pads": [size // 2] * 4}
        return self.node("AveragePool", [source], name, **how, count_include_pad=int(air_outside))

    def part(self, source: str, name: str, *, axis: int, start: int, end: int) -> str:
        """A stretch of one axis."""
        bounds = (("from", start), ("to", end), ("axis", axis))
        return self.node("Slice", [source, *(self.constant(f"{name}.{what}", np.asarray([at], np.int64)) for what, at in bounds)], name)

    def top(self, source: str, name: str, count: int) -> str:
        """The highest of (1, n), in falling order."""
        return self.node("TopK", [source, self.constant(f"{name}.k", np.asarray([count], np.int64))], name, outputs=2, axis=1)

    def weighted_mean(self, source: str, name: str, weight: float) -> str:
        """The mean of (1, n), times `weight`."""
        mean = self.node("ReduceMean", [source], f"{name}.mean", axes=[1], keepdims=0)
        return self.node("Mul", [mean, self.constant(f"{name}.w", np.asarray([weight], np.float32))], name)
