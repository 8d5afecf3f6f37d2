"""A site with a model that can be fitted, and with pieces that people let pass."""

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from station.bootstrap.model_in_use import model_place
from station.domain.clearance import Clearance, Outcome
from station.domain.evidence import Identification
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import Scan
from station.ports.screening import ModelInfo, RawScan
from station.ports.store import Evidence, UnitOfWork
from station.screening.manifest import load_model
from station.screening.site_candidate import manifest_content, write_candidate
from station.screening.site_split import place_of
from station.screening.spots import THREAT_CLASSES
from station.screening.worker import WorkerScreening
from station.settings import Configuration, edit, write_shipped
from tests.support import screening_models as models
from tests.support.store_facts import announcement, at, opened
from tests.support.vaults import KEYS, vault

FITTING, CALIBRATING, MEASURING = 7, 20, 4
WAY = (
    PieceState.ARRIVED,
    PieceState.SCANNING,
    PieceState.SCANNED,
    PieceState.CLEARED,
    PieceState.DISINFECTING,
    PieceState.DISINFECTED,
    PieceState.RELEASED,
)


def site(directory: Path, *, dense: float = 0.5) -> Path:
    """`station.toml` of a site whose delivered model has a head."""
    write_shipped(directory)
    models.write_model(directory / "model", models.site_model(dense=dense), classes=list(THREAT_CLASSES))
    file = directory / "station.toml"
    edit(file, {"screening.model": "model", "screening.trusted_keys": list(models.KEYS)})
    edit(file, {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})
    return file


def names() -> list[str]:
    """Ids of pieces: those that are fitted on, then those that calibrate, then those that are measured on."""
    parts: dict[str, list[str]] = {"fitting": [], "calibrating": [], "measuring": []}
    for number in range(500):
        name = f"PIECE{number:03d}"
        place = place_of(name)
        parts["fitting" if place < 35 else "measuring" if place < 50 else "calibrating"].append(name)
    return [*parts["fitting"][:FITTING], *parts["calibrating"][:CALIBRATING], *parts["measuring"][:MEASURING]]


def benign_scan(number: int, *, threatening: bool = False) -> RawScan:
    """A flat piece with a sheet or two in it; a `threatening` one holds something dense."""
    rng = np.random.default_rng(number)
    sheets = tuple((int(x), int(y), 40, 50, 0.97, 0.98) for x, y in rng.integers(50, 100, (2, 2)))
    dense = ((80, 80, 50, 40, 0.15, 0.2),) if threatening else ()
    return models.raw_scan(lines=220, pixels=210, boxes=((30, 30, 150, 150, 0.8, 0.86), *sheets, *dense), seed=number)


def released(piece_id: str, sha256: str) -> tuple[Identification, Scan, OperatorReading, Clearance]:
    """What the store knows of a piece that an operator, reading blind, cleared at first sight."""
    return (
        Identification(piece_id=piece_id, visit=1, at=at(1), lane_id="lane-1", tag=1, barcode=piece_id, secrecy=None),
        Scan(
            piece_id=piece_id,
            visit=1,
            at=at(2),
            lane_id="lane-1",
            sha256=sha256,
            acquisition=1,
            lines=220,
            pixels=210,
            length_mm=120.0,
            width_mm=120.0,
            kv=140.0,
            ma=1.0,
        ),
        OperatorReading(
            piece_id=piece_id, visit=1, at=at(3), scan_sha256=sha256, person="lan", decision=OperatorDecision.CLEAR, blind=True
        ),
        Clearance(
            piece_id=piece_id,
            visit=1,
            at=at(4),
            outcome=Outcome.CLEARED,
            reasons=(),
            scan_sha256=sha256,
            model_sha256=None,
            authority=Authority.OPERATOR,
            by=("lan",),
            policy_sha256="p" * 64,
        ),
    )


def fill(data_dir: Path, scans: dict[str, RawScan], *, model_decides: str = "", shown: Collection[str] = ()) -> None:
    """Released pieces with their scans; the model decided about `model_decides`; of those `shown` people saw its finding."""
    with opened(data_dir) as store:
        images = vault(data_dir / "images", keys=data_dir.parent / KEYS)
        for piece_id, scan in scans.items():
            identified, stored, read, cleared = released(piece_id, images.put(scan, None))
            read = replace(read, blind=piece_id not in {model_decides, *shown})
            if piece_id == model_decides:
                cleared = replace(cleared, authority=Authority.MODEL)

            def work(uow: UnitOfWork, piece_id: str = piece_id, facts: tuple[Evidence, ...] = (identified, stored, read, cleared)) -> None:
                uow.announce(announcement(piece_id), at())
                for state in WAY:
                    uow.change_state(piece_id, state, at(5), lane_id="lane-1", visit=1)
                for fact in facts:
                    uow.append(fact)

            store.write(work).result(10)


def candidate(
    configuration: Configuration, *, benign: int = 600, gain: float = 0.1, detection: float = 0.95, fitted_at: str = "", name: str = "large"
) -> str:
    """The folder of a candidate as a large site's fit would write it, beside the model in use, without the fit."""
    manifest, data = load_model(configuration.path.parent / "model", trusted_keys=models.KEYS)
    site = fitted_at or configuration.station.site
    figure = {"mean": 0.9, "lo": 0.85, "hi": 0.95, "n": 200}
    change = {"mean": gain, "lo": gain - 0.01, "hi": gain + 0.01, "n": 200}
    keys = ("auroc", "found", "paired_win", "alarms_on_threats", "alarms_on_benign")
    measured: dict[str, Any] = {
        "pieces": 50,
        "projections": 200,
        "old": dict.fromkeys(keys, figure),
        "new": dict.fromkeys(keys, figure),
        "difference": dict.fromkeys(keys, change),
        "by_class": {},
        "detection_lower_95": detection,
    }
    report = json.dumps({"site": site, "models": {"in_use": manifest.model_sha256}, "measured": measured}).encode()
    scores = np.linspace(0.1, 0.5, benign).tolist()
    made = manifest_content(
        manifest,
        name=name,
        model=data,
        report=report,
        calibration={"unknown": scores, "envelope": scores},
        fitted_on=site,
        alpha=0.05,
        measured=measured,
    )
    root = configuration.data_dir / "models"
    root.mkdir(parents=True, exist_ok=True)
    return write_candidate(root, f"site-{name}", model=data, manifest=made, report=report).name


async def started(configuration: Configuration) -> ModelInfo:
    """What the real worker says of the model in use."""
    place = model_place(configuration)
    worker = WorkerScreening(
        place.folder,
        alpha=configuration.policy.alpha,
        site=configuration.station.site,
        start_limit_s=60,
        trusted_keys=place.trusted_keys,
        manifest_sha256=place.manifest_sha256,
    )
    try:
        return await worker.start()
    finally:
        await worker.close()
