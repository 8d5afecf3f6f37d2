"""`station run`."""

import asyncio
import signal
import threading
from enum import StrEnum
from typing import Annotated

import typer

from station.api.users import WELCOME
from station.bootstrap.access import let_somebody_in
from station.bootstrap.station import start_station
from station.cli.logs import configure_logs
from station.cli.options import ConfigOption, configuration_path
from station.domain.errors import ConfigurationError
from station.settings import load


class Role(StrEnum):
    """Which part of the station this process is."""

    ALL = "all"
    LANE = "lane"
    API = "api"
    TRACKING = "tracking"


def run(
    config: ConfigOption = None,
    role: Annotated[Role, typer.Option(help="Only `all` until the shared system of record exists.")] = Role.ALL,
    lane: Annotated[str | None, typer.Option(metavar="ID", help="Run only this lane.")] = None,
) -> None:
    """Run the station against the configured devices until it is told to stop."""
    if role is not Role.ALL:
        raise ConfigurationError(
            f"--role {role.value} needs the shared system of record, which this version does not have",
            consequence="Nothing was started",
            remedy="Run the whole station in one process: --role all",
        )
    configure_logs()
    configuration = load(configuration_path(config))
    station = start_station(configuration, only_lane=lane)
    typer.echo(f"Bảng điều khiển / console: {station.server.url}")
    secret = asyncio.run(let_somebody_in(station.accounts))
    if secret is not None:
        typer.echo("Chưa có người quản trị: mở liên kết này một lần, trong 24 giờ / no administrator yet: open this once, within 24 hours:")
        typer.echo(f"  {station.server.url}{WELCOME}{secret}")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    station.stop()
