"""Bake `beam_tables.json`: tube spectra (spekpy) and attenuation (xraydb) in energy groups.

spekpy takes seconds to import and a fraction of a second per spectrum; a simulator that starts in a test cannot
wait for that, so the small result is kept beside the code. Run `python -m firmware_sims.bake_beam` after changing a
material, the filtration or the scintillators; a test compares the file with a fresh computation.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_sims.materials import MATERIALS

TABLE_FILE = Path(__file__).with_name("beam_tables.json")
GROUP_EDGES_KEV = (12, 16, 20, 24, 28, 32, 36, 40, 45, 50, 55, 60, 66, 72, 80, 88, 100, 115, 130, 145, 160, 180)
TUBE_KVS = tuple(range(40, 185, 10))
ANODE_ANGLE_DEG = 20.0
TUBE_FILTERS_MM = (("Be", 0.8), ("Al", 1.5))
BELT_MM_PE = 2.0
# Within a group, attenuation is averaged over the first of these beams that reaches the group: what is drawn at 160 kV does not hang on
# whether higher voltages are baked too.
GROUP_BEAMS_KV = (160, 180)
# Front: 0.3 mm gadolinium oxysulphide; then 0.6 mm copper; behind it 4 mm caesium iodide.
FRONT_SCINTILLATOR = ("Gd2O2S", 7.3, 0.03)
COPPER_FILTER = ("Cu", 8.96, 0.06)
REAR_SCINTILLATOR = ("CsI", 4.51, 0.4)

Array = npt.NDArray[np.float64]


def attenuation_per_mm(formula: str, density_g_cm3: float, energies_kev: Array) -> Array:
    """Linear attenuation coefficient (1/mm) at `energies_kev` from xraydb (Elam tables)."""
    import xraydb  # noqa: PLC0415  a slow import that only baking needs

    per_cm = xraydb.material_mu(formula, energies_kev * 1000.0, density=density_g_cm3)
    return np.asarray(per_cm, dtype=np.float64) / 10.0


def tube_spectrum(tube_kv: int) -> tuple[Array, Array]:
    """Energies (keV) and photon fluence per mAs of the filtered tube at `tube_kv` from spekpy."""
    import spekpy  # noqa: PLC0415  a slow import that only baking needs

    source = spekpy.Spek(kvp=tube_kv, th=ANODE_ANGLE_DEG, dk=1.0)
    for element, millimetres in TUBE_FILTERS_MM:
        source.filter(element, millimetres)
    energies, fluence = source.get_spectrum()
    return np.asarray(energies, dtype=np.float64), np.asarray(fluence, dtype=np.float64)


def _response(energies_kev: Array) -> tuple[Array, Array]:
    """Energy absorbed per incident photon in the front (LE) and rear (HE) scintillator."""

    def depth(layer: tuple[str, float, float]) -> Array:
        formula, density, centimetres = layer
        return attenuation_per_mm(formula, density, energies_kev) * centimetres * 10.0

    front = depth(FRONT_SCINTILLATOR)
    low = energies_kev * (1.0 - np.exp(-front))
    high = energies_kev * np.exp(-front - depth(COPPER_FILTER)) * (1.0 - np.exp(-depth(REAR_SCINTILLATOR)))
    return low, high


def _behind_belt(tube_kv: int, edges_kev: Array) -> tuple[Array, Array]:
    """Energies within the groups and photon fluence of the beam behind an empty belt."""
    energies, fluence = tube_spectrum(tube_kv)
    keep = (energies >= edges_kev[0]) & (energies < edges_kev[-1])
    energies, fluence = energies[keep], fluence[keep]
    belt = MATERIALS["pe"]
    return energies, fluence * np.exp(-BELT_MM_PE * attenuation_per_mm(belt.formula, belt.density_g_cm3, energies))


def group_table(tube_kvs: Sequence[int]) -> dict[str, object]:
    """The table for `tube_kvs`: detector weights per kV and group, attenuation per material and group."""
    edges = np.asarray(GROUP_EDGES_KEV, dtype=np.float64)
    weights: dict[str, list[list[float]]] = {}
    if not tube_kvs:
        raise ValueError("at least one tube voltage is needed")
    for tube_kv in sorted(tube_kvs):
        energies, fluence = _behind_belt(tube_kv, edges)
        group = np.digitize(energies, edges) - 1
        weights[str(tube_kv)] = [
            [float(f"{value:.5g}") for value in np.bincount(group, fluence * response, len(edges) - 1)] for response in _response(energies)
        ]
    attenuation: dict[str, list[float]] = {name: [] for name in MATERIALS}
    first = 0
    for beam_kv in GROUP_BEAMS_KV:
        energies, fluence = _behind_belt(beam_kv, edges)
        low, high = _response(energies)
        seen = fluence * (low + high)
        group = np.digitize(energies, edges) - 1
        last = int(group.max()) + 1
        total = np.bincount(group, seen, last)
        for name, item in MATERIALS.items():
            mean = np.bincount(group, seen * attenuation_per_mm(item.formula, item.density_g_cm3, energies), last) / total
            attenuation[name] += [float(f"{value:.5g}") for value in mean[first:]]
        first = last
    return {
        "group_edges_kev": list(GROUP_EDGES_KEV),
        "weights": weights,
        "attenuation_per_mm": attenuation,
    }


def main() -> None:
    """Write the table file."""
    table = group_table(TUBE_KVS)
    parts = []
    for name, value in table.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in value.items())
            parts.append(f" {json.dumps(name)}: {{\n{rows}\n }}")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value)}")
    TABLE_FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
