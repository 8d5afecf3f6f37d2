"""A running station: built, started, and taken down again."""

import asyncio
import contextlib
import json
import resource
import secrets
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from station.api.app import LOOPBACK_HOSTS, create_app
from station.api.server import ApiServer
from station.audit.reading import Progress
from station.bootstrap.access import open_access
from station.bootstrap.audit import open_keeper
from station.bootstrap.certificates import certifier_of, proofs_of
from station.bootstrap.lanes import lane_devices, lane_settings
from station.bootstrap.lists import ListsApart
from station.bootstrap.loop_thread import LoopThread, Run
from station.bootstrap.model_in_use import model_place
from station.bootstrap.model_start import StartedWatch, say_whether_proved, say_whether_usable, start_model, start_watch
from station.bootstrap.pulse import LANES_LIMIT_S, WRITER_LIMIT_S, Asked, Pulse
from station.bootstrap.reports import ReportsApart, calendar_of
from station.bootstrap.space import open_space_watch
from station.bootstrap.stores import open_store
from station.bootstrap.tls import check_tls_certificate
from station.bootstrap.tracking import open_reconciler, open_relay
from station.bootstrap.vault import open_images, prepare_images
from station.clock import SystemClock
from station.domain.clearance import StationHealth
from station.domain.errors import ConfigurationError, StationError, StoreError
from station.domain.policy import Policy
from station.ports.clock import Clock
from station.ports.screening import ModelInfo
from station.ports.store import UnitOfWork
from station.ports.vault import ImageVault
from station.screening.drift import DriftWatch
from station.screening.worker import WorkerScreening
from station.settings import Configuration, LaneConfiguration, refuse_unproved_model, with_freeze_score
from station.storage.store import SqliteStore
from station.workflow.accounts import Accounts
from station.workflow.audit_keeper import AuditKeeper
from station.workflow.equipment import Equipment
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers
from station.workflow.image_keeper import ImageKeeper
from station.workflow.journey import Journey
from station.workflow.lane import Lane
from station.workflow.tube_use import idle_days
from station.workflow.unfreezing import Unfreezing

LAST_SEAL_S = 5.0
PROGRESS_S = 5.0
HOURS_PER_DAY = 24.0
TURN_S = 0.0005
"""How long a thread goes on computing while another one waits for its turn. Each read, write and SQL statement of a lane gives the turn
away, and with Python's own 5 ms a permit waits for some dozens of them whenever an answer is being made (decision 0150)."""
log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Station:
    """A running station."""

    configuration: Configuration
    clock: Clock
    store: SqliteStore
    images: ImageVault
    feed: EventFeed
    lanes: dict[str, Lane]
    screening: dict[str, WorkerScreening]
    model: ModelInfo | None
    server: ApiServer
    keeper: AuditKeeper
    accounts: Accounts
    lanes_thread: LoopThread
    tracking_thread: LoopThread
    lane_runs: list[Run]

    def pulse(self) -> Pulse:
        """Asks whether the lanes' loop and the store's writer still answer."""
        parts = {
            "lanes": Asked(ask=lambda: self.lanes_thread.submit(asyncio.sleep(0)), limit_s=LANES_LIMIT_S),
            # Something is really written: an empty change would say of a disk that fails that it works.
            "store": Asked(ask=lambda: self.store.write(_touch), limit_s=WRITER_LIMIT_S),
        }
        return Pulse(parts, SystemClock())

    def stop(self) -> None:
        """Make the lanes safe, then finish what was accepted and close everything; one that fails keeps no other from it."""
        with contextlib.ExitStack() as rest:
            rest.callback(self.store.close)
            rest.callback(lambda: asyncio.run(_seal_last(self.keeper)))
            rest.callback(lambda: asyncio.run(_close_all(self.screening)))
            rest.callback(self.tracking_thread.stop)
            rest.callback(self.lanes_thread.stop)
            rest.callback(self.server.stop)
            for run in self.lane_runs:
                rest.callback(run.end)
                run.future.cancel()


