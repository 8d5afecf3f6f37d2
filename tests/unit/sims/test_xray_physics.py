import json

import numpy as np
import pytest

from firmware_sims.bake_beam import TABLE_FILE, group_table
from firmware_sims.body import Part, ThingBody
from firmware_sims.materials import MATERIALS
from firmware_sims.shapes import Ellipse, Outline, Rod, Shape, Slab, Wire
from firmware_sims.xray_physics import air_signal, beam_tables, piece_transmission, transmission


def attenuation(material: str, millimetres: float, kv: float = 160.0) -> tuple[float, float]:
    rows = [beam_tables().materials[material]]
    seen = transmission(np.full((1, 1), millimetres, dtype=np.float32), rows, tube_kv=kv)[:, 0]
    return -float(np.log(seen[0])), -float(np.log(seen[1]))


@pytest.mark.filterwarnings("ignore")
def test_baked_tables_equal_a_fresh_computation():
    fresh = group_table([60, 180])
    baked = json.loads(TABLE_FILE.read_text())
    assert fresh["group_edges_kev"] == baked["group_edges_kev"]
    assert set(baked["attenuation_per_mm"]) == set(MATERIALS)
    for kv, rows in fresh["weights"].items():
        np.testing.assert_allclose(rows, baked["weights"][kv], rtol=1e-3)
    for name, row in fresh["attenuation_per_mm"].items():
        np.testing.assert_allclose(row, baked["attenuation_per_mm"][name], rtol=1e-3)


def test_no_material_lets_everything_through():
    assert attenuation("water", 0.0) == pytest.approx((0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize("material", sorted(MATERIALS))
def test_more_material_lets_less_through_in_both_energies(material: str):
    low, high = zip(*(attenuation(material, depth) for depth in (0.5, 1.0, 2.0, 4.0)), strict=True)
    assert all(np.diff(low) > 0)
    assert all(np.diff(high) > 0)


def test_the_beam_hardens():
    once, twice = attenuation("steel", 5.0)[0], attenuation("steel", 10.0)[0]
    assert 1.2 * once < twice < 1.9 * once


def test_materials_part_by_the_ratio_of_the_energies():
    ratios = {}
    for material, depth in (("pe", 30.0), ("water", 30.0), ("aluminium", 6.0), ("steel", 1.0)):
        low, high = attenuation(material, depth)
        ratios[material] = low / high
    assert ratios["pe"] < ratios["water"] < ratios["aluminium"] < ratios["steel"]


def test_water_agrees_with_a_narrow_beam_estimate():
    # Mean energies of the two channels are about 55 and 95 keV: 0.0214 and 0.0172 per mm (NIST XCOM).
    low, high = attenuation("water", 10.0)
    assert low == pytest.approx(0.214, rel=0.15)
    assert high == pytest.approx(0.172, rel=0.1)


def test_a_lead_sheet_blocks_nearly_everything():
    low, high = attenuation("lead", 4.0)
    assert low > 5
    assert high > 5


def test_air_signal_rises_with_kv_and_is_one_at_nominal():
    assert air_signal(160.0) == pytest.approx((1.0, 1.0))
    assert air_signal(0.0) == (0.0, 0.0)
    low, high = zip(*(air_signal(kv) for kv in (40, 65, 90, 120, 143, 160)), strict=True)
    assert all(np.diff(low) > 0)
    assert all(np.diff(high) > 0)


def test_unknown_material_is_refused():
    with pytest.raises(KeyError):
        piece_transmission({"unobtainium": np.ones((2, 2), dtype=np.float32)}, tube_kv=160.0)


def body_of(shape: Shape, material: str = "steel") -> ThingBody:
    return ThingBody(length_mm=60.0, width_mm=60.0, parts=(Part(material=material, shape=shape),))


@pytest.mark.parametrize("pitch", [0.4, 0.8, 1.6])
@pytest.mark.parametrize(
    ("shape", "volume"),
    [
        (Slab(x_mm=30, y_mm=30, length_mm=20, width_mm=11, thick_mm=3), 660.0),
        (Slab(x_mm=30, y_mm=30, length_mm=20, width_mm=11, thick_mm=3, angle_rad=0.6), 660.0),
        (Ellipse(x_mm=30, y_mm=30, radius_x_mm=15, radius_y_mm=15, thick_mm=2), np.pi * 450),
        (Ellipse(x_mm=30, y_mm=30, radius_x_mm=15, radius_y_mm=15, thick_mm=2, hole=0.5), np.pi * 450 * 0.75),
        (Rod(x_mm=30, y_mm=30, length_mm=30, radius_mm=4, angle_rad=0.3), np.pi * 16 * 30),
        (Rod(x_mm=30, y_mm=30, length_mm=30, radius_mm=4, bore_mm=3), np.pi * 7 * 30),
        (Wire(points_mm=((10, 10), (50, 10)), radius_mm=0.1), np.pi * 0.01 * 40),
        (Outline(points_mm=((10, 10), (40, 10), (40, 40)), thick_mm=2), 900.0),
    ],
)
def test_shapes_keep_their_volume_at_any_pitch(shape: Shape, volume: float, pitch: float):
    maps = body_of(shape).thickness_maps_mm(line_mm=pitch, pixel_mm=pitch)
    assert float(maps["steel"].sum()) * pitch * pitch == pytest.approx(volume, rel=0.08)


def test_a_hole_cuts_only_its_own_material():
    slab = Slab(x_mm=30, y_mm=30, length_mm=40, width_mm=40, thick_mm=1)
    hole = Slab(x_mm=30, y_mm=30, length_mm=10, width_mm=10, thick_mm=5)
    body = ThingBody(
        length_mm=60,
        width_mm=60,
        parts=(Part(material="paper", shape=slab), Part(material="pe", shape=slab), Part(material="paper", shape=hole, sign=-1)),
    )
    maps = body.thickness_maps_mm(line_mm=1.0, pixel_mm=1.0)
    assert maps["paper"][30, 30] == 0
    assert maps["paper"][15, 15] == 1
    assert maps["pe"][30, 30] == 1


def test_scatter_lifts_what_is_opaque_but_not_air():
    body = body_of(Slab(x_mm=30, y_mm=30, length_mm=30, width_mm=30, thick_mm=20), "lead")
    seen = body.transmission(tube_kv=160.0, line_mm=0.8, pixel_mm=0.8)
    assert 1e-4 < seen[0, 37, 37] < 0.01
    assert seen[0, 2, 2] > 0.993


def test_with_samples_a_pixel_sees_the_mean_of_what_comes_through():
    """Three quarters of a pixel under lead: a quarter of the beam comes through; by its mean thickness next to nothing would."""
    lead = Outline(points_mm=((-5.0, 2.25), (15.0, 2.25), (15.0, 15.0), (-5.0, 15.0)), thick_mm=4.0)
    seen = {
        samples: ThingBody(
            length_mm=10, width_mm=10, parts=(Part(material="lead", shape=lead, samples=samples), Part(material="paper", shape=SHEET))
        ).transmission(tube_kv=160, line_mm=1.0, pixel_mm=1.0)
        for samples in (1, 8)
    }
    row = 0, 5
    assert seen[8][row][2] == pytest.approx(0.25 * seen[8][row][0], abs=0.02)
    assert seen[1][row][2] < 0.1
    assert seen[8][row][[0, 1, 3, 4]] == pytest.approx(seen[1][row][[0, 1, 3, 4]], abs=0.005)


SHEET = Slab(x_mm=5, y_mm=5, length_mm=40, width_mm=40, thick_mm=0.5)
