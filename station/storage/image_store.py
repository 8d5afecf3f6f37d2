"""Raw scans and their views as files, named by the SHA-256 of the raw counts (decision 0016)."""

import contextlib
import dataclasses
import hashlib
import io
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from station.domain.errors import NotFoundError, StoreError
from station.domain.scan import Finding
from station.ports.screening import RawScan, ScreeningResult
from station.ports.xray import Counts, raw_sha256
from station.storage import image_file
from station.storage.codec import decode, to_json

_NAME_LENGTH = 64
_DIGEST_TEXT = 64
_TEMPORARY = ".tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewsManifest:
    """What lies beside a scan. Its three files are named by the hashes given here, so a manifest never meets files of another writing."""

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


class FileImageStore:
    """`station.ports.store.ImageStore` in a directory tree. All methods block; call them in a thread.

    A file is written under another name, flushed to the medium, renamed, and the directory flushed, so that a name never stands for half
    a file. `put` returns only then.

    Args:
        root: directory of the images; made if missing, mode 0700.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(root, error) from error

    def put(self, scan: RawScan) -> str:
        """Store the raw counts durably and return their SHA-256. Raises `StoreError` when they could not be made durable."""
        sha256 = raw_sha256(scan.le, scan.he)
        path = self._path(sha256, ".scan")
        try:
            kept = path.read_bytes()
        except OSError:
            kept = b""
        # The very same counts may be there already; a damaged copy of them is replaced.
        if not image_file.is_whole(kept):
            self._write(path, image_file.encode(scan, sha256))
        return sha256

    def put_views(self, sha256: str, result: ScreeningResult) -> None:
        """Store what screening made of a scan; replaces an earlier result. Raises `NotFoundError` and `StoreError`."""
        if not self._path(sha256, ".scan").exists():
            raise _no_scan(sha256)
        arrays = io.BytesIO()
        np.savez(arrays, allow_pickle=False, heat_map=result.heat_map, fingerprint=result.fingerprint)
        contents = {".view.png": result.view_png, ".heat.png": result.heat_png, ".arrays.npz": arrays.getvalue()}
        hashes = {suffix: hashlib.sha256(content).hexdigest() for suffix, content in contents.items()}
        manifest = ViewsManifest(
            view_sha256=hashes[".view.png"],
            heat_sha256=hashes[".heat.png"],
            arrays_sha256=hashes[".arrays.npz"],
            model_sha256=result.model_sha256,
            score=result.score,
            threshold=result.threshold,
            p_value=result.p_value,
            calibration_n=result.calibration_n,
            length_mm=result.length_mm,
            width_mm=result.width_mm,
            duration_ms=result.duration_ms,
            findings=result.findings,
            model_findings=result.model_findings,
        )
        for suffix, content in contents.items():
            self._write(self._view_path(sha256, hashes[suffix], suffix), content)
        text = to_json(manifest).encode()
        self._write(self._path(sha256, ".views.json"), text + hashlib.sha256(text).hexdigest().encode())
        self._drop_older_views(sha256, {self._view_path(sha256, digest, suffix) for suffix, digest in hashes.items()})

    def raw(self, sha256: str) -> tuple[Counts, Counts]:
        """LE and HE counts, each (lines, pixels) u16; every hash is checked. Raises `NotFoundError` or `StoreError`."""
        scan = self.scan(sha256)
        return scan.le, scan.he

    def scan(self, sha256: str) -> RawScan:
        """The scan with its calibration, as it was stored. Raises `NotFoundError` or `StoreError`."""
        return image_file.decode_scan(self._read(self._path(sha256, ".scan"), sha256), sha256)

    def views(self, sha256: str) -> ScreeningResult:
        """What screening made of a scan; every hash is checked before decoding. Raises `NotFoundError` or `StoreError`."""
        text = self._read(self._path(sha256, ".views.json"), sha256)
        body, digest = text[:-_DIGEST_TEXT], text[-_DIGEST_TEXT:]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise image_file.damaged(sha256, "the description of its views is truncated or changed")
        manifest = decode(ViewsManifest, body.decode(), "description of views")
        view_png = self._checked(sha256, manifest.view_sha256, ".view.png")
        heat_png = self._checked(sha256, manifest.heat_sha256, ".heat.png")
        with np.load(io.BytesIO(self._checked(sha256, manifest.arrays_sha256, ".arrays.npz")), allow_pickle=False) as arrays:
            heat_map, fingerprint = arrays["heat_map"], arrays["fingerprint"]
        figures = {
            field.name: getattr(manifest, field.name)
            for field in dataclasses.fields(manifest)
            if field.name not in {"view_sha256", "heat_sha256", "arrays_sha256"}
        }
        return ScreeningResult(heat_map=heat_map, view_png=view_png, heat_png=heat_png, fingerprint=fingerprint, **figures)

    def free_bytes(self) -> int:
        """Free space on the medium; 0 when it cannot be asked."""
        try:
            return shutil.disk_usage(self._root).free
        except OSError:
            return 0

    def sweep(self) -> int:
        """Remove what an earlier, killed process left half-written; returns how many files. Only for the process that owns the data."""
        left = list(self._root.glob(f"*/*{_TEMPORARY}"))
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _path(self, sha256: str, suffix: str) -> Path:
        # The name comes from outside in a URL; nothing but a hash may become a path.
        if len(sha256) != _NAME_LENGTH or not set(sha256) <= set("0123456789abcdef"):
            raise NotFoundError("There is no such scan", remedy="Load the list of scans again")
        return self._root / sha256[:2] / f"{sha256}{suffix}"

    def _view_path(self, sha256: str, digest: str, suffix: str) -> Path:
        return self._path(sha256, f".{digest[:16]}{suffix}")

    def _drop_older_views(self, sha256: str, kept: set[Path]) -> None:
        for suffix in (".view.png", ".heat.png", ".arrays.npz"):
            for path in (self._root / sha256[:2]).glob(f"{sha256}.*{suffix}"):
                if path not in kept:
                    path.unlink(missing_ok=True)

    def _checked(self, sha256: str, digest: str, suffix: str) -> bytes:
        content = self._read(self._view_path(sha256, digest, suffix), sha256)
        if hashlib.sha256(content).hexdigest() != digest:
            raise image_file.damaged(sha256, f"its {suffix[1:]} is truncated or changed")
        return content

    def _read(self, path: Path, sha256: str) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise _no_scan(sha256) from None
        except OSError as error:
            raise image_file.damaged(sha256, f"{path} cannot be read: {error.strerror}") from error

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}{_TEMPORARY}")
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _flush_directory(self._root)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _flush_directory(path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _not_written(path, error) from error


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_scan(sha256: str) -> NotFoundError:
    return NotFoundError(f"There is no stored scan {sha256}, or nothing was made of it yet", remedy="Load the list of scans again")


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written: {error.strerror}",
        consequence="The scan is not stored, so its piece is held",
        remedy="Free space on the disk and check that the station's user may write to it",
    )
