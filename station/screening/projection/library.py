"""The shipped threat library: things as maps of their materials' thickness, and the beam that they are seen with. Checked by hash.

Made by `python -m training.make_threat_library`. Nothing of it comes from a real image.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.screening.projection.beam import Beam

FloatArray = npt.NDArray[np.float32]

MANIFEST = "library.json"
MAPS = "things.npz"
FORMAT = 1
SHIPPED = Path(__file__).with_name("things")
MAX_MAPS_BYTES = 1_500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing that can be projected.

    `thickness_mm` (materials, rows, columns) on a grid of `cell_mm`, its layers named by `materials`; rows go along the belt where the
    thing is not turned.
    `height_mm` is how much room it needs under a cover.
    """

    thing_id: str
    threat_class: str
    materials: tuple[str, ...]
    thickness_mm: FloatArray
    cell_mm: float
    height_mm: float

    @property
    def size_mm(self) -> tuple[float, float]:
        """Length and width of the map."""
        return self.thickness_mm.shape[1] * self.cell_mm, self.thickness_mm.shape[2] * self.cell_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the manifest says of a thing: its map's length and width, and the steps of each material's thickness."""

    thing_id: str
    threat_class: str
    height_mm: float
    size_mm: tuple[float, float]
    quanta_mm: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All things, and the beams by tube voltage. `sha256` is over the manifest, which holds that of the maps.

    `maps` stay packed: unpacked they would take a hundred times the memory, and one is needed now and then.
    """

    sha256: str
    version: str
    cell_mm: float
    entries: tuple[Entry, ...]
    beams: tuple[Beam, ...]
    maps: bytes

    def beam(self, tube_kv: float) -> Beam:
        """The beam of the nearest voltage."""
        return min(self.beams, key=lambda beam: abs(beam.tube_kv - tube_kv))

    def thing(self, thing_id: str) -> Thing:
        """One thing with its map.

        Raises:
            ScreeningError: there is none, or its map is malformed.
        """
        entry = next((entry for entry in self.entries if entry.thing_id == thing_id), None)
        if entry is None:
            raise _broken(f"it holds no {thing_id!r}")
        try:
            with np.load(io.BytesIO(self.maps), allow_pickle=False) as maps:
                layers = [unpacked(maps[f"{thing_id}/{name}"], quantum) for name, quantum in entry.quanta_mm]
            thickness = np.stack(layers)
        except (ValueError, KeyError, EOFError, OSError) as error:
            raise _broken(f"the map of {thing_id} is malformed ({error})") from error
        return Thing(
            thing_id=thing_id,
            threat_class=entry.threat_class,
            materials=tuple(name for name, _ in entry.quanta_mm),
            thickness_mm=thickness,
            cell_mm=self.cell_mm,
            height_mm=entry.height_mm,
        )


def _broken(why: str) -> ScreeningError:
    return ScreeningError(f"threat library: {why}", consequence="no threat is projected", remedy="install the station's files again")


def unpacked(stored: npt.NDArray[np.uint16], quantum_mm: float) -> FloatArray:
    """Thickness from differences along and across, modulo 2¹⁶: smooth maps pack well that way."""
    whole = np.cumsum(np.cumsum(stored, axis=0, dtype=np.uint16), axis=1, dtype=np.uint16)
    thickness: FloatArray = whole.astype(np.float32) * np.float32(quantum_mm)
    return thickness


def _entry(entry: dict[str, Any]) -> Entry:
    return Entry(
        thing_id=str(entry["id"]),
        threat_class=str(entry["class"]),
        height_mm=float(entry["height_mm"]),
        size_mm=(float(entry["size_mm"][0]), float(entry["size_mm"][1])),
        quanta_mm=tuple((str(name), float(quantum)) for name, quantum in entry["materials"].items()),
    )


def _beam(entry: dict[str, Any], shared: dict[str, Any]) -> Beam:
    return Beam(
        tube_kv=float(entry["tube_kv"]),
        weights=np.asarray(entry["weights"], dtype=np.float32),
        attenuation_per_mm=np.asarray(list(shared["attenuation_per_mm"].values()), dtype=np.float32),
        materials=tuple(shared["attenuation_per_mm"]),
        scatter_share=float(shared["scatter_share"]),
        scatter_mm=(float(shared["scatter_mm"][0]), float(shared["scatter_mm"][1])),
    )


def load_library(directory: Path) -> Library:
    """Read a library.

    Raises:
        ScreeningError: a file is missing, something is malformed, or the maps are not the manifest's; then nothing of them is decoded.
    """
    try:
        manifest_bytes, map_bytes = (directory / MANIFEST).read_bytes(), (directory / MAPS).read_bytes()
    except OSError as error:
        raise _broken(f"{error.filename} cannot be read ({error.strerror})") from error
    try:
        manifest = json.loads(manifest_bytes)
        expected = manifest["maps_sha256"]
        if manifest["format"] != FORMAT:
            raise _broken(f"format {manifest['format']} instead of {FORMAT}")
        if len(map_bytes) > MAX_MAPS_BYTES or hashlib.sha256(map_bytes).hexdigest() != expected:
            raise _broken(f"{MAPS} is not the one that {MANIFEST} names")
        library = Library(
            sha256=hashlib.sha256(manifest_bytes).hexdigest(),
            version=str(manifest["version"]),
            cell_mm=float(manifest["cell_mm"]),
            entries=tuple(_entry(entry) for entry in manifest["things"]),
            beams=tuple(_beam(entry, manifest["beam"]) for entry in manifest["beam"]["tubes"]),
            maps=map_bytes,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _broken(f"{MANIFEST} is malformed ({error})") from error
    if not (library.entries and library.beams):
        raise _broken(f"{MANIFEST} names no thing or no beam")
    return library


@cache
def shipped_library() -> Library:
    """The library that comes with the station. Raises as `load_library`."""
    return load_library(SHIPPED)
