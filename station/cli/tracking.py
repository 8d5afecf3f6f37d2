"""`station tracking receiver|status|replay|reconcile`."""

import asyncio
import json
import os
import sys
import threading
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from station.bootstrap.stores import read_outbox
from station.bootstrap.tracking import ReceiverFiles, open_receiver, reconcile, send_again
from station.cli.errors import EXIT_DOES_NOT_HOLD
from station.cli.logs import configure_logs
from station.cli.options import ConfigOption, JsonOption, configuration_path
from station.cli.output import put_file
from station.domain.errors import ConfigurationError
from station.settings import load
from station.tracking.replay import Replay

app = typer.Typer(no_args_is_help=True, help="Hệ thống định vị trung tâm / central tracking.")


@app.command("receiver")
def receiver(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where the receiver keeps its log and key.")] = Path("receiver"),
    station_key: Annotated[
        list[str] | None, typer.Option(metavar="[SITE=]FILE", help="Public keys of a station that is believed, for one site or for any.")
    ] = None,
    station_secret: Annotated[
        list[str] | None, typer.Option(metavar="[SITE=]FILE", help="A secret (whsec_…) that a station shares with the receiver.")
    ] = None,
    audit_key: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Public key of an audit log, whose checkpoints it then signs as witness.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it calls itself in receipts.")] = "reference",
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Key of its receipts; else DIR/receiver.key.")] = None,
    next_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A key that will sign later; made if missing, and shown, for the stations.")
    ] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8090,
    ready_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Written as JSON when it listens.")] = None,
    *,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", help="End when standard input does.")] = False,
) -> None:
    """Run the reference tracking receiver."""
    files = ReceiverFiles(
        directory=data,
        name=name,
        station_keys=station_key or [],
        station_secrets=station_secret or [],
        audit_keys=audit_key or [],
        key=key,
        next_key=next_key,
    )
    configure_logs(stream=sys.stderr, as_json=not sys.stderr.isatty())
    server = open_receiver(files)

    def on_ready(at_host: str, at_port: int) -> None:
        url = f"http://{at_host}:{at_port}"
        typer.echo(f"{url} ({', '.join(server.public_keys)})")
        if ready_file is not None:
            told = json.dumps({"url": url, "public_key": server.public_keys[0]})
            put_file(ready_file, told.encode(), consequence="The receiver does not start")

    if until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    server.run(host, port, lambda: datetime.now(UTC), on_ready)  # noqa: TID251 - the receiver is a program of its own; this is its root


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


@app.command("status")
def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """How many events were written, receipted, wait or are blocked, and which give trouble."""
    found = read_outbox(load(configuration_path(config), demo=True))
    if as_json:
        typer.echo(json.dumps(found, default=str))
        return
    events = found.pop("troubled")
    for name, value in found.items():
        typer.echo(f"{name:>17}  {'-' if value is None else value}")
    for event in events:
        typer.echo(f"{event['state']:>17}  {event['event_id']}  × {event['attempts']}  {event['last_error']}")


@app.command("replay")
def replay(
    config: ConfigOption = None,
    piece: Annotated[str | None, typer.Option(metavar="ID", help="Every event of this piece.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Every event since then: 2026-11-20, or 2026-11-20T08:00+07:00.")
    ] = None,
    *,
    blocked: Annotated[bool, typer.Option("--blocked", help="Only events that are blocked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send events again (without options: only try at once what waits). A paused receiver counts as back. Nothing doubles by it."""
    wanted = Replay(piece_id=piece, since=None if since is None else _moment(since), blocked=blocked)
    count = send_again(load(configuration_path(config), demo=True), wanted)
    if as_json:
        typer.echo(json.dumps({"events": count}))
        return
    typer.echo("Trạm sẽ gửi lại khi chạy / the station will do it" if count is None else f"Gửi lại / sent again: {count}")


@app.command("reconcile")
def reconcile_with_receiver(
    config: ConfigOption = None,
    day: Annotated[str | None, typer.Option("--date", metavar="D", help="A day in UTC; else yesterday.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare a day's events with the receiver's; exit code 0: nothing differs, 1: something does, 3: it does not answer."""
    report = asyncio.run(reconcile(load(configuration_path(config), demo=True), None if day is None else _day(day)))
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"holds": report.holds}, default=str))
    else:
        typer.echo(f"{'✓ Khớp / agrees' if report.holds else '✗ KHÔNG khớp / DIFFERS'}  {report.day}")
        typer.echo(f"  trạm / station: {report.ours}, {report.our_root}")
        typer.echo(f"  trung tâm / receiver: {report.theirs}, {report.their_root}")
        typer.echo(f"  chờ gửi / waiting: {report.waiting}")
        for finding in report.findings:
            typer.echo(f"  ✗ {finding.difference.value}: {finding.piece_id} {finding.sequence}")
    if not report.holds:
        raise typer.Exit(EXIT_DOES_NOT_HOLD)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--date {text} is no day", remedy="Write it like 2026-11-20") from error


def _moment(text: str) -> datetime:
    """A day (from its beginning, in UTC) or a moment; one without an offset is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"--since {text} is no time", remedy="Write it like 2026-11-20 or 2026-11-20T08:00+07:00") from error
