"""Looks at everything that the configuration names, and says what to do about each trouble."""

import math
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from station.bootstrap.backup import newest_backup
from station.bootstrap.lanes import lane_devices
from station.bootstrap.model_in_use import model_place, reader_at
from station.bootstrap.recipes import lane_recipe
from station.bootstrap.stores import read_outbox, read_test_piece, refuse_used_data
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, StationError, StoreError
from station.domain.vault import ahead, due
from station.settings import Configuration, LaneConfiguration
from station.storage.key_files import FileKeyStore
from station.storage.space import MEBIBYTE
from station.workflow.test_pieces import drifts, failures

BACKUP_OVERDUE = timedelta(days=2)
"""A site that once began with backups makes one each night."""


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
    checks = [
        _examine_store(configuration),
        _examine_disk(configuration),
        *_examine_model(configuration),
        *_examine_test_pieces(configuration, clock.utc_now()),
        _examine_checklist(configuration),
        *(_examine_recipe(lane) for lane in configuration.lanes),
        *_examine_keys(configuration),
        _examine_vault(configuration, clock.utc_now().date()),
        _examine_backup(configuration, clock.utc_now()),
    ]
    try:
        refuse_used_data(configuration.data_dir)
    except StoreError as error:
        found = f"{error.what}: the devices are left to it; its lane page tells how they are"
        return [*checks, Check(name="devices", ok=True, found=found, remedy="")]
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
    found = f"{newest.name}, {(now - newest.made_at) // timedelta(hours=1)} hours ago"
    late = now - newest.made_at > BACKUP_OVERDUE
    remedies = ["See why it is not made any more: `station backup DIR`"] if late else []
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
