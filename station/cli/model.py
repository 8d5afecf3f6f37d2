"""`station model card|score|evaluate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from station.bootstrap.stores import load_scorer, model_card
from station.cli.options import ConfigOption
from station.domain.errors import ConfigurationError
from station.screening.evaluation import evaluate as evaluate_images
from station.screening.evaluation import score_images
from station.settings import Configuration, load

DEFAULT_ALPHA = 0.05

app = typer.Typer(no_args_is_help=True, help="Mô hình / the anomaly model.")

ImagesOption = Annotated[Path, typer.Option("--images", metavar="DIR", help="Folder with pictures.")]
FileOption = Annotated[Path, typer.Option("--json", metavar="FILE", help="Where to write the result.")]


@app.command("card")
def card(config: ConfigOption = None) -> None:
    """Say what the model in use is, what was measured, and what that does not say."""
    typer.echo("\n".join(model_card(_configuration(config))))


@app.command("score")
def score(images: ImagesOption, file: FileOption, config: ConfigOption = None) -> None:
    """Score every picture of a folder with the model in use."""
    scorer = _scorer(config)
    _write(file, score_images(scorer, _folder(images)))


@app.command("evaluate")
def evaluate(
    manifest: Annotated[Path, typer.Option("--manifest", metavar="CSV", help="Columns file, is_threat, boxes_xywh, scanner_group.")],
    images: ImagesOption,
    file: FileOption,
    config: ConfigOption = None,
) -> None:
    """Measure the model in use on labelled pictures, beside darkness and random."""
    scorer = _scorer(config)
    _write(file, evaluate_images(scorer, manifest, _folder(images)))


def _configuration(config: Path | None) -> Configuration | None:
    return load(config, demo=True) if config is not None else None


def _scorer(config: Path | None) -> Any:
    configuration = _configuration(config)
    return load_scorer(configuration, configuration.policy.alpha if configuration else DEFAULT_ALPHA)


def _folder(images: Path) -> Path:
    if not images.is_dir():
        raise ConfigurationError(f"--images {images}: there is no such directory", remedy="Name a folder with pictures")
    return images


def _write(file: Path, result: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}", remedy="Name another file") from error
    typer.echo(str(file))
