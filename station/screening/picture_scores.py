"""Score labelled pictures once, with every scorer at once; what is measured from the scores is elsewhere (`evaluation`, `pair_evaluation`).

Patches are squares of a thirty-second of the longer side that hold something at all; a patch counts as threat when at least half of it is
in a box.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.screening.baselines import RANDOM, chance, mean_attenuation, pixel_scores, plain_scores
from station.screening.colour_histogram import histogram
from station.screening.image import box_mean, one_thread, read_picture, resample
from station.screening.labels import LabelledPicture
from station.screening.limits import DEFAULT_LIMITS
from station.screening.palette import ColourChannels, from_colours
from station.screening.pipeline import HEAT_STRIDE, Reading

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Progress = Callable[[int, int], None]
"""Told how many of how many are done."""

LONGEST_MM = 450.0
LONGEST_CELLS = LONGEST_MM / DEFAULT_LIMITS.grid_mm
PATCHES_ALONG = 32
SOMETHING = 0.06
"""Mean attenuation of a patch from which it holds something; below it is belt."""
HEAT_BOX = 9
NICE = 10
MODEL = "model"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Scorer(Protocol):
    """A loaded model, as `pipeline.Reader` is; `score` may be called from several threads."""

    def score(self, le: FloatArray, he: FloatArray) -> Reading:
        """Read transmission on the standard grid."""
        ...

    def threshold_for(self, kind: str) -> float:
        """The alarm threshold of a kind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnGrid:
    """A picture as the model sees it, its longer side taken for 450 mm: transmissions (rows, columns), and what its colours told."""

    bgr: ByteArray
    le: FloatArray
    he: FloatArray
    channels: ColourChannels


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Patches that hold something: which are threat, and their scores by each scorer."""

    threat: BoolArray
    scores: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureScore:
    """One picture: scores of the whole by each scorer, its patches where it has boxes, its histogram of colours.

    `error` says why there are no scores; `patches` is None too where all or none of them are threat.
    """

    picture: LabelledPicture
    scores: Mapping[str, float]
    patches: Patches | None
    colours: FloatArray
    palette: str
    error: str = ""


def on_grid(path: Path, palette: str) -> OnGrid:
    """Read a picture and bring it to the standard grid.

    Raises:
        ScreeningError: it cannot be decoded, or its palette cannot be told.
    """
    bgr = read_picture(path)
    channels = from_colours(bgr, palette=palette)
    scale = LONGEST_CELLS / max(channels.le.shape)
    rows, columns = (max(1, round(side * scale)) for side in channels.le.shape)
    le, he = (resample(plane, height=rows, width=columns) for plane in (channels.le, channels.he))
    return OnGrid(bgr=bgr, le=le, he=he, channels=channels)


def _inside(seen: OnGrid, picture: LabelledPicture) -> FloatArray:
    """1 where a box lies, on the grid."""
    inside = np.zeros(seen.le.shape, np.float32)
    down, across = (grid / stored for grid, stored in zip(seen.le.shape, seen.bgr.shape[:2], strict=True))
    for x, y, width, height in picture.boxes:
        rows = slice(max(0, round(y * down)), max(0, round((y + height) * down)))
        columns = slice(max(0, round(x * across)), max(0, round((x + width) * across)))
        inside[rows, columns] = 1.0
    return inside


def _patches(seen: OnGrid, picture: LabelledPicture, maps: Mapping[str, FloatArray]) -> Patches | None:
    side = max(seen.le.shape) / PATCHES_ALONG
    rows, columns = (max(1, round(length / side)) for length in seen.le.shape)
    there = resample(mean_attenuation(seen.le, seen.he), height=rows, width=columns) > SOMETHING
    threat = (resample(_inside(seen, picture), height=rows, width=columns) >= 0.5)[there]  # noqa: PLR2004 - half of the patch
    if not threat.any() or threat.all():
        return None
    scores = {name: resample(plane, height=rows, width=columns)[there] for name, plane in maps.items()}
    scores[RANDOM] = chance(picture.name).random(int(there.sum()), np.float32)
    return Patches(threat=threat, scores=scores)


def score_picture(picture: LabelledPicture, scorers: Mapping[str, Scorer], palette: str) -> PictureScore:
    """Score one picture; a picture that cannot be read has `error`, and no scores."""
    try:
        seen = on_grid(picture.path, palette)
        readings = {name: scorer.score(seen.le, seen.he) for name, scorer in scorers.items()}
    except ScreeningError as error:
        return PictureScore(picture=picture, scores={}, patches=None, colours=np.zeros(0, np.float32), palette="", error=str(error))
    plain = plain_scores(seen.le, seen.he)
    patches = None
    if picture.is_threat and picture.boxes:
        rows, columns = (side // HEAT_STRIDE * HEAT_STRIDE for side in seen.le.shape)
        heats = {name: box_mean(resample(one.heat, height=rows, width=columns), HEAT_BOX) for name, one in readings.items()}
        patches = _patches(seen, picture, {**heats, **plain.maps})
    scores = {
        **{name: one.score for name, one in readings.items()},
        **plain.scores,
        **pixel_scores(seen.bgr, longest_cells=LONGEST_CELLS),
        RANDOM: float(chance(picture.name).random()),
    }
    return PictureScore(picture=picture, scores=scores, patches=patches, colours=histogram(seen.bgr), palette=seen.channels.palette)


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int = 1, progress: Progress | None = None
) -> Iterator[Result]:
    """Results in the order of `items`; decoding, filters and inference run without the interpreter's lock, and behind a station's lanes."""
    one_thread()
    # on Linux this is about the calling thread alone
    with ThreadPoolExecutor(max_workers=jobs, initializer=os.nice, initargs=(NICE,)) as pool:
        for done, result in enumerate(pool.map(work, items), start=1):
            yield result
            if progress is not None:
                progress(done, len(items))


def score_pictures(
    pictures: Sequence[LabelledPicture],
    scorers: Mapping[str, Scorer],
    *,
    palette: str,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[PictureScore]:
    """Every picture with every scorer, in order; the same for any number of jobs."""
    return list(in_threads(lambda one: score_picture(one, scorers, palette), pictures, jobs=jobs, progress=progress))