def start_station(
    configuration: Configuration, *, only_lane: str | None = None, still_starting: Callable[[str], None] = lambda _what: None
) -> Station:
    """Build and start everything that the configuration names, or only one of its lanes.

    Args:
        configuration: what to start.
        only_lane: one of its lanes; None: all of them.
        still_starting: told again and again what takes so long; what it raises ends the start.

    Raises:
        ConfigurationError: something in it cannot be used, or there is no such lane.
        StoreError: the store is not safe to use.
    """
    names = [lane.lane_id for lane in configuration.lanes]
    if only_lane is not None and only_lane not in names:
        raise ConfigurationError(f"There is no lane {only_lane} in {configuration.path}", remedy=f"Name one of: {', '.join(names)}")
    sys.setswitchinterval(TURN_S)
    # A crash must not write the pictures in memory to the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chosen = tuple(lane for lane in configuration.lanes if only_lane in {None, lane.lane_id})
    clock = SystemClock(speed=configuration.station.speed)
    with contextlib.ExitStack() as undo:
        store = open_store(configuration)
        undo.callback(store.close)
        station = _start_over(replace(configuration, lanes=chosen), clock, store, still_starting, undo)
        undo.pop_all()
    return station


def _start_over(
    configuration: Configuration,
    clock: SystemClock,
    store: SqliteStore,
    still_starting: Callable[[str], None],
    undo: contextlib.ExitStack,
) -> Station:
    images = open_images(configuration, clock)
    how_far = _say_how_far(clock, "images are being encrypted; the lanes start when all are", still_starting)
    prepare_images(configuration, images, store, how_far)
    feed = EventFeed(epoch=secrets.token_hex(8))
    policy = configuration.policy
    screening = {lane.lane_id: _screening(configuration) for lane in configuration.lanes}
    undo.callback(lambda: asyncio.run(_close_all(screening)))
    started = start_model(screening)
    model = started.info
    if model is not None:
        refuse_unproved_model(policy, configuration.policy_file, proved=model.proved, why_not=model.why_not_proved)
        policy = with_freeze_score(policy, model.freeze_score)
    keeper = open_keeper(configuration, store, clock)
    # A log that does not hold, now or later, holds every piece.
    asyncio.run(keeper.start(_say_how_far(clock, "the audit log is being checked; the lanes start when it holds", still_starting)))
    image_keeper = ImageKeeper(
        store=store, images=images, clock=clock, policy=policy, site=configuration.station.site, run_blocking=asyncio.to_thread
    )
    space_watch = open_space_watch(configuration, store, clock)
    watched = start_watch(configuration, store, clock) if model is not None else StartedWatch(watch=None)
    lanes_thread, tracking_thread = LoopThread("lanes"), LoopThread("tracking")
    undo.callback(lanes_thread.stop)
    undo.callback(tracking_thread.stop)
    lanes: dict[str, Lane] = {}
    for lane in configuration.lanes:
        journey = _journey(lane.lane_id, configuration, policy, clock, store, model, watched.watch, feed, keeper)
        equipment = Equipment(
            settings=lane_settings(lane, clock.speed),
            devices=lane_devices(lane, clock, idle_days=_tube_idle_days(lane, store, clock)),
            clock=clock,
            screening=screening[lane.lane_id],
            images=images,
            run_blocking=asyncio.to_thread,
            checklist=configuration.checklist,
        )
        lanes[lane.lane_id] = Lane(equipment, journey)
    handlers = Handlers(store=store, lanes=lanes, policy=policy, clock=clock, feed=feed, schemes=configuration.schemes)
    http = configuration.station.http
    certify = certifier_of(configuration, store, keeper).certificate
    access, accounts = open_access(store, clock)
    app = create_app(
        handlers=handlers,
        store=store,
        images=images,
        feed=feed,
        clock=clock,
        certify=certify,
        proofs=proofs_of(configuration, keeper),
        access=access,
        accounts=accounts,
        unfreezing=Unfreezing(store=store, clock=clock, checklist=configuration.checklist, feed=feed),
        list_making=ListsApart(configuration.data_dir),
        report_making=ReportsApart(configuration.data_dir, site=configuration.station.site, calendar=calendar_of(configuration)),
        hosts=(*LOOPBACK_HOSTS, *map(_host_name, (http.host, *http.names))),
    )
    server = ApiServer(app, feed=feed, port=http.port, host=http.host, tls=_tls(configuration, clock))
    relay, reconciler = None, None
    if configuration.station.tracking.receiver:
        relay = tracking_thread.submit(open_relay(configuration, store, clock)).result()
        reconciler = open_reconciler(configuration, store, clock)
    server.start()
    undo.callback(server.stop)
    # Nothing may move before everything else has proved that it can start.
    lane_runs = [lanes_thread.run(running.run()) for running in lanes.values()]
    for run in lane_runs:
        run.future.add_done_callback(_log_end)
    tracking_thread.submit(keeper.run()).add_done_callback(_log_end)
    tracking_thread.submit(image_keeper.run()).add_done_callback(_log_end)
    tracking_thread.submit(space_watch.run()).add_done_callback(_log_end)
    if relay is not None:
        tracking_thread.submit(relay.run()).add_done_callback(_log_end)
    if reconciler is not None:
        tracking_thread.submit(reconciler.run()).add_done_callback(_log_end)
    say_whether_proved(configuration, model, store, clock)
    say_whether_usable(configuration, started, watched, store, clock)
    return Station(
        configuration=configuration,
        clock=clock,
        store=store,
        images=images,
        feed=feed,
        lanes=lanes,
        screening=screening,
        model=model,
        server=server,
        keeper=keeper,
        accounts=accounts,
        lanes_thread=lanes_thread,
        tracking_thread=tracking_thread,
        lane_runs=lane_runs,
    )


