"""The one composition root: builds a station out of its configuration, and takes it down again."""

import asyncio
import json
import random
import secrets
import shutil
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog

from station.api.app import create_app
from station.api.receiver import ReceiverIdentity, run_receiver
from station.api.server import ApiServer
from station.clock import SystemClock
from station.disinfect.clock_pairing import JUMP_MS
from station.disinfect.recipes import tunnel_recipe
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import StationHealth
from station.domain.errors import ConfigurationError, ScreeningError, StationError
from station.domain.policy import Policy
from station.drivers.barcode_reader import BarcodeReaderDriver
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.clock import Clock
from station.ports.lane_devices import LaneDevices
from station.ports.lane_plc import Eye
from station.ports.screening import ModelInfo
from station.screening.anomaly_model import load_reader
from station.screening.pipeline import Reader
from station.screening.worker import WorkerScreening
from station.settings import Configuration, LaneConfiguration, refuse_unproved_model, with_freeze_score
from station.storage.image_store import FileImageStore
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.space import MEBIBYTE
from station.storage.store import SqliteReader, SqliteStore
from station.tracking.http import HttpSender
from station.tracking.message import MessageRules
from station.tracking.relay import Relay, RelaySettings
from station.tracking.signatures import load_or_create_key, public_from_text, public_text
from station.tracking.verdict import ReceiptRule
from station.workflow.equipment import Equipment, LaneSettings
from station.workflow.feed import EventFeed
from station.workflow.geometry import LaneGeometry
from station.workflow.handlers import Handlers
from station.workflow.journey import Journey
from station.workflow.lane import Lane

T = TypeVar("T")

SHIPPED_MODEL = Path(__file__).parent / "screening" / "models"
THREAD_STOP_S = 15.0
RELAY_POLL_S = 0.2

