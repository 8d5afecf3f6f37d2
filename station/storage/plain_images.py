"""Images from before there was encryption: sealed where they lie, before the station starts (decision 0103)."""

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from station.domain.errors import ImageKeyLostError, NotFoundError, StoreError
from station.domain.piece import Secrecy
from station.domain.scan import Finding
from station.durable_file import flush_directory
from station.ports.screening import ScreeningResult
from station.storage import image_file, sealing
from station.storage.codec import decode
from station.storage.image_store import SCAN, VIEWS, FileImageStore

_NAME_LENGTH = 64
_DIGEST_TEXT = 64
_DESCRIPTION = ".views.json"
_PARTS = (".view.png", ".heat.png", ".arrays.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlainViews:
    """The description of views that once lay beside a scan, each in a file named by its hash."""

    view_sha256: str
    heat_sha256: str
    arrays_sha256: str
    model_sha256: str
    score: float
    threshold: float
    p_value: float
    calibration_n: int
    length_mm: float
    width_mm: float
    duration_ms: float
    findings: tuple[Finding, ...]
    model_findings: tuple[Finding, ...]


def seal_plain(
    root: Path,
    images: FileImageStore,
    level_of: Callable[[str], Secrecy | None],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Seal every image in clear under today's key of its level, and remove what was in clear; returns how many there were.

    Interrupted at any moment it goes on with the next call. A damaged scan is removed: nothing could be done with it, and it shows a piece.

    Raises:
        StoreError: an image could not be sealed; it and those behind it are still in clear.
    """
    try:
        found = sorted({path.name[:_NAME_LENGTH]: path.parent for path in _plain_files(root)}.items())
        for done, (sha256, folder) in enumerate(found):
            progress(done, len(found))
            _seal(folder, sha256, images, level_of(sha256))
    except OSError as error:
        raise StoreError(
            f"Images in {root} cannot be encrypted: {error.strerror}",
            consequence="They lie in clear on the disk, so the station does not start",
            remedy="Check the disk, and that the station's user may write to it",
        ) from error
    return len(found)


def _plain_files(root: Path) -> Iterator[Path]:
    for path in root.glob("[0-9a-f][0-9a-f]/*"):
        if path.name.endswith((_DESCRIPTION, *_PARTS)) or (path.suffix == SCAN and _is_clear(path)):
            yield path


def _seal(folder: Path, sha256: str, images: FileImageStore, level: Secrecy | None) -> None:
    scan = folder / f"{sha256}{SCAN}"
    if _is_clear(scan):
        try:
            raw = image_file.decode_scan(scan.read_bytes(), sha256)
        except StoreError:
            scan.unlink()
        else:
            images.put(raw, level)
    views = _views(folder, sha256)
    if views is not None and scan.exists() and not scan.with_suffix(VIEWS).exists():
        # Of an image that nobody can open any more they must not stay, and must not keep the station from starting.
        with contextlib.suppress(NotFoundError, ImageKeyLostError):
            images.put_views(sha256, views)
    for path in folder.glob(f"{sha256}.*"):
        if path.name.endswith((_DESCRIPTION, *_PARTS)):
            path.unlink()
    flush_directory(folder)


def _is_clear(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # Not by its own magic: one whose first bytes are damaged shows a piece all the same.
            return not sealing.is_sealed(file.read(len(sealing.MAGIC)))
    except FileNotFoundError:
        return False


def _views(folder: Path, sha256: str) -> ScreeningResult | None:
    """What was made of a scan; None when nothing was, or it is damaged: it can be made again."""
    try:
        text = (folder / f"{sha256}{_DESCRIPTION}").read_bytes()
        body, digest = text[:-_DIGEST_TEXT], text[-_DIGEST_TEXT:]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        plain = decode(_PlainViews, body.decode(), "description of views")
        view, heat, packed = (
            (folder / f"{sha256}.{name[:16]}{part}").read_bytes()
            for part, name in zip(_PARTS, (plain.view_sha256, plain.heat_sha256, plain.arrays_sha256), strict=True)
        )
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            heat_map, fingerprint = arrays["heat_map"], arrays["fingerprint"]
    except (OSError, ValueError, KeyError, StoreError):
        return None
    figures = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain) if not field.name.endswith("_sha256")}
    return ScreeningResult(
        view_png=view, heat_png=heat, heat_map=heat_map, fingerprint=fingerprint, model_sha256=plain.model_sha256, **figures
    )
