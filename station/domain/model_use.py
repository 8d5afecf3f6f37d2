"""Facts about which model is in use: every sign-off and every roll-back, and what follows from all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

MODEL_SUBJECT = "MODEL"
"""Under this name the station's facts about its model stand, where a piece's stand under its id."""
DELIVERED = ""
"""The folder's name that stands for the model that was delivered: the shipped one, or the one that the configuration names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInUse:
    """From this moment on the model of `folder` is in use, because `person` said so.

    `visit` numbers these facts from 1. `manifest_sha256` pins the folder's manifest, which pins all else of it; `key` is the base64 of the
    raw public key that signed it. Both are empty for the delivered model. `rolled_back` tells that it had been in use before.
    """

    piece_id: str
    visit: int
    at: datetime
    person: str
    note: str
    folder: str
    manifest_sha256: str
    model_sha256: str
    calibration_sha256: str
    key: str
    rolled_back: bool


def in_use(facts: Iterable[ModelInUse]) -> ModelInUse | None:
    """The newest of these facts; None while the delivered model has never been replaced."""
    *_, newest = (None, *facts)
    return newest


def before(facts: Iterable[ModelInUse]) -> ModelInUse | None:
    """What a roll-back returns to: the sign-off before the one in use; None: the delivered model.

    Raises:
        ValueError: the delivered model is in use, so there is nothing before it.
    """
    signed: list[ModelInUse] = []
    for fact in facts:
        if fact.rolled_back:
            del signed[-1:]
        else:
            signed.append(fact)
    if not signed:
        raise ValueError("the delivered model is in use")
    return signed[-2] if len(signed) > 1 else None
