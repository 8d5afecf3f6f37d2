"""Measure the model on pairs: the same picture with and without a projected threat, so that no scanner and no bag can give the answer away.

AUROC is over all pictures, the paired win within each pair, the share found is at 5 % false alarms on the pictures without a threat.
Intervals are 95 % bootstrap over scenes: both pictures of a pair, and all pairs of a scene, are drawn together; differences are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from station.domain.errors import ConfigurationError
from station.screening.colour_histogram import left_out_scores
from station.screening.evaluation import COLOUR_HISTOGRAM, IMAGE_BASELINES
from station.screening.labels import LabelledPicture, read_pairs
from station.screening.palette import AUTO
from station.screening.picture_scores import MODEL, PictureScore, Progress, Scorer, score_pictures
from station.screening.resampling import FALSE_ALARMS, Floats, Weights, interval, means, rates, scene_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """Scores of one pair's two pictures."""

    threat: PictureScore
    benign: PictureScore

    @property
    def picture(self) -> LabelledPicture:
        """The picture with the threat: what the pair is called after."""
        return self.threat.picture


def _drawn(threat: Floats, benign: Floats, weights: Weights) -> dict[str, Weights]:
    """AUROC, paired win and share found of one scorer for each draw."""
    positive = np.repeat([True, False], len(threat))
    both = rates(np.concatenate([threat, benign]), positive, np.concatenate([weights, weights], axis=1))
    wins = (threat > benign) + 0.5 * (threat == benign)
    return {"auroc": both[:, 0], "paired_win": means(wins, weights), "tpr": both[:, 1]}


def pair_report(pairs: Sequence[PairScore], *, others: Sequence[str] = IMAGE_BASELINES) -> dict[str, Any]:
    """Figures of the model and of the others on these pairs, and by how much the model is better than each."""
    scenes = [one.picture.scene for one in pairs]
    weights = scene_weights(scenes)
    threats = {name: np.asarray([one.threat.scores[name] for one in pairs]) for name in (MODEL, *others)}
    benigns = {name: np.asarray([one.benign.scores[name] for one in pairs]) for name in (MODEL, *others)}
    colours = np.stack([*(one.threat.colours for one in pairs), *(one.benign.colours for one in pairs)])
    told = left_out_scores(colours, np.repeat([True, False], len(pairs)), [*scenes, *scenes])
    threats[COLOUR_HISTOGRAM], benigns[COLOUR_HISTOGRAM] = told[: len(pairs)], told[len(pairs) :]
    drawn = {name: _drawn(threats[name], benigns[name], weights) for name in threats}
    scorers = {name: {key: interval(values, len(pairs)) for key, values in one.items()} for name, one in drawn.items()}
    return {
        "pairs": len(pairs),
        "scenes": len(set(scenes)),
        **scorers.pop(MODEL),
        "baselines": {
            name: {
                **figures,
                "model_better_by": {key: interval(drawn[MODEL][key] - values, len(pairs)) for key, values in drawn[name].items()},
            }
            for name, figures in scorers.items()
        },
    }


def score_pairs(
    file: Path, images: Path, scorers: dict[str, Scorer], *, palette: str, jobs: int = 1, progress: Progress | None = None
) -> tuple[list[PairScore], dict[str, Any]]:
    """Scores of all pairs whose two pictures can be read; and what failed, was missing.

    Raises:
        ConfigurationError: see `read_pairs`; no pair could be read; no palette of that name.
    """
    listed = read_pairs(file, images)
    pictures = [picture for pair in listed.pairs for picture in (pair.threat, pair.benign)]
    scored = score_pictures(pictures, scorers, palette=palette, jobs=jobs, progress=progress)
    pairs = [
        PairScore(threat=threat, benign=benign)
        for threat, benign in zip(scored[::2], scored[1::2], strict=True)
        if not (threat.error or benign.error)
    ]
    if not pairs:
        raise ConfigurationError(
            f"{file}: no pair could be read ({scored[0].error or scored[1].error})",
            consequence="nothing was measured",
            remedy="Look at the pictures; name their palette with --palette",
        )
    return pairs, {"failed": {one.picture.name: one.error for one in scored if one.error}, "missing": listed.missing}


def evaluate_pairs(
    scorer: Scorer, file: Path, images: Path, *, palette: str = AUTO, jobs: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """The report of `station model evaluate --pairs`; `by_group` and `by_label` hold the same per scanner and per class of the threat.

    Raises:
        ConfigurationError: see `score_pairs`.
    """
    pairs, lost = score_pairs(file, images, {MODEL: scorer}, palette=palette, jobs=jobs, progress=progress)
    parts: dict[str, dict[str, Any]] = {"by_group": {}, "by_label": {}}
    for key, attribute in (("by_group", "group"), ("by_label", "label")):
        for name in sorted({str(getattr(one.picture, attribute)) for one in pairs}):
            parts[key][name] = pair_report([one for one in pairs if str(getattr(one.picture, attribute)) == name])
    scores = {one.picture.name: one.scores[MODEL] for pair in pairs for one in (pair.threat, pair.benign)}
    return {"false_alarms": FALSE_ALARMS, **pair_report(pairs), **parts, "image_scores": scores, **lost}
