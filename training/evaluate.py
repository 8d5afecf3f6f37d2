"""Judge a model, one command for each question; figures with 95 % intervals go to the terminal and to a JSON file, which the card reads.

    python -m training.evaluate mail [--per-kind 600] [--per-threat 60]       mail of unseen seeds through the simulated detector
    python -m training.evaluate left-out CLASS --model DIR                    a class that the model in DIR was trained without
    python -m training.evaluate coverage                                      false alarms on the benign pieces that `mail` scored,
                                                                              and on as many of unknown kind
    python -m training.evaluate ablate --pairs CSV --manifest CSV --images DIR --per-kind 40
                                                                              parts of the score switched off

Scores of mail are kept in `--scores`, so that an interrupted run goes on, and a larger one adds to it. Labelled pictures and pairs are
measured by `station model evaluate`. Exit code: 0 done, 1 what was checked does not hold, 2 wrong use.
"""

import argparse
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from station.cli.errors import EXIT_DOES_NOT_HOLD, EXIT_DONE, report_errors
from station.domain.errors import ConfigurationError, ScreeningError
from station.screening.anomaly_model import OnnxModel
from station.screening.baselines import DARKNESS
from station.screening.evaluation import boxed_report
from station.screening.evaluation_lines import figure
from station.screening.labels import read_labels
from station.screening.manifest import Manifest, load_model
from station.screening.pair_evaluation import pair_report, score_pairs
from station.screening.palette import AUTO
from station.screening.picture_scores import MODEL, score_pictures
from station.screening.pipeline import Reader
from training.ablations import ablated, untested
from training.mail_coverage import coverage_lines, coverage_report
from training.mail_report import mail_lines, mail_report, part_report, visible
from training.unseen_mail import ALPHA, UNSEEN_SEED, Generator, Scored, ScoreFile, blocks, generator, score_mail
from training.visibility import VISIBILITY_FLOOR

SHIPPED = Path("station/screening/models")
FOLDER = Path("build/evaluation")


@contextlib.contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Progress on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def write(file: Path, found: Mapping[str, Any]) -> None:
    """The report as JSON."""
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(file)


def prepared(file: Path) -> Path:
    """The file, its folder made.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("ab").close()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written ({error.strerror})", remedy="Name a file where one can be made") from error
    return file


def model_of(folder: Path) -> tuple[Manifest, bytes]:
    """Manifest and file of a model.

    Raises:
        ConfigurationError: there is no such folder, or it holds no model that is as it must be.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"--model {folder}: there is no such directory", remedy="Name the folder of a model")
    try:
        return load_model(folder, need_signature=False)
    except ScreeningError as error:
        raise ConfigurationError(
            f"--model {folder}: {error.what}", consequence="nothing was measured", remedy="Name the folder of a whole model"
        ) from error


def scored_mail(
    options: argparse.Namespace,
    manifest: Manifest,
    models: Mapping[str, bytes],
    scores: Path,
    *,
    only: str = "",
    unknown: bool = False,
) -> tuple[list[Scored], Generator]:
    """Scores of the pieces that the options ask for; benign ones of `unknown` kind too where that is asked."""
    source = generator(options.generation)
    if only and not any(only in threats for threats in source.threats.values()):
        known = ", ".join(sorted({threat for threats in source.threats.values() for threat in threats}))
        raise ConfigurationError(f"Mail of generation {source.version} has no class {only!r}", remedy=f"Give one of {known}")
    head = {"format": 2, "model": manifest.model_sha256, "scorers": sorted(models), "generation": source.version, "seed": options.seed}
    wanted = blocks(source, per_kind=options.per_kind, per_threat=options.per_threat, only=only, unknown=unknown)
    file = ScoreFile(prepared(scores), head)
    with contextlib.closing(file), bar("Bưu gửi / pieces") as progress:
        pieces = score_mail(manifest, models, wanted, source=source, seed=options.seed, file=file, jobs=options.jobs, progress=progress)
    return pieces, source


def floor_of(options: argparse.Namespace) -> float:
    """The floor asked for, else the one that is stated."""
    return VISIBILITY_FLOOR if options.floor is None else float(options.floor)


