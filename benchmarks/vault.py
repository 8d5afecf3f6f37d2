"""MB/s through the image vault, beside bare AES-256-GCM on the same bytes.

`put` hashes the raw counts, packs, compresses, seals, and returns when the scan and its wrapped key are on the medium; `scan` opens,
unpacks and hashes again. MB are those of the raw counts. The seal alone is measured on the bytes of the packed file, in memory.
"""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from station.clock import SystemClock
from station.ports.screening import RawScan
from station.ports.xray import DetectorInfo, raw_sha256
from station.storage import image_file, sealing
from station.storage.image_store import FileImageStore
from station.storage.key_files import FileKeyStore

LINES, PIXELS = 1500, 1024
SCANS = 8
MEGABYTE = 1e6


def _scan(seed: int) -> RawScan:
    """Smooth counts with the noise of a detector, as large as a long packet's."""
    noise = np.random.default_rng(seed)
    ramp = 42_000 - 9_000 * np.sin(np.linspace(0, 9, PIXELS)) * np.cos(np.linspace(0, 5, LINES))[:, None]
    le, he = (np.clip(ramp * share + noise.normal(0, 60, ramp.shape), 0, 65_535).astype(np.uint16) for share in (1.0, 0.8))
    flat = np.full(PIXELS, 1000, dtype=np.float32)
    return RawScan(
        le=le,
        he=he,
        dark_le=flat,
        dark_he=flat,
        air_le=flat,
        air_he=flat,
        info=DetectorInfo(model="bench", pixels=PIXELS, pixel_pitch_mm=0.8, line_pitch_mm=0.8, he_lag_lines=0, full_scale=65_535),
        lost_lines=0,
        saturated=False,
        speed_error_share=0.0,
        beam_error_share=0.0,
        calibration_age_s=1.0,
        kind="packet",
    )


def _median_s(work: Callable[[int], object], times: int) -> float:
    took: list[float] = []
    for number in range(times):
        began_s = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - began_s)
    return statistics.median(took)


def run() -> dict[str, Any]:
    """Measure: putting, reading, the seal alone, and bare AES-GCM over the counts and over the packed file."""
    first = _scan(0)
    scans = [dataclasses.replace(first, le=np.roll(first.le, number, axis=0)) for number in range(SCANS)]
    hashes = [raw_sha256(scan.le, scan.he) for scan in scans]
    counts = first.le.tobytes() + first.he.tobytes()
    packed = image_file.encode(first, hashes[0])
    key, about = sealing.new_key(), sealing.about_file(hashes[0], ".scan")
    sealed = sealing.seal(key, packed, about)
    bare, nonce = AESGCM(key), os.urandom(12)
    closed, closed_packed = bare.encrypt(nonce, counts, about), bare.encrypt(nonce, packed, about)
    with tempfile.TemporaryDirectory() as directory:
        images = FileImageStore(Path(directory) / "images", keys=FileKeyStore(Path(directory) / "keys"), clock=SystemClock())
        put_s = _median_s(lambda number: images.put(scans[number], None), SCANS)
        read_s = _median_s(lambda number: images.scan(hashes[number]), SCANS)
    seal_s = _median_s(lambda _: sealing.unseal(key, sealing.seal(key, packed, about), about), SCANS)
    bare_s = _median_s(lambda _: bare.decrypt(nonce, bare.encrypt(nonce, packed, about), about), SCANS)
    encrypt_s = _median_s(lambda _: bare.encrypt(nonce, counts, about), SCANS)
    decrypt_s = _median_s(lambda _: bare.decrypt(nonce, closed, about), SCANS)
    assert len(sealed) - len(closed_packed) == len(sealing.MAGIC) + len(nonce)  # noqa: S101 - the same bytes were measured
    megabytes, packed_megabytes = len(counts) / MEGABYTE, len(packed) / MEGABYTE
    return {
        "scan_mb": megabytes,
        "packed_share": len(packed) / len(counts),
        "put_mb_per_s": megabytes / put_s,
        "read_mb_per_s": megabytes / read_s,
        "bare_encrypt_mb_per_s": megabytes / encrypt_s,
        "bare_decrypt_mb_per_s": megabytes / decrypt_s,
        "put_ratio": encrypt_s / put_s,
        "read_ratio": decrypt_s / read_s,
        "seal_mb_per_s": packed_megabytes / seal_s,
        "bare_packed_mb_per_s": packed_megabytes / bare_s,
        "seal_ratio": bare_s / seal_s,
    }
