"""Draw the threat library that the station ships, from our own generator: maps of each thing's materials, and the simulated tube's beam.

    python -m training.make_threat_library [--out DIR] [--seed 2026]

A seed repeats it byte for byte. The station shares no code with the simulators, so all of this goes over as data.
"""

import argparse
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_sims.body import Part
from firmware_sims.mail import GENERATOR_VERSION
from firmware_sims.mail_layout import Place
from firmware_sims.mail_threats import THREATS
from firmware_sims.shapes import Ellipse, Grid, Heap, Outline, Rod, Slab, Wire
from firmware_sims.xray_physics import SCATTER_FRACTION, SCATTER_REACH_MM, beam_tables
from station.screening.projection.library import FORMAT, MANIFEST, MAPS, MAX_MAPS_BYTES, SHIPPED

CELL_MM = 0.15
MARGIN_MM = 1.0
_POINT_MM = 1e-3
LEAST_QUANTUM_MM = 0.002
LEVELS = 512
EACH = {"deep": 5, "flat": 4}
TUBE_KVS = (80, 100, 110, 120, 130, 140, 150, 160)
OVERLAY = ("water", "steel")
SEED = 2026
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def drawn_thing(seed: int, name: str, form: str, number: int) -> list[Part]:
    """The parts of thing `number` of a class, about the origin."""
    rng = np.random.default_rng((seed, sorted(THREATS).index(name), sorted(EACH).index(form), number))
    threat = THREATS[name]
    draw = threat.flat if form == "flat" else threat.draw
    if draw is None:
        raise ValueError(f"{name} is never flat")
    return draw(rng, Place(x_mm=0.0, y_mm=0.0))


def laid(parts: list[Part], *, x_mm: float, y_mm: float, angle_rad: float) -> list[Part]:
    """The same parts turned about the origin and then moved."""
    to = Place(x_mm=x_mm, y_mm=y_mm, angle_rad=angle_rad)
    moved = []
    for part in parts:
        shape = part.shape
        if isinstance(shape, Wire | Outline):
            shape = replace(shape, points_mm=tuple(to.at(*point) for point in shape.points_mm))
        else:
            x, y = to.at(shape.x_mm, shape.y_mm)  # type: ignore[attr-defined]
            shape = replace(shape, x_mm=x, y_mm=y, angle_rad=shape.angle_rad + angle_rad)  # type: ignore[attr-defined, type-var]
        moved.append(replace(part, shape=shape))
    return moved


def extent_mm(parts: list[Part]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of all parts."""
    bounds = [part.shape.bounds_mm() for part in parts]
    return min(b[0] for b in bounds), min(b[1] for b in bounds), max(b[2] for b in bounds), max(b[3] for b in bounds)


def centred(parts: list[Part]) -> tuple[list[Part], float, float]:
    """The parts moved so that their map, with a margin of air, begins at 0, 0; and the map's extent."""
    x0, y0, x1, y1 = extent_mm(parts)
    length, width = (np.ceil((side + 2 * MARGIN_MM) / CELL_MM) * CELL_MM for side in (x1 - x0, y1 - y0))
    return laid(parts, x_mm=length / 2 - (x0 + x1) / 2, y_mm=width / 2 - (y0 + y1) / 2, angle_rad=0.0), float(length), float(width)


def _height_mm(part: Part) -> float:
    """How thick a part is from the outside, hollow or not."""
    shape = part.shape
    if isinstance(shape, Rod | Wire):
        return 2 * shape.radius_mm
    if isinstance(shape, Heap):
        return shape.thick_mm * (1 + sum(share for *_, share in shape.waves))
    if isinstance(shape, Slab | Ellipse | Outline):
        return shape.thick_mm
    raise TypeError(f"no height of {shape}")


def maps_mm(parts: list[Part], length_mm: float, width_mm: float) -> dict[str, npt.NDArray[np.float32]]:
    """Thickness (rows, columns) of each material at the middle of each cell.

    Edges fall between two cells as sharp as they are drawn, since the station's averaging over a pixel is all the blur that there may be.
    Only what is as thin as a cell is averaged over it, or it would weigh too much in one place and nothing in another.
    """
    xs, ys = (
        ((np.arange(round(side / CELL_MM), dtype=np.float32) + np.float32(0.5)) * np.float32(CELL_MM)) for side in (length_mm, width_mm)
    )
    mean = Grid(x_mm=xs[:, None], y_mm=ys[None, :], line_mm=CELL_MM, pixel_mm=CELL_MM)
    point = replace(mean, line_mm=_POINT_MM, pixel_mm=_POINT_MM)
    maps: dict[str, npt.NDArray[np.float32]] = {}
    for part in parts:
        there = part.shape.thickness_mm(mean if isinstance(part.shape, Rod | Wire) else point)
        maps[part.material] = maps.get(part.material, np.float32(0)) + np.float32(part.sign) * there
    return {material: np.maximum(thickness, 0) for material, thickness in maps.items()}


def packed(thickness_mm: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint16], float]:
    """Whole quanta as differences across and along (see `library.unpacked`), and the quantum."""
    quantum = max(LEAST_QUANTUM_MM, float(thickness_mm.max()) / LEVELS)
    whole = np.rint(thickness_mm / quantum).astype(np.uint16)
    across = np.diff(whole, axis=1, prepend=np.uint16(0))
    return np.diff(across, axis=0, prepend=np.uint16(0)).astype(np.uint16), quantum


