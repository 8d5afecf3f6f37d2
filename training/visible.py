"""How visible a forbidden thing is, if the generator of mail tells; and the floor below which nobody could see it."""

import importlib
import importlib.util

import numpy as np

from firmware_sims.mail import Piece

KNOWN = importlib.util.find_spec("training.visibility") is not None


def visibility_of(piece: Piece) -> float | None:
    """Detectability of the forbidden thing in the nominal scanner; None where the generator's physics gives none."""
    said = getattr(piece, "visibility", None)
    if said is not None or not KNOWN:
        return said
    conditions = importlib.import_module("training.conditions").NOMINAL
    seen = importlib.import_module("training.make_dataset").shown(piece, conditions)
    # in noise alone; a generator may tell more beside it
    return float(np.ravel(importlib.import_module("training.visibility").visibility(seen.t, seen.without, conditions))[0])


def stated_floor() -> float | None:
    """The generator's own floor of visibility, if it states one."""
    return float(importlib.import_module("training.visibility").VISIBILITY_FLOOR) if KNOWN else None
