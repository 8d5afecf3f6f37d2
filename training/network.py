"""The network: encoder and decoder over the physical channels whose last step is a plain linear head over features of each cell.

Input (n, 4, rows, columns) on the 0.8 mm grid, sides multiples of 16 (`station.screening.features.model_input`). For each 3.2 mm cell it
gives `FEATURES` numbers; a linear head makes the threat logit of them and nothing else does, so that a site can fit that head anew
without this program. The last four features are the plain scores (darkness and dense material, of the cell and smoothed over about
20 mm); their weights cannot fall below 0, because learned heads alone fail on images of a kind that they never saw. The piece's logit
comes from the hottest cells at several scales and from the darkest and densest places (`Read.terms`). How these are weighed is not learned
with the rest: meanwhile the means of hot cells count alike, so that the piece's loss keeps its pull on the cells; afterwards
`training.score` fits the few weights (decision 0075).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from firmware_sims.mail_catalogue import LABELS
from station.screening.features import CHANNELS
from station.screening.site_fit import PLAIN_FEATURES
from station.screening.spots import THREAT_CLASSES
from training.encoder import AT_CELLS, AT_FOUR_CELLS, AT_TWO_CELLS, Encoder

MERGED_CELLS, MERGED_TWO_CELLS = 48, 96
CLASSES, THINGS = len(THREAT_CLASSES), len(LABELS)
LEARNED, PLAIN = 44, PLAIN_FEATURES
FEATURES = LEARNED + PLAIN
PLAIN_IN_HEAT = 5.0
"""Weight of the smoothed plain scores in the heat map, beside the logits; fixed, not learned."""
PLAIN_IN_SCORE = (1.0, 0.25)
"""The least weights of the darkest and of the densest places in the piece's logit: each gives up to about 1 for an ordinary dense thing."""
WHILE_TRAINING = 0.3
"""Weight of each mean of hot cells while the network trains; the plain terms count nothing then."""
TOP_CELLS = (4, 16, 64, 256)
"""Of the logits smoothed over 3 × 3 cells; the smallest picture has 256."""
TOP_PLACES = 4
PLACE_CELLS, PLACE_STRIDE = 9, 3
"""The coarse scale: means over 29 mm, every 10 mm."""
TOP_PLAIN = 64
HOT_TERMS, TERMS = len(TOP_CELLS) + 1, len(TOP_CELLS) + 3


class Read(NamedTuple):
    """What the network makes of n pictures.

    `logits` (n, 1, h, w) of the cells, smoothed; `heat` likewise with the plain scores; `terms` (n, `TERMS`), of which the piece's logit is
    made: means of the hottest cells (`TOP_CELLS`, then places), then of the darkest and of the densest cells; `classes` (n, 12, h, w);
    `things` (n, `THINGS`, h, w), logits of everything that has a name, for training alone; `features` (n, `FEATURES`, h, w).
    """

    logits: Tensor
    heat: Tensor
    terms: Tensor
    classes: Tensor
    things: Tensor
    features: Tensor


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution of 3 × 3, normalisation, rectifier."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def pooled(values: Tensor, size: int, stride: int = 1, *, air_outside: bool = False) -> Tensor:
    """Mean over size × size, of the cells that the picture has; `air_outside` counts as 0 what lies beyond it.

    Air has no darkness and no dense material, but a logit of 0 is no air: it is a chance of one half, hotter than nearly every cell.
    """
    return functional.avg_pool2d(values, size, stride=stride, padding=size // 2, count_include_pad=air_outside)


def top_mean(values: Tensor, cells: int) -> Tensor:
    """Mean of the highest `cells` of each picture, (n,)."""
    return values.flatten(1).topk(cells, dim=1).values.mean(dim=1)


class HeatNet(nn.Module):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(len(CHANNELS))
        self.lift3 = nn.Conv2d(AT_FOUR_CELLS, MERGED_TWO_CELLS, 1)
        self.beside2 = nn.Conv2d(AT_TWO_CELLS, MERGED_TWO_CELLS, 1)
        self.merge2 = block(MERGED_TWO_CELLS, MERGED_TWO_CELLS)
        self.lift2 = nn.Conv2d(MERGED_TWO_CELLS, MERGED_CELLS, 1)
        self.beside1 = nn.Conv2d(AT_CELLS, MERGED_CELLS, 1)
        self.merge1 = block(MERGED_CELLS, LEARNED)
        self.head = nn.Conv2d(LEARNED, 1, 1)
        self.head_plain = nn.Parameter(torch.full((PLAIN,), -1.0))
        self.classes = nn.Conv2d(LEARNED, CLASSES, 1)
        self.things = nn.Conv2d(LEARNED, THINGS, 1)
        self.rough_bias = nn.Parameter(torch.full((1,), -0.5))
        self.piece_weights = nn.Buffer(torch.tensor([WHILE_TRAINING] * HOT_TERMS + list(PLAIN_IN_SCORE)))
        self.piece_bias = nn.Buffer(torch.full((1,), -2.0))
        nn.init.constant_(self.head.bias, -0.5)

    def head_weights(self) -> Tensor:
        """Weights of the linear head over all features, (`FEATURES`,)."""
        return torch.cat([self.head.weight.flatten(), functional.softplus(self.head_plain)])

    def piece(self, terms: Tensor) -> Tensor:
        """The piece's logit, (n,), as the exported file has it; rough before `training.score` has fitted its weights."""
        return terms @ self.piece_weights + self.piece_bias

    def rough_piece(self, terms: Tensor) -> Tensor:
        """The piece's logit while the network trains, (n,)."""
        return WHILE_TRAINING * terms[:, :HOT_TERMS].sum(dim=1) + self.rough_bias

    def scales(self) -> list[nn.Parameter]:
        """The few numbers that weigh whole maps against one another."""
        return [self.head_plain, self.rough_bias]

    def forward(self, channels: Tensor) -> Read:
        """See `Read`."""
        cells, two_cells, four_cells = self.encoder(channels)
        two_cells = self.merge2(self.beside2(two_cells) + functional.interpolate(self.lift3(four_cells), scale_factor=2.0, mode="nearest"))
        learned = self.merge1(self.beside1(cells) + functional.interpolate(self.lift2(two_cells), scale_factor=2.0, mode="nearest"))
        # a few channels are pooled twice as quickly when they do not lie channels last
        plain = functional.avg_pool2d(channels[:, 2:4].contiguous(), 4)
        smooth = pooled(pooled(plain, 5, air_outside=True), 5, air_outside=True)
        features = torch.cat([learned, plain, smooth], dim=1)
        logits = pooled(functional.conv2d(features, self.head_weights().view(1, -1, 1, 1), self.head.bias), 3)
        heat = logits + PLAIN_IN_HEAT * smooth.sum(dim=1, keepdim=True)
        means = [top_mean(logits, cells) for cells in TOP_CELLS]
        means.append(top_mean(pooled(logits, PLACE_CELLS, PLACE_STRIDE), TOP_PLACES))
        means += [top_mean(smooth[:, at], TOP_PLAIN) for at in range(PLAIN // 2)]
        return Read(logits, heat, torch.stack(means, 1), self.classes(learned), self.things(learned), features)
