"""`station model card|score|evaluate|coverage|drift|resume`; the site's own models are in `model_fit`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from station.bootstrap.stores import calibration_scores, drift_state, load_scorer, model_card, resume_model
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.cli.progress import bar
from station.domain.errors import ConfigurationError
from station.screening.coverage import coverage_lines, coverage_table
from station.screening.drift import drift_lines
from station.screening.evaluation import evaluate as evaluate_images
from station.screening.evaluation import score_images
from station.screening.evaluation_lines import evaluation_lines, pair_lines
from station.screening.pair_evaluation import evaluate_pairs
from station.screening.palette import AUTO, palette_named
from station.screening.palette_evidence import PALETTES
from station.screening.pipeline import Reader
from station.settings import Configuration, load

DEFAULT_ALPHA = 0.05

app = typer.Typer(no_args_is_help=True, help="Mô hình / the anomaly model.")

ImagesOption = Annotated[Path, typer.Option("--images", metavar="DIR", help="Folder with pictures.")]


def _known_palette(name: str) -> str:
    """The name, checked before any picture is read."""
    return name if name == AUTO else palette_named(name).name


PaletteOption = Annotated[
    str,
    typer.Option("--palette", metavar="NAME|auto", callback=_known_palette, help=f"Bảng màu / palette: {AUTO}, {', '.join(PALETTES)}."),
]
FileOption = Annotated[Path, typer.Option("--json", metavar="FILE", help="Where to write the result.")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Pictures at the same time; the result is the same.")]


@app.command("card")
def card(config: ConfigOption = None) -> None:
    """Say what the model in use is, what was measured, and what that does not say."""
    typer.echo("\n".join(model_card(_configuration(config))))


@app.command("score")
def score(images: ImagesOption, file: FileOption, config: ConfigOption = None, palette: PaletteOption = AUTO, jobs: JobsOption = 1) -> None:
    """Score every picture of a folder with the model in use."""
    folder = _folder(images)
    _writable(file)
    scorer = _scorer(config)
    with bar("Ảnh / pictures") as progress:
        found = score_images(scorer, folder, palette=palette, jobs=jobs, progress=progress)
    _write(file, found)


@app.command("evaluate")
def evaluate(
    file: FileOption,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", metavar="CSV", help="Columns file, is_threat, boxes_xywh, scanner_group; label and scene_id if known."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="CSV", help="Columns file, benign_file, label, scanner_group: with a threat and without."),
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", metavar="DIR", help="Folder with pictures; else where the CSV is.")] = None,
    config: ConfigOption = None,
    palette: PaletteOption = AUTO,
    jobs: JobsOption = 1,
) -> None:
    """Measure the model in use on labelled pictures or on pairs, beside scores that need no learning."""
    listed = manifest or pairs
    if listed is None or (manifest is not None and pairs is not None):
        raise ConfigurationError("One list of pictures is wanted", remedy="Give --manifest CSV or --pairs CSV, not both")
    folder = _folder(images or listed.parent)
    _writable(file)
    scorer = _scorer(config)
    measure, lines = (evaluate_images, evaluation_lines) if pairs is None else (evaluate_pairs, pair_lines)
    with bar("Ảnh / pictures") as progress:
        found = measure(scorer, listed, folder, palette=palette, jobs=jobs, progress=progress)
    typer.echo("\n".join(lines(found)))
    info = scorer.info()
    _write(file, {"model": {"name": info.name, "sha256": info.sha256}, **found})


@app.command("coverage")
def coverage(config: ConfigOption = None, draws: Annotated[int, typer.Option(min=100, max=100_000)] = 2000) -> None:
    """Show by many calibration draws that the threshold holds no more benign pieces than promised."""
    for line in coverage_lines(coverage_table(calibration_scores(_configuration(config)), draws=draws)):
        typer.echo(line)


@app.command("drift")
def drift(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Does the model still see what it was calibrated on? Capital of every game against its level, and the scanner's image quality."""
    found = drift_state(load(configuration_path(config), demo=True))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in drift_lines(found):
        typer.echo(line)


@app.command("resume")
def resume(
    supervisor: Annotated[str, typer.Option(metavar="NAME", help="Who takes the responsibility.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="What was done.")],
    config: ConfigOption = None,
) -> None:
    """Let a model that drift has stopped clear again; the station must not run meanwhile."""
    at = datetime.now(UTC)  # noqa: TID251 - a program of its own
    reset = resume_model(load(configuration_path(config), demo=True), person=supervisor, note=note, at=at)
    typer.echo(f"{reset.at.isoformat()} {reset.person}: {reset.model_sha256[:12]} / {reset.calibration_sha256[:12]}")


def _configuration(config: Path | None) -> Configuration | None:
    """The one that was named or is found; None where there is none, and the shipped model counts."""
    path = configuration_path(config)
    return load(path, demo=True) if config is not None or path.exists() else None


def _scorer(config: Path | None) -> Reader:
    configuration = _configuration(config)
    return load_scorer(configuration, configuration.policy.alpha if configuration else DEFAULT_ALPHA)


def _folder(images: Path) -> Path:
    if not images.is_dir():
        raise ConfigurationError(f"--images {images}: there is no such directory", remedy="Name a folder with pictures")
    return images


def _writable(file: Path) -> None:
    """Refuse before minutes of work what could not be written after them."""
    if not file.absolute().parent.is_dir() or file.is_dir():
        raise ConfigurationError(f"--json {file} cannot be written", remedy="Name a file in a directory that exists")


def _write(file: Path, result: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}", remedy="Name another file") from error
    typer.echo(str(file))
