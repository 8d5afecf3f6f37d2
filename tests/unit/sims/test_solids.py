import math

import numpy as np
import pytest

from firmware_sims.body import Part, ThingBody
from firmware_sims.mail_layout import Place
from firmware_sims.shapes import Shape, Slab
from firmware_sims.solids import Block, Drum, Ellipsoid, Pose, Prism, turned_rows
from firmware_sims.textures import Uneven
from firmware_sims.tumble import Fall, tumbled

HOOK = ((-20.0, -10.0), (15.0, -10.0), (15.0, -2.0), (-5.0, 0.0), (-6.0, 10.0), (-20.0, 10.0))


def thickness(parts: list[Part], pitch: float = 0.8) -> np.ndarray:
    return ThingBody(length_mm=80.0, width_mm=80.0, parts=tuple(parts)).thickness_maps_mm(line_mm=pitch, pixel_mm=pitch)["steel"]


def solids(pose: Pose) -> list[tuple[Shape, float]]:
    return [
        (Block(pose=pose, length_mm=30, width_mm=20, thick_mm=2), 1200.0),
        (Drum(pose=pose, radius_u_mm=15, radius_v_mm=9, thick_mm=4, hole=0.5), math.pi * 135 * 0.75 * 4),
        (Ellipsoid(pose=pose, radius_u_mm=15, radius_v_mm=9, radius_w_mm=5, hole=0.8), 4 / 3 * math.pi * 675 * (1 - 0.512)),
        (Prism(pose=pose, points_mm=HOOK, thick_mm=2), 2 * 450.0),
    ]


@pytest.mark.parametrize("tilt", [0.0, 0.3, 1.0, math.pi / 2, 2.5])
@pytest.mark.parametrize("about", [0.0, 0.7])
def test_solids_keep_their_volume_however_they_lie(tilt: float, about: float):
    area = abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(HOOK, (*HOOK[1:], HOOK[0]), strict=True))) / 2
    for shape, volume in solids(Pose(x_mm=40, y_mm=40, rows=turned_rows(0.4, tilt, about, 0.3))):
        expected = 2 * area if isinstance(shape, Prism) else volume
        seen = thickness([Part(material="steel", shape=shape)])
        assert float(seen.sum()) * 0.64 == pytest.approx(expected, rel=0.02)
        x0, y0, x1, y1 = shape.bounds_mm()
        rows, columns = np.nonzero(seen)
        assert x0 - 1 <= rows.min() * 0.8 <= rows.max() * 0.8 <= x1 + 1
        assert y0 - 1 <= columns.min() * 0.8 <= columns.max() * 0.8 <= y1 + 1


def test_a_plate_on_edge_is_thin_and_dark():
    plate = [Part(material="steel", shape=Slab(x_mm=0, y_mm=0, length_mm=40, width_mm=24, thick_mm=2))]
    at = Place(x_mm=40.2, y_mm=40.3)
    flat, upright = (thickness(tumbled(plate, Fall(at=at, tilt_rad=tilt, about_rad=0.0))) for tilt in (0.0, math.pi / 2))
    assert flat.max() == pytest.approx(2.0, rel=0.01)
    assert upright.max() == pytest.approx(24.0, rel=0.15)
    assert (upright > 1).sum() * 6 < (flat > 1).sum()
    assert upright.sum() == pytest.approx(flat.sum(), rel=0.1)


def test_a_solid_is_not_tumbled_twice():
    once = tumbled(
        [Part(material="steel", shape=Slab(x_mm=0, y_mm=0, length_mm=9, width_mm=9, thick_mm=1))],
        Fall(at=Place(x_mm=9, y_mm=9), tilt_rad=1, about_rad=0),
    )
    with pytest.raises(TypeError, match="tumble a thing once"):
        tumbled(once, Fall(at=Place(x_mm=9, y_mm=9), tilt_rad=1, about_rad=0))


def test_an_uneven_thing_has_its_density_and_its_spread_at_any_pitch():
    slab = Slab(x_mm=40, y_mm=40, length_mm=60, width_mm=60, thick_mm=10)
    uneven = Uneven(shape=slab, density=1.4, amount=0.1, grain_mm=5.0, seed=3)
    fine, coarse = (thickness([Part(material="steel", shape=uneven)], pitch) for pitch in (0.8, 1.6))
    inside = fine[20:-20, 20:-20]
    assert inside.mean() == pytest.approx(14.0, rel=0.03)
    assert 0.04 < inside.std() / inside.mean() < 0.11
    assert fine.sum() * 0.64 == pytest.approx(coarse.sum() * 2.56, rel=0.01)
    even = thickness([Part(material="steel", shape=Uneven(shape=slab, density=0.5))])
    assert even.max() == pytest.approx(5.0)