log = structlog.get_logger()


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start something on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        """Cancel what runs, wait for it, and end the thread."""

        async def cancel_all() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.submit(cancel_all()).result(THREAD_STOP_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(THREAD_STOP_S)
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


@dataclass(slots=True, kw_only=True)
class Station:
    """A running station."""

    configuration: Configuration
    clock: Clock
    store: SqliteStore
    images: FileImageStore
    feed: EventFeed
    lanes: dict[str, Lane]
    screening: WorkerScreening
    model: ModelInfo | None
    server: ApiServer
    relay: Relay | None
    threads: list[LoopThread]

    def stop(self) -> None:
        """Make the lanes safe, finish what was accepted, close everything."""
        self.server.stop()
        for thread in self.threads:
            thread.stop()
        asyncio.run(self.screening.close())
        self.store.close()


def lane_geometry(lane: LaneConfiguration) -> LaneGeometry:
    """The workflow's geometry out of a lane's file."""
    given = lane.devices.geometry
    eyes = {Eye[name.upper()]: place_mm for name, place_mm in given.eyes_mm.model_dump().items()}
    return LaneGeometry(
        belt_starts_mm=given.belt_starts_mm,
        eyes_mm=eyes,
        infeed_reader_mm=given.infeed_reader_mm,
        beam_mm=given.beam_mm,
        diverter_1_mm=given.diverter_1_mm,
        uv_field_start_mm=given.uv_field_start_mm,
        uv_field_end_mm=given.uv_field_end_mm,
        diverter_2_mm=given.diverter_2_mm,
        gate_reader_mm=given.gate_reader_mm,
        gate_mm=given.gate_mm,
        belt_speed_mm_s=given.belt_speed_mm_s,
        longest_piece_mm=given.longest_piece_mm,
    )


def lane_devices(lane: LaneConfiguration, clock: Clock) -> LaneDevices:
    """The drivers of a lane's devices; nothing is opened yet."""
    given = lane.devices
    return LaneDevices(
        plc=LanePlcDriver(given.plc.endpoint, given.plc.unit, clock=clock, watchdog_ms=given.plc.watchdog_ms),
        generator=XrayGeneratorDriver(
            given.generator.endpoint,
            clock=clock,
            model=given.generator.profile,
            kv_max=given.generator.full_scale_kv,
            ma_max=given.generator.full_scale_ma,
        ),
        detector=LineDetectorDriver(given.detector.command, given.detector.lines),
        unit=DisinfectionUnitDriver(
            given.disinfection_unit.endpoint,
            given.disinfection_unit.unit,
            clock=clock,
            watchdog_ms=given.disinfection_unit.watchdog_ms,
        ),
        infeed_reader=BarcodeReaderDriver(given.infeed_reader.endpoint, clock=clock, name="The infeed barcode reader"),
        gate_reader=BarcodeReaderDriver(given.gate_reader.endpoint, clock=clock, name="The gate barcode reader"),
    )


def lane_settings(lane: LaneConfiguration, speed: float) -> LaneSettings:
    """A lane's numbers out of its file."""
    return LaneSettings(
        lane_id=lane.lane_id,
        kv=lane.devices.generator.kv,
        ma=lane.devices.generator.ma,
        recipe=tunnel_recipe(lane.recipe.values, sha256=lane.recipe.sha256),
        unit_id=lane.devices.disinfection_unit.id,
        geometry=lane_geometry(lane),
        clock_jump_ms=JUMP_MS * max(1.0, speed),
    )


def model_directory(configuration: Configuration) -> Path:
    """The folder of the model in use: the site's own, or the shipped one."""
    named = configuration.station.screening.model
    return configuration.path.parent / named if named else SHIPPED_MODEL


def open_store(configuration: Configuration) -> SqliteStore:
    """The system of record, for writing; one process at a time."""
    storage, tracking = configuration.station.storage, configuration.station.tracking
    rules = MessageRules(site=configuration.station.site, send_secrecy=tracking.send_secrecy)
    return SqliteStore(
        configuration.data_dir,
        render=rules.render,
        reserve_bytes=storage.reserve_mb * MEBIBYTE,
        floor_bytes=storage.free_floor_mb * MEBIBYTE,
        warn_bytes=storage.free_warning_mb * MEBIBYTE,
    )


def start_station(configuration: Configuration, *, only_lane: str | None = None) -> Station:
    """Build and start everything that the configuration names, or only one of its lanes.

    Raises:
        ConfigurationError: something in it cannot be used, or there is no such lane.
        StoreError: the store is not safe to use.
    """
    names = [lane.lane_id for lane in configuration.lanes]
    if only_lane is not None and only_lane not in names:
        raise ConfigurationError(f"There is no lane {only_lane} in {configuration.path}", remedy=f"Name one of: {', '.join(names)}")
    chosen = tuple(lane for lane in configuration.lanes if only_lane in {None, lane.lane_id})
    clock = SystemClock(speed=configuration.station.speed)
    store = open_store(configuration)
    try:
        return _start_over(replace(configuration, lanes=chosen), clock, store)
    except BaseException:
        store.close()
        raise


def _start_over(configuration: Configuration, clock: SystemClock, store: SqliteStore) -> Station:
    images = FileImageStore(configuration.data_dir / "images")
    feed = EventFeed(epoch=secrets.token_hex(8))
    policy = configuration.policy
    screening = WorkerScreening(
        model_directory(configuration),
        alpha=policy.alpha,
        site=configuration.station.site,
        time_limit_s=configuration.station.screening.timeout_s,
        memory_mb=configuration.station.screening.memory_mb,
    )
    model = _start_model(screening)
    if model is not None:
        refuse_unproved_model(policy, configuration.policy_file, proved=model.proved, why_not=model.why_not_proved)
        policy = with_freeze_score(policy, model.freeze_score)
    lanes_thread, tracking_thread = LoopThread("lanes"), LoopThread("tracking")
    lanes: dict[str, Lane] = {}
    for lane in configuration.lanes:
        journey = _journey(lane.lane_id, configuration, policy, clock, store, model, feed)
        equipment = Equipment(
            settings=lane_settings(lane, clock.speed),
            devices=lane_devices(lane, clock),
            clock=clock,
            screening=screening,
            images=images,
            run_blocking=asyncio.to_thread,
        )
        lanes[lane.lane_id] = Lane(equipment, journey)
    handlers = Handlers(store=store, lanes=lanes, policy_sha256=policy.sha256, clock=clock, feed=feed)
    http = configuration.station.http
    app = create_app(handlers=handlers, store=store, images=images, feed=feed, clock=clock)
    server = ApiServer(app, feed=feed, port=http.port, host=http.host)
    server.start()
    for running in lanes.values():
        lanes_thread.submit(running.run()).add_done_callback(_log_end)
    relay = None
    if configuration.station.tracking.receiver:
        relay = tracking_thread.submit(_open_relay(configuration, store, clock)).result()
        tracking_thread.submit(relay.run()).add_done_callback(_log_end)
    if policy.unproved_model:
        store.write(
            lambda uow: uow.raise_alarm(AlarmCode.UNPROVED_MODEL, AlarmPriority.LOW, configuration.station.site, "demo", clock.utc_now())
        ).result()
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
        relay=relay,
        threads=[lanes_thread, tracking_thread],
    )