def _npz(arrays: dict[str, npt.NDArray[np.uint16]]) -> bytes:
    """As `numpy.savez_compressed`, but packed harder, and without the time of writing, so that a seed repeats the bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), one.getvalue(), zipfile.ZIP_LZMA)
    return buffer.getvalue()


def _beam(materials: list[str]) -> dict[str, object]:
    tables = beam_tables()
    tubes = []
    for kv in TUBE_KVS:
        weights = tables.weights[tables.tube_kvs.index(kv)]
        shares = weights / weights.sum(axis=1, keepdims=True)
        tubes.append({"tube_kv": kv, "weights": [[round(float(share), 7) for share in row] for row in shares]})
    rows = {name: [float(f"{value:.6g}") for value in tables.attenuation_per_mm[tables.materials[name]]] for name in materials}
    return {
        "tubes": tubes,
        "attenuation_per_mm": rows,
        "scatter_share": SCATTER_FRACTION,
        "scatter_mm": [SCATTER_REACH_MM / 4, SCATTER_REACH_MM],
    }


def make(out: Path, seed: int) -> dict[str, object]:
    """Write both files; returns the manifest."""
    arrays: dict[str, npt.NDArray[np.uint16]] = {}
    things = []
    for name, threat in THREATS.items():
        for form, count in EACH.items():
            for number in range(count if form == "deep" or threat.flat else 0):
                thing_id = f"{name}-{form}-{number + 1}"
                parts, length, width = centred(drawn_thing(seed, name, form, number))
                quanta = {}
                for material, thickness in maps_mm(parts, length, width).items():
                    arrays[f"{thing_id}/{material}"], quanta[material] = packed(thickness)
                things.append(
                    {
                        "id": thing_id,
                        "class": name,
                        "size_mm": [length, width],
                        "height_mm": round(max(_height_mm(part) for part in parts), 1),
                        "materials": quanta,
                    }
                )
    content = _npz(arrays)
    used = sorted({material for array in arrays for material in [array.split("/")[1]]} | set(OVERLAY))
    manifest: dict[str, object] = {
        "format": FORMAT,
        "version": f"1, drawn by the mail generator's version {GENERATOR_VERSION}, seed {seed}",
        "maps_sha256": hashlib.sha256(content).hexdigest(),
        "cell_mm": CELL_MM,
        "things": things,
        "beam": _beam(used),
    }
    if len(content) > MAX_MAPS_BYTES:
        raise ValueError(f"{len(content)} bytes of maps are too many; draw fewer things")
    out.mkdir(parents=True, exist_ok=True)
    (out / MAPS).write_bytes(content)
    (out / MANIFEST).write_text(json.dumps(manifest, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
    return manifest


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    manifest = make(options.out, options.seed)
    things = manifest["things"]
    size = (options.out / MAPS).stat().st_size
    print(f"{len(things) if isinstance(things, list) else 0} things, {size} bytes of maps")


if __name__ == "__main__":
    main()
