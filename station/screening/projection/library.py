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

    `thickness_mm` (materials, rows, columns) on a grid of `cell_mm`, its rows named by `materials`; row along the belt where it is not turned.
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
class Library:
    """All things, and the beams by tube voltage. `sha256` is over the manifest, which holds that of the maps."""

    sha256: str
    version: str
    things: tuple[Thing, ...]
    beams: tuple[Beam, ...]

    def beam(self, tube_kv: float) -> Beam:
        """The beam of the nearest voltage."""
        return min(self.beams, key=lambda beam: abs(beam.tube_kv - tube_kv))

    def thing(self, thing_id: str) -> Thing:
        """One thing by its id.

        Raises:
            ScreeningError: there is none.
        """
        for thing in self.things:
            if thing.thing_id == thing_id:
                return thing
        raise _broken(f"it holds no {thing_id!r}")


def _broken(why: str) -> ScreeningError:
    return ScreeningError(f"threat library: {why}", consequence="no threat is projected", remedy="install the station's files again")


def unpacked(stored: npt.NDArray[np.uint16], quantum_mm: float) -> FloatArray:
    """Thickness from differences along and across, modulo 2¹⁶: smooth maps pack well that way."""
    whole = np.cumsum(np.cumsum(stored, axis=0, dtype=np.uint16), axis=1, dtype=np.uint16)
    thickness: FloatArray = whole.astype(np.float32) * np.float32(quantum_mm)
    return thickness


def _thing(entry: dict[str, Any], maps: Any, cell_mm: float) -> Thing:
    layers = [unpacked(maps[f"{entry['id']}/{name}"], float(quantum)) for name, quantum in entry["materials"].items()]
    return Thing(
        thing_id=str(entry["id"]),
        threat_class=str(entry["class"]),
        materials=tuple(entry["materials"]),
        thickness_mm=np.stack(layers),
        cell_mm=cell_mm,
        height_mm=float(entry["height_mm"]),
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
        ScreeningError: a file is missing, the maps are not those of the manifest (nothing of them is decoded then), or something is malformed.
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
        with np.load(io.BytesIO(map_bytes), allow_pickle=False) as maps:
            things = tuple(_thing(entry, maps, float(manifest["cell_mm"])) for entry in manifest["things"])
        beams = tuple(_beam(entry, manifest["beam"]) for entry in manifest["beam"]["tubes"])
        version = str(manifest["version"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _broken(f"{MANIFEST} is malformed ({error})") from error
    return Library(sha256=hashlib.sha256(manifest_bytes).hexdigest(), version=version, things=things, beams=beams)


@cache
def shipped_library() -> Library:
    """The library that comes with the station. Raises as `load_library`."""
    return load_library(SHIPPED)
