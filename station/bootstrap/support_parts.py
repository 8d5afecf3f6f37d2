"""What a support bundle tells: one function for each file in it. What cannot be told is raised, and the bundle says so."""

import asyncio
import importlib.metadata
import json
import os
import platform
import shutil
import ssl
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from station.audit.checkpoint import open_checkpoint
from station.bootstrap.audit import believed_keys
from station.bootstrap.doctor import examine
from station.bootstrap.redaction import Words
from station.bootstrap.stores import DataInUseError, read_manifest, read_outbox, refuse_used_data
from station.bootstrap.support_log import log_lines
from station.bootstrap.support_site import SupportSite, environment_names, shown_configuration
from station.bootstrap.vault import vault_status
from station.domain.errors import ConfigurationError, StationError, StoreError
from station.screening.card import card_lines
from station.settings import Configuration
from station.storage.figures import SQLITE_VERSION, Figures
from station.storage.store import SqliteReader

DAYS = 7
"""How far back alarms, changes of state and scans are told."""
MOST_ALARMS = 2000
DOCTOR_LIMIT_S = 120.0
ANSWER_LIMIT_S = 5.0
_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked, how names are written, and when (aware UTC)."""

    site: SupportSite
    words: Words
    now: datetime

    @property
    def since(self) -> datetime:
        """From when on it is told."""
        return self.now - timedelta(days=DAYS)

    @property
    def configuration(self) -> Configuration:
        """The configuration. Raises `ConfigurationError` when it does not hold."""
        if self.site.configuration is None:
            raise ConfigurationError("The configuration does not hold", remedy="See configuration.json")
        return self.site.configuration

    def figures(self) -> "closing[Figures]":
        """The database's figures. Raises `StoreError`."""
        return closing(Figures(self.site.data_dir))


def versions(asked: Asked) -> dict[str, Any]:
    """Programs, and the machine that they run on."""
    del asked
    packages = {str(one.metadata["Name"]): one.version for one in importlib.metadata.distributions()}
    release = dict(line.split("=", 1) for line in _RELEASE.read_text().splitlines() if "=" in line) if _RELEASE.is_file() else {}
    return {
        "station": packages.get("kt1-station"),
        "python": platform.python_version(),
        "sqlite": SQLITE_VERSION,
        "onnxruntime": packages.get("onnxruntime"),
        "opencv": packages.get("opencv-python-headless"),
        "system": {"name": release.get("PRETTY_NAME", "").strip('"'), "kernel": platform.release(), "machine": platform.machine()},
        "processors": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "packages": dict(sorted(packages.items())),
    }


def configuration(asked: Asked) -> dict[str, Any]:
    """Every key without secrets; hashes of policy, checklist and recipes where the configuration holds."""
    site, words = asked.site, asked.words
    shown: dict[str, Any] = {"holds": site.trouble is None, "files": shown_configuration(site, words), "environment": environment_names()}
    if site.trouble is not None:
        shown["trouble"] = told(site.trouble, words)
    if (valid := site.configuration) is not None:
        shown["policy_sha256"] = valid.policy.sha256
        shown["checklist_sha256"] = valid.checklist.sha256
        shown["recipes_sha256"] = {words.text(lane.lane_id): lane.recipe.sha256 for lane in valid.lanes}
    return shown


def doctor(asked: Asked) -> list[dict[str, Any]]:
    """What `station doctor` says; devices are left to a station that runs."""

    async def look() -> list[dict[str, Any]]:
        async with asyncio.timeout(DOCTOR_LIMIT_S):
            checks = await examine(asked.configuration)
        text = asked.words.text
        return [{"name": text(one.name), "ok": one.ok, "found": text(one.found), "remedy": text(one.remedy)} for one in checks]

    return asyncio.run(look())


def model(asked: Asked) -> dict[str, Any]:
    """The card of the model in use, and its hashes."""
    manifest = read_manifest(asked.configuration)
    card = [asked.words.text(line) for line in card_lines(manifest)]
    return {"model_sha256": manifest.model_sha256, "calibration_sha256": manifest.calibration_sha256, "card": card}


def store(asked: Asked) -> dict[str, Any]:
    """The database in figures, and the room around it."""
    directory = asked.site.data_dir
    # Asked of the nearest directory that is there, so that a missing one is no riddle.
    there = next(path for path in (directory, *directory.parents) if path.exists())
    usage = shutil.disk_usage(there)
    files = {name: _size(directory / name) for name in ("station.db", "station.db-wal", "station.db-shm", "reserve.bin")}
    shown: dict[str, Any] = {"bytes": files, "disk_mib": {"total": usage.total >> 20, "free": usage.free >> 20}}
    try:
        with asked.figures() as figures:
            shown["schema"] = _tried(figures.schema, asked.words)
            shown["rows"] = {table: _tried(lambda table=table: figures.rows(table), asked.words) for table in figures.tables()}  # type: ignore[misc]
            shown["facts"] = _tried(figures.facts, asked.words)
    except StoreError as error:
        shown["trouble"] = told(error, asked.words)
    return shown


def outbox(asked: Asked) -> dict[str, Any]:
    """Events to the tracking system in figures, and why some could not be sent."""
    status = read_outbox(asked.configuration)
    names = ("written", "receipted", "blocked", "pending", "oldest_pending_at", "reconciled")
    shown = {name: str(status[name]) if isinstance(status[name], datetime) else status[name] for name in names}
    with asked.figures() as figures:
        errors = figures.outbox_errors(50)
    text = asked.words.text
    shown["errors"] = [{"state": state, "error": text(error), "events": events, "attempts": most} for state, error, events, most in errors]
    return shown | {"paused": text(str(status["paused"] or ""))}


