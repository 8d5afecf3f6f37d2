"""Measure the model on labelled pictures: where it points, patch by patch, beside darkness and chance.

Pictures of different scanners cannot be compared by one score per image (their colours alone tell benign and threat apart), so what is
measured is within each picture: do the patches in the boxes score higher than those outside, and does the hottest patch lie in a box?
Patches are squares of a thirty-second of the longer side that hold something at all; a patch counts as threat when at least half of it is
in a box. Intervals are 95 % bootstrap over pictures, paired between scorers.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from station.domain.errors import ConfigurationError, ScreeningError
from station.screening.features import attenuation
from station.screening.image import box_mean, read_picture, resample
from station.screening.limits import DEFAULT_LIMITS
from station.screening.palette import AUTO, ColourChannels, from_colours
from station.screening.pipeline import HEAT_STRIDE, Reading
from station.screening.spots import find_spots

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

LONGEST_MM = 450.0
PATCHES_ALONG = 32
BOOTSTRAPS = 1000
SEED = 20_240_611
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
SOMETHING = 0.06
"""Mean attenuation of a patch from which it holds something; below it is belt."""


class Scorer(Protocol):
    """A loaded model, as `pipeline.Reader` is."""

    def score(self, le: FloatArray, he: FloatArray) -> Reading:
        """Read transmission on the standard grid."""
        ...

    def threshold_for(self, kind: str) -> float:
        """The alarm threshold of a kind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """One row of the manifest; `boxes` (x, y, width, height) in pixels of the stored file."""

    name: str
    path: Path
    is_threat: bool
    boxes: tuple[tuple[float, float, float, float], ...]
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patched:
    """One boxed picture: score per patch and scorer, which patches are threat, only where there is something."""

    name: str
    group: str
    threat: BoolArray
    scores: Mapping[str, FloatArray]


def _boxes(text: str) -> tuple[tuple[float, float, float, float], ...]:
    boxes = []
    for raw in json.loads(text or "[]"):
        numbers = [float(one) for one in raw[-4:]]
        boxes.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    return tuple(boxes)


