"""The system of record and the model, as the configuration names them."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from station.bootstrap.model_in_use import delivered_place, model_place
from station.domain.drift import DriftReset
from station.domain.errors import StoreError, StoreUnavailableError
from station.domain.piece import Secrecy
from station.domain.test_piece import TestPieceRun
from station.ports.auditing import WantedFacts
from station.screening.anomaly_model import load_reader
from station.screening.card import card_lines
from station.screening.drift import DriftWatch
from station.screening.manifest import ANNOUNCED_KINDS, Manifest, load_model
from station.screening.pipeline import Reader
from station.settings import Configuration
from station.storage.space import MEBIBYTE
from station.storage.sqlite import DirectoryLock
from station.storage.store import LOCK_NAME, SqliteReader, SqliteStore
from station.tracking.message import MessageRules
from station.tracking.replay import PAUSED_KEY
from station.workflow.reconciling import RECONCILED_KEY
from station.workflow.test_pieces import newest_run

MOST_TROUBLED = 50


def open_store(configuration: Configuration) -> SqliteStore:
    """The system of record, for writing; one process at a time."""
    storage, tracking = configuration.station.storage, configuration.station.tracking
    rules = MessageRules(site=configuration.station.site, send_secrecy=tracking.send_secrecy, send_destination=tracking.send_destination)
    return SqliteStore(
        configuration.data_dir,
        render=rules.render,
        reserve_bytes=storage.reserve_mb * MEBIBYTE,
        floor_bytes=storage.free_floor_mb * MEBIBYTE,
        warn_bytes=storage.free_warning_mb * MEBIBYTE,
    )


class DataInUseError(StoreError):
    """A station works on the data directory."""


def refuse_used_data(directory: Path) -> None:
    """Raise `DataInUseError` when a station works on the data directory, and another `StoreError` when nobody can tell."""
    lock = directory / LOCK_NAME
    try:
        # Looking must not make it: it would belong to whoever looks, and no station of another user could take it.
        if not lock.exists():
            return
    except OSError as error:
        raise StoreUnavailableError(
            f"{lock} cannot be looked at: {error.strerror}",
            consequence="Whether a station works on this data cannot be told",
            remedy="Run this as the station's user, and check the disk",
        ) from error
    try:
        DirectoryLock(lock).release()
    except StoreError as error:
        # Only this one says that somebody holds it: a disk that cannot be written, or a file of another user's, says nothing of the kind.
        if isinstance(error.__cause__, BlockingIOError):
            raise DataInUseError(error.what, consequence=error.consequence, remedy=error.remedy) from error
        raise


def read_outbox(configuration: Configuration) -> dict[str, Any]:
    """How the outbox stands, read beside a running station: figures, why the receiver is paused, `troubled` events without bodies.

    Raises:
        StoreError: there is no database yet.
    """
    reader = SqliteReader(configuration.data_dir)
    try:
        status, paused, reconciled, troubled = reader.read(
            lambda view: (
                view.outbox_status(),
                view.value(PAUSED_KEY),
                view.value(RECONCILED_KEY),
                view.troubled_events(limit=MOST_TROUBLED),
            )
        )
        names = ("piece_id", "sequence", "event_id", "state", "attempts", "next_attempt_at", "last_error", "created_at")
        events = [{name: getattr(event, name) for name in names} for event in troubled]
        return {**asdict(status), "paused": paused or None, "reconciled": reconciled, "troubled": events}
    finally:
        reader.close()


def read_test_piece(configuration: Configuration, lane_id: str) -> TestPieceRun | None:
    """The newest run of a lane's test piece, read beside a running station. Raises `StoreError` when there is no database yet."""
    reader = SqliteReader(configuration.data_dir)
    try:
        return reader.read(lambda view: newest_run(view, lane_id))
    finally:
        reader.close()


def newest_fact_at(configuration: Configuration) -> datetime | None:
    """The time that the newest fact carries, read beside a running station. Raises `StoreError` when there is no database yet."""
    reader = SqliteReader(configuration.data_dir)
    try:
        facts = reader.read(lambda view: view.logged_facts(WantedFacts(levels=tuple(Secrecy))))
        return facts[0].at if facts else None
    finally:
        reader.close()


def load_scorer(configuration: Configuration | None, alpha: float) -> Reader:
    """The model in this process, for offline tools. Without a configuration, the shipped one."""
    place = model_place(configuration) if configuration else delivered_place(None)
    return load_reader(
        place.folder, alpha=alpha, need_signature=False, trusted_keys=place.trusted_keys, manifest_sha256=place.manifest_sha256
    )


def read_manifest(configuration: Configuration | None) -> Manifest:
    """The manifest of the model in use, signed or not; raises `ScreeningError` for a model that is not as it must be."""
    place = model_place(configuration) if configuration else delivered_place(None)
    return load_model(place.folder, need_signature=False, trusted_keys=place.trusted_keys, manifest_sha256=place.manifest_sha256)[0]


def model_card(configuration: Configuration | None) -> list[str]:
    """The card of the model in use, a line each; raises `ScreeningError` for a model that is not as it must be."""
    return card_lines(read_manifest(configuration))


def calibration_scores(configuration: Configuration | None) -> dict[str, tuple[float, ...]]:
    """Calibration scores of the model in use, per announced kind; raises `ScreeningError` for a model that is not as it must be."""
    manifest = read_manifest(configuration)
    return {kind: manifest.own_scores(kind) for kind in ANNOUNCED_KINDS}


def drift_watch(configuration: Configuration) -> DriftWatch:
    """The watch over the model in use; raises `ScreeningError` for a model that is not as it must be."""
    place = model_place(configuration)
    manifest, _ = load_model(place.folder, trusted_keys=place.trusted_keys, manifest_sha256=place.manifest_sha256)
    return DriftWatch(
        site=configuration.station.site,
        model_sha256=manifest.model_sha256,
        calibration_sha256=manifest.calibration_sha256,
        calibration={kind: manifest.own_scores(kind) for kind in ANNOUNCED_KINDS},
    )


def drift_state(configuration: Configuration) -> dict[str, object]:
    """How the watch over the model stands, read beside a running station. Raises `StoreError` when there is no database yet."""
    watch = drift_watch(configuration)
    reader = SqliteReader(configuration.data_dir)
    try:
        return reader.read(lambda view: watch.state(view, [lane.lane_id for lane in configuration.lanes]))
    finally:
        reader.close()


def resume_model(configuration: Configuration, *, person: str, note: str, at: datetime) -> DriftReset:
    """A supervisor takes the stop of the model back, while the station does not run (see `DriftWatch.resume`)."""
    store = open_store(configuration)
    try:
        watch = drift_watch(configuration)
        return store.write(lambda uow: watch.resume(uow, person=person, note=note, at=at)).result()
    finally:
        store.close()