def alarms(asked: Asked) -> list[dict[str, Any]]:
    """Alarms of the last days. One about a piece tells neither which nor what of it."""
    words = asked.words
    with asked.figures() as figures:
        found = figures.alarms(asked.since, MOST_ALARMS)
    shown = []
    for row in found:
        about = words.names_a_piece(row["subject"])
        shown.append(
            {
                "code": words.text(row["code"]),
                "priority": words.text(row["priority"]),
                "subject": "a piece" if about else words.text(row["subject"]),
                "detail": "" if about else words.text(row["detail"]),
                "raised_at": str(row["raised_at"]),
                "acknowledged_at": str(row["acknowledged_at"] or ""),
                "acknowledged_by": words.name("person", row["acknowledged_by"] or ""),
                "cleared_at": str(row["cleared_at"] or ""),
            }
        )
    return shown


def lanes(asked: Asked) -> dict[str, Any]:
    """What the running station says of its lanes, and how pieces of all levels together went from state to state."""
    text = asked.words.text
    with asked.figures() as figures:
        states, changes = figures.states(), figures.changes(asked.since)
    return {
        "running": _tried(lambda: _ready(asked.configuration, text), asked.words),
        "pieces": [{"lane": text(lane), "state": text(state), "pieces": number} for lane, state, number in states],
        "changes": [
            {"day": day, "lane": text(lane), "before": text(before), "after": text(after), "pieces": number}
            for day, lane, before, after, number in changes
        ],
    }


def audit(asked: Asked) -> dict[str, Any]:
    """The newest checkpoint, and whether the log's end fits it; `station audit verify` checks the whole."""
    configuration = asked.configuration
    with closing(SqliteReader(asked.site.data_dir)) as reader:
        head, newest = reader.read(lambda view: (view.audit_head(), view.newest_checkpoint()))
    with asked.figures() as figures:
        leaves, highest, facts = figures.leaves()
    findings = []
    if not leaves == highest + 1 == facts == head.size:
        findings.append("leaves, facts and the head's size differ")
    shown: dict[str, Any] = {"size": head.size, "root": head.root.hex(), "leaves": leaves, "facts": facts, "checkpoint": None}
    if newest is not None:
        opened = open_checkpoint(newest.note + "".join(newest.cosignatures), believed_keys(configuration))
        checkpoint = opened.checkpoint
        shown["checkpoint"] = {"size": checkpoint.size, "root": checkpoint.root.hex(), "witnessed": opened.witnessed_at is not None}
        findings += [] if opened.by_log else ["the newest checkpoint is not signed by the log's key"]
        findings += ["the newest checkpoint is ahead of the log"] if checkpoint.size > head.size else []
        findings += ["the root is not the signed one"] if checkpoint.size == head.size and checkpoint.root != head.root else []
    return shown | {"holds_at_its_end": not findings, "findings": findings}


def vault(asked: Asked) -> dict[str, Any]:
    """How many images there are of each day, of all levels together; nothing of their keys."""
    days: Counter[date] = Counter()
    destroyed = 0
    if (asked.site.data_dir / "images").is_dir():
        statuses, records = vault_status(asked.configuration, asked.now.date())
        destroyed = sum(record.images for record in records)
        for one in statuses:
            days[one.key.day] += one.images
    with asked.figures() as figures:
        scans = figures.scans(asked.since)
    return {
        "images_by_day": {day.isoformat(): number for day, number in sorted(days.items())},
        "destroyed": destroyed,
        "scans_by_day": dict(scans),
    }


def own_log(asked: Asked) -> str:
    """The end of the station's own log."""
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in log_lines(asked.site.data_dir, asked.words))


def told(error: BaseException, words: Words) -> str:
    """An error in words that may be told."""
    return f"{type(error).__name__}: {words.text(str(error))}"


def _tried(ask: Callable[[], Any], words: Words) -> Any:
    try:
        return ask()
    except (StationError, OSError, ValueError) as error:
        return told(error, words)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _ready(configuration: Configuration, text: Callable[[str], str]) -> dict[str, Any] | str:
    """Lane states from the running station's own `/readyz`; it is asked only where one runs."""
    try:
        refuse_used_data(configuration.data_dir)
    except DataInUseError:
        pass
    else:
        return "no station runs"
    http, certificate = configuration.station.http, configuration.tls_certificate_file
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)  # noqa: S104 - compared, not listened on
    trust = ssl.create_default_context(cafile=certificate) if certificate is not None else None
    if trust is not None:
        trust.check_hostname = False
    url = f"{'http' if trust is None else 'https'}://{f'[{host}]' if ':' in host else host}:{http.port}/readyz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust), _AnyStatus())
    with opener.open(url, timeout=ANSWER_LIMIT_S) as answer:
        found = json.loads(answer.read(1 << 20))
    states = {text(str(lane)): text(str(state)) for lane, state in found["lanes"].items()}
    return {"ready": bool(found["ready"]), "cause": text(str(found["cause"] or "")), "lanes": states}


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """A station that is not ready answers 503, and says why."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        """The answer, whatever its status is."""
        del request
        return response

    https_response = http_response
