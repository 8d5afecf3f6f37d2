"""How the network does on pieces held apart: whole, each scanned as it was drawn, bags also as pictures; plain darkness beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from station.screening.resampling import auroc
from training.network import HeatNet
from training.pieces import Stored
from training.views import View, views

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Checked:
    """One piece.

    Its group (the kind it is announced as, or `pictures`), what is forbidden in it, its logit and its terms, darkness, how its cells are
    ranked.
    """

    group: str
    threat: str
    logit: float
    terms: tuple[float, ...]
    darkness: float
    cells: float | None
    named: bool | None


def checked(net: HeatNet, pieces: Sequence[Stored], device: torch.device, *, workers: int) -> list[Checked]:
    """Read every piece once, and bags once more as pictures; the same scans each time. The network is left in its mode."""
    training = net.training
    net.eval()
    found = [_read(net, view, device) for view in views(pieces, workers=workers)]
    net.train(training)
    return found


def _read(net: HeatNet, view: View, device: torch.device) -> Checked:
    with torch.no_grad():
        read = net(torch.from_numpy(view.channels)[None].to(device))
        logit = float(net.piece(read.terms))
    there = view.mask > 0
    cells = named = None
    if there.any():
        cells = auroc(read.heat[0, 0].float().cpu().numpy().ravel(), there.ravel())
        classes = read.classes[0].float().cpu().numpy()[:, there].mean(axis=1)
        named = int(classes.argmax()) == int(np.bincount(view.mask[there]).argmax()) - 1
    return Checked(view.group, view.threat, logit, tuple(read.terms[0].tolist()), view.darkness, cells, named)


def report(found: Sequence[Checked]) -> dict[str, Any]:
    """Figures by group: AUROC of piece and of darkness, share found at 5 % false alarms; over all: of cells, names, classes found."""
    groups = sorted({one.group for one in found})
    figures: dict[str, Any] = {"groups": {group: _figures([one for one in found if one.group == group]) for group in groups}}
    limits = {group: _limit([one.logit for one in found if one.group == group and not one.threat]) for group in groups}
    threats = [one for one in found if one.threat]
    figures["cells"] = _mean([one.cells for one in threats if one.cells is not None])
    figures["named"] = _mean([float(one.named) for one in threats if one.named is not None])
    names = sorted({one.threat for one in threats})
    figures["classes"] = {
        name: _mean([float(one.logit > limits[one.group]) for one in threats if one.threat == name and one.group != "pictures"])
        for name in names
    }
    return figures


def _figures(found: Sequence[Checked]) -> dict[str, Any]:
    threat = np.asarray([bool(one.threat) for one in found])
    if threat.all() or not threat.any():
        return {"n": len(found)}
    logits, dark = (np.asarray([getattr(one, name) for one in found], np.float32) for name in ("logit", "darkness"))
    return {
        "n": len(found),
        "auroc": round(auroc(logits, threat), 4),
        "darkness": round(auroc(dark, threat), 4),
        "found": _mean((logits[threat] > _limit(logits[~threat])).tolist()),
    }


def _limit(benign: Sequence[float] | npt.NDArray[np.float32]) -> float:
    return float(np.quantile(benign, 1 - ALPHA, method="higher")) if len(benign) else float("inf")


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None
