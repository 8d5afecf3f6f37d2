"""`station tracking receiver|status`."""

import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from station.bootstrap.stores import read_outbox
from station.bootstrap.tracking import open_receiver
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.settings import load

app = typer.Typer(no_args_is_help=True, help="Hệ thống định vị trung tâm / central tracking.")


@app.command("receiver")
def receiver(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where the receiver keeps its log and key.")] = Path("receiver"),
    station_key: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Public key of a station that is believed.")] = None,
    audit_key: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Public key of an audit log, whose checkpoints it then signs as witness.")
    ] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8090,
    ready_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Written as JSON when it listens.")] = None,
    *,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", help="End when standard input does.")] = False,
) -> None:
    """Run the reference tracking receiver."""
    server = open_receiver(data, station_key or [], audit_key or [])

    def on_ready(at_host: str, at_port: int) -> None:
        url = f"http://{at_host}:{at_port}"
        typer.echo(f"{url} ({server.public_key})")
        if ready_file is not None:
            part = ready_file.with_suffix(".part")
            part.write_text(json.dumps({"url": url, "public_key": server.public_key}), encoding="utf-8")
            part.replace(ready_file)

    if until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    server.run(host, port, lambda: datetime.now(UTC), on_ready)  # noqa: TID251 - the receiver is a program of its own; this is its root


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


@app.command("status")
def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """How many events were written, receipted, wait or are blocked."""
    found = read_outbox(load(configuration_path(config), demo=True))
    found = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, value in found.items():
        typer.echo(f"{name:>17}  {'-' if value is None else value}")
