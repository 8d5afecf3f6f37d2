"""Write the model card, docs/reference/model.md, with its pictures, from the measured JSON files alone.

    python -m training.card [--model DIR] [--measured build/evaluation] [--out docs/reference/model.md]

Reads mail.json (must be there), coverage.json, pictures.json, pairs.json, ablate.json and left-out-*.json; what is not there is said to
be not measured. A file that was measured with another model is refused.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from station.cli.errors import EXIT_DONE, report_errors
from station.domain.errors import ConfigurationError
from station.screening.baselines import DARKNESS
from station.screening.card import freeze_words
from station.screening.evaluation_lines import figure
from station.screening.manifest import ANNOUNCED_KINDS, Manifest, load_model
from training import card_failures, card_plots
from training.ablations import untested
from training.card_goals import goals_table
from training.evaluate import FOLDER, SHIPPED, model_of
from training.kinds import MAIL_KINDS
from training.mail_report import not_cleared_lines
from training.unseen_mail import generator

CARD = Path("docs/reference/model.md")
PICTURES = "images/model"
OPTIONAL = ("coverage", "pictures", "pairs", "ablate")
NOT_MEASURED = "Not measured."
Row = Sequence[str]


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """One measured file; None when it is not there.

    Raises:
        ConfigurationError: it is no JSON of a report.
    """
    file = folder / f"{name}.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read ({error})", remedy="Measure again") from error
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict):
        raise ConfigurationError(f"{file} is no report of a model", remedy="Measure again")
    return found


def measured(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """All measured files of this model, by name.

    Raises:
        ConfigurationError: mail was not measured, or a file is of another model.
    """
    found = {name: report for name in ("mail", *OPTIONAL) if (report := read(folder, name)) is not None}
    left = [report for file in sorted(folder.glob("left-out-*.json")) if (report := read(folder, file.stem)) is not None]
    if "mail" not in found:
        raise ConfigurationError(
            f"{folder / 'mail.json'} is not there",
            consequence="there is nothing to write a card from",
            remedy="Measure first: python -m training.evaluate mail",
        )
    for name, report in found.items():
        if report["model"]["sha256"] != manifest.model_sha256:
            raise ConfigurationError(
                f"{folder / name}.json was measured with model {report['model']['sha256'][:12]}, not {manifest.model_sha256[:12]}",
                consequence="the card would speak of another model",
                remedy="Measure again, or name the model with --model",
            )
    if strange := sorted(set(found["mail"]["by_kind"]) - set(MAIL_KINDS)):
        raise ConfigurationError(
            f"{folder / 'mail.json'} tells {', '.join(strange)} apart, which no announcement names",
            consequence="the card would judge by thresholds that no station has",
            remedy="Measure again: python -m training.evaluate mail",
        )
    return {**found, "left_out": left}


def words(*parts: str) -> str:
    """One paragraph."""
    return " ".join(part.strip() for part in parts)


def table(head: Row, rows: Sequence[Row]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def _what(manifest: Manifest, data: bytes) -> list[str]:
    graph = onnx.load_from_string(data).graph
    weights = sum(int(one.ByteSize()) for one in graph.initializer)
    counts = ", ".join(f"{kind} {len(manifest.own_scores(kind))}" for kind in ANNOUNCED_KINDS)
    return [
        "## What it is",
        "",
        words(
            f"SHA-256 `{manifest.model_sha256}`, signed: {'yes' if manifest.signed else 'no'}.",
            f"{len(graph.node)} nodes, {len(data) / 1e6:.1f} MB, of it {weights / 1e6:.1f} MB of weights;",
            f"on a grid of {manifest.grid_mm} mm: attenuation, material index, darkness and dense material in,",
            "a heat map and a score of the piece out ([screening](screening.md)).",
        ),
        "",
        words(
            f"Trained on synthetic mail of generator version {manifest.generator_version} (data",
            f"SHA-256 `{manifest.training_data_sha256}`){_without(manifest)}; {_begun_with(manifest)}",
            f"Fitted on: {manifest.fitted_site or 'no site'}.",
            f"Benign pieces behind the thresholds: {counts}. Freeze score: {freeze_words(manifest)}.",
        ),
        "",
    ]


def _without(manifest: Manifest) -> str:
    left_out = manifest.metrics.get("left_out")
    return f", **without any piece that holds {left_out}**" if left_out else ""


def _begun_with(manifest: Manifest) -> str:
    photographs = manifest.metrics.get("encoder_begun_with")
    if photographs is None:
        return "no real image went into it."
    return f"its encoder began with weights of {photographs}; no real X-ray image went into it."


def _mail(found: Mapping[str, Any]) -> list[str]:
    below = f" Threats of visibility {found['floor']:g} and more; {found['below_floor']} lie below."
    rows = [
        (
            name,
            str(row["benign"]),
            str(row["threats"]),
            figure(row["auroc_within_kind"]),
            figure(row["tpr_within_kind"]),
            figure(row["baselines"][DARKNESS]["auroc_within_kind"]),
            figure(row["baselines"]["P"]["auroc_within_kind"]),
            figure(row["baselines"][DARKNESS]["model_better_by"]["auroc_within_kind"]),
        )
        for part in ("groups", "by_kind", "by_class")
        for name, row in found[part].items()
    ]
    point = found["operating_point"]
    held = [("benign", point["benign"]), ("threats", point["threats"]), *point["by_class"].items()]
    return [
        "## Synthetic mail of unseen seeds, through the simulated detector",
        "",
        words(
            f"Generation {found['generation']}, seed {found['seed']}; self-graded, since the same generator drew what",
            f"the model learned from.{below}",
            "Each kind, as tracking announces it, has its own threshold, as in the station; 95 % bootstrap intervals over pieces.",
        ),
        "",
        *table(("", "benign", "threats", "AUROC", "found at 5 %", "darkness", "P", "model − darkness"), rows),
        f"![Threats found by benign pieces alarmed, model beside darkness and P](../{PICTURES}/roc.png)",
        "",
        f"With the model's own thresholds (alpha {point['alpha']:g}); held counts the findings that need no model too:",
        "",
        *table(("", "pieces", "alarmed", "held"), [(n, str(r["held"]["n"]), figure(r["alarmed"]), figure(r["held"])) for n, r in held]),
        *(line for says in not_cleared_lines(point["not_cleared"]) for line in (says, "")),
        f"![Share of each class that alarms](../{PICTURES}/classes.png)",
        "",
    ]


def _coverage(found: Mapping[str, Any] | None) -> list[str]:
    head = ["## Does the threshold keep its promise", ""]
    if found is None:
        return [*head, NOT_MEASURED, ""]
    said = {True: "yes", False: "**no**"}
    rows = [
        (
            r["kind"],
            f"{r['alpha']:g}",
            str(r["n"]),
            str(r["m"]),
            f"{r['held_share']:.2%}",
            f"{r['low']}…{r['high']}",
            str(r["held"]),
            said[not r["broken"]] if r["holds"] or r["broken"] else "no, as one of many may be",
        )
        for r in found["as_shipped"]
    ]
    splits = [
        (
            r["kind"],
            f"{r['alpha']:g}",
            str(r["m"]),
            f"{r['held_share']:.2%}",
            f"{r['inside']:.2%}",
            f"{r['inside_must']:.2%}",
            said[r["holds"]],
        )
        for r in found["splits"]
    ]
    return [
        *head,
        f"The model's thresholds on benign mail of seed {found['seed']}, beside the 95 % beta-binomial interval of the number held:",
        "",
        *table(("kind", "alpha", "n", "m", "held", "must hold", "holds", "within"), rows),
        *(line for says in not_cleared_lines(found["not_cleared"]) for line in (says, "")),
        f"![Share of unseen benign pieces held](../{PICTURES}/coverage.png)",
        "",
        f"The unseen pieces split at random into 500 and the rest, {found['splits'][0]['draws']} times: splits within that interval.",
        "",
        *table(("kind", "alpha", "m", "held", "within", "must be", "holds"), splits),
    ]


def _pictures(boxed: Mapping[str, Any] | None, pairs: Mapping[str, Any] | None) -> list[str]:
    lines = ["## Real baggage pictures", "", "Research-only, for measuring alone; never seen in training, and not shown here.", ""]
    if boxed is None:
        lines += [f"Boxed threats: {NOT_MEASURED.lower()}", ""]
    else:
        rows = [("model", boxed), *((name, row) for name, row in boxed["baselines"].items() if row["patch_auroc"]["n"])]
        lines += [f"Within {boxed['patch_auroc']['n']} boxed pictures, 95 % bootstrap over scenes:", ""]
        lines += table(
            ("scorer", "patch AUROC", "pointing", "model better by (patch AUROC)"),
            [(name, figure(row["patch_auroc"]), figure(row["pointing"]), figure(row.get("model_better_by"))) for name, row in rows],
        )
        parts = [(what, name, row) for what, key in (("scanner", "by_group"), ("class", "by_label")) for name, row in boxed[key].items()]
        lines += table(
            ("part", "pictures", "patch AUROC", "darkness", "P", "pointing", "darkness", "P"),
            [
                (
                    f"{what} {name}",
                    str(row["patch_auroc"]["n"]),
                    *(
                        figure(one[key])
                        for key in ("patch_auroc", "pointing")
                        for one in (row, row["baselines"][DARKNESS], row["baselines"]["P"])
                    ),
                )
                for what, name, row in parts
            ],
        )
        trap = boxed["baselines"]["colour_histogram"]["image_auroc"]
        lines += [f"A histogram of colours separates whole pictures with AUROC {figure(trap)}: {boxed['warning']}.", ""]
    if pairs is None:
        return [*lines, f"Pairs: {NOT_MEASURED.lower()}", ""]
    rows = [("model", pairs), *pairs["baselines"].items()]
    lines += [f"{pairs['pairs']} pairs of the same picture with and without a projected threat, by the score of the whole picture:", ""]
    return lines + table(
        ("scorer", "AUROC", "paired win", "found at 5 %", "model better by (AUROC)"),
        [
            (name, *(figure(row[key]) for key in ("auroc", "paired_win", "tpr")), figure(row.get("model_better_by", {}).get("auroc")))
            for name, row in rows
        ],
    )


def _left_out(found: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["## Classes left out of training", ""]
    if not found:
        return [*head, NOT_MEASURED, ""]
    rows = [
        (one["left_out"], str(one["threats"]), figure(one["auroc_within_kind"]), figure(one["baselines"][DARKNESS]["auroc_within_kind"]))
        for one in found
    ]
    return [*head, "Each by a model of its own that was trained without it:", "", *table(("class", "threats", "AUROC", "darkness"), rows)]


def _ablations(found: Mapping[str, Any] | None, data: bytes) -> list[str]:
    head = ["## What parts of the score are worth", ""]
    not_measured = NOT_MEASURED.lower().rstrip(".")
    if found is None:
        return [*head, *table(("", "worth"), [(name, not_measured) for name in untested(data, ())])]
    columns = [
        (title, part, key)
        for title, part, key in (
            ("boxed: patch AUROC", "boxed", "patch_auroc"),
            ("boxed: pointing", "boxed", "pointing"),
            ("pairs: AUROC", "pairs", "auroc"),
            ("mail: AUROC", "mail", "auroc_within_kind"),
            ("mail: found at 5 %", "mail", "tpr_within_kind"),
        )
        if part in found
    ]
    whole = ("the whole score", *(figure(found[part][key]) for _, part, key in columns))
    rows = [(name, *(figure(found[part]["baselines"][name][key]) for _, part, key in columns)) for name in found["parts"]]
    rows += [(name, *(not_measured for _ in columns)) for name in untested(data, found["parts"])]
    of = {"boxed": "boxed pictures", "pairs": "pairs", "mail": "threats in mail"}
    sizes = ", ".join(f"{found[part][key]['n']} {of[part]}" for part, key in {part: key for _, part, key in columns}.items())
    said = f"Measured on a part of what stands above ({sizes}), so that only the differences are to be compared."
    return [*head, said, "", *table(("", *(title for title, _, _ in columns)), [whole, *rows])]


LIMITS = """## What the figures do not say

