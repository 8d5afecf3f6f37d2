"""A raw scan as bytes: delta, byte planes, zstd, and a SHA-256 over the whole file at its end.

Layout: magic `KT1SCAN1`, u32 LE length of the header, header (canonical JSON), zstd frame, SHA-256 of everything before it.
The frame holds LE planes, HE planes (each: low bytes, then high bytes, of the differences along a line) and the calibration arrays
(float32 LE: dark LE, dark HE, air LE, air HE).
"""

import hashlib
import json
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import zstandard

from station.domain.errors import ImageDamagedError, StoreError
from station.ports.screening import RawScan
from station.ports.xray import Counts, DetectorInfo, raw_sha256
from station.storage.codec import decode, to_json

MAGIC = b"KT1SCAN1"
_DIGEST_SIZE = 32
_LENGTH = struct.Struct("<I")
_PREFIX = len(MAGIC) + _LENGTH.size
_MAX_SAMPLES = 64 << 20
_LEVEL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanHeader:
    """What a stored scan says of itself besides its counts."""

    lines: int
    pixels: int
    raw_sha256: str
    info: DetectorInfo
    lost_lines: int
    saturated: bool
    speed_error_share: float
    beam_error_share: float
    calibration_age_s: float
    kind: str


def encode(scan: RawScan, sha256: str) -> bytes:
    """The file of a scan whose raw hash is `sha256`. Raises `StoreError` when the arrays do not belong together."""
    lines, pixels = scan.le.shape
    calibration = (scan.dark_le, scan.dark_he, scan.air_le, scan.air_he)
    if scan.he.shape != scan.le.shape or any(array.shape != (pixels,) for array in calibration) or lines * pixels > _MAX_SAMPLES:
        raise StoreError(
            f"The arrays of a scan do not belong together (LE {scan.le.shape}, HE {scan.he.shape})",
            consequence="The scan is not stored, so the piece is held",
            remedy="Scan the piece again",
        )
    header = ScanHeader(
        lines=lines,
        pixels=pixels,
        raw_sha256=sha256,
        info=scan.info,
        lost_lines=scan.lost_lines,
        saturated=scan.saturated,
        speed_error_share=scan.speed_error_share,
        beam_error_share=scan.beam_error_share,
        calibration_age_s=scan.calibration_age_s,
        kind=scan.kind,
    )
    planes = [_planes(scan.le), _planes(scan.he), *(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in calibration)]
    frame = zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(planes))
    text = to_json(header).encode()
    body = MAGIC + _LENGTH.pack(len(text)) + text + frame
    return body + hashlib.sha256(body).digest()


def is_whole(data: bytes) -> bool:
    """True when the file's own hash holds."""
    return len(data) > _PREFIX + _DIGEST_SIZE and hashlib.sha256(memoryview(data)[:-_DIGEST_SIZE]).digest() == data[-_DIGEST_SIZE:]


def decode_scan(data: bytes, sha256: str) -> RawScan:
    """Read a scan back: the file's hash before anything is decoded, the raw hash after.

    Raises:
        ImageDamagedError: a byte is not what was written, or the file is another scan's.
    """
    if not is_whole(data) or not data.startswith(MAGIC):
        raise damaged(sha256, "it is truncated or changed")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    end = _PREFIX + length
    try:
        header = decode(ScanHeader, data[_PREFIX:end].decode(), "scan header")
        samples, pixels = header.lines * header.pixels, header.pixels
        size = 4 * samples + 16 * pixels
        if not 0 <= samples <= _MAX_SAMPLES:
            raise damaged(sha256, "its size is out of range")
        frame = zstandard.ZstdDecompressor().decompress(data[end:-_DIGEST_SIZE], max_output_size=size, allow_extra_data=False)
    except (zstandard.ZstdError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise damaged(sha256, str(error)) from error
    if len(frame) != size:
        raise damaged(sha256, "it has another size than it says")
    shape = (header.lines, header.pixels)
    le, he = _counts(frame[: 2 * samples], shape), _counts(frame[2 * samples : 4 * samples], shape)
    if raw_sha256(le, he) != sha256 or header.raw_sha256 != sha256:
        raise damaged(sha256, "it holds another scan")
    dark_le, dark_he, air_le, air_he = np.frombuffer(frame, dtype="<f4", offset=4 * samples).astype(np.float32).reshape(4, pixels)
    return RawScan(
        le=le,
        he=he,
        dark_le=dark_le,
        dark_he=dark_he,
        air_le=air_le,
        air_he=air_he,
        info=header.info,
        lost_lines=header.lost_lines,
        saturated=header.saturated,
        speed_error_share=header.speed_error_share,
        beam_error_share=header.beam_error_share,
        calibration_age_s=header.calibration_age_s,
        kind=header.kind,
    )


def damaged(sha256: str, why: str) -> ImageDamagedError:
    """What to say of a stored file that is not what was written."""
    return ImageDamagedError(
        f"The stored scan {sha256} cannot be used: {why}",
        consequence="Nothing of it is shown or decided on, and its piece is held",
        remedy="Restore the file from a backup, or feed the piece in again for a new scan",
    )


def _planes(counts: Counts) -> bytes:
    differences = np.ascontiguousarray(counts, dtype="<u2").copy()
    # Unsigned arithmetic wraps, and wraps back when the differences are summed again.
    differences[:, 1:] -= counts[:, :-1]
    split = differences.view(np.uint8).reshape(-1, 2)
    return split[:, 0].tobytes() + split[:, 1].tobytes()


def _counts(planes: bytes, shape: tuple[int, int]) -> npt.NDArray[np.uint16]:
    joined = np.frombuffer(planes, dtype=np.uint8).reshape(2, -1).T
    differences = np.ascontiguousarray(joined).view("<u2").reshape(shape)
    return np.cumsum(differences, axis=1, dtype=np.uint16)
