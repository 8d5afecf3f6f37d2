"""The network: a small encoder and decoder over the physical channels, with the plain scores led around it.

Input (1, 4, rows, columns) on the 0.8 mm grid, sides multiples of 16 (`station.screening.features.model_input`). Output: logits per 3.2 mm
cell and one logit for the piece. Darkness and dense material are added to the map with learned weights that cannot fall below 0,
because learned heads alone fail on images of a kind that they never saw. The piece's logit comes from the hottest cells of the
smoothed map, a localisation-free number of its own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

TOP_CELLS = (8, 40)
PLAIN_IN_HEAT = 5.0
"""Weight of smoothed darkness and dense material in the heat map, beside the learned logits; fixed, not learned."""
WIDTHS = (16, 32, 64, 96)


def _block(inputs: int, outputs: int, *, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def plain_scores(channels: Tensor) -> Tensor:
    """Darkness and dense material per 3.2 mm cell, (n, 2, rows/4, columns/4)."""
    return functional.avg_pool2d(channels[:, 2:4], 4)


def heat_logits(logits: Tensor, channels: Tensor) -> Tensor:
    """The heat map's logits: what was learned, and the plain scores smoothed over about 20 mm.

    The piece's score stays apart: where to look and whether to hold are two questions.
    """
    smooth = plain_scores(channels)
    for _ in range(2):
        smooth = functional.avg_pool2d(smooth, 5, stride=1, padding=2, count_include_pad=True)
    return logits + PLAIN_IN_HEAT * smooth.sum(dim=1, keepdim=True)


class HeatNet(nn.Module):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = _block(4, a, size=5, stride=2)
        self.down1 = _block(a, b, stride=2)
        self.same1 = _block(b, b)
        self.down2 = _block(b, c, stride=2)
        self.same2 = _block(c, c)
        self.down3 = _block(c, d, stride=2)
        self.same3 = _block(d, d)
        self.wide3 = _block(d, d, dilation=2)
        self.far3 = _block(d, d, dilation=4)
        self.lift3 = nn.Conv2d(d, c, 1)
        self.merge2 = _block(c, c)
        self.lift2 = nn.Conv2d(c, b, 1)
        self.merge1 = _block(b, b)
        self.head = nn.Conv2d(b, 1, 1)
        self.plain = nn.Parameter(torch.tensor([-1.0, -1.0]))
        self.piece = nn.Parameter(torch.tensor([0.5, 0.5, 0.0]))

    def forward(self, channels: Tensor) -> tuple[Tensor, Tensor]:
        """Smoothed logits (n, 1, rows/4, columns/4) and piece logits (n,)."""
        level1 = self.same1(self.down1(self.stem(channels)))
        level2 = self.same2(self.down2(level1))
        level3 = self.far3(self.wide3(self.same3(self.down3(level2))))
        level2 = self.merge2(level2 + functional.interpolate(self.lift3(level3), scale_factor=2.0, mode="nearest"))
        level1 = self.merge1(level1 + functional.interpolate(self.lift2(level2), scale_factor=2.0, mode="nearest"))
        plain = plain_scores(channels)
        weights = functional.softplus(self.plain).view(1, 2, 1, 1)
        logits = self.head(level1) + (plain * weights).sum(dim=1, keepdim=True)
        smooth = functional.avg_pool2d(logits, 3, stride=1, padding=1, count_include_pad=True)
        flat = smooth.flatten(1)
        few, many = (flat.topk(cells, dim=1).values.mean(dim=1) for cells in TOP_CELLS)
        return smooth, self.piece[0] * few + self.piece[1] * many + self.piece[2]
