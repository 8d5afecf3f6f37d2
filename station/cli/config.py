"""`station config init|validate|show`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from station.bootstrap.recipes import lane_recipe
from station.bootstrap.tls import make_tls_certificate
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.demo.run import DEMO_SITE
from station.settings import Configuration, load, read, write_shipped

app = typer.Typer(no_args_is_help=True, help="Cấu hình / configuration.")

TLS_FILES = {"tls_certificate_file": "keys/console.pem", "tls_key_file": "keys/console.key"}
"""Where the console's certificate and key lie unless the configuration says otherwise."""


@app.command("init")
def init(directory: Annotated[Path, typer.Argument(help="Where to write the shipped files.")] = Path()) -> None:
    """Write the shipped, commented configuration; refuses to overwrite anything."""
    for path in write_shipped(directory):
        typer.echo(str(path))


@app.command("validate")
def validate(config: ConfigOption = None) -> None:
    """Check every file of the configuration; the first mistake is named with file, line, key and what is allowed."""
    configuration = _load(config)
    for lane in configuration.lanes:
        lane_recipe(lane.recipe)
    typer.echo(
        f"{configuration.path}: đúng / valid ({len(configuration.lanes)} lane(s), policy {configuration.policy.sha256[:12]}, "
        f"checklist {configuration.checklist.sha256[:12]})"
    )
    if configuration.policy.unproved_model:
        typer.echo("unproved_model = true: the demo's own; `station run` refuses it", err=True)


@app.command("tls")
def tls(
    name: Annotated[list[str], typer.Option("--name", help="Host name or address under which the station is called; several times.")],
    config: ConfigOption = None,
) -> None:
    """Make a certificate of the site's own for the console, signed by itself, and the key that only the station's user may read."""
    path = configuration_path(config)
    http = read(path).values.get("http", {})
    certificate, key_file = (path.parent / http.get(key, default) for key, default in TLS_FILES.items())
    made = make_tls_certificate(certificate, key_file, name)
    typer.echo(f"{made.certificate_file}  SHA-256 {made.sha256}  đến / until {made.not_after:%Y-%m-%d}")
    typer.echo(f"{made.key_file}  (0600)")
    if not set(TLS_FILES) <= set(http):
        lines = [f'{key} = "{default}"' for key, default in TLS_FILES.items()]
        typer.echo(f"{path}: [http] " + "; ".join([*lines, f"names = {json.dumps(name)}"]))


@app.command("show")
def show(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show the configuration as the station understands it. Key files are named, never shown."""
    configuration = _load(config)
    values = _values(configuration)
    if as_json:
        typer.echo(json.dumps(values, indent=1, default=str, ensure_ascii=False))
        return
    for name, value in _flat(values):
        typer.echo(f"{name} = {value}")


def _load(config: Path | None) -> Configuration:
    """What was written by the demo is valid there, though nowhere else."""
    path = configuration_path(config)
    return load(path, demo=read(path).values.get("site") == DEMO_SITE)


def _values(configuration: Configuration) -> dict[str, object]:
    policy = {name: getattr(configuration.policy, name) for name in type(configuration.policy).__slots__}
    return {
        "file": str(configuration.path),
        "station": configuration.station.model_dump(mode="json"),
        "policy": {name: sorted(value) if isinstance(value, frozenset) else value for name, value in policy.items()},
        "lanes": {lane.lane_id: lane.devices.model_dump(mode="json") for lane in configuration.lanes},
        "checklist": {"sha256": configuration.checklist.sha256, "steps": [step.id for step in configuration.checklist.steps]},
        "recipes": {lane.lane_id: dict(lane.recipe.values) for lane in configuration.lanes},
    }


def _flat(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows.extend(_flat(value, f"{prefix}{name}."))
        else:
            rows.append((f"{prefix}{name}", value))
    return rows