def mail(options: argparse.Namespace) -> int:
    """Detection on unseen mail."""
    manifest, data = model_of(options.model)
    floor, file = floor_of(options), prepared(options.json)
    pieces, source = scored_mail(options, manifest, {MODEL: data}, options.scores)
    found = {"generation": source.version, "seed": options.seed, **mail_report(pieces, manifest, floor=floor)}
    print("\n".join(mail_lines(found)))
    write(file, found)
    return EXIT_DONE


def require_left_out(manifest: Manifest, threat: str) -> None:
    """Refuse a model that has seen the class.

    Raises:
        ConfigurationError: its manifest does not say that it was trained without it.
    """
    said = manifest.metrics.get("left_out")
    if said != threat:
        says = f"was trained without {said}" if said else "does not say that a class was left out of its training"
        raise ConfigurationError(
            f"Model {manifest.name} {says}",
            consequence=f"what it makes of {threat} tells nothing of a class that it does not know",
            remedy=f"Train one: python -m training.train --out DIR --work build/no-{threat} --leave-out {threat}",
        )


def left_out(options: argparse.Namespace) -> int:
    """A class that the model never saw, as its manifest says."""
    manifest, data = model_of(options.model)
    require_left_out(manifest, options.threat)
    floor, file = floor_of(options), prepared(options.json or FOLDER / f"left-out-{options.threat}.json")
    scores = options.scores or FOLDER / f"left-out-{options.threat}.jsonl"
    pieces, source = scored_mail(options, manifest, {MODEL: data}, scores, only=options.threat)
    kinds = {one.kind for one in pieces if one.threat}
    carried = [one for one in visible(pieces, floor) if one.kind in kinds]
    found = {
        "left_out": options.threat,
        "generation": source.version,
        "seed": options.seed,
        "floor": floor,
        "model": {"name": manifest.name, "sha256": manifest.model_sha256},
        **part_report(carried),
        "by_kind": {kind: part_report([one for one in carried if one.kind == kind]) for kind in sorted(kinds)},
    }
    dark = found["baselines"][DARKNESS]
    print(f"{options.threat}, which the model does not know: {found['threats']} threats, {found['benign']} benign pieces")
    print(f"AUROC within kinds {figure(found['auroc_within_kind'])}, found at 5 % {figure(found['tpr_within_kind'])}")
    print(f"darkness {figure(dark['auroc_within_kind'])}; model minus darkness {figure(dark['model_better_by']['auroc_within_kind'])}")
    write(file, found)
    return EXIT_DONE


def coverage(options: argparse.Namespace) -> int:
    """False alarms on unseen benign mail."""
    manifest, data = model_of(options.model)
    file = prepared(options.json)
    pieces, source = scored_mail(options, manifest, {MODEL: data}, options.scores, unknown=True)
    found = {"generation": source.version, "seed": options.seed, **coverage_report(pieces, manifest, draws=options.draws)}
    print("\n".join(coverage_lines(found)))
    write(file, found)
    return EXIT_DONE if found["holds"] else EXIT_DOES_NOT_HOLD


def _effects(title: str, part: Mapping[str, Any], columns: Sequence[tuple[str, str, str]]) -> list[str]:
    """A line for the whole score and one for each part without which it was measured."""
    lines = [f"{title}: the whole score " + "; ".join(f"{head} {figure(part[key])}" for head, key, _ in columns)]
    for name, row in part["baselines"].items():
        if name.startswith("without"):
            better = row["model_better_by"]
            gains = (
                f"{head} {figure(row[key])}, worse by {figure(better[gain] if gain in better else row[gain])}"
                for head, key, gain in columns
            )
            lines.append(f"  {name:38s} " + "; ".join(gains))
    return lines


