"""A sheet of drawn pieces for people to look at: as the scanner sees them in the station's colours, forbidden things outlined and named."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from firmware_sims.mail_catalogue import CLASSES
from station.screening.image import encode_png
from station.screening.views import pseudo_colours
from training.conditions import Conditions, detected, from_json

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

TILE = 260
LABEL = 18
ACROSS = 8
MARGIN = 10
OUTLINE_BGR = (200, 0, 200)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A piece of a set as it lies in its file."""

    t: FloatArray
    mask: ByteArray
    kind: str
    threat_kind: str
    visibility: float
    conspicuity: float
    conditions: Conditions


def read_piece(file: Path) -> Drawn:
    """A piece of a set.

    Raises:
        OSError: there is no such file.
        KeyError: it was not written by `training.make_dataset`.
    """
    with np.load(file) as piece:
        return Drawn(
            piece["t"].astype(np.float32) / np.float32(65535),
            piece["mask"],
            str(piece["kind"]),
            str(piece["threat_kind"]),
            float(piece["visibility"]),
            float(piece["conspicuity"]),
            from_json(str(piece["conditions"])),
        )


def _tile(piece: Drawn, rng: np.random.Generator) -> ByteArray:
    air = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
    le, he = detected(np.pad(piece.t, air, constant_values=1.0), piece.conditions, rng)
    picture = pseudo_colours(le, he)
    share = min((TILE - 4) / picture.shape[0], (TILE - 4) / picture.shape[1])
    rows, columns = (max(1, round(side * share)) for side in picture.shape[:2])
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)
    for index in range(len(CLASSES)):
        where = (piece.mask == index + 1).astype(np.uint8)
        outlines, _ = cv2.findContours(
            cv2.resize(where, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(small, [np.round((line + MARGIN) * share).astype(np.int32) for line in outlines], -1, OUTLINE_BGR, 1)
    tile = np.full((TILE + LABEL, TILE, 3), 255, np.uint8)
    tile[LABEL : LABEL + rows, :columns] = small
    words = f"{piece.kind}: {piece.threat_kind} d' {piece.visibility:.0f}, {piece.conspicuity:.0f}" if piece.threat_kind else piece.kind
    cv2.putText(tile, f"{words} {piece.conditions.tube_kv} kV", (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def write_sheet(target: Path, files: Sequence[Path], *, seed: int, rows_each: int = 1) -> None:
    """PNG with `rows_each` rows of pieces for each class and for those with nothing forbidden, the first of each that `files` hold."""
    room = ACROSS * rows_each
    chosen: dict[str, list[Drawn]] = defaultdict(list)
    for file in files:
        piece = read_piece(file)
        if len(chosen[piece.threat_kind]) < room:
            chosen[piece.threat_kind].append(piece)
        if all(len(chosen[name]) == room for name in ("", *CLASSES)):
            break
    rng = np.random.default_rng(seed)
    blank = np.full((TILE + LABEL, TILE, 3), 255, np.uint8)
    lines = []
    for name in ("", *CLASSES):
        tiles = [_tile(piece, rng) for piece in chosen[name]]
        for start in range(0, len(tiles), ACROSS):
            row = tiles[start : start + ACROSS]
            lines.append(np.hstack(row + [blank] * (ACROSS - len(row))))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encode_png(np.vstack(lines)))