def _tube_idle_days(lane: LaneConfiguration, store: SqliteStore, clock: Clock) -> float:
    unknown_days = lane.devices.generator.idle_hours_at_first_start / HOURS_PER_DAY
    return store.read(lambda view: idle_days(view, lane.lane_id, clock.utc_now(), unknown_days=unknown_days))


def _touch(uow: UnitOfWork) -> None:
    uow.set_value("watchdog.probe", "written to see whether the store answers")


def _host_name(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _tls(configuration: Configuration, clock: Clock) -> tuple[Path, Path] | None:
    """The console's certificate and key, if it has them; raises `ConfigurationError` when they are not as they must be."""
    certificate, key = configuration.tls_certificate_file, configuration.tls_key_file
    if certificate is None or key is None:
        return None
    checked = check_tls_certificate(certificate, key, clock.utc_now())
    return checked.certificate_file, checked.key_file


def _screening(configuration: Configuration) -> WorkerScreening:
    """One lane's own worker: what a scan or the model does to it, no other lane feels."""
    given = configuration.station.screening
    place = model_place(configuration)
    return WorkerScreening(
        place.folder,
        alpha=configuration.policy.alpha,
        site=configuration.station.site,
        time_limit_s=given.timeout_s,
        memory_mb=given.memory_mb,
        trusted_keys=place.trusted_keys,
        manifest_sha256=place.manifest_sha256,
    )


async def _close_all(screening: Mapping[str, WorkerScreening]) -> None:
    await asyncio.gather(*(engine.close() for engine in screening.values()))


def _say_how_far(clock: Clock, what: str, still_starting: Callable[[str], None]) -> Progress:
    """Tells every few seconds how far a long work is: somebody may wait for it for an hour."""
    said_s = clock.monotonic_s()
    still_starting(what)

    def say(done: int, of: int) -> None:
        nonlocal said_s
        still_starting(what)
        if clock.monotonic_s() - said_s >= PROGRESS_S:
            said_s = clock.monotonic_s()
            log.info(what, done=done, of=of)

    return say


async def _seal_last(keeper: AuditKeeper) -> None:
    """Sign what the log gained since the last checkpoint; a disk that fails does not keep the station from ending."""
    try:
        async with asyncio.timeout(LAST_SEAL_S):
            await keeper.end()
    except (StoreError, TimeoutError) as error:
        log.warning("the end of the audit log is not signed; the next start does it", error=repr(error))


def _journey(
    lane_id: str,
    configuration: Configuration,
    policy: Policy,
    clock: Clock,
    store: SqliteStore,
    model: ModelInfo | None,
    watch: DriftWatch | None,
    feed: EventFeed,
    keeper: AuditKeeper,
) -> Journey:
    journey: Journey

    def health() -> StationHealth:
        return StationHealth(
            model_usable=model is not None and watch is not None and not watch.tripped,
            model_proved=model is not None and model.proved,
            audit_ok=keeper.intact,
            store_ok=store.healthy(),
            frozen=False,
            test_piece_passed_at=journey.test_piece_passed_at(),
        )

    def on_change(piece_id: str) -> None:
        feed.publish("piece" if piece_id else "alarm", json.dumps({"piece_id": piece_id} if piece_id else {}))

    journey = Journey(
        lane_id=lane_id,
        store=store,
        policy=policy,
        clock=clock,
        health=health,
        schemes=configuration.schemes,
        on_change=on_change,
        watch=watch.reading if watch is not None else None,
    )
    return journey


def _log_end(future: "Future[Any]") -> None:
    if future.cancelled():
        return
    error = future.exception()
    if isinstance(error, StationError):
        log.error("a part of the station ended", error=str(error))
    elif error is not None:
        log.error("a part of the station ended by a defect", error=repr(error), exc_info=error)
