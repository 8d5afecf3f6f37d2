"""Old and new side by side on the pieces held apart, and whether the candidate may take effect. Pure.

Whole pieces are drawn again, with all that was projected into them; both models share the draws, so that differences are paired.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from station.domain.clearance import MIN_CALIBRATION
from station.screening import conformal, resampling
from station.screening.manifest import UNKNOWN_KIND
from station.screening.site_scoring import MeasuredPiece
from station.screening.spots import THREAT_CLASSES

Floats = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

WORSE_AUROC, WORSE_FOUND, WORSE_CLASS = 0.02, 0.05, 0.10
"""A candidate must be shown not to be worse by more than these: the lower ends of the paired 95 % intervals of AUROC and of the share found
at 5 % false alarms; for a class of threats the difference itself, where its interval excludes 0."""
LEAST_OF_CLASS = 10


def side_by_side(
    measured: Sequence[MeasuredPiece], calibration: Mapping[str, Sequence[float]], *, alpha: float, old_threshold: Callable[[str], float]
) -> dict[str, Any]:
    """Figures of `old` and `new` and their `difference`, each `{"mean", "lo", "hi", "n"}`, and the same of each class of threat.

    `auroc` and `found` (at 5 % false alarms on these very pieces) are within kinds; `paired_win` is how often a piece scores higher with a
    threat than without; `alarms_on_threats` and `alarms_on_benign` are at each model's own threshold. `detection_by_kind` is the bound of
    the new model's detection at its threshold in each kind that it would be allowed to clear, and how many projections of which class it
    was measured with; `detection_lower_95` is the lowest of them. Of the classes in `not_measured` nothing is known.
    """
    rows = [(piece, threat) for piece in measured for threat in (None, *piece.threats)]
    weights = resampling.scene_weights([piece.name for piece, _ in rows])
    positive = np.asarray([threat is not None for _, threat in rows])
    kinds = [piece.kind for piece, _ in rows]
    classes = np.asarray([threat.threat_class if threat else "" for _, threat in rows])
    plain = {"old": [piece.old for piece, _ in rows], "new": [piece.new for piece, _ in rows]}
    scores = {
        "old": np.asarray([threat.old if threat else piece.old for piece, threat in rows]),
        "new": np.asarray([threat.new if threat else piece.new for piece, threat in rows]),
    }
    thresholds = {"old": old_threshold, "new": threshold_of(calibration, alpha)}
    drawn: dict[str, dict[str, Floats]] = {}
    by_class: dict[str, dict[str, Floats]] = {name: {} for name in sorted(set(classes) - {""})}
    for name, values in scores.items():
        within = resampling.rates_by_stratum(values, positive, weights, kinds)
        alarms = values >= np.asarray([thresholds[name](kind) for kind in kinds])
        wins = values > np.asarray(plain[name])
        drawn[name] = {
            "auroc": within[:, 0],
            "found": within[:, 1],
            "paired_win": _share(wins, positive, weights),
            "alarms_on_threats": _share(alarms, positive, weights),
            "alarms_on_benign": _share(alarms, ~positive, weights),
        }
        found = _found(values, positive, kinds)
        for threat_class, figures in by_class.items():
            figures[name] = _share(found, classes == threat_class, weights)
    count = int(positive.sum())
    result: dict[str, Any] = {
        "pieces": len(measured),
        "projections": count,
        **{name: {key: resampling.interval(one, count) for key, one in figures.items()} for name, figures in drawn.items()},
        "difference": {key: resampling.interval(drawn["new"][key] - drawn["old"][key], count) for key in drawn["new"]},
        "by_class": {
            name: {
                **{which: resampling.interval(one, int((classes == name).sum())) for which, one in figures.items()},
                "difference": resampling.interval(figures["new"] - figures["old"], int((classes == name).sum())),
            }
            for name, figures in by_class.items()
        },
    }
    result["detection_by_kind"] = detection = _detection_by_kind(measured, calibration, thresholds["new"])
    bounds = [one["lower_95"] for one in detection.values()]
    result["detection_lower_95"] = None if None in bounds else min(bounds)
    result["not_measured"] = not_measured(by_class)
    return result


def not_measured(measured: Collection[str]) -> list[str]:
    """Classes of threats that the station has words for and that are not among the measured ones."""
    return [name for name in THREAT_CLASSES if name not in measured]


def _detection_by_kind(
    measured: Sequence[MeasuredPiece], calibration: Mapping[str, Sequence[float]], threshold: Callable[[str], float]
) -> dict[str, dict[str, Any]]:
    """The bound of unknown kind, and of each kind that has scores enough to be cleared.

    A piece that nobody announced may be of any kind, and is judged by the threshold of all together: so are all pieces for its bound.
    """
    clearing = sorted({kind for kind, scores in calibration.items() if len(scores) >= MIN_CALIBRATION} - {UNKNOWN_KIND})
    parts = {UNKNOWN_KIND: measured, **{kind: [piece for piece in measured if piece.kind == kind] for kind in clearing}}
    return {
        kind: {
            "lower_95": _detection_bound(part, threshold(kind)),
            "pieces": len(part),
            "classes": dict(sorted(Counter(threat.threat_class for piece in part for threat in piece.threats).items())),
        }
        for kind, part in parts.items()
    }


def _detection_bound(measured: Sequence[MeasuredPiece], threshold: float) -> float | None:
    """Wilson's lower bound of the share that alarms, each class of threats counting the same; None without a projection.

    Cautious: all projections into one piece count as one, and fewer where the weights of the classes differ (Kish's effective number).
    """
    rows = [(threat.threat_class, threat.new >= threshold) for piece in measured for threat in piece.threats]
    if not rows:
        return None
    count = Counter(name for name, _ in rows)
    weights = np.asarray([1 / count[name] for name, _ in rows])
    share = float(weights @ np.asarray([alarms for _, alarms in rows], np.float64) / weights.sum())
    evenness = float(weights.sum() ** 2 / (weights @ weights) / len(rows))
    return wilson_low(share, evenness * sum(bool(piece.threats) for piece in measured))


def threshold_of(calibration: Mapping[str, Sequence[float]], alpha: float) -> Callable[[str], float]:
    """The new model's threshold of each kind, as the station will set it.

    A kind with too few scores gets that of all kinds together, by which people are shown where to look, and nothing of it is cleared.
    """

    def of(kind: str) -> float:
        own = calibration.get(kind, ())
        return conformal.threshold(own if len(own) >= MIN_CALIBRATION else calibration[UNKNOWN_KIND], alpha, least=1)

    return of


def _share(values: BoolArray, chosen: BoolArray, weights: Floats) -> Floats:
    return resampling.means(values[chosen].astype(np.float64), weights[:, chosen])


def _found(scores: Floats, positive: BoolArray, kinds: Sequence[str]) -> BoolArray:
    """Which rows lie above what at most 5 % of the benign pieces of their kind exceed."""
    names = np.asarray(kinds)
    found = np.zeros(len(scores), dtype=bool)
    for kind in np.unique(names):
        here = names == kind
        benign = np.sort(scores[here & ~positive])[::-1]
        if benign.size:
            found[here] = scores[here] > benign[int(resampling.FALSE_ALARMS * benign.size + 1e-9)]
    return found


def wilson_low(share: float, trials: float) -> float:
    """Lower end of Wilson's 95 % interval of a rate; `trials` above 0."""
    z = NormalDist().inv_cdf(0.975)
    spread = z * z / trials
    return max(0.0, (share + spread / 2 - z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))) / (1 + spread))


def objections(measured: Mapping[str, Any]) -> list[str]:
    """Why the candidate may not take effect, with figures; empty when it may."""
    found = []
    for key, bound, what in (("auroc", WORSE_AUROC, "AUROC"), ("found", WORSE_FOUND, "found at 5 % false alarms")):
        low = measured["difference"][key]["lo"]
        if low is None:
            found.append(f"{what} could not be measured")
        elif not low >= -bound:
            found.append(f"{what}: new minus old may be as low as {low:+.3f}, and {-bound:+.2f} is the bound")
    for name, figures in measured["by_class"].items():
        change = figures["difference"]
        if change["n"] >= LEAST_OF_CLASS and change["mean"] < -WORSE_CLASS and change["hi"] < 0:
            found.append(f"{name}: new minus old is {change['mean']:+.3f} [{change['lo']:+.3f}, {change['hi']:+.3f}]")
    return found
