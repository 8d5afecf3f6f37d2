"""Does the threshold keep its promise on benign mail of unseen seeds? Two questions, told apart (decision 0057).

*The thresholds as they are*: the manifest's own calibration against unseen pieces, one draw; it fails when unseen mail is another
population. *Many draws*: unseen pieces split at random into calibration and test, thousands of times; it fails when rank, ties or the
comparison are wrong. Both go by the kind as it is announced; pieces of unknown kind are their own, as mail brings them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ConfigurationError
from station.screening import conformal
from station.screening.coverage import ALPHAS, CONFIDENCE, held_interval, measure_coverage, split_source
from station.screening.manifest import Manifest
from station.screening.picture_scores import MODEL
from training.mail_report import not_cleared_lines
from training.unseen_mail import Scored

FEWEST = MIN_CALIBRATION + 50
"""Unseen benign pieces of a kind from which it is split."""
STANDARD_ERRORS = 4.0
SEED = 7


def benign_scores(pieces: Sequence[Scored]) -> dict[str, list[float]]:
    """The model's scores of benign pieces per kind."""
    scores: dict[str, list[float]] = {}
    for one in pieces:
        if not one.threat:
            scores.setdefault(one.kind, []).append(one.scores[MODEL])
    return scores


def as_shipped(kind: str, calibration: Sequence[float], unseen: Sequence[float], alpha: float, rows: int) -> dict[str, Any]:
    """One draw: how many of the unseen pieces the threshold holds, and between which numbers that must lie.

    Of many such rows some lie outside their own 95 % interval by chance alone; `broken` is outside of the interval in which all `rows` of
    them lie together with 95 % (Bonferroni).
    """
    limit = conformal.threshold(calibration, alpha)
    held, between = sum(not score < limit for score in unseen), held_interval(len(calibration), alpha, len(unseen))
    together = held_interval(len(calibration), alpha, len(unseen), confidence=1 - (1 - CONFIDENCE) / rows)
    return {
        "kind": kind,
        "alpha": alpha,
        "n": len(calibration),
        "m": len(unseen),
        "held": held,
        "held_share": held / len(unseen),
        "low": between.low,
        "high": between.high,
        "holds": between.low <= held <= between.high,
        "broken": not together.low <= held <= together.high,
    }


def split(kind: str, unseen: Sequence[float], alpha: float, draws: int) -> dict[str, Any]:
    """Random splits: the share of draws whose held number lies within the interval, and what that share must be."""
    found = measure_coverage(
        f"unseen {kind}", split_source(unseen), n=MIN_CALIBRATION, m=len(unseen) - MIN_CALIBRATION, alpha=alpha, draws=draws, seed=SEED
    )
    must = found.interval.probability
    slack = STANDARD_ERRORS * math.sqrt(must * (1 - must) / draws)
    return {
        "kind": kind,
        "alpha": alpha,
        "n": found.n,
        "m": found.m,
        "draws": draws,
        "held_share": found.held,
        "held_must": found.held_must,
        "low": found.interval.low,
        "high": found.interval.high,
        "inside": found.inside,
        "inside_must": must,
        "tied": len(unseen) - len(set(unseen)),
        "holds": found.inside >= must - slack,
    }


def coverage_report(pieces: Sequence[Scored], manifest: Manifest, *, draws: int) -> dict[str, Any]:
    """Both questions for every kind and alpha; `holds` when every split does and no row of the thresholds as they are is broken.

    A kind without scores enough for a threshold of its own has no promise to keep: it is named in `not_cleared`, with how many it has.

    Raises:
        ConfigurationError: too few benign pieces to split.
    """
    unseen = benign_scores(pieces)
    large = {kind: scores for kind, scores in sorted(unseen.items()) if len(scores) >= FEWEST}
    if not large:
        raise ConfigurationError(
            f"{', '.join(f'{kind} {len(scores)}' for kind, scores in sorted(unseen.items()))} unseen benign pieces are too few to be split",
            consequence="coverage was not measured",
            remedy=f"Score at least {FEWEST} of each kind (--per-kind)",
        )
    not_cleared = {kind: count for kind in sorted(unseen) if (count := len(manifest.own_scores(kind))) < MIN_CALIBRATION}
    measured = [(kind, alpha) for kind in sorted(unseen) if kind not in not_cleared for alpha in ALPHAS]
    shipped = [as_shipped(kind, manifest.own_scores(kind), unseen[kind], alpha, len(measured)) for kind, alpha in measured]
    splits = [split(kind, scores, alpha, draws) for kind, scores in large.items() for alpha in ALPHAS]
    return {
        "model": {"name": manifest.name, "sha256": manifest.model_sha256},
        "not_cleared": not_cleared,
        "as_shipped": shipped,
        "splits": splits,
        "holds": all(row["holds"] for row in splits) and not any(row["broken"] for row in shipped),
    }


def coverage_lines(found: Mapping[str, Any]) -> list[str]:
    """Both tables, each row with pass or FAIL."""
    said = {True: "pass", False: "FAIL"}
    lines = ["The model's own thresholds on unseen benign mail (95 % beta-binomial interval of the number held)"]
    lines += [
        f"  {row['kind']:18s} alpha {row['alpha']:.2f}  n {row['n']:5d}  m {row['m']:5d}  held {row['held']:4d} = {row['held_share']:7.3%}"
        f"  must be {row['low']}…{row['high']}"
        f"  {'FAIL' if row['broken'] else 'pass' if row['holds'] else 'outside, as one of many may be'}"
        for row in found["as_shipped"]
    ]
    lines += [f"  {says}" for says in not_cleared_lines(found["not_cleared"])]
    lines.append("Random splits of the unseen pieces into calibration and test")
    lines += [
        f"  {row['kind']:18s} alpha {row['alpha']:.2f}  n {row['n']:5d}  m {row['m']:5d}  {row['draws']} draws"
        f"  held {row['held_share']:.3%} (must {row['held_must']:.3%})"
        f"  {row['low']}…{row['high']} in {row['inside']:.2%} of draws (must {row['inside_must']:.2%})"
        f"  {said[row['holds']]}"
        for row in found["splits"]
    ]
    return [*lines, f"coverage: {said[found['holds']]}"]
