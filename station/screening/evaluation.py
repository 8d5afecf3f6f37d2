"""Measure the model on labelled pictures: where it points, patch by patch, beside what needs no learning.

Pictures of different scanners cannot be compared by one score per image (their colours alone tell benign and threat apart), so what is
measured is within each picture: do the patches in the boxes score higher than those outside, and does the hottest patch lie in a box?
Intervals are 95 % bootstrap over scenes, paired between scorers.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from station.domain.errors import ConfigurationError, ScreeningError
from station.screening.baselines import DARK_AREA, DARKEST_CHANNEL, DARKNESS, PIXEL_DARKNESS, RANDOM, P
from station.screening.colour_histogram import WARNING, left_out_scores
from station.screening.labels import read_labels
from station.screening.palette import AUTO, ColourChannels
from station.screening.picture_scores import (
    MODEL,
    OnGrid,
    PictureScore,
    Progress,
    Scorer,
    in_threads,
    on_grid,
    score_pictures,
)
from station.screening.pipeline import HEAT_STRIDE, Reading
from station.screening.resampling import NOTHING, auroc, interval, means, rates, scene_weights
from station.screening.spots import find_spots

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
PATCH_BASELINES = (DARKNESS, P, RANDOM)
IMAGE_BASELINES = (DARKNESS, P, RANDOM, DARK_AREA, PIXEL_DARKNESS, DARKEST_CHANNEL)
COLOUR_HISTOGRAM = "colour_histogram"


def _origin(channels: ColourChannels) -> dict[str, Any]:
    """That the channels come from colours, of which palette, and how sure that is."""
    return {
        "channels": channels.source,
        "palette": channels.palette,
        "palette_confidence": round(channels.confidence, 3),
        "hue_share": round(channels.hue_share, 3),
    }


def _spots(reading: Reading, threshold: float, seen: OnGrid) -> list[dict[str, Any]]:
    if reading.score < threshold:
        return []
    size, grid = seen.bgr.shape, seen.le.shape
    scale_x, scale_y = HEAT_STRIDE * size[1] / grid[1], HEAT_STRIDE * size[0] / grid[0]
    found: list[dict[str, Any]] = []
    for spot in find_spots(reading.heat, reading.classes, reading.names):
        x, y, width, height = spot.box
        box = [round(x * scale_x), round(y * scale_y), round(width * scale_x), round(height * scale_y)]
        found.append({"reason": spot.reason.value, "box_xywh": box, "heat": round(spot.heat, 4)})
    return found


def score_images(scorer: Scorer, images: Path, *, palette: str = AUTO, jobs: int = 1, progress: Progress | None = None) -> dict[str, Any]:
    """`{"<file>": {"score": s, "findings": […], …}}` for every picture in a folder, with its palette and how sure that is.

    A file that cannot be decoded, or whose palette cannot be told, has score null and why.

    Raises:
        ConfigurationError: no picture there, or no palette of that name.
    """
    files = sorted(one for one in images.iterdir() if one.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise ConfigurationError(
            f"{images} holds no picture", consequence="nothing was scored", remedy="Give a folder with .jpg or .png files"
        )
    threshold = scorer.threshold_for("unknown")

    def one(file: Path) -> dict[str, Any]:
        try:
            seen = on_grid(file, palette)
            reading = scorer.score(seen.le, seen.he)
        except ScreeningError as error:
            return {"score": None, "findings": [], "error": str(error)}
        return {"score": reading.score, "findings": _spots(reading, threshold, seen), **_origin(seen.channels)}

    scored = in_threads(one, files, jobs=jobs, progress=progress)
    return {file.name: row for file, row in zip(files, scored, strict=True)}


class _Boxed:
    """The boxed pictures of a part: each scorer's patch AUROC and hit in each, and the draws that all of them share."""

    def __init__(self, scored: Sequence[PictureScore]) -> None:
        patched = [(one.picture.scene, one.patches) for one in scored if one.patches is not None]
        self.n = len(patched)
        self._patches = [patches for _, patches in patched]
        self._weights = scene_weights([scene for scene, _ in patched]) if patched else np.ones((1, 0))

    def values(self, scorer: str) -> dict[str, np.ndarray[Any, Any]]:
        """Each picture's figures."""
        return {
            "patch_auroc": np.asarray([auroc(one.scores[scorer], one.threat) for one in self._patches]),
            "pointing": np.asarray([float(one.threat[int(np.argmax(one.scores[scorer]))]) for one in self._patches]),
        }

    def figures(self, scorer: str) -> dict[str, Any]:
        """Patch AUROC and pointing."""
        return {name: self._interval(values) for name, values in self.values(scorer).items()}

    def gains(self, scorer: str, over: str) -> dict[str, Any]:
        """By how much `scorer` is better than `over`, paired."""
        own, other = self.values(scorer), self.values(over)
        return {
            "model_better_by": self._interval(own["patch_auroc"] - other["patch_auroc"]),
            "model_better_by_pointing": self._interval(own["pointing"] - other["pointing"]),
        }

    def _interval(self, values: np.ndarray[Any, Any]) -> dict[str, Any]:
        return interval(means(values, self._weights), self.n) if self.n else dict(NOTHING)


