"""Plain pieces and a bare world for the simulators' own tests."""

import itertools
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from firmware_sims.mail import Piece
from firmware_sims.world import World

DT_S = 0.01
_SERIALS = itertools.count(1)


class PlainBody:
    """A body that lets everything through."""

    length_mm = 200.0
    width_mm = 150.0

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> NDArray[np.float32]:
        return np.ones((2, int(self.length_mm / line_mm), int(self.width_mm / pixel_mm)), dtype=np.float32)


def make_piece(piece_id: str = "EE473124829VN", *, length_mm: float = 200.0, weight_g: float = 100.0) -> Piece:
    return Piece(
        serial=next(_SERIALS),
        piece_id=piece_id,
        barcode=piece_id,
        kind="envelope",
        truth="benign",
        length_mm=length_mm,
        width_mm=150.0,
        height_mm=5.0,
        weight_g=weight_g,
        body=PlainBody(),
    )


def make_world(seed: int = 1) -> World:
    return World(rng=random.Random(seed))


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / DT_S)):
        world.step(DT_S)


def run_until(world: World, done: Callable[[], bool], *, limit_s: float = 60.0) -> None:
    for _ in range(round(limit_s / DT_S)):
        if done():
            return
        world.step(DT_S)
    raise AssertionError("it never came about")
