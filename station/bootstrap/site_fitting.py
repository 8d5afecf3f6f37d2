"""`station model fit`: from a site's benign pieces to a candidate folder. The model in use is only read."""

import json
import math
import shutil
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from station.bootstrap.model_in_use import delivered_place, model_place, models_directory, reader_at
from station.bootstrap.site_sources import Sources
from station.domain.errors import ConflictError, ScreeningError, StoreError
from station.durable_file import make_directory
from station.screening.anomaly_model import OnnxModel
from station.screening.image import one_thread
from station.screening.manifest import load_model
from station.screening.projection import shipped_library
from station.screening.site_candidate import manifest_content, sweep, write_candidate
from station.screening.site_judgement import side_by_side
from station.screening.site_report import report_of
from station.screening.site_scoring import SEED, Delivered, Phase, require_head, run, scores_by_kind
from station.screening.site_split import halves, parted
from station.settings import Configuration
from station.storage.space import MEBIBYTE
from station.storage.sqlite import DirectoryLock

LOCK_NAME = "fit.lock"
LEAST_FITTING, LEAST_MEASURING = 20, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The candidate's folder, and its report."""

    folder: Path
    report: dict[str, Any]


def fit(configuration: Configuration, sources: Sources, *, at: datetime, jobs: int, progress: Phase) -> Fitted:
    """Fit, calibrate, measure, write. An interrupt leaves nothing behind.

    Raises:
        ConflictError: another fit runs.
        ScreeningError: the delivered model has no head, the threat library does not verify, or there are too few pieces.
        StoreError: the disk is too full, or the candidate cannot be written.
    """
    root = models_directory(configuration)
    _make_room(root, configuration.station.storage.free_floor_mb)
    try:
        lock = DirectoryLock(root / LOCK_NAME)
    except StoreError as error:
        raise ConflictError(
            "Another fit runs on this data directory, or its lock cannot be used",
            consequence="Nothing was fitted",
            remedy="Wait until it has ended",
        ) from error
    with lock:
        sweep(root)
        return _fit(configuration, sources, root, at=at, jobs=jobs, progress=progress)


def _fit(configuration: Configuration, sources: Sources, root: Path, *, at: datetime, jobs: int, progress: Phase) -> Fitted:
    one_thread()
    alpha, site = configuration.policy.alpha, configuration.station.site
    place = delivered_place(configuration)
    manifest, data = load_model(place.folder, trusted_keys=place.trusted_keys)
    delivered = Delivered(manifest=manifest, data=data, load=OnnxModel)
    require_head(delivered)
    libraries = halves(shipped_library())
    in_use = reader_at(configuration, model_place(configuration))
    parts = parted(sources.pieces)
    require_pieces(len(parts.fitting), len(parts.calibrating), len(parts.measuring), alpha=alpha)
    scores = run(delivered, in_use, parts, libraries, seed=SEED, jobs=jobs, progress=progress)
    require_pieces(len(scores.fitted), len(scores.calibration), len(scores.measured), alpha=alpha)
    calibration = scores_by_kind(scores.calibration)
    measured = side_by_side(scores.measured, calibration, alpha=alpha, old_threshold=in_use.threshold_for)
    told = {**sources.told, "pieces": len(sources.pieces), "fitted_on": sources.fitted_on}
    models = {"delivered": manifest.model_sha256, "in_use": in_use.info().sha256}
    report = {
        "made_at": at.isoformat(),
        "site": site,
        **report_of(scores, libraries, sources=told, models=models, calibration=calibration, measured=measured, alpha=alpha, seed=SEED),
    }
    report_bytes = json.dumps(report, indent=1, ensure_ascii=False).encode()
    name = f"site-{at:%Y%m%dT%H%M%S}"
    manifest_bytes = manifest_content(
        manifest,
        name=f"{manifest.name}+{name}",
        model=scores.model,
        report=report_bytes,
        calibration=calibration,
        fitted_on=sources.fitted_on,
        alpha=alpha,
        measured=measured,
    )
    return Fitted(folder=write_candidate(root, name, model=scores.model, manifest=manifest_bytes, report=report_bytes), report=report)


def require_pieces(fitting: int, calibrating: int, measuring: int, *, alpha: float) -> None:
    """Refuse fewer pieces than a head, a finite threshold and a comparison need.

    Raises:
        ScreeningError: with how many there are and how many are needed.
    """
    least = math.ceil(1 / Fraction(str(alpha))) - 1
    if fitting < LEAST_FITTING or calibrating < least or measuring < LEAST_MEASURING:
        raise ScreeningError(
            f"model fit: {fitting} pieces to fit, {calibrating} to calibrate, {measuring} to measure are too few; "
            f"{LEAST_FITTING}, {least} and {LEAST_MEASURING} are the least",
            consequence="nothing was fitted; the model in use stays as it is",
            remedy="Collect more benign pieces (some 100 for a first try, some 1100 of each kind that the model is to clear); of the "
            "station's own scans only those read blind calibrate and measure (policy.blind_sample)",
        )


def _make_room(root: Path, free_floor_mb: int) -> None:
    try:
        make_directory(root)
        free_mb = shutil.disk_usage(root).free // MEBIBYTE
    except OSError as error:
        raise StoreError(
            f"{root} cannot be used: {error.strerror}", consequence="Nothing was fitted", remedy="Let the station's user write there"
        ) from error
    if free_mb < free_floor_mb:
        raise StoreError(
            f"{root} has {free_mb} MiB free, less than storage.free_floor_mb = {free_floor_mb}",
            consequence="Nothing was fitted: the station needs that room itself",
            remedy="Free space on the disk",
        )
