"""What training asks of the network: hot cells on the thing, cold ones elsewhere, the piece's logit, the class, every thing's name."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.network import CLASSES, Read

HARD_SHARE = 0.1
"""The hottest cells of each crop that should be cold count as much as all of them together. A hundredth would be those alone that look most
like a threat, from which nothing can be learned at the start."""
CLASS_SHARE = 0.3
THINGS_SHARE = 0.5
"""Of telling each thing from every other, forbidden or not: whoever knows a spanner does not take it for a knife."""
LEAST_CELLS = 3
"""Of a thing that is in the crop; fewer make it a doubtful one, on which the piece is not judged."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Parts of the loss, scalars."""

    cells: Tensor
    piece: Tensor
    classes: Tensor
    things: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.cells + self.piece + CLASS_SHARE * self.classes + THINGS_SHARE * self.things


def losses(read: Read, piece: Tensor, labels: Tensor) -> Losses:
    """Loss of a batch; `piece` (n,) are the pieces' logits, `labels` (n, h, w) the place in `LABELS` plus one of each cell, 0 for none.

    Each crop counts the same, however much of it is covered. Cells beside the thing are left out: their blur is neither.
    """
    labels = labels.long()
    forbidden = (labels > 0) & (labels <= CLASSES)
    threat = forbidden[:, None].float()
    near = functional.max_pool2d(threat, 3, stride=1, padding=1)
    each = functional.binary_cross_entropy_with_logits(read.logits, threat, reduction="none")
    covered = threat.flatten(1).sum(1)
    has = (covered > 0).float()
    hot = ((each * threat).flatten(1).sum(1) / covered.clamp(min=1) * has).sum() / has.sum().clamp(min=1)
    cold = (each * (1 - near)).flatten(1)
    hard = cold.topk(max(1, int(cold.shape[1] * HARD_SHARE)), dim=1).values.mean()
    cells = 2 * hot + cold.mean() + hard
    sure = ((covered == 0) | (covered >= LEAST_CELLS)).float()
    whole = functional.binary_cross_entropy_with_logits(piece, has, reduction="none")
    return Losses(
        cells,
        (whole * sure).sum() / sure.sum().clamp(min=1),
        _named(read.classes, torch.where(forbidden, labels, 0)),
        _named(read.things, labels),
    )


def _named(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy over the labelled cells of each crop, then over the crops that have any."""
    each = functional.cross_entropy(logits, labels - 1, ignore_index=-1, reduction="none").flatten(1).sum(1)
    cells = (labels > 0).flatten(1).sum(1)
    return (each / cells.clamp(min=1)).sum() / (cells > 0).sum().clamp(min=1)
