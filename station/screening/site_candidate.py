"""The folder of a candidate: the model, its manifest, and the report of how it came to be; written whole or not at all.

The folder's name ends with the beginning of the manifest's SHA-256, the manifest names those of the model and of the report: what a
supervisor reads and names is what takes effect. Nobody has signed it yet, so no station loads it.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.domain.errors import NotFoundError, RefusedError, StoreError
from station.durable_file import flush_directory, settle, write_durably
from station.screening.features import CHANNELS
from station.screening.manifest import FORMAT, KEY_FILE, MANIFEST_FILE, SIGNATURE_FILE, Manifest, parse_manifest

MODEL_FILE, REPORT_FILE = "model.onnx", "report.json"
UNFINISHED = ".unfinished-"
NAMED_BY = 16
"""Hexadecimal digits of the manifest's SHA-256 in the folder's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A candidate whose files are what the report was about. `data` is its manifest as it was checked."""

    name: str
    folder: Path
    manifest: Manifest
    data: bytes
    report: Mapping[str, Any]

    @property
    def manifest_sha256(self) -> str:
        """What pins the manifest, and with it the model and the report."""
        return hashlib.sha256(self.data).hexdigest()


def manifest_content(
    delivered: Manifest,
    *,
    name: str,
    model: bytes,
    report: bytes,
    calibration: Mapping[str, list[float]],
    fitted_on: str,
    alpha: float,
    measured: Mapping[str, Any],
) -> bytes:
    """The candidate's manifest. What the fit makes void (freeze score, the delivered calibration and figures) is not taken over."""
    benign, threats = measured["new"]["alarms_on_benign"], measured["new"]["alarms_on_threats"]
    content = {
        "format": FORMAT,
        "name": name,
        "model_file": MODEL_FILE,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "input": {"grid_mm": delivered.grid_mm, "side_multiple": delivered.side_multiple, "channels": list(CHANNELS)},
        "classes": list(delivered.classes),
        "calibration": calibration,
        "freeze_score": None,
        "freeze_n": 0,
        "generator_version": delivered.generator_version,
        "training_data_sha256": delivered.training_data_sha256,
        "fitted_site": fitted_on,
        "detection_lower_95": measured["detection_lower_95"],
        "metrics": {
            "alpha": alpha,
            "auroc": measured["new"]["auroc"]["mean"],
            "benign": measured["pieces"],
            "benign_alarmed": benign["mean"],
            "threats": measured["projections"],
            "threats_alarmed": threats["mean"],
            "classes_measured": sorted(measured["by_class"]),
            "delivered_model_sha256": delivered.model_sha256,
            "report_sha256": hashlib.sha256(report).hexdigest(),
        },
    }
    return json.dumps(content, sort_keys=True, indent=1).encode()


def write_candidate(root: Path, name: str, *, model: bytes, manifest: bytes, report: bytes) -> Path:
    """Write the folder `<name>-<hash>` in `root`, durably: it is there with all its files, or not at all.

    Raises:
        StoreError: it cannot be written; nothing is left of it.
    """
    folder = root / f"{name}-{hashlib.sha256(manifest).hexdigest()[:NAMED_BY]}"
    unfinished = root / f"{UNFINISHED}{folder.name}"
    try:
        unfinished.mkdir(mode=0o700)
        write_durably({unfinished / MODEL_FILE: model, unfinished / REPORT_FILE: report, unfinished / MANIFEST_FILE: manifest})
        unfinished.rename(folder)
        flush_directory(root)
    except OSError as error:
        raise StoreError(
            f"The candidate {folder} cannot be written: {error.strerror}",
            consequence="Nothing of it was kept; the model in use stays as it is",
            remedy="Free space on the disk and check that the station's user may write there, then fit again",
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def sweep(root: Path) -> None:
    """Remove what killed fits left; only for who has the lock."""
    for left in root.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def read_candidate(root: Path, name: str) -> Candidate:
    """A candidate, its files checked against its name, manifest and report.

    Raises:
        NotFoundError: there is none of that name.
        RefusedError: a file is not what the report was about.
        ScreeningError: the manifest is malformed.
    """
    folder = root / name
    if Path(name).name != name or name.startswith(".") or not folder.is_dir():
        raise NotFoundError(f"There is no candidate {name!r} in {root}", remedy="See `station model list`")
    try:
        data, model, report = ((folder / file).read_bytes() for file in (MANIFEST_FILE, MODEL_FILE, REPORT_FILE))
    except OSError as error:
        raise _changed(name, f"{error.filename} cannot be read ({error.strerror})") from error
    if not name.endswith(f"-{hashlib.sha256(data).hexdigest()[:NAMED_BY]}"):
        raise _changed(name, f"{MANIFEST_FILE} is another one")
    manifest = parse_manifest(data, signed=False)
    if hashlib.sha256(model).hexdigest() != manifest.model_sha256:
        raise _changed(name, f"{MODEL_FILE} is another one")
    if hashlib.sha256(report).hexdigest() != manifest.metrics.get("report_sha256"):
        raise _changed(name, f"{REPORT_FILE} is another one")
    try:
        told = dict(json.loads(report))
    except (ValueError, TypeError, RecursionError) as error:
        raise _changed(name, f"{REPORT_FILE} is malformed") from error
    return Candidate(name=name, folder=folder, manifest=manifest, data=data, report=told)


def sign(candidate: Candidate, key: Ed25519PrivateKey) -> str:
    """Write the signature of the manifest that was checked, and the public key beside it; returns that key in base64.

    Raises:
        StoreError: it cannot be written.
    """
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    try:
        settle(candidate.folder)
        signature = base64.b64encode(key.sign(candidate.data))
        write_durably({candidate.folder / KEY_FILE: public.encode(), candidate.folder / SIGNATURE_FILE: signature})
    except OSError as error:
        raise StoreError(
            f"The signature of {candidate.name} cannot be written: {error.strerror}",
            consequence="The candidate does not take effect",
            remedy="Free space on the disk and check that the station's user may write there",
        ) from error
    return public


def _changed(name: str, what: str) -> RefusedError:
    return RefusedError(
        f"Candidate {name} is not what its report was about: {what}",
        consequence="It does not take effect",
        remedy="Fit again and sign the new candidate off",
    )
