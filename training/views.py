"""Held pieces as they are read: whole, each scanned as it was drawn, bags also as pictures; the same scans each time."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from station.screening.features import model_input
from training.augment import pictured
from training.batches import BAGS
from training.conditions import detected
from training.kinds import announced
from training.pieces import Stored, forbidden
from training.survey import darkness

SEED = 77
AIR = 16
"""Grid steps of air round the piece, as the station reads it."""
SIDE = 16


@dataclass(frozen=True, slots=True)
class View:
    """A piece as it is read: channels (4, rows, columns), classes of the cells, darkness; `group` is the kind it is announced as."""

    group: str
    threat: str
    channels: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8]
    darkness: float


def views(pieces: Sequence[Stored], *, workers: int) -> Iterator[View]:
    """Every piece once, bags twice, in order, made by `workers` processes."""
    # a fresh interpreter each, so that it reads how many threads its arithmetic may use
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for seen in pool.map(_seen, range(len(pieces)), pieces, chunksize=4):
            yield from seen


def _seen(at: int, piece: Stored) -> list[View]:
    rng = np.random.default_rng((SEED, at))
    t = piece.crop(slice(None), slice(None))
    t = np.pad(t, ((0, 0), *((AIR, AIR + -(side + 2 * AIR) % SIDE) for side in piece.shape)), constant_values=1.0)
    t = detected(t, piece.taken(), rng)
    scans = {announced(piece.kind): t}
    if piece.kind == BAGS:
        scans["pictures"] = pictured(t, rng)
    mask = np.zeros((t.shape[1] // 4, t.shape[2] // 4), np.uint8)
    own = piece.labels()
    mask[AIR // 4 : AIR // 4 + own.shape[0], AIR // 4 : AIR // 4 + own.shape[1]] = np.where(forbidden(own), own, 0)
    return [View(group, piece.threat, model_input(view[0], view[1]), mask, darkness(view[1])) for group, view in scans.items()]