- Mail is drawn by our own generator, which also drew what the model learned from. Real mail, real threats and a real detector are another
population. - Projected threats on real pictures are multiplied pseudo-colours: a histogram of colours sees them too, so pairs flatter
whatever looks at colours. - The promise on false alarms holds for pieces like those of the calibration, and says nothing about misses.
- Only a model that is fitted on its own site and measured there by projected threats may clear outside the demo (`proved`)."""


def card(manifest: Manifest, data: bytes, found: Mapping[str, Any]) -> str:
    """The whole page."""
    shown = found["mail"]["operating_point"]["failures"]
    lines = [
        f"# Model card: {manifest.name}",
        "",
        words(
            "Written by `python -m training.card` from measured files; [how to measure](../how-to/measure-a-model.md).",
            "`station model card` prints what the manifest of the installed model says.",
        ),
        "",
        *goals_table(found),
        *_what(manifest, data),
        *_mail(found["mail"]),
        *_coverage(found.get("coverage")),
        *_pictures(found.get("pictures"), found.get("pairs")),
        *_left_out(found["left_out"]),
        *_ablations(found.get("ablate"), data),
        "## Where it fails",
        "",
        words(
            "The threats furthest below their threshold, at most two of a class, outlined, of those that nothing else held;",
            "and the benign pieces furthest above it:",
        ),
        "",
        f"![Missed threats and false alarms in pseudo-colour](../{PICTURES}/failures.png)" if shown else "None among the measured pieces.",
        "",
        LIMITS,
    ]
    return "\n".join(lines) + "\n"


def pictures(found: Mapping[str, Any]) -> dict[str, bytes]:
    """The card's pictures by file name; failures are drawn again from their seeds."""
    mail = found["mail"]
    source = generator(mail["generation"])
    made = {"roc.png": card_plots.roc(mail), "classes.png": card_plots.classes(mail["operating_point"])}
    if "coverage" in found:
        made["coverage.png"] = card_plots.coverage(found["coverage"])
    if shown := mail["operating_point"]["failures"]:
        views = [(card_failures.caption(row), card_failures.drawn(source, mail["seed"], row)) for row in shown]
        made["failures.png"] = card_plots.failures(views)
    return made


def write(out: Path, text: str, made: Mapping[str, bytes]) -> None:
    """The page and its pictures beside it.

    Raises:
        ConfigurationError: they cannot be written.
    """
    folder = out.parent.parent / PICTURES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
        for name, content in made.items():
            (folder / name).write_bytes(content)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written ({error.strerror})", remedy="Name a file in a directory that exists") from error


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--measured", type=Path, default=FOLDER, help="folder of the measured JSON files")
    parser.add_argument("--out", type=Path, default=CARD)
    options = parser.parse_args()
    with report_errors():
        model_of(options.model)
        manifest, data = load_model(options.model, need_signature=False)
        found = measured(options.measured, manifest)
        made = pictures(found)
        write(options.out, card(manifest, data, found), made)
        print(f"{options.out}, {len(made)} pictures of {sum(map(len, made.values())) / 1024:.0f} KB")
        raise SystemExit(EXIT_DONE)


if __name__ == "__main__":
    main()