def boxed_report(scored: Sequence[PictureScore], *, others: Sequence[str] = PATCH_BASELINES) -> dict[str, Any]:
    """Patch AUROC and pointing of the model; under `baselines` those of the others and by how much the model is better."""
    boxed = _Boxed(scored)
    return {
        **boxed.figures(MODEL),
        "baselines": {name: {**boxed.figures(name), **boxed.gains(MODEL, name)} for name in others},
    }


def image_aurocs(scored: Sequence[PictureScore], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """AUROC of scores of whole pictures, each scorer's and the colour histogram's; no result across scanners (see `WARNING`)."""
    positive = np.asarray([one.picture.is_threat for one in scored])
    scenes = [one.picture.scene for one in scored]
    if not positive.any() or positive.all():
        return {name: dict(NOTHING) for name in (*names, COLOUR_HISTOGRAM)}
    weights = scene_weights(scenes)
    planes = {name: np.asarray([one.scores[name] for one in scored]) for name in names}
    planes[COLOUR_HISTOGRAM] = left_out_scores(np.stack([one.colours for one in scored]), positive, scenes)
    return {name: interval(rates(plane, positive, weights)[:, 0], len(scored)) for name, plane in planes.items()}


def _alarms(scored: Sequence[PictureScore], threshold: float) -> dict[str, Any]:
    def share(part: Sequence[PictureScore]) -> float | None:
        return float(np.mean([one.scores[MODEL] >= threshold for one in part])) if part else None

    groups = sorted({one.picture.group for one in scored})
    return {
        "threshold": threshold,
        "benign": share([one for one in scored if not one.picture.is_threat]),
        "threat": share([one for one in scored if one.picture.is_threat]),
        "by_group": {group: share([one for one in scored if one.picture.group == group]) for group in groups},
    }


def _parts(scored: Sequence[PictureScore], key: str) -> dict[str, Any]:
    boxed = [one for one in scored if one.patches is not None]
    names = sorted({str(getattr(one.picture, key)) for one in boxed})
    return {name: boxed_report([one for one in boxed if str(getattr(one.picture, key)) == name]) for name in names}


def report(scored: Sequence[PictureScore], *, threshold: float, missing: int) -> dict[str, Any]:
    """The report of `station model evaluate --manifest`, from scores.

    `baselines` holds each baseline's patch AUROC and pointing, and by how much the model is better, paired; `by_group` and `by_label` the
    same per scanner and class; `image_auroc` figures that are no result across scanners; `palettes` how many pictures were read with
    which palette; `alarms` the share of pictures at or above the threshold.
    """
    good = [one for one in scored if not one.error]
    whole = boxed_report(good)
    images = image_aurocs(good, (MODEL, *IMAGE_BASELINES))
    baselines: dict[str, Any] = {name: {**figures, "image_auroc": images[name]} for name, figures in whole.pop("baselines").items()}
    for name in (DARK_AREA, PIXEL_DARKNESS, DARKEST_CHANNEL, COLOUR_HISTOGRAM):
        baselines[name] = {"patch_auroc": dict(NOTHING), "pointing": dict(NOTHING), "image_auroc": images[name]}
    palettes = Counter(one.palette for one in good)
    return {
        "images": len(scored),
        "scenes": len({one.picture.scene for one in good}),
        "image_scores": {one.picture.name: one.scores.get(MODEL) for one in scored},
        **whole,
        "image_auroc": images[MODEL],
        "warning": WARNING,
        "baselines": baselines,
        "by_group": _parts(good, "group"),
        "by_label": _parts(good, "label"),
        "palettes": dict(sorted(palettes.items())),
        "alarms": _alarms(good, threshold),
        "failed": {one.picture.name: one.error for one in scored if one.error},
        "missing": missing,
    }


def evaluate(
    scorer: Scorer, manifest: Path, images: Path, *, palette: str = AUTO, jobs: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """The report of `station model evaluate --manifest` (see `report`).

    Raises:
        ConfigurationError: see `read_labels`, or no palette of that name.
    """
    labels = read_labels(manifest, images)
    scored = score_pictures(labels.pictures, {MODEL: scorer}, palette=palette, jobs=jobs, progress=progress)
    return report(scored, threshold=scorer.threshold_for("unknown"), missing=labels.missing)
