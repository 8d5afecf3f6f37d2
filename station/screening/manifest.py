"""The model's manifest: what the pinned file is, who signed it, and the calibration that its thresholds stand on.

A model folder holds `manifest.json`, `manifest.sig` (base64 of the Ed25519 signature over the manifest's bytes), `project-key.pub`
(base64 of the raw public key, which is trusted only if it is known from elsewhere), and the ONNX file that the manifest names.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ScreeningError
from station.screening.features import CHANNELS
from station.screening.onnx_file import MAX_MODEL_BYTES, check_onnx
from station.screening.spots import THREAT_CLASSES

FORMAT = 1
UNKNOWN_KIND = "unknown"
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"
KEY_FILE = "project-key.pub"
PROJECT_KEY_FILE = Path(__file__).parent / "models" / KEY_FILE
"""The key that is trusted everywhere: that of the model which the station ships with."""

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
ANNOUNCED_KINDS = ("envelope", "packet", "parcel", UNKNOWN_KIND)
"""What tracking may say that a piece is."""

COMPOSED_OF = {"parcel": ("document_parcel", "small_parcel")}
"""What tracking announces as one kind and the generator draws as several; a manifest that has scores of the kind itself uses those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the manifest says. `calibration` holds the benign scores per kind, each sorted; `unknown` is there always.

    `fitted_site` is where the calibration pieces came from (None: synthetic). `detection_lower_95` is the lower 95 % bound of measured
    detection of projected threats there, None while unmeasured. `classes` names what the model's class output tells apart, in its order;
    empty where it has none.
    """

    name: str
    model_file: str
    model_sha256: str
    grid_mm: float
    side_multiple: int
    calibration: Mapping[str, tuple[float, ...]]
    freeze_score: float | None
    freeze_n: int
    generator_version: int
    training_data_sha256: str
    fitted_site: str | None
    detection_lower_95: float | None
    signed: bool
    metrics: Mapping[str, Any]
    classes: tuple[str, ...] = ()

    def own_scores(self, kind: str) -> tuple[float, ...]:
        """Calibration scores of pieces of that kind, however few; those of all kinds together for a piece of unknown kind."""
        own = self.calibration.get(kind)
        if own is not None:
            return own
        return tuple(sorted(score for part in COMPOSED_OF.get(kind, ()) for score in self.calibration.get(part, ())))

    def scores_for(self, kind: str) -> tuple[float, ...]:
        """What the kind's threshold stands on: its own scores, or those of all kinds where it has too few for one.

        A threshold of the second sort shows people where to look; it guarantees nothing for the kind, and `own_scores` says so to policy.
        """
        own = self.own_scores(kind)
        return own if len(own) >= MIN_CALIBRATION else self.calibration[UNKNOWN_KIND]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that have calibration scores, also those that are composed of others."""
        composed = (kind for kind in COMPOSED_OF if self.own_scores(kind))
        return tuple(sorted({*self.calibration, *composed}))

    @property
    def calibration_sha256(self) -> str:
        """SHA-256 over the calibration scores: thresholds and drift belong to them."""
        text = json.dumps({kind: list(scores) for kind, scores in self.calibration.items()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _refuse(what: str) -> ScreeningError:
    return ScreeningError(f"model: {what}", consequence="it is not loaded; every piece is held", remedy="install the released model again")


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _refuse(f"{path.name} cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise _refuse(f"{path.name} is larger than {limit} bytes")
    return data


def _holds(data: bytes, signature: bytes, key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_signed(data: bytes, folder: Path, trusted_keys: Collection[str]) -> bool:
    """True when the signature is one of a trusted key; False when there is none, or it is only that of the key beside it.

    The key in the folder proves nothing, since whoever changes the model can change it too: it only tells an unknown signer from damage.

    Raises:
        ScreeningError: a signature or key that is there but does not hold.
    """
    if not (folder / SIGNATURE_FILE).exists():
        return False
    try:
        signature = base64.b64decode(_read(folder / SIGNATURE_FILE, 1024).strip(), validate=True)
        own = _read(PROJECT_KEY_FILE, 1024).decode().strip()
        trusted = [base64.b64decode(key, validate=True) for key in (*trusted_keys, own)]
        if any(_holds(data, signature, key) for key in trusted):
            return True
        beside = base64.b64decode(_read(folder / KEY_FILE, 1024).strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refuse("the manifest's signature is malformed") from error
    if not _holds(data, signature, beside):
        raise _refuse("the manifest's signature does not hold")
    return False


def _scores(value: object, kind: str) -> tuple[float, ...]:
    if not isinstance(value, list) or not all(isinstance(one, int | float) and math.isfinite(one) for one in value):
        raise _refuse(f"calibration scores of {kind!r} are not all numbers")
    if not all(0 <= one <= 1 for one in value):
        raise _refuse(f"calibration scores of {kind!r} are not all in 0…1")
    return tuple(sorted(float(one) for one in value))


def _plain_name(value: object) -> str:
    name = str(value)
    if not name or Path(name).name != name or name.startswith("."):
        raise _refuse(f"{name!r} is no file name")
    return name


def parse_manifest(data: bytes, *, signed: bool) -> Manifest:
    """Parse and check a manifest.

    Raises:
        ScreeningError: not JSON, a member missing or of the wrong kind, an input that this program does not make.
    """
    try:
        raw = json.loads(data)
        freeze = raw["freeze_score"]
        bound, site = raw["detection_lower_95"], raw["fitted_site"]
        manifest = Manifest(
            name=str(raw["name"]),
            model_file=_plain_name(raw["model_file"]),
            model_sha256=str(raw["model_sha256"]),
            grid_mm=float(raw["input"]["grid_mm"]),
            side_multiple=int(raw["input"]["side_multiple"]),
            calibration={str(kind): _scores(scores, str(kind)) for kind, scores in raw["calibration"].items()},
            freeze_score=None if freeze is None else float(freeze),
            freeze_n=int(raw["freeze_n"]),
            generator_version=int(raw["generator_version"]),
            training_data_sha256=str(raw["training_data_sha256"]),
            fitted_site=None if site is None else str(site),
            detection_lower_95=None if bound is None else float(bound),
            signed=signed,
            metrics=dict(raw["metrics"]),
            classes=tuple(str(name) for name in raw.get("classes", ())),
        )
        channels = tuple(raw["input"]["channels"])
        form = raw["format"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _refuse(f"the manifest is malformed ({type(error).__name__}: {error})") from error
    if form != FORMAT:
        raise _refuse(f"the manifest has format {form}, not {FORMAT}")
    if channels != CHANNELS:
        raise _refuse(f"it wants the inputs {channels}, not {CHANNELS}")
    if not manifest.calibration.get(UNKNOWN_KIND):
        raise _refuse("the manifest has no calibration scores")
    if not (0 < manifest.grid_mm < 10 and 1 <= manifest.side_multiple <= 64):  # noqa: PLR2004 - anything sensible
        raise _refuse("the manifest's input grid is not possible")
    if strange := [name for name in manifest.classes if name not in THREAT_CLASSES]:
        raise _refuse(f"this program has no words for its class {strange[0]!r}")
    if manifest.freeze_score is not None and not math.isfinite(manifest.freeze_score):
        raise _refuse("the freeze score is no number")
    return manifest


def load_model(
    folder: Path, *, trusted_keys: Collection[str] = (), need_signature: bool = True, manifest_sha256: str = ""
) -> tuple[Manifest, bytes]:
    """Read the manifest and the pinned model file, proved by its hash and its contents.

    Args:
        folder: of the model.
        trusted_keys: base64 of raw Ed25519 public keys whose signature counts, besides the project's own.
        need_signature: False only for looking at a model offline; `Manifest.signed` tells then.
        manifest_sha256: which manifest it must be; empty: whichever is signed.

    Raises:
        ScreeningError: anything that is not as it must be; nothing of it is used then.
    """
    data = _read(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES)
    if manifest_sha256 and hashlib.sha256(data).hexdigest() != manifest_sha256:
        raise ScreeningError(
            f"model: the manifest in {folder} is not the one that was signed off",
            consequence="it is not loaded; every piece is held",
            remedy="restore the folder, or go back with `station model rollback`",
        )
    signed = _is_signed(data, folder, trusted_keys)
    if need_signature and not signed:
        there = (folder / SIGNATURE_FILE).exists()
        raise _refuse("its manifest is signed by a key that is not trusted here" if there else "its manifest is not signed")
    manifest = parse_manifest(data, signed=signed)
    model = _read(folder / manifest.model_file, MAX_MODEL_BYTES)
    found = hashlib.sha256(model).hexdigest()
    if found != manifest.model_sha256:
        raise _refuse(f"{manifest.model_file} has SHA-256 {found[:12]}…, pinned is {manifest.model_sha256[:12]}…")
    check_onnx(model)
    return manifest, model
