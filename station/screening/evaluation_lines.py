"""The reports of `station model evaluate` as a table for people: the model first, what needs no learning beside it, and the warning."""

from collections.abc import Mapping, Sequence
from typing import Any

from station.screening.colour_histogram import WARNING


def figure(found: Mapping[str, Any] | None) -> str:
    """`0.794 [0.778, 0.810]`, or a dash where nothing was measured."""
    if not found or found["mean"] is None:
        return "–"
    return f"{found['mean']:.3f} [{found['lo']:.3f}, {found['hi']:.3f}]"


def _table(title: str, part: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[str]:
    rows = [("model", part), *part["baselines"].items()]
    return [
        title,
        f"  {'':18s}" + "".join(f" {head:>22s}" for head, _ in columns),
        *(f"  {name:18s}" + "".join(f" {figure(row.get(key)):>22s}" for _, key in columns) for name, row in rows),
    ]


def _gains(part: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[str]:
    """By how much the model is better than each baseline; `columns` are of the gains: heading and key."""
    return [
        f"  model minus {name:16s}" + "".join(f" {head} {figure(row[key])};" for head, key in columns).rstrip(";")
        for name, row in part.items()
    ]


def evaluation_lines(found: Mapping[str, Any]) -> list[str]:
    """Boxed pictures first, since they are a result; then image-level figures under their warning."""
    columns = (("patch AUROC", "patch_auroc"), ("pointing", "pointing"))
    boxed = {**found, "baselines": {name: row for name, row in found["baselines"].items() if row["patch_auroc"]["n"]}}
    lines = [f"{found['images']} pictures of {found['scenes']} scenes; {len(found['failed'])} not read, {found['missing']} not there"]
    lines += _table(f"Boxed pictures ({found['patch_auroc']['n']}), 95 % intervals over scenes", boxed, columns)
    lines += _gains(boxed["baselines"], (("patch AUROC", "model_better_by"), ("pointing", "model_better_by_pointing")))
    for key, what in (("by_group", "scanner"), ("by_label", "class")):
        for name, part in found[key].items():
            lines += _table(f"{what} {name} ({part['patch_auroc']['n']})", part, columns)
    lines += ["", f"WARNING: {WARNING}"]
    return lines + _table("Whole pictures", found, (("image AUROC", "image_auroc"),))


def pair_lines(found: Mapping[str, Any]) -> list[str]:
    """Figures of all pairs, then of each scanner and class."""
    columns = (("AUROC", "auroc"), ("paired win", "paired_win"), (f"found at {100 * found['false_alarms']:g} %", "tpr"))
    lines = [f"{len(found['failed'])} pictures not read, {found['missing']} pairs not there"]
    lines += _table(f"{found['pairs']} pairs of {found['scenes']} scenes, 95 % intervals over scenes", found, columns)
    lines += _gains({name: row["model_better_by"] for name, row in found["baselines"].items()}, columns)
    for key, what in (("by_group", "scanner"), ("by_label", "class")):
        for name, part in found[key].items():
            lines += _table(f"{what} {name} ({part['pairs']} pairs)", part, columns)
    return lines
