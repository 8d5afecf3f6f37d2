"""`station model fit|list|adopt|rollback`: a site's own model, from its benign pieces to a supervisor's sign-off and back."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from station.bootstrap.model_in_use import models_directory
from station.bootstrap.site_fitting import fit as fit_site
from station.bootstrap.site_models import adopt as adopt_model
from station.bootstrap.site_models import listed, roll_back
from station.bootstrap.site_sources import folder_pieces, stored_pieces
from station.bootstrap.stores import drift_state
from station.cli.model import PaletteOption
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.domain.errors import ConfigurationError
from station.domain.model_use import ModelInUse
from station.screening.palette import AUTO
from station.screening.site_report import report_lines
from station.screening.site_scoring import Phase
from station.settings import Configuration, load

MATRIX_THREADS = "OPENBLAS_NUM_THREADS"

SupervisorOption = Annotated[str, typer.Option(metavar="NAME", help="Who takes the responsibility.")]
NoteOption = Annotated[str, typer.Option(metavar="TEXT", help="Why.")]


def fit(
    benign: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with pictures of benign pieces, one a piece.")] = None,
    since: Annotated[
        datetime | None, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The station's own scans since that day.")
    ] = None,
    config: ConfigOption = None,
    palette: PaletteOption = AUTO,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Pieces at the same time; the result is the same.")] = 2,
    *,
    as_json: JsonOption = False,
) -> None:
    """Fit the model's head on this site's benign pieces and measure it beside the model in use, which stays in use."""
    configuration = _configuration(config)
    if since is not None and benign is None:
        sources = stored_pieces(configuration, since.astimezone())
    elif benign is not None and since is None:
        sources = folder_pieces(benign, palette, configuration.station.site)
    else:
        raise ConfigurationError("Benign pieces are wanted from one place", remedy="Give --benign DIR or --since DATE, not both")
    _keep_matrices_to_one_thread()
    with _bar() as progress:
        fitted = fit_site(configuration, sources, at=_now(), jobs=jobs, progress=progress)
    if as_json:
        typer.echo(json.dumps({"candidate": fitted.folder.name, **fitted.report}, ensure_ascii=False))
        return
    typer.echo("\n".join(report_lines(fitted.report)))
    typer.echo(f"{fitted.folder}")
    if not fitted.report["objections"]:
        typer.echo(f"Chưa dùng, chờ giám sát / not in use; a supervisor decides: station model adopt {fitted.folder.name} --supervisor …")


def _keep_matrices_to_one_thread() -> None:
    """Begin the same command anew, if need be, with a matrix library that stays on the calling thread.

    Its own threads fight with those of the pieces and with a station's lanes: the same work takes five times as long. It reads this at
    its first import, which is over.
    """
    if MATRIX_THREADS not in os.environ:
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, MATRIX_THREADS: "1"})  # noqa: S606 - this very program


def models(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """List the site's own models, and who took which into use."""
    folders, facts = listed(_configuration(config))
    if as_json:
        rows = [{"name": one.name, "signed": one.signed, "in_use": one.used} for one in folders]
        typer.echo(json.dumps({"models": rows, "history": [_row(fact) for fact in facts]}, ensure_ascii=False))
        return
    for one in folders:
        state = "đang dùng / in use" if one.used else ("đã ký / signed" if one.signed else "chưa ký / not signed")
        typer.echo(f"{one.name}  {state}")
    for fact in facts:
        typer.echo(_line(fact))


def adopt(
    candidate: Annotated[str, typer.Argument(metavar="NAME", help="See `station model list`.")],
    supervisor: SupervisorOption,
    note: NoteOption = "",
    config: ConfigOption = None,
) -> None:
    """Sign a candidate and take it into use from the next start on; the station must not run meanwhile."""
    configuration = _configuration(config)
    typer.echo(_line(adopt_model(configuration, candidate, person=supervisor, note=note, at=_now())))
    folder = models_directory(configuration) / candidate
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if report["models"]["freeze_score_before"] is not None and configuration.policy.freeze_score is None:
        typer.echo("Không còn dừng tự động theo điểm / no attention stop any more: set policy.freeze_score")
    _say_if_stopped(configuration)


def rollback(supervisor: SupervisorOption, note: NoteOption = "", config: ConfigOption = None) -> None:
    """Return to the model that was in use before, from the next start on; the station must not run meanwhile."""
    configuration = _configuration(config)
    typer.echo(_line(roll_back(configuration, person=supervisor, note=note, at=_now())))
    _say_if_stopped(configuration)


def _say_if_stopped(configuration: Configuration) -> None:
    if drift_state(configuration)["tripped"] is not None:
        typer.echo("Mô hình vẫn bị dừng vì trôi / the model stays stopped by drift: station model resume --supervisor … --note …")


def _line(fact: ModelInUse) -> str:
    what = "trở lại / back to" if fact.rolled_back else "dùng / in use"
    return f"{fact.at.isoformat(timespec='seconds')} {fact.person}: {what} {_name(fact)} {fact.model_sha256[:12]} {fact.note}".rstrip()


def _name(fact: ModelInUse) -> str:
    return fact.folder or "mô hình được giao / the delivered model"


def _row(fact: ModelInUse) -> dict[str, object]:
    return {
        "at": fact.at.isoformat(),
        "person": fact.person,
        "note": fact.note,
        "folder": fact.folder,
        "model_sha256": fact.model_sha256,
        "manifest_sha256": fact.manifest_sha256,
        "rolled_back": fact.rolled_back,
    }


def _configuration(config: Path | None) -> Configuration:
    return load(configuration_path(config), demo=True)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a program of its own


@contextlib.contextmanager
def _bar() -> Iterator[Phase]:
    """A bar for each phase on a terminal's standard error; nothing where it is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total)
            bar.update(tasks[phase], completed=done)

        yield progress