def _start_model(screening: WorkerScreening) -> ModelInfo | None:
    try:
        return asyncio.run(screening.start())
    except ScreeningError as error:
        log.warning("no model: every piece will be held", error=str(error))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverServer:
    """The reference receiver, ready to serve. `public_key` proves its receipts."""

    ledger: SqliteReceiverLedger
    identity: ReceiverIdentity
    public_key: str

    def run(self, host: str, port: int, utc_now: Callable[[], datetime], on_ready: Callable[[str, int], None]) -> None:
        """Serve in this thread until stopped by a signal."""
        run_receiver(self.ledger, self.identity, utc_now, host=host, port=port, on_ready=on_ready)


def open_receiver(directory: Path, station_keys: Sequence[Path]) -> ReceiverServer:
    """Open the reference receiver's log and key.

    Raises:
        ConfigurationError: no station key was given, or one cannot be read.
    """
    if not station_keys:
        raise ConfigurationError(
            "No station's public key was given", consequence="No event could be believed", remedy="Give --station-key FILE"
        )
    ledger = SqliteReceiverLedger(directory)
    key = load_or_create_key(directory / "receiver.key")
    try:
        believed = tuple(public_from_text(path.read_text(encoding="ascii")) for path in station_keys)
    except OSError as error:
        raise ConfigurationError(f"A station key cannot be read: {error}", remedy="Name the station's public key file") from error
    return ReceiverServer(
        ledger=ledger, identity=ReceiverIdentity(name="reference", key=key, station_keys=believed), public_key=public_text(key)
    )


def read_outbox(configuration: Configuration) -> dict[str, object]:
    """How the outbox stands, read beside a running station. Raises `StoreError` when there is no database yet."""
    reader = SqliteReader(configuration.data_dir)
    try:
        return asdict(reader.read(lambda view: view.outbox_status()))
    finally:
        reader.close()


