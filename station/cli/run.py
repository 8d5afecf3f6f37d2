"""`station run`."""

import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from station.api.users import WELCOME
from station.bootstrap.access import lacks_administrator, let_somebody_in
from station.bootstrap.own_log import prepared_log_file
from station.bootstrap.pulse import watch_over
from station.bootstrap.service_manager import ServiceManager
from station.bootstrap.station import Station, start_station
from station.cli.logs import configure_logs, log_defects
from station.cli.options import ConfigOption, configuration_path
from station.domain.errors import ConfigurationError
from station.settings import Configuration, load

START_SILENCE_S = 900.0
"""The longest step of a start that says nothing: SQLite's own check of a large database."""
LOOK_UP_S = 0.5


class Role(StrEnum):
    """Which part of the station this process is."""

    ALL = "all"
    LANE = "lane"
    API = "api"
    TRACKING = "tracking"


class _ToldToStopError(Exception):
    """Somebody wants the station to end before it has started."""


def run(
    config: ConfigOption = None,
    role: Annotated[Role, typer.Option(help="Only `all` until the shared system of record exists.")] = Role.ALL,
    lane: Annotated[str | None, typer.Option(metavar="ID", help="Run only this lane.")] = None,
    *,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines on a terminal too; elsewhere it always does.")] = False,
) -> None:
    """Run the station against the configured devices until it is told to stop."""
    if role is not Role.ALL:
        raise ConfigurationError(
            f"--role {role.value} needs the shared system of record, which this version does not have",
            consequence="Nothing was started",
            remedy="Run the whole station in one process: --role all",
        )
    configuration = load(configuration_path(config))
    configure_logs(prepared_log_file(configuration.data_dir), stream=sys.stderr, as_json=log_json or not sys.stderr.isatty())
    log_defects()
    manager = ServiceManager(os.environ, pid=os.getpid())
    if manager.watchdog_s:
        # A watchdog that ends the station leaves where each thread stood, and nothing of what it held.
        faulthandler.enable()
    with _told_to_stop() as stopped:
        _run_until(stopped, manager, configuration, lane)


@contextlib.contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Set when somebody wants the program to end; it is never ended in the middle of something."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_until(stopped: threading.Event, manager: ServiceManager, configuration: Configuration, lane: str | None) -> None:
    def still_starting(what: str) -> None:
        if stopped.is_set():
            raise _ToldToStopError
        manager.still_starting(START_SILENCE_S, what)

    try:
        station = start_station(configuration, only_lane=lane, still_starting=still_starting)
    except _ToldToStopError:
        return
    try:
        manager.ready(f"{len(station.lanes)} lane(s), {station.server.url}")
        _welcome(station)
        if manager.watchdog_s:
            watch_over(station.pulse(), manager, stopped)
        else:
            # the kernel may give the signal to another thread; Python tells of it in this one, once it looks up
            while not stopped.wait(LOOK_UP_S):
                pass
    finally:
        manager.stopping()
        station.stop()


def _welcome(station: Station) -> None:
    """Say where the console is; and, to somebody who sits there and to no journal, how the first administrator gets in."""
    typer.echo(f"Bảng điều khiển / console: {station.server.url}")
    if not sys.stdout.isatty():
        if lacks_administrator(station.accounts):
            typer.echo(
                "Chưa có người quản trị: dừng trạm, rồi `station users add TÊN --role administrator` / "
                "no administrator yet: stop the station, then `station users add NAME --role administrator`"
            )
        return
    secret = asyncio.run(let_somebody_in(station.accounts))
    if secret is not None:
        typer.echo("Chưa có người quản trị: mở liên kết này một lần, trong 24 giờ / no administrator yet: open this once, within 24 hours:")
        typer.echo(f"  {station.server.url}{WELCOME}{secret}")
