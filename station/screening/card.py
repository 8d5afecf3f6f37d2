"""The model's card in plain text, from its manifest alone: what it is, what was measured, what that does not say."""

from collections.abc import Mapping
from typing import Any

from station.domain.clearance import MIN_CALIBRATION
from station.screening.manifest import ANNOUNCED_KINDS, Manifest
from station.screening.spots import THREAT_CLASSES

CAUTION = (
    "All figures are of synthetic mail from the generator that also drew the training pieces: self-graded.",
    "They say nothing of real threats on a real belt; only projected threats on the site measure that.",
)


def _percent(value: object) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, int | float) else "not measured"


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "not measured"


def freeze_words(manifest: Manifest) -> str:
    """The score from which a piece stops the lane, and what is known of how often harmless pieces reach it."""
    if manifest.freeze_score is None:
        return f"none, from {manifest.freeze_n} benign pieces"
    score, known = f"{manifest.freeze_score:.4f}", manifest.metrics.get("freeze")
    if not isinstance(known, Mapping):
        return f"{score}, from {manifest.freeze_n} benign pieces; how often such pieces reach it is not stated"
    kinds = ", ".join(f"{_one_in(share)} of kind {kind}" for kind, share in known["upper_by_kind"].items())
    return (
        f"{score}; at most {known['above']} of {known['pieces']} benign pieces reached it, so that with {100 * known['confidence']:g} % "
        f"confidence at most {_one_in(known['upper'])} of such mail do, and of one kind alone at most {kinds}"
    )


def _one_in(share: float) -> str:
    return f"1 in {int(1 / share)}"


def _count(kind: str, count: int) -> str:
    return f"{kind} {count}" if count >= MIN_CALIBRATION else f"{kind} {count}, too few to clear any"


def _classes(manifest: Manifest) -> list[str]:
    """Of which classes the bound of detection speaks."""
    if manifest.detection_lower_95 is None:
        return []
    measured = manifest.metrics.get("classes_measured")
    if not isinstance(measured, list):
        return ["  measured with classes that are not named: fit the model again to know which"]
    others = [name for name in THREAT_CLASSES if name not in measured]
    return [f"  measured with {', '.join(map(str, measured)) or 'no class'}; nothing is claimed of {', '.join(others) or 'any other'}"]


def _table(title: str, shares: object) -> list[str]:
    if not isinstance(shares, Mapping):
        return []
    return [f"{title}:", *(f"  {name:18s} {_percent(share)}" for name, share in shares.items())]


def card_lines(manifest: Manifest) -> list[str]:
    """The card, a line each; figures that the manifest lacks are named as not measured."""
    known: Mapping[str, Any] = manifest.metrics
    counts = ", ".join(_count(kind, len(manifest.own_scores(kind))) for kind in ANNOUNCED_KINDS)
    return [
        f"Model {manifest.name}, SHA-256 {manifest.model_sha256}",
        f"signed: {'yes' if manifest.signed else 'no'}; fitted on: {manifest.fitted_site or 'synthetic pieces'}",
        f"drawn by generator version {manifest.generator_version}, training data SHA-256 {manifest.training_data_sha256}",
        *([f"trained without any piece that holds {known['left_out']}"] if known.get("left_out") else []),
        f"benign pieces behind the thresholds, by kind as announced: {counts}",
        f"freeze score: {freeze_words(manifest)}",
        f"lower 95 % bound of detection of projected threats: {_figure(manifest.detection_lower_95)}",
        *_classes(manifest),
        "",
        f"measured on {known.get('benign', 0)} benign and {known.get('threats', 0)} threat pieces at alpha {known.get('alpha', '?')}:",
        f"AUROC {_figure(known.get('auroc'))} (darkness alone {_figure(known.get('auroc_darkness'))})",
        f"benign held {_percent(known.get('benign_held'))}, of it by the model {_percent(known.get('benign_alarmed'))}",
        f"threats held {_percent(known.get('threats_held'))}, by the model {_percent(known.get('threats_alarmed'))}",
        *_table("threats held, by what they are", known.get("held_by_threat")),
        *_table("threats held, by kind of piece", known.get("held_by_kind")),
        "",
        *CAUTION,
    ]
