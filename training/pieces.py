"""The pieces of drawn sets, mapped from their files: a crop costs what it holds, and nothing is packed or read twice.

`.npz` files as `training.make_dataset` writes them are plain archives without compression, so that the array `t` lies in one stretch of
its file. Which pieces there are and where each array lies is found once and kept beside the set (`index.npz`).
"""

import struct
import zipfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_sims.mail_catalogue import CLASSES
from training.conditions import Conditions, from_json

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

INDEX_FILE = "index.npz"
LOCAL_HEADER = 30
HELD_EVERY = 20
"""Every so manyth piece of a set is never trained on: what is checked during training, and the fit of the score, stand on those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where a piece lies and what it is. `classes` has the bit of each class that it holds; `threat` is "" for none."""

    file: Path
    offset: int
    shape: tuple[int, int]
    labels_offset: int
    kind: str
    threat: str
    classes: int
    conditions: str
    generation: int

    def crop(self, rows: slice, columns: slice) -> FloatArray:
        """Transmission (2, …) of that part, LE and HE."""
        counts = np.memmap(self.file, np.uint16, "r", self.offset, (2, *self.shape))
        return counts[:, rows, columns].astype(np.float32) * np.float32(1 / 65535)

    def labels(self) -> ByteArray:
        """What lies in the cells of 4 × 4: place in `LABELS` plus one, 0 for none of them."""
        shape = (-(-self.shape[0] // 4), -(-self.shape[1] // 4))
        return np.fromfile(self.file, np.uint8, shape[0] * shape[1], offset=self.labels_offset).reshape(shape)

    def taken(self) -> Conditions:
        """The conditions that were drawn for it."""
        return from_json(self.conditions)


class Split(NamedTuple):
    """A set's pieces: those to train on, those held to check and to fit the score on, and held ones with what is left out, to measure."""

    trained: list[Stored]
    held: list[Stored]
    apart: list[Stored]


def forbidden(labels: ByteArray) -> npt.NDArray[np.bool_]:
    """Where something forbidden lies."""
    return (labels > 0) & (labels <= len(CLASSES))


def read_set(folder: Path, *, jobs: int = 1) -> list[Stored]:
    """Every piece of a set, by name. An index that does not fit the files there, or knows no labels, is made anew, by `jobs` processes.

    Raises:
        FileNotFoundError: no pieces there.
        ValueError: a file is compressed, or is no piece.
    """
    files = sorted(one for one in folder.glob("*.npz") if one.name != INDEX_FILE)
    if not files:
        msg = f"no pieces in {folder}; draw some with training.make_dataset"
        raise FileNotFoundError(msg)
    names = np.asarray([one.name for one in files])
    sizes = np.asarray([one.stat().st_size for one in files])
    index = folder / INDEX_FILE
    if index.exists():
        with np.load(index) as known:
            fits = np.array_equal(known["names"], names) and np.array_equal(known["sizes"], sizes)
            if fits and "labels_offset" in known.files:
                return _stored(files, {name: known[name] for name in known.files})
    rows = _looked(files, jobs=jobs)
    columns = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
    part = index.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, names=names, sizes=sizes, **columns)
    part.replace(index)
    return _stored(files, columns)


def _stored(files: Sequence[Path], columns: dict[str, npt.NDArray[np.generic]]) -> list[Stored]:
    found = {name: values.tolist() for name, values in columns.items()}
    return [
        Stored(
            file=file,
            offset=found["offset"][at],
            shape=(found["rows"][at], found["columns"][at]),
            labels_offset=found["labels_offset"][at],
            kind=found["kind"][at],
            threat=found["threat"][at],
            classes=found["classes"][at],
            conditions=found["conditions"][at],
            generation=found["generation"][at],
        )
        for at, file in enumerate(files)
    ]


def _looked(files: Sequence[Path], *, jobs: int) -> list[dict[str, int | str]]:
    if jobs == 1:
        return [_look(one) for one in files]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_look, files, chunksize=64))


def _look(file: Path) -> dict[str, int | str]:
    offset, shape, kind = _array(file, "t")
    labels_offset, _, labels_kind = _array(file, "labels")
    if (kind, labels_kind) != (np.dtype(np.uint16), np.dtype(np.uint8)):
        msg = f"{file} is no drawn piece"
        raise ValueError(msg)
    with np.load(file) as piece:
        present = np.unique(piece["mask"])
        return {
            "offset": offset,
            "rows": shape[1],
            "columns": shape[2],
            "labels_offset": labels_offset,
            "kind": str(piece["kind"]),
            "threat": str(piece["threat_kind"]),
            "classes": int(sum(1 << (int(one) - 1) for one in present if one)),
            "conditions": str(piece["conditions"]),
            "generation": int(piece["generator"]),
        }


def _array(file: Path, name: str) -> tuple[int, tuple[int, ...], np.dtype[np.generic]]:
    """Where the numbers of an array begin in its file, its shape and type."""
    with zipfile.ZipFile(file) as archive:
        if f"{name}.npy" not in archive.namelist():
            msg = f"{file} has no {name}: it was drawn by an older program; draw the set anew"
            raise ValueError(msg)
        entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        msg = f"{file} is compressed and cannot be mapped"
        raise ValueError(msg)
    with file.open("rb") as data:
        data.seek(entry.header_offset)
        sizes = struct.unpack_from("<HH", data.read(LOCAL_HEADER), 26)
        data.seek(entry.header_offset + LOCAL_HEADER + sum(sizes))
        version = np.lib.format.read_magic(data)
        reading = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, kind = reading(data)
        if by_columns and len(shape) > 1:
            msg = f"{file}: {name} is stored by columns"
            raise ValueError(msg)
        return data.tell(), shape, kind


def split(pieces: Sequence[Stored], *, leave_out: str | None = None) -> Split:
    """Every `HELD_EVERY`th piece is held; whatever holds anything of the class `leave_out` is neither trained on nor fitted on."""
    bit = 0 if leave_out is None else 1 << CLASSES.index(leave_out)
    has_it = [bool(one.classes & bit) or one.threat == leave_out for one in pieces]
    trained = [one for at, one in enumerate(pieces) if at % HELD_EVERY and not has_it[at]]
    held, apart = ([one for at, one in enumerate(pieces) if at % HELD_EVERY == 0 and has_it[at] is left] for left in (False, True))
    return Split(trained, held, apart)
