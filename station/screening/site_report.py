"""What a fit says of itself: everything that it stands on, as JSON, and the part that people decide by, as lines of text."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from station.domain.clearance import MIN_CALIBRATION
from station.screening import conformal, site_judgement, site_scoring, site_split
from station.screening.manifest import UNKNOWN_KIND
from station.screening.projection import Library
from station.screening.site_pieces import BenignPiece
from station.screening.site_scoring import SiteScores

HIGHEST = 5
"""How many benign pieces with the highest scores are named, for people to look at again."""
BOUNDS = {"auroc": site_judgement.WORSE_AUROC, "found": site_judgement.WORSE_FOUND, "class": site_judgement.WORSE_CLASS}
_BORROWED = "ngưỡng chung chỉ để xem / the threshold of all kinds only shows where to look"
_PARTS = (("fitting", site_scoring.FITTING), ("calibrating", site_scoring.CALIBRATING), ("measuring", site_scoring.MEASURING))
_ROWS = (
    ("auroc", "AUROC"),
    ("found", "tìm thấy / found, 5 %"),
    ("paired_win", "điểm cao hơn / scores higher"),
    ("alarms_on_threats", "báo động vật cấm / alarms, threats"),
    ("alarms_on_benign", "báo động nhầm / alarms, benign"),
)


def report_of(
    scores: SiteScores,
    libraries: tuple[Library, Library],
    *,
    sources: Mapping[str, Any],
    models: Mapping[str, Any],
    calibration: Mapping[str, list[float]],
    measured: Mapping[str, Any],
    alpha: float,
    seed: int,
) -> dict[str, Any]:
    """The report; `sources` and `models` are taken over as they are."""
    pooled = calibration[UNKNOWN_KIND]
    of = site_judgement.threshold_of(calibration, alpha)
    highest = sorted(
        [*((piece.name, score) for piece, score in scores.calibration), *((one.name, one.new) for one in scores.measured)],
        key=lambda one: -one[1],
    )[:HIGHEST]
    return {
        "format": 1,
        "alpha": alpha,
        "seed": seed,
        "sources": dict(sources),
        "models": {**models, "candidate": hashlib.sha256(scores.model).hexdigest()},
        "split": {
            "rule": site_split.RULE,
            "fitting": _listed(scores.fitted),
            "calibrating": _listed([piece for piece, _ in scores.calibration]),
            "measuring": [one.name for one in scores.measured],
            "left_out": scores.left_out,
        },
        "threats": {
            "library_sha256": libraries[0].sha256,
            "library_version": libraries[0].version,
            "rule": site_split.LIBRARY_RULE,
            "fitting": [entry.thing_id for entry in libraries[0].entries],
            "measuring": [entry.thing_id for entry in libraries[1].entries],
            "not_in_library": site_judgement.not_measured({entry.threat_class for entry in libraries[1].entries}),
            "projections": {"fitting": site_scoring.THREATS_TO_FIT, "measuring": site_scoring.THREATS_TO_MEASURE},
        },
        "calibration": {
            kind: {"n": len(own), "threshold": of(kind), "may_clear": len(own) >= MIN_CALIBRATION} for kind, own in calibration.items()
        },
        "highest_benign": [{"piece": name, "score": score, "p_value": conformal.p_value(pooled, score)} for name, score in highest],
        "measured": dict(measured),
        "bounds": BOUNDS,
        "objections": site_judgement.objections(measured),
    }


def _listed(pieces: Sequence[BenignPiece]) -> list[list[str]]:
    return [[piece.name, piece.sha256] for piece in pieces]


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Old and new side by side, what the thresholds stand on, and what speaks against the candidate."""
    split, measured = report["split"], report["measured"]
    served = ", ".join(f"{label} {len(split[name])}" for name, label in _PARTS)
    lines = [
        f"Bưu gửi / pieces: {served}; hình chiếu / projections {measured['projections']}; bỏ qua / left out {len(split['left_out'])}",
        f"{'':36s} {'đang dùng / in use':>24s} {'mới / new':>24s} {'mới - cũ / difference':>26s}",
        *(_row(label, *(measured[which][key] for which in ("old", "new", "difference"))) for key, label in _ROWS),
        "Tìm thấy ở 5 % báo động nhầm / found at 5 % false alarms:",
        *(_row(f"  {name} ({one['new']['n']})", one["old"], one["new"], one["difference"]) for name, one in measured["by_class"].items()),
        "Ngưỡng / thresholds:",
        *(_threshold(kind, one) for kind, one in report["calibration"].items()),
        "Điểm cao nhất, nên xem lại / highest scores, look at these again: "
        + ", ".join(f"{one['piece']} {one['score']:.3f}" for one in report["highest_benign"]),
    ]
    lines += _claim(measured, report["threats"]["not_in_library"])
    if report["objections"]:
        return [*lines, *(f"KHÔNG ĐƯỢC DÙNG / MAY NOT TAKE EFFECT: {one}" for one in report["objections"])]
    return lines


def _row(label: str, *figures: Mapping[str, Any]) -> str:
    cells = ["–" if one["mean"] is None else f"{one['mean']:.3f} [{one['lo']:.3f}, {one['hi']:.3f}]" for one in figures]
    return f"{label:36s} {cells[0]:>24s} {cells[1]:>24s} {cells[2]:>26s}"


def _claim(measured: Mapping[str, Any], not_in_library: Sequence[str]) -> list[str]:
    """The bound of detection, of which kinds and classes it speaks, and of which it does not."""
    lines = [
        f"Cận dưới 95 % phát hiện / lower 95 % bound of detection: {_bound(measured['detection_lower_95'])}",
        *(
            f"  {kind:16s} {_bound(one['lower_95'])}  "
            + (", ".join(f"{name} {count}" for name, count in one["classes"].items()) or "không có hình chiếu / no projection")
            for kind, one in measured["detection_by_kind"].items()
        ),
    ]
    elsewhere = [name for name in measured["not_measured"] if name not in not_in_library]
    for names, why in (
        (not_in_library, "không có trong thư viện vật cấm / not in the threat library"),
        (elsewhere, "không vừa bưu gửi nào / fitted into no piece"),
    ):
        if names:
            lines.append(f"CHƯA ĐO, không khẳng định gì / NOT MEASURED, nothing is claimed ({why}): {', '.join(names)}")
    return lines


def _bound(bound: float | None) -> str:
    return "–" if bound is None else f"{bound:.3f}"


def _threshold(kind: str, one: Mapping[str, Any]) -> str:
    says = (
        "đủ để tự thông qua / enough to clear"
        if one["may_clear"]
        else f"chưa đủ {MIN_CALIBRATION}: người quyết định / fewer than {MIN_CALIBRATION}: people decide, {_BORROWED}"
    )
    return f"  {kind:16s} n = {one['n']:5d}  {one['threshold']:.4f}  {says}"
