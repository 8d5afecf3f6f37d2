"""Batches of training: each depends on the seed and its number alone, whoever makes it, so that a run can be taken up and repeated."""

import signal
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from firmware_sims.mail_catalogue import CLASSES
from station.screening.features import model_input
from station.screening.image import one_thread
from training.augment import STACKED, Sample, cropped, pictured, resized, scanned, stacked, turned
from training.pieces import Stored

SHAPES = ((24, 112), (8, 224), (3, 400))
"""Crops in a batch and their sides in grid steps: things closely, places, and pieces nearly whole. Few of them, for many steps."""
SHAPE_SHARES = (0.6, 0.25, 0.15)
BAGS = "baggage_like"
BAG_SHARE = 0.27
THREAT_SHARE = 0.5
PICTURE_SHARE_BAGS, PICTURE_SHARE_MAIL = 0.6, 0.1
MADE_AHEAD = 4
"""Batches that each worker has made or in hand."""
SMALLEST_PICTURE, LARGEST_PICTURE = 0.6, 1.1
"""How much smaller or larger things come in pictures, whose scale is not known."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Channels (n, 4, side, side) float32 and labels of the cells (n, side/4, side/4): place in `LABELS` plus one, 0 for none."""

    channels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]


class Batches:
    """A sequence without end; `Batches(…)[step]` is the batch of that step, of `times` as many crops as `SHAPES` says."""

    def __init__(self, pieces: Sequence[Stored], *, seed: int, times: int = 1) -> None:
        self._seed = seed
        self._times = times
        self._pieces = pieces
        self._groups: dict[tuple[bool, str], list[int]] = {}
        for at, one in enumerate(pieces):
            self._groups.setdefault((one.kind == BAGS, one.threat), []).append(at)
        for bags in {bags for bags, _ in self._groups}:
            if (bags, "") not in self._groups or not self._threats(bags):
                msg = "a set needs ordinary pieces and such with something forbidden"
                raise ValueError(msg)

    def _threats(self, bags: bool) -> list[str]:  # noqa: FBT001 - the name of a group
        return [name for name in CLASSES if (bags, name) in self._groups]

    def _drawn(self, rng: np.random.Generator, *, bags: bool, threat: bool) -> Stored:
        """A piece; classes come equally often, however rare they are in the sets."""
        names = self._threats(bags) if threat else [""]
        group = self._groups[bags, names[int(rng.integers(len(names)))]]
        return self._pieces[group[int(rng.integers(len(group)))]]

    def _sample(self, rng: np.random.Generator, size: int) -> Sample:
        has_bags, has_mail = ((bags, "") in self._groups for bags in (True, False))
        bags = has_bags and (not has_mail or rng.random() < BAG_SHARE)
        piece = self._drawn(rng, bags=bags, threat=rng.random() < THREAT_SHARE)
        as_picture = rng.random() < (PICTURE_SHARE_BAGS if bags else PICTURE_SHARE_MAIL)
        taken = round(size / rng.uniform(SMALLEST_PICTURE, LARGEST_PICTURE) / 16) * 16 if as_picture else size
        sample = turned(cropped(piece, taken, rng), rng)
        if rng.random() < STACKED:
            for _ in range(int(rng.integers(1, 4))):
                sample = stacked(sample, turned(cropped(self._drawn(rng, bags=bags, threat=False), taken, rng), rng))
        t = scanned(sample.t, rng)
        return resized(Sample(pictured(t, rng), sample.labels), size) if as_picture else Sample(t, sample.labels)

    def __getitem__(self, step: int) -> Batch:
        one_thread()
        rng = np.random.default_rng((self._seed, step))
        crops, size = SHAPES[int(rng.choice(len(SHAPES), p=SHAPE_SHARES))]
        samples = [self._sample(rng, size) for _ in range(crops * self._times)]
        return Batch(np.stack([model_input(one.t[0], one.t[1]) for one in samples]), np.stack([one.labels for one in samples]))


_of_worker: list[Batches] = []


def _ready(batches: Batches) -> None:
    # a terminal's Ctrl-C reaches workers too: they end when the loop does
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _of_worker[:] = [batches]


def _made(folder: Path, step: int) -> npt.NDArray[np.uint8]:
    """The labels; the channels, which a pipe would copy three times, lie in a file."""
    batch = _of_worker[0][step]
    np.save(_channels(folder, step), batch.channels)
    return batch.labels


def _channels(folder: Path, step: int) -> Path:
    return folder / f"{step}.npy"


def _taken(folder: Path, step: int, labels: npt.NDArray[np.uint8]) -> Batch:
    """A file that is gone by name stays as long as its mapping."""
    file = _channels(folder, step)
    channels = np.load(file, mmap_mode="c")
    file.unlink()
    return Batch(channels, labels)


def made_ahead(batches: Batches, first: int, *, workers: int) -> Generator[Batch]:
    """Batches from number `first` on, in order and without end, made by `workers` processes; close it to end them.

    They are handed over in the folder for temporary files (`TMPDIR`), which had better lie in memory.
    """
    with (
        TemporaryDirectory(prefix="batches-") as name,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ready, initargs=(batches,)) as pool,
    ):
        make = partial(_made, Path(name))
        numbers = count(first)
        waiting = deque((step, pool.submit(make, step)) for step in (next(numbers) for _ in range(MADE_AHEAD * workers)))
        try:
            while True:
                step, labels = waiting.popleft()
                yield _taken(Path(name), step, labels.result())
                step = next(numbers)
                waiting.append((step, pool.submit(make, step)))
        finally:
            pool.shutdown(cancel_futures=True)