def ablate(options: argparse.Namespace) -> int:
    """What each part of the score is worth."""
    if options.manifest is None and options.pairs is None and options.per_kind == 0:
        raise ConfigurationError("There is nothing to measure on", remedy="Give --pairs CSV, --manifest CSV or --per-kind N")
    manifest, data = model_of(options.model)
    variants, file = ablated(data), prepared(options.json)
    models = {MODEL: data, **variants}
    others = (*variants, DARKNESS)
    scorers = {name: Reader(manifest, OnnxModel(one), alpha=ALPHA) for name, one in models.items()}
    model = {"name": manifest.name, "sha256": manifest.model_sha256}
    found: dict[str, Any] = {"model": model, "parts": list(variants), "not_measured": untested(data, variants)}
    lines = []
    if options.manifest is not None:
        labels = read_labels(options.manifest, options.images or options.manifest.parent)
        boxed = [one for one in labels.pictures if one.boxes]
        with bar("Ảnh / boxed pictures") as progress:
            scored = score_pictures(boxed, scorers, palette=AUTO, jobs=options.jobs, progress=progress)
        found["boxed"] = boxed_report([one for one in scored if not one.error], others=others)
        columns = (("patch AUROC", "patch_auroc", "model_better_by"), ("pointing", "pointing", "model_better_by_pointing"))
        lines += _effects("boxed pictures", found["boxed"], columns)
    if options.pairs is not None:
        with bar("Ảnh / pairs") as progress:
            pairs, _ = score_pairs(options.pairs, options.pairs.parent, scorers, palette=AUTO, jobs=options.jobs, progress=progress)
        found["pairs"] = pair_report(pairs, others=others)
        lines += _effects("pairs", found["pairs"], (("AUROC", "auroc", "auroc"), ("found at 5 %", "tpr", "tpr")))
    if options.per_kind > 0:
        pieces, source = scored_mail(options, manifest, models, options.scores)
        part = part_report(visible(pieces, VISIBILITY_FLOOR), others=others)
        found["mail"] = {"generation": source.version, "seed": options.seed, **part}
        columns = (("AUROC", "auroc_within_kind", "auroc_within_kind"), ("found at 5 %", "tpr_within_kind", "tpr_within_kind"))
        lines += _effects("mail", found["mail"], columns)
    lines += [f"not measured: {name}" for name in found["not_measured"]]
    print("\n".join(lines))
    write(file, found)
    return EXIT_DONE


def _from(least: int, most: int = 1_000_000_000) -> Callable[[str], int]:
    """A whole number between both, for argparse."""

    def number(text: str) -> int:
        amount = int(text)
        if not least <= amount <= most:
            raise ValueError(text)
        return amount

    number.__name__ = f"number from {least} to {most}"
    return number


def _common(command: argparse.ArgumentParser, *, per_kind: int, per_threat: int, name: str = "") -> None:
    command.add_argument("--model", type=Path, default=SHIPPED, help="folder of the model; the shipped one unless said")
    command.add_argument("--json", type=Path, default=FOLDER / f"{name}.json" if name else None, help="where the figures go")
    command.add_argument("--generation", type=int, help="of the mail; the newest unless said")
    command.add_argument("--seed", type=_from(0), default=UNSEEN_SEED, help="of the mail; one that no training or calibration used")
    command.add_argument("--per-kind", type=_from(min(1, per_kind)), default=per_kind, help="benign pieces of each kind")
    command.add_argument("--per-threat", type=_from(min(1, per_threat)), default=per_threat, help="pieces with each forbidden thing")
    command.add_argument("--jobs", type=_from(1, 64), metavar="N", default=os.cpu_count() or 1, help="processes")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, text in (
        ("mail", mail, "mail of unseen seeds"),
        ("left-out", left_out, "a class that the model was trained without"),
        ("coverage", coverage, "false alarms on unseen benign mail"),
        ("ablate", ablate, "parts of the score switched off"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        small = run is ablate
        threats = {coverage: 0, ablate: 6}.get(run, 60)
        _common(command, per_kind=0 if small else 600, per_threat=threats, name="" if run is left_out else name)
        if run is left_out:
            command.add_argument("threat", metavar="CLASS")
        if run is coverage:
            command.add_argument("--draws", type=_from(100, 100_000), metavar="N", default=2000)
        if run in {mail, left_out}:
            command.add_argument("--floor", type=float, help="visibility that a threat must have to count; the generator's own unless said")
        scores = {mail: FOLDER / "mail.jsonl", coverage: FOLDER / "mail.jsonl", ablate: FOLDER / "ablate.jsonl", left_out: None}[run]
        command.add_argument("--scores", type=Path, default=scores, help="where scores of mail are kept")
        if small:
            command.add_argument("--manifest", type=Path, help="list of labelled pictures; boxed ones count")
            command.add_argument("--images", type=Path, help="their folder; else where the list is")
            command.add_argument("--pairs", type=Path, help="list of pairs")
    options = parser.parse_args()
    with report_errors():
        raise SystemExit(options.run(options))


if __name__ == "__main__":
    main()
