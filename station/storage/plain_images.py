"""Images from before there was encryption: sealed where they lie, before the station starts (decision 0103)."""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from station.domain.errors import ImageDamagedError, ImageKeyLostError, NotFoundError, StoreError
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
_log = structlog.get_logger()


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

    Interrupted at any moment it goes on with the next call. A damaged scan is sealed as it is, and the log names it: a sealed image that is
    damaged. Views that are damaged, or of an image that nobody can open any more, are removed and named.

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
        if _is_image(path) and (path.name.endswith((_DESCRIPTION, *_PARTS)) or (path.suffix == SCAN and _is_clear(path))):
            yield path


def _seal(folder: Path, sha256: str, images: FileImageStore, level: Secrecy | None) -> None:
    scan = folder / f"{sha256}{SCAN}"
    if _is_clear(scan):
        content = scan.read_bytes()
        try:
            raw = image_file.decode_scan(content, sha256)
        except StoreError as error:
            _seal_damaged(scan, content, images, level, error)
        else:
            images.put(raw, level)
    if scan.exists() and not scan.with_suffix(VIEWS).exists():
        _seal_views(folder, sha256, images)
    for path in folder.glob(f"{sha256}.*"):
        if path.name.endswith((_DESCRIPTION, *_PARTS)):
            path.unlink()
    flush_directory(folder)


def _seal_damaged(scan: Path, content: bytes, images: FileImageStore, level: Secrecy | None, error: StoreError) -> None:
    sha256 = scan.stem
    images.put_as_it_is(sha256, content, level)
    _log.warning("an image that lay in clear is damaged: it was sealed as it is", image=sha256, file=str(scan), error=str(error))


def _seal_views(folder: Path, sha256: str, images: FileImageStore) -> None:
    try:
        views = _views(folder, sha256)
        if views is not None:
            images.put_views(sha256, views)
    except (NotFoundError, ImageKeyLostError, ImageDamagedError) as error:
        # They must not stay, and must not keep the station from starting.
        _log.warning("the views of an image that lay in clear cannot be kept", image=sha256, error=str(error))


def _is_image(path: Path) -> bool:
    name = path.name.partition(".")[0]
    return len(name) == _NAME_LENGTH and set(name) <= set("0123456789abcdef") and name[:2] == path.parent.name


def _is_clear(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # Not by its own magic: one whose first bytes are damaged shows a piece all the same.
            return not sealing.is_sealed(file.read(len(sealing.MAGIC)))
    except FileNotFoundError:
        return False


def _views(folder: Path, sha256: str) -> ScreeningResult | None:
    """What was made of a scan; None when nothing was. Raises `ImageDamagedError`: of a scan that is whole they can be made again."""
    description = folder / f"{sha256}{_DESCRIPTION}"
    if not description.exists():
        return None
    try:
        text = description.read_bytes()
        body = text[:-_DIGEST_TEXT]
        _demand(body, text[-_DIGEST_TEXT:].decode())
        plain = decode(_PlainViews, body.decode(), "description of views")
        names = (plain.view_sha256, plain.heat_sha256, plain.arrays_sha256)
        parts = [(folder / f"{sha256}.{name[:16]}{part}").read_bytes() for part, name in zip(_PARTS, names, strict=True)]
        for content, name in zip(parts, names, strict=True):
            _demand(content, name)
        view, heat, packed = parts
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            heat_map, fingerprint = arrays["heat_map"], arrays["fingerprint"]
    except (OSError, ValueError, KeyError, StoreError) as error:
        raise image_file.damaged(sha256, f"its views: {error}") from error
    figures = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain) if not field.name.endswith("_sha256")}
    return ScreeningResult(
        view_png=view, heat_png=heat, heat_map=heat_map, fingerprint=fingerprint, model_sha256=plain.model_sha256, **figures
    )


def _demand(content: bytes, sha256: str) -> None:
    # Before anything is decoded: a damaged archive fails in more ways than can be named.
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("a file of them is truncated or changed")
