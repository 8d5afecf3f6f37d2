"""`station doctor`."""

import asyncio
import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from station.bootstrap.doctor import examine
from station.cli.errors import EXIT_UNREACHABLE
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.settings import load


def doctor(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Look at devices, database, model, disk, clock and keys; each trouble comes with its remedy."""
    checks = asyncio.run(examine(load(configuration_path(config), demo=True)))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], ensure_ascii=False))
    else:
        table = Table()
        for heading in ("", "Kiểm tra / check", "Kết quả / found", "Cách xử lý / remedy"):
            table.add_column(heading, overflow="fold")
        for check in checks:
            table.add_row("[green]✓[/]" if check.ok else "[red]✗[/]", check.name, check.found, check.remedy)
        Console().print(table)
    if not all(check.ok for check in checks):
        raise typer.Exit(EXIT_UNREACHABLE)
