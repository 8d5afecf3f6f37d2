"""`station support-bundle`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from station.bootstrap.support_bundle import PARTS, make_bundle, write_bundle
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.cli.progress import bar
from station.domain.errors import ConfigurationError


def support_bundle(
    config: ConfigOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; else kt1-support-TIME.zip here.")] = None,
    *,
    redact: Annotated[bool, typer.Option("--redact/--no-redact", help="Names as pseudonyms; without it for use inside the house.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Gather what helps to find a fault into one file, without secrets and images; also beside a running or a broken station."""
    now = datetime.now(UTC)  # noqa: TID251 - a program of its own
    target = out if out is not None else Path(f"kt1-support-{now:%Y%m%d-%H%M%S}.zip")
    if target.exists() or target.is_symlink():
        raise ConfigurationError(f"{target} exists already", consequence="There is no bundle", remedy="Name another file by --out FILE")
    with bar("Gói hỗ trợ / support bundle") as progress:
        bundle = make_bundle(configuration_path(config), redact=redact, now=now, progress=progress)
    write_bundle(bundle, target)
    if as_json:
        typer.echo(json.dumps({"file": str(target), "redacted": redact, "not_gathered": bundle.troubles}, ensure_ascii=False))
        return
    typer.echo(str(target))
    if not redact:
        typer.echo("CHỈ DÙNG NỘI BỘ: có tên và số hiệu thật / FOR USE INSIDE THE HOUSE ONLY: it holds real names and numbers", err=True)
    for part in PARTS:
        if part.name in bundle.troubles:
            typer.echo(f"không có / not gathered: {part.name}: {bundle.troubles[part.name]}", err=True)
