"""The last few weights: how the hottest, darkest and densest places of a whole piece make its logit, fitted once the network is trained.

While the network learns, its hot cells say little, so learned weights would go to nothing and take the piece's pull on the cells with
them; and a crop is not a piece: a whole one has more cells to be the hottest of. So they are fitted at the end, on whole pieces that the
network was not trained on, by logistic regression (decision 0075).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from training.check import Checked
from training.network import HOT_TERMS, PLAIN_IN_SCORE, TERMS, HeatNet

PULL = 1e-3
MOST_STEPS = 200


def fit_score(net: HeatNet, found: Sequence[Checked]) -> list[Checked]:
    """Give `net` the weights that best tell threats within each group of `found`; the same pieces with their new logits come back.

    Each group has a bias of its own in the fit, as each kind has its own threshold; the net gets their mean. No weight falls below 0, those
    of the plain terms not below their floor (decision 0065). Groups without both sorts of pieces say nothing; if none has both, all stays.
    """
    both = {one.group for one in found if one.threat} & {one.group for one in found if not one.threat}
    used = [one for one in found if one.group in both]
    if not used:
        return list(found)
    groups = sorted(both)
    place = torch.tensor([groups.index(one.group) for one in used])
    terms = torch.tensor([one.terms for one in used], dtype=torch.float64)
    threat = torch.tensor([float(bool(one.threat)) for one in used], dtype=torch.float64)
    least = torch.tensor([0.0] * HOT_TERMS + list(PLAIN_IN_SCORE), dtype=torch.float64)
    raw = torch.full((TERMS,), -1.5, dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(len(groups), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([raw, biases], max_iter=MOST_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        weights = functional.softplus(raw)
        logits = terms @ (least + weights) + biases[place]
        value = functional.binary_cross_entropy_with_logits(logits, threat) + PULL * (weights.square().sum() + biases.square().mean())
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        net.piece_weights.copy_(least + functional.softplus(raw))
        net.piece_bias.fill_(biases.mean())
    return rescored(net, found)


def rescored(net: HeatNet, found: Sequence[Checked]) -> list[Checked]:
    """The same pieces, at least one, with the logits that `net` makes of their terms now."""
    with torch.no_grad():
        logits = net.piece(torch.tensor([one.terms for one in found]))
    return [replace(one, logit=float(logit)) for one, logit in zip(found, logits, strict=True)]
