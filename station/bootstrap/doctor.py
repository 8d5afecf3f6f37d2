"""Looks at everything that the configuration names, and says what to do about each trouble."""

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from station.bootstrap.backup import newest_backup
from station.bootstrap.lanes import lane_devices
from station.bootstrap.model_in_use import model_place, reader_at
from station.bootstrap.recipes import lane_recipe
from station.bootstrap.stores import DataInUseError, newest_fact_at, read_outbox, read_test_piece, refuse_used_data
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, StationError, StoreError
from station.domain.vault import ahead, due
from station.settings import Configuration, LaneConfiguration
from station.storage.key_files import FileKeyStore
from station.storage.space import MEBIBYTE
from station.storage.store import DATABASE_NAME, LOCK_NAME
from station.workflow.test_pieces import drifts, failures

BACKUP_OVERDUE = timedelta(days=2)
"""A site that once began with backups makes one each night."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""What is newer than this machine's time by more was made by a clock that was ahead, or this one was set back."""

_USED = (LOCK_NAME, DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that the doctor looked at; `remedy` is empty where all is well."""

    name: str
    ok: bool
    found: str
    remedy: str


async def examine(configuration: Configuration) -> list[Check]:
    """Look at every device, the store, the model, the disk and the keys.

    Devices are only connected to: nothing moves or shines. While a station works with them they are left alone, because a second
    client would take their links away from it.
    """
    clock = SystemClock()
    now = clock.utc_now()
    looks: list[tuple[str, Callable[[], list[Check]]]] = [
        ("database", lambda: [_examine_store(configuration)]),
        ("data directory", lambda: [_examine_data(configuration.data_dir)]),
        ("disk", lambda: [_examine_disk(configuration)]),
        ("model", lambda: _examine_model(configuration)),
        ("test piece", lambda: _examine_test_pieces(configuration, now)),
        ("freeze checklist", lambda: [_examine_checklist(configuration)]),
        ("recipe", lambda: [_examine_recipe(lane) for lane in configuration.lanes]),
        ("tracking", lambda: _examine_keys(configuration)),
        ("image keys", lambda: [_examine_vault(configuration, now.date())]),
        ("backup", lambda: [_examine_backup(configuration, now)]),
        ("clock", lambda: [_examine_clock(configuration, now)]),
    ]
    checks = [check for name, look in looks for check in _looked(name, look)]
    try:
        refuse_used_data(configuration.data_dir)
    except DataInUseError as error:
        found = f"{error.what}: the devices are left to it; its lane page tells how they are"
        return [*checks, Check(name="devices", ok=True, found=found, remedy="")]
    except StoreError as error:
        found = f"{error.what}: a station may be working with the devices, so they are left alone"
        return [*checks, Check(name="devices", ok=False, found=found, remedy=error.remedy)]
    for lane in configuration.lanes:
        devices = lane_devices(lane, clock, idle_days=math.nan)
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


def _looked(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    """What a look found; what it may not see, or a disk does not give, is a finding like any other."""
    try:
        return look()
    except StationError as error:
        return [Check(name=name, ok=False, found=error.what, remedy=error.remedy)]
    except OSError as error:
        return [Check(name=name, ok=False, found=str(error), remedy="Run this as the station's user, and check the disk")]


def _examine_data(directory: Path) -> Check:
    """That a station can write where its data lies: tried, by whoever runs this."""
    name = "data directory"
    if not directory.exists():
        return Check(name=name, ok=True, found=f"{directory} is not there yet: made at the first start", remedy="")
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as probe:
            probe.write(b"0")
            os.fsync(probe.fileno())
    except OSError as error:
        found = f"{directory} cannot be written: {error.strerror}"
        return Check(
            name=name, ok=False, found=found, remedy="Check the disk: mounted, writable, not full; and that it is the station's user's"
        )
    owner = directory.stat().st_uid
    used = [path for path in (directory / one for one in _USED) if path.exists()]
    strange = [path.name for path in used if path.stat().st_uid != owner or not path.is_file() or not os.access(path, os.R_OK | os.W_OK)]
    if strange:
        found = f"not the station's own files in {directory}: {', '.join(strange)}"
        return Check(name=name, ok=False, found=found, remedy=f"Give them to the user whose {directory} is (chown): no station starts else")
    return Check(name=name, ok=True, found=f"{directory} can be written", remedy="")


def _examine_clock(configuration: Configuration, now: datetime) -> Check:
    """This machine's time against the newest that the station wrote down."""
    known: dict[str, datetime | None] = {}
    # What cannot be read is told by a check of its own.
    with contextlib.suppress(StationError, OSError):
        known["the newest fact"] = newest_fact_at(configuration)
    with contextlib.suppress(StationError, OSError):
        newest = newest_backup(configuration)
        known["the newest backup"] = newest.made_at if newest is not None else None
    found = f"{now:%Y-%m-%d %H:%M} UTC"
    ahead = [f"{what} is of {at:%Y-%m-%d %H:%M} UTC" for what, at in known.items() if at is not None and at > now + CLOCK_TOLERANCE]
    if ahead:
        remedy = "Set the clock, and have a time server keep it; where it was ahead before, wait until that time has come"
        return Check(name="clock", ok=False, found=f"{found}, but {' and '.join(ahead)}", remedy=remedy)
    return Check(name="clock", ok=True, found=found, remedy="")


def _examine_recipe(lane: LaneConfiguration) -> Check:
    name = f"{lane.lane_id} recipe"
    try:
        recipe = lane_recipe(lane.recipe)
    except ConfigurationError as error:
        return Check(name=name, ok=False, found=error.what, remedy=error.remedy)
    return Check(name=name, ok=True, found=f"{recipe.name}, {recipe.sha256[:12]}", remedy="")


def _examine_store(configuration: Configuration) -> Check:
    try:
        found = read_outbox(configuration)
    except StationError as error:
        return Check(name="database", ok=False, found=error.what, remedy=error.remedy)
    return Check(name="database", ok=True, found=f"{found['written']} events written, {found['receipted']} receipted", remedy="")


def _examine_disk(configuration: Configuration) -> Check:
    storage = configuration.station.storage
    # The database's own disk: the configuration may lie on another one.
    place = next(path for path in (configuration.data_dir, *configuration.data_dir.parents) if path.exists())
    free_mb = shutil.disk_usage(place).free // MEBIBYTE
    ok = free_mb >= storage.free_floor_mb
    remedy = "" if ok else f"Make room: below {storage.free_floor_mb} MiB all lanes hold"
    return Check(name="disk", ok=ok, found=f"{free_mb} MiB free", remedy=remedy)


def _examine_backup(configuration: Configuration, now: datetime) -> Check:
    newest = newest_backup(configuration)
    if newest is None:
        return Check(name="backup", ok=True, found="none was made yet: `station backup DIR`", remedy="")
    age = now - newest.made_at
    found = f"{newest.name}, {age // timedelta(hours=1)} hours ago"
    remedies = ["See why it is not made any more: `station backup DIR`"] if age > BACKUP_OVERDUE else []
    if age < -CLOCK_TOLERANCE:
        found = f"{newest.name}, made at a time that is yet to come"
        remedies = ["See the line of the clock"]
    if newest.damaged:
        found += f"; damaged beside it: {', '.join(newest.damaged)}"
        remedies.append("Look at the damaged ones: `station restore --check`, and remove them by hand")
    return Check(name="backup", ok=not remedies, found=found, remedy=". ".join(remedies))


def _examine_model(configuration: Configuration) -> list[Check]:
    try:
        info = reader_at(configuration, model_place(configuration)).info()
    except StationError as error:
        return [Check(name="model", ok=False, found=error.what, remedy=error.remedy)]
    proved = "proved on this site" if info.proved else f"not proved on this site ({info.why_not_proved}): people clear"
    found = f"{info.name} {info.sha256[:12]}, n = {info.calibration_n}, {proved}"
    score = configuration.policy.freeze_score or info.freeze_score
    stops = (
        f"from score {score:.4f} on"
        if score is not None
        else "none: neither the policy nor the model names a score, so people alone stop the lane"
    )
    return [Check(name="model", ok=True, found=found, remedy=""), Check(name="attention stop", ok=True, found=stops, remedy="")]


def _examine_test_pieces(configuration: Configuration, now: datetime) -> list[Check]:
    """Each lane's newest run of the test piece, and what of it drifts."""
    checks = []
    for lane_id in (lane.lane_id for lane in configuration.lanes):
        name = f"{lane_id} test piece"
        try:
            run = read_test_piece(configuration, lane_id)
        except StationError as error:
            checks.append(Check(name=name, ok=False, found=error.what, remedy=error.remedy))
            continue
        if run is None:
            checks.append(Check(name=name, ok=True, found="none was ever run: nothing is cleared before one passes", remedy=""))
            continue
        late = now - run.at > timedelta(hours=configuration.policy.test_piece_max_age_h)
        found = f"{'passed' if run.passed else f'failed ({failures(run)})'} at {run.at:%Y-%m-%d %H:%M} UTC"
        found += f"; drifts: {drifts(run)}" if run.warnings else ""
        found += "; too long ago: nothing is cleared before it passes again" if late else ""
        remedy = ""
        if not run.passed:
            remedy = "Feed the test piece in again: nothing is cleared before it passes"
        elif run.warnings:
            remedy = "Have the scanner looked at before the test fails"
        checks.append(Check(name=name, ok=not remedy, found=found, remedy=remedy))
    return checks


def _examine_checklist(configuration: Configuration) -> Check:
    """What a freeze takes before anybody can give the all clear."""
    steps = configuration.checklist.steps
    powder = sum(step.powder_only for step in steps)
    found = f"{len(steps) - powder} steps, {powder} more for a powder, {configuration.checklist.sha256[:12]}"
    return Check(name="freeze checklist", ok=True, found=found, remedy="")


def _examine_vault(configuration: Configuration, today: date) -> Check:
    """The keys of the images: that each can be read, by its owner alone, and that none is past its time."""
    keys = FileKeyStore(configuration.image_key_dir)
    try:
        there, trouble = keys.existing(), keys.trouble()
    except StationError as error:
        return Check(name="image keys", ok=False, found=error.what, remedy=error.remedy)
    if trouble:
        return Check(
            name="image keys",
            ok=False,
            found="; ".join(trouble),
            remedy=f"Let the station's user alone read {configuration.image_key_dir}; restore a key that is damaged, or move it away: "
            "images under it are lost then",
        )
    late, early = due(there, configuration.policy.retention, today), ahead(there, today)
    if early:
        return Check(
            name="image keys",
            ok=False,
            found=f"keys of days to come: {', '.join(key.key_id for key in early)}; today is {today.isoformat()}",
            remedy="Set the clock if the date is wrong; else destroy them when their time is over (`station vault destroy`)",
        )
    found = f"{len(there)} keys in {configuration.image_key_dir}, in no backup" if there else "none yet: made with the first image"
    if late:
        found += f"; past their time: {', '.join(key.key_id for key in late)}"
    return Check(
        name="image keys",
        ok=not late,
        found=found,
        remedy="Start the station: it destroys them within minutes, or after a day of work if the date leapt" if late else "",
    )


def _examine_keys(configuration: Configuration) -> list[Check]:
    if not configuration.station.tracking.receiver:
        return [Check(name="tracking", ok=True, found="no receiver configured: events are kept", remedy="")]
    checks = []
    files = [("signing key", path) for path in (configuration.signing_key_file, *configuration.further_signing_key_files)]
    files += [("shared secret", path) for path in configuration.secret_files]
    files += [("token", configuration.token_file)] if configuration.token_file is not None else []
    if configuration.station.tracking.receipts == "signed":
        files.append(("receiver key", configuration.receiver_key_file))
    for name, path in files:
        ok = path.is_file()
        remedy = "" if ok else "A signing key is made at the first start; everything else must be copied here"
        checks.append(Check(name=f"tracking {name}", ok=ok, found=str(path) if ok else f"{path} is missing", remedy=remedy))
    return checks