def load_scorer(configuration: Configuration | None, alpha: float) -> Reader:
    """The model in this process, for offline tools. Without a configuration, the shipped one."""
    return load_reader(model_directory(configuration) if configuration else SHIPPED_MODEL, alpha=alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that the doctor looked at; `remedy` is empty where all is well."""

    name: str
    ok: bool
    found: str
    remedy: str


async def examine(configuration: Configuration) -> list[Check]:
    """Look at every device, the store, the model, the disk and the keys. Devices are only connected to: nothing moves or shines."""
    clock = SystemClock()
    checks = [_examine_store(configuration), _examine_disk(configuration), _examine_model(configuration), *_examine_keys(configuration)]
    for lane in configuration.lanes:
        devices = lane_devices(lane, clock)
        for name, device in (
            ("lane_plc", devices.plc),
            ("xray_generator", devices.generator),
            ("line_detector", devices.detector),
            ("disinfection_unit", devices.unit),
            ("barcode_reader", devices.infeed_reader),
            ("gate_reader", devices.gate_reader),
        ):
            label = f"{lane.lane_id} {name}"
            try:
                await device.connect()
                checks.append(Check(name=label, ok=True, found="answers", remedy=""))
            except StationError as error:
                checks.append(Check(name=label, ok=False, found=error.what, remedy=error.remedy))
            finally:
                await device.close()
    return checks


def _examine_store(configuration: Configuration) -> Check:
    try:
        found = read_outbox(configuration)
    except StationError as error:
        return Check(name="database", ok=False, found=error.what, remedy=error.remedy)
    return Check(name="database", ok=True, found=f"{found['written']} events written, {found['receipted']} receipted", remedy="")


def _examine_disk(configuration: Configuration) -> Check:
    storage = configuration.station.storage
    free_mb = shutil.disk_usage(configuration.path.parent).free // MEBIBYTE
    ok = free_mb >= storage.free_floor_mb
    remedy = "" if ok else f"Make room: below {storage.free_floor_mb} MiB all lanes hold"
    return Check(name="disk", ok=ok, found=f"{free_mb} MiB free", remedy=remedy)


def _examine_model(configuration: Configuration) -> Check:
    try:
        info = load_reader(model_directory(configuration), alpha=configuration.policy.alpha, site=configuration.station.site).info()
    except StationError as error:
        return Check(name="model", ok=False, found=error.what, remedy=error.remedy)
    proved = "proved on this site" if info.proved else f"not proved on this site ({info.why_not_proved}): people clear"
    return Check(name="model", ok=True, found=f"{info.name} {info.sha256[:12]}, n = {info.calibration_n}, {proved}", remedy="")


def _examine_keys(configuration: Configuration) -> list[Check]:
    if not configuration.station.tracking.receiver:
        return [Check(name="tracking", ok=True, found="no receiver configured: events are kept", remedy="")]
    checks = []
    for name, path in (("signing key", configuration.signing_key_file), ("receiver key", configuration.receiver_key_file)):
        ok = path.is_file()
        remedy = "" if ok else "The signing key is made at the first start; the receiver's public key must be copied here"
        checks.append(Check(name=f"tracking {name}", ok=ok, found=str(path) if ok else f"{path} is missing", remedy=remedy))
    return checks


async def _open_relay(configuration: Configuration, store: SqliteStore, clock: Clock) -> Relay:
    """The outbox's way to the receiver; built in the loop that it will run in."""
    tracking = configuration.station.tracking
    configuration.signing_key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    receiver_key = None
    if tracking.receipts == "signed":
        try:
            receiver_key = public_from_text(configuration.receiver_key_file.read_text(encoding="ascii"))
        except OSError as error:
            raise ConfigurationError(
                f"The receiver's public key {configuration.receiver_key_file} cannot be read: {error.strerror}",
                consequence="Receipts could not be proved, so no event would ever count as delivered",
                remedy='Copy the receiver\'s key there, or set tracking.receipts = "none"',
            ) from error
    sender = HttpSender(
        tracking.receiver, utc_now=clock.utc_now, key=load_or_create_key(configuration.signing_key_file), timeout_s=tracking.timeout_s
    )
    settings = RelaySettings(poll_s=RELAY_POLL_S)
    return Relay(store, sender, clock, random.SystemRandom(), ReceiptRule(receiver_key=receiver_key), settings)


def _journey(
    lane_id: str,
    configuration: Configuration,
    policy: Policy,
    clock: Clock,
    store: SqliteStore,
    model: ModelInfo | None,
    feed: EventFeed,
) -> Journey:
    journey: Journey

    def health() -> StationHealth:
        return StationHealth(
            model_usable=model is not None,
            model_proved=model is not None and model.proved,
            audit_ok=True,
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
    )
    return journey


def _log_end(future: "Future[Any]") -> None:
    if future.cancelled():
        return
    error = future.exception()
    if isinstance(error, StationError):
        log.error("a part of the station ended", error=str(error))
    elif error is not None:
        log.error("a part of the station ended by a defect", error=repr(error))