def read_labels(manifest: Path, images: Path) -> list[LabelledPicture]:
    """The manifest's pictures that are there, by name; columns file, is_threat, boxes_xywh, scanner_group.

    `file` is looked for in `images`, by its last part in `images`, and beside the manifest.

    Raises:
        ConfigurationError: the manifest cannot be read, lacks a column, or names no picture that is there.
    """
    pictures = []
    try:
        with manifest.open(encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                name = row["file"]
                places = (images / name, images / Path(name).name, manifest.parent / name)
                path = next((place for place in places if place.is_file()), None)
                if path is None:
                    continue
                try:
                    boxes = _boxes(row["boxes_xywh"])
                except (ValueError, IndexError, TypeError, KeyError) as error:
                    raise ConfigurationError(f"{manifest}, line {line}: boxes_xywh is no list of boxes") from error
                threat = row["is_threat"].strip().lower() in {"1", "true", "yes"}
                pictures.append(LabelledPicture(name=name, path=path, is_threat=threat, boxes=boxes, group=row["scanner_group"]))
    except (OSError, KeyError, UnicodeDecodeError, csv.Error, AttributeError) as error:
        raise ConfigurationError(
            f"{manifest}: cannot be read as a manifest ({error})",
            remedy="give a CSV with the columns file, is_threat, boxes_xywh, scanner_group",
        ) from error
    if not pictures:
        raise ConfigurationError(f"{manifest} names no picture in {images}", remedy="check --images")
    return sorted(pictures, key=lambda one: one.name)


def _on_grid(path: Path, palette: str) -> tuple[FloatArray, FloatArray, ColourChannels]:
    """Transmissions of a picture on the standard grid, its longer side taken for 450 mm; and what its colours told, pixel by pixel."""
    channels = from_colours(read_picture(path), palette=palette)
    le, he = channels.le, channels.he
    scale = LONGEST_MM / DEFAULT_LIMITS.grid_mm / max(le.shape)
    rows, columns = max(1, round(le.shape[0] * scale)), max(1, round(le.shape[1] * scale))
    return resample(le, height=rows, width=columns), resample(he, height=rows, width=columns), channels


def _origin(channels: ColourChannels) -> dict[str, Any]:
    """That the channels come from colours, of which palette, and how sure that is."""
    return {
        "channels": channels.source,
        "palette": channels.palette,
        "palette_confidence": round(channels.confidence, 3),
        "hue_share": round(channels.hue_share, 3),
    }


def _spots(reading: Reading, threshold: float, size: tuple[int, ...], grid: tuple[int, ...]) -> list[dict[str, Any]]:
    if reading.score < threshold:
        return []
    scale_x, scale_y = HEAT_STRIDE * size[1] / grid[1], HEAT_STRIDE * size[0] / grid[0]
    found: list[dict[str, Any]] = []
    for spot in find_spots(reading.heat, reading.classes, reading.names):
        x, y, width, height = spot.box
        box = [round(x * scale_x), round(y * scale_y), round(width * scale_x), round(height * scale_y)]
        found.append({"reason": spot.reason.value, "box_xywh": box, "heat": round(spot.heat, 4)})
    return found


def score_images(scorer: Scorer, images: Path, *, paths: Iterable[Path] | None = None, palette: str = AUTO) -> dict[str, Any]:
    """`{"<file>": {"score": s, "findings": […], …}}` for every picture in a folder, with its palette and how sure that is.

    A file that cannot be decoded, or whose palette cannot be told, has score null and why.

    Raises:
        ConfigurationError: no picture there, or no palette of that name.
    """
    files = sorted(paths if paths is not None else (one for one in images.iterdir() if one.suffix.lower() in PICTURE_SUFFIXES))
    if not files:
        raise ConfigurationError(f"{images} holds no picture", remedy="give a folder with .jpg or .png files")
    threshold = scorer.threshold_for("unknown")
    scored: dict[str, Any] = {}
    for file in files:
        try:
            le, he, channels = _on_grid(file, palette)
            reading = scorer.score(le, he)
        except ScreeningError as error:
            scored[file.name] = {"score": None, "findings": [], "error": str(error)}
            continue
        spots = _spots(reading, threshold, channels.le.shape, le.shape)
        scored[file.name] = {"score": reading.score, "findings": spots, **_origin(channels)}
    return scored


def _patch_means(plane: FloatArray, rows: int, columns: int) -> FloatArray:
    return resample(plane, height=rows, width=columns)


def _patched(picture: LabelledPicture, reading: Reading, le: FloatArray, he: FloatArray, size: tuple[int, ...]) -> _Patched | None:
    """The picture as patches; None where all or none of them are threat."""
    side = max(le.shape) / PATCHES_ALONG
    rows, columns = max(1, round(le.shape[0] / side)), max(1, round(le.shape[1] / side))
    inside = np.zeros(le.shape, np.float32)
    for x, y, width, height in picture.boxes:
        top, bottom = round(y / size[0] * le.shape[0]), round((y + height) / size[0] * le.shape[0])
        left, right = round(x / size[1] * le.shape[1]), round((x + width) / size[1] * le.shape[1])
        inside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1.0
    darkness = 0.5 * (attenuation(le) + attenuation(he))
    heat = resample(reading.heat, height=le.shape[0] // HEAT_STRIDE * HEAT_STRIDE, width=le.shape[1] // HEAT_STRIDE * HEAT_STRIDE)
    dark = _patch_means(darkness, rows, columns)
    there = dark > SOMETHING
    threat = (_patch_means(inside, rows, columns) >= 0.5)[there]  # noqa: PLR2004 - half of the patch
    if not threat.any() or threat.all():
        return None
    chance = np.random.default_rng(abs(hash_of(picture.name))).random(int(there.sum()), np.float32)
    scores = {
        "model": _patch_means(box_mean(heat, 9), rows, columns)[there],
        "darkness": dark[there],
        "random": chance,
    }
    return _Patched(name=picture.name, group=picture.group, threat=threat, scores=scores)


def hash_of(name: str) -> int:
    """A number that belongs to a name, the same in every run."""
    return int.from_bytes(name.encode()[-8:], "big")


def auroc(scores: FloatArray, positive: BoolArray) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher; ties count half."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[places]
    hits, misses = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _interval(values: Sequence[float], rng: np.random.Generator) -> dict[str, Any]:
    if not values:
        return {"mean": None, "lo": None, "hi": None, "n": 0}
    array = np.asarray(values, np.float64)
    draws = rng.integers(0, len(array), (BOOTSTRAPS, len(array)))
    means = array[draws].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return {"mean": float(array.mean()), "lo": float(low), "hi": float(high), "n": len(array)}


def _figures(patched: Sequence[_Patched], scorer: str) -> dict[str, Any]:
    """Patch AUROC and pointing of one scorer; the same draws for each scorer, so that they compare pairwise."""
    aurocs = [auroc(one.scores[scorer], one.threat) for one in patched]
    hits = [float(one.threat[int(np.argmax(one.scores[scorer]))]) for one in patched]
    return {
        "patch_auroc": _interval(aurocs, np.random.default_rng(SEED)),
        "pointing": _interval(hits, np.random.default_rng(SEED)),
    }


def _better_by(patched: Sequence[_Patched], other: str) -> dict[str, Any]:
    gains = [auroc(one.scores["model"], one.threat) - auroc(one.scores[other], one.threat) for one in patched]
    return _interval(gains, np.random.default_rng(SEED))


def evaluate(scorer: Scorer, manifest: Path, images: Path, *, palette: str = AUTO) -> dict[str, Any]:
    """The report of `station model evaluate`.

    `baselines` holds for each baseline its patch AUROC and pointing, and by how much the model is better, paired; `by_group` the model's
    figures per scanner; `palettes` how many pictures were read with which palette; `alarms` the share of pictures at or above the
    threshold, benign and threat apart, never to be read as one AUROC across scanners.

    Raises:
        ConfigurationError: see `read_labels`, or no palette of that name.
    """
    pictures = read_labels(manifest, images)
    threshold = scorer.threshold_for("unknown")
    image_scores: dict[str, float | None] = {}
    patched: list[_Patched] = []
    alarmed: dict[bool, list[bool]] = {False: [], True: []}
    failed: dict[str, str] = {}
    palettes: Counter[str] = Counter()
    for picture in pictures:
        try:
            le, he, channels = _on_grid(picture.path, palette)
            reading = scorer.score(le, he)
        except ScreeningError as error:
            image_scores[picture.name] = None
            failed[picture.name] = str(error)
            continue
        image_scores[picture.name] = reading.score
        palettes[channels.palette] += 1
        alarmed[picture.is_threat].append(reading.score >= threshold)
        one = _patched(picture, reading, le, he, channels.le.shape) if picture.is_threat and picture.boxes else None
        if one is not None:
            patched.append(one)
    groups = sorted({one.group for one in patched})
    shares = {
        name: (float(np.mean(alarmed[threat])) if alarmed[threat] else None) for name, threat in (("benign", False), ("threat", True))
    }
    return {
        "images": len(pictures),
        "image_scores": image_scores,
        **_figures(patched, "model"),
        "baselines": {name: {**_figures(patched, name), "model_better_by": _better_by(patched, name)} for name in ("darkness", "random")},
        "by_group": {group: _figures([one for one in patched if one.group == group], "model") for group in groups},
        "palettes": dict(sorted(palettes.items())),
        "alarms": {"threshold": threshold, **shares},
        "failed": failed,
    }
