"""What the scores of unseen mail say: per kind, group and class of forbidden thing, beside scores that need no learning.

Every figure comes twice: pooled, with one threshold for all kinds, and within kinds as they are announced, where each kind has its own
threshold, as the station decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ConfigurationError
from station.screening import conformal
from station.screening.baselines import DARK_AREA, DARKNESS, RANDOM, P
from station.screening.evaluation_lines import figure
from station.screening.manifest import Manifest
from station.screening.picture_scores import MODEL
from station.screening.resampling import FALSE_ALARMS, interval, means, rates, rates_by_stratum, scene_weights
from training.unseen_mail import ALPHA, FLAT, PARCELS, Scored, group_of

BASELINES = (DARKNESS, DARK_AREA, P, RANDOM)
CURVE_POINTS = 120
SHOWN_MISSES, SHOWN_ALARMS, OF_ONE_CLASS = 6, 2, 2
EVERYTHING = "all kinds"


def part_report(pieces: Sequence[Scored], *, others: Sequence[str] = BASELINES) -> dict[str, Any]:
    """AUROC and share found at 5 % false alarms, of the model and the others, pooled and within kinds."""
    positive = np.asarray([bool(one.threat) for one in pieces])
    kinds = [one.kind for one in pieces]
    weights = scene_weights([f"{one.kind}/{one.threat}/{one.number}" for one in pieces])
    count = int(positive.sum())
    drawn: dict[str, dict[str, Any]] = {}
    for name in (MODEL, *others):
        scores = np.asarray([one.scores[name] for one in pieces])
        pooled, within = rates(scores, positive, weights), rates_by_stratum(scores, positive, weights, kinds)
        drawn[name] = {
            "auroc": pooled[:, 0],
            "tpr": pooled[:, 1],
            "auroc_within_kind": within[:, 0],
            "tpr_within_kind": within[:, 1],
        }
    rows = {name: {key: interval(values, count) for key, values in one.items()} for name, one in drawn.items()}
    for name in others:
        rows[name]["model_better_by"] = {key: interval(drawn[MODEL][key] - values, count) for key, values in drawn[name].items()}
    return {"threats": count, "benign": len(pieces) - count, **rows.pop(MODEL), "baselines": rows}


def curve(pieces: Sequence[Scored], scorer: str) -> dict[str, list[float]]:
    """ROC: share of benign and of threat pieces at or above each threshold, thinned."""
    scores = np.asarray([one.scores[scorer] for one in pieces])
    positive = np.asarray([bool(one.threat) for one in pieces])
    levels = np.unique(scores)[::-1]
    shares = [
        [0.0, *(1 - np.searchsorted(np.sort(scores[which]), levels, side="left") / which.sum()).tolist()] for which in (~positive, positive)
    ]
    places = np.unique(np.linspace(0, len(levels), CURVE_POINTS).astype(int))
    return {key: [round(line[at], 4) for at in places] for key, line in zip(("false_alarms", "found"), shares, strict=True)}


def operating_point(pieces: Sequence[Scored], manifest: Manifest, *, alpha: float = ALPHA) -> dict[str, Any]:
    """What the manifest's own thresholds do: `alarmed` by the model, `held` by it or by a finding that needs no model.

    A kind without scores enough for a threshold of its own is one that the model clears nothing of: it is named in `not_cleared`, with how
    many it has, and its pieces are left out.

    Raises:
        ConfigurationError: no kind has enough.
    """
    kinds = sorted({one.kind for one in pieces})
    not_cleared = {kind: count for kind in kinds if (count := len(manifest.own_scores(kind))) < MIN_CALIBRATION}
    limits = {kind: conformal.threshold(manifest.own_scores(kind), alpha) for kind in kinds if kind not in not_cleared}
    if not limits:
        raise ConfigurationError(
            f"Model {manifest.name} has {MIN_CALIBRATION} calibration scores of no kind of piece that was measured",
            consequence="it clears nothing, so that its thresholds were not measured",
            remedy=f"Calibrate it on {MIN_CALIBRATION} pieces or more of each kind as tracking announces it",
        )
    pieces = [one for one in pieces if one.kind in limits]
    alarmed = np.asarray([one.scores[MODEL] >= limits[one.kind] for one in pieces])
    held = alarmed | np.asarray([bool(one.findings) for one in pieces])

    def shares(chosen: Sequence[int]) -> dict[str, Any]:
        weights = scene_weights([str(index) for index in chosen])
        return {
            name: interval(means(values[list(chosen)].astype(np.float64), weights), len(chosen))
            for name, values in (("alarmed", alarmed), ("held", held))
        }

    def by(key: Any, *, threat: bool) -> dict[str, Any]:
        chosen: dict[str, list[int]] = {}
        for index, one in enumerate(pieces):
            if bool(one.threat) is threat:
                chosen.setdefault(key(one), []).append(index)
        return {name: shares(places) for name, places in sorted(chosen.items())}

    def outcome(one: Scored) -> str:
        return "threats" if one.threat else "benign"

    return {
        "alpha": alpha,
        "not_cleared": not_cleared,
        **by(outcome, threat=False),
        **by(outcome, threat=True),
        "benign_by_kind": by(lambda one: one.kind, threat=False),
        "threats_by_kind": by(lambda one: one.kind, threat=True),
        "by_class": by(lambda one: one.threat, threat=True),
        "by_group_and_class": {
            group: by(lambda one, group=group: one.threat if group_of(one.kind) == group else "", threat=True) for group in (FLAT, PARCELS)
        },
        "failures": failures(pieces, limits, held=held, alarmed=alarmed),
    }


def failures(pieces: Sequence[Scored], limits: Mapping[str, float], *, held: np.ndarray, alarmed: np.ndarray) -> list[dict[str, Any]]:
    """The threats furthest below their threshold, at most two of a class, and the benign pieces furthest above."""
    order = sorted(range(len(pieces)), key=lambda index: pieces[index].scores[MODEL] / limits[pieces[index].kind])
    taken: dict[str, int] = {}
    missed, wrong = [], []
    for index in order:
        one = pieces[index]
        if one.threat and not held[index] and taken.get(one.threat, 0) < OF_ONE_CLASS and len(missed) < SHOWN_MISSES:
            taken[one.threat] = taken.get(one.threat, 0) + 1
            missed.append(one)
    wrong = [pieces[index] for index in reversed(order) if not pieces[index].threat and alarmed[index]][:SHOWN_ALARMS]
    return [
        {
            "kind": one.kind,
            "threat": one.threat,
            "number": one.number,
            "score": one.scores[MODEL],
            "threshold": limits[one.kind],
            "visibility": one.visibility,
        }
        for one in (*missed, *wrong)
    ]


def visible(pieces: Sequence[Scored], floor: float) -> list[Scored]:
    """Benign pieces, and threats at or above the floor."""
    return [one for one in pieces if not one.threat or one.visibility >= floor]


def mail_report(pieces: Sequence[Scored], manifest: Manifest, *, floor: float, others: Sequence[str] = BASELINES) -> dict[str, Any]:
    """All figures of mail: threats above the floor alone, how many lie below it, and per class what the thresholds find."""
    seen = visible(pieces, floor)
    carriers = {threat: {one.kind for one in seen if one.threat == threat} for threat in sorted({one.threat for one in seen} - {""})}
    groups = {EVERYTHING: seen, **{name: [one for one in seen if group_of(one.kind) == name] for name in (FLAT, PARCELS)}}
    return {
        "model": {"name": manifest.name, "sha256": manifest.model_sha256, "generator_version": manifest.generator_version},
        "false_alarms": FALSE_ALARMS,
        "floor": floor,
        "below_floor": len(pieces) - len(seen),
        "groups": {name: part_report(part, others=others) for name, part in groups.items() if any(one.threat for one in part)},
        "by_kind": {
            kind: part_report([one for one in seen if one.kind == kind], others=others)
            for kind in sorted({one.kind for one in seen if one.threat})
        },
        "by_class": {
            threat: part_report([one for one in seen if one.threat in {"", threat} and one.kind in kinds], others=others)
            for threat, kinds in carriers.items()
        },
        "curves": {
            name: {scorer: curve(part, scorer) for scorer in (MODEL, DARKNESS, P)}
            for name, part in groups.items()
            if any(one.threat for one in part)
        },
        "operating_point": operating_point(seen, manifest),
        "worst_size_error_mm": max(one.size_error_mm for one in pieces),
    }


def mail_lines(found: Mapping[str, Any]) -> list[str]:
    """The figures as a table: within kinds, each kind with its own threshold; pooled figures stand in the JSON."""
    floor = f"threats of visibility {found['floor']:g} and more; {found['below_floor']} lie below"
    lines = [f"model {found['model']['name']}, mail of generation {found['generation']}, seed {found['seed']}; {floor}"]
    heads = ("AUROC", "found at 5 %", "darkness", "P", "model − darkness")
    lines.append(f"{'':24s} benign threats" + "".join(f" {one:>23s}" for one in heads))
    for part in ("groups", "by_kind", "by_class"):
        for name, row in found[part].items():
            dark, p = (row["baselines"][other] for other in (DARKNESS, P))
            key = "auroc_within_kind"
            columns = (row[key], row["tpr_within_kind"], dark[key], p[key], dark["model_better_by"][key])
            lines.append(f"{name:24s} {row['benign']:6d} {row['threats']:7d}" + "".join(f" {figure(one):>23s}" for one in columns))
    point = found["operating_point"]
    lines.append(f"at the model's own thresholds (alpha {point['alpha']:g}):")
    lines += [f"  {name:22s} alarmed {figure(row['alarmed'])}, held {figure(row['held'])}" for name, row in _outcomes(point)]
    return lines + [f"  {says}" for says in not_cleared_lines(point["not_cleared"])]


def not_cleared_lines(not_cleared: Mapping[str, int]) -> list[str]:
    """A line for each kind that the model clears nothing of."""
    return [
        f"{kind}: {count} calibration scores of its own, {MIN_CALIBRATION} are needed: the model clears nothing of it, it is left out"
        for kind, count in not_cleared.items()
    ]


def _outcomes(point: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((name, point[name]) for name in ("benign", "threats"))
    yield from point["by_class"].items()
