"""Searches every file of some directories for blocks of an image, in every form in which it is ever in memory."""

import io
import mmap
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from station.ports.screening import RawScan, ScreeningResult
from station.storage import image_file, views_file
from tests.support.vaults import vault

BLOCK = 24
PLACES = 12


def scan_forms(scan: RawScan, sha256: str) -> dict[str, bytes]:
    """Counts, byte planes, compressed file, calibration."""
    return {
        "counts": scan.le.astype("<u2").tobytes(),
        "counts of the other energy": scan.he.astype("<u2").tobytes(),
        "planes": image_file._planes(scan.le),
        "file": image_file.encode(scan, sha256),
        "calibration": scan.air_le.astype("<f4").tobytes(),
    }


def view_forms(result: ScreeningResult) -> dict[str, bytes]:
    """Pictures, arrays, and the packed file of all."""
    forms = {
        "view": result.view_png,
        "heat": result.heat_png,
        "heat map": result.heat_map.tobytes(),
        "fingerprint": result.fingerprint.tobytes(),
        "packed": views_file.pack(result),
    }
    return {name: form for name, form in forms.items() if form}


def blocks(form: bytes) -> list[bytes]:
    """Blocks from all over a form that say something: runs of one value would be found anywhere."""
    step = max(1, (len(form) - BLOCK) // (PLACES * 8))
    found = (form[at : at + BLOCK] for at in range(0, len(form) - BLOCK, step))
    telling = [block for block in found if len(set(block)) > BLOCK // 3]
    return telling[:: max(1, len(telling) // PLACES)]


def hits(forms: dict[str, bytes], directories: Iterable[Path]) -> set[str]:
    """The forms of which a block lies in some file, with the file's name."""
    wanted = [(name, block) for name, form in forms.items() for block in blocks(form)]
    assert {name for name, _ in wanted} == set(forms), "a form without a telling block proves nothing"
    found: set[str] = set()
    for path in {path for directory in directories for path in directory.rglob("*") if path.is_file() and path.stat().st_size}:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found |= {f"{name} in {path.name}" for name, block in wanted if content.find(block) >= 0}
    return found


def image_in_clear(station: Path, sha256: str) -> set[str]:
    """The forms of a stored image of which a block lies in some file of a virtual station's directory."""
    images = vault(station / "images")
    scan, read = images.scan(sha256), images.views(sha256)
    return hits(scan_forms(scan, sha256) | {"fingerprint": read.fingerprint.tobytes()}, (station,))


def write_in_clear(directory: Path, forms: dict[str, bytes]) -> None:
    """What a station without encryption might leave: each form in a file of its own, among other bytes."""
    directory.mkdir()
    noise = np.random.default_rng(1)
    for number, form in enumerate(forms.values()):
        (directory / f"{number}.bin").write_bytes(io.BytesIO(noise.bytes(1000) + form + noise.bytes(1000)).getvalue())
