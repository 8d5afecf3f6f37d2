"""The hottest places of a piece that alarms, each named where the model is sure what lies there; pure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from station.domain.reasons import Reason
from station.screening.image import components

FloatArray = npt.NDArray[np.float32]

THREAT_CLASSES = {
    "blade": Reason.MODEL_BLADE,
    "handgun": Reason.MODEL_HANDGUN,
    "bomb": Reason.MODEL_BOMB,
    "powder": Reason.MODEL_POWDER,
    "dense_liquid": Reason.MODEL_DENSE_LIQUID,
    "shield": Reason.MODEL_SHIELD,
    "ammunition": Reason.MODEL_AMMUNITION,
    "initiator": Reason.MODEL_INITIATOR,
    "sheet_explosive": Reason.MODEL_SHEET_EXPLOSIVE,
    "bulk_explosive": Reason.MODEL_BULK_EXPLOSIVE,
    "aerosol": Reason.MODEL_AEROSOL,
    "lithium_pack": Reason.MODEL_LITHIUM_PACK,
}
"""What a manifest may call its classes, and what people read."""

MOST_SPOTS = 3
HOT_SHARE = 0.5
"""A spot is what is at least so hot as this share of the hottest cell."""
CLEAR_SHARE = 0.6
"""A class is named from this mean share of the spot's cells; below it the spot is a plain alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place: (x, y, width, height) in cells of the heat map, how hot it gets, and the most that may be said of it."""

    box: tuple[int, int, int, int]
    heat: float
    reason: Reason


def find_spots(heat: FloatArray, classes: FloatArray | None = None, names: tuple[Reason, ...] = ()) -> tuple[Spot, ...]:
    """Up to `MOST_SPOTS` places, the hottest first.

    `heat` is (rows, columns) in 0…1; `classes` (len(names), rows, columns) logits of each cell, None where the model names nothing.
    """
    labels, boxes = components(heat >= max(HOT_SHARE * float(heat.max()), 1e-6))
    spots = []
    for label, (x, y, width, height, _) in enumerate(boxes, start=1):
        window = np.s_[y : y + height, x : x + width]
        own = labels[window] == label
        hot = heat[window][own]
        logits = None if classes is None else classes[:, window[0], window[1]][:, own]
        spots.append(Spot(box=(x, y, width, height), heat=float(hot.max()), reason=_named(hot, logits, names)))
    return tuple(sorted(spots, key=lambda one: -one.heat)[:MOST_SPOTS])


def _named(heat: FloatArray, logits: FloatArray | None, names: tuple[Reason, ...]) -> Reason:
    """The class with the greatest share over the spot's cells, weighted by heat, if that is clear."""
    if logits is None:
        return Reason.MODEL_ALARM
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=0))
    shares = (odds / odds.sum(axis=0)) @ (heat / heat.sum())
    best = int(np.argmax(shares))
    return names[best] if shares[best] >= CLEAR_SHARE else Reason.MODEL_ALARM
