"""The world's UV light and its X-ray beam."""

import pytest

from tests.unit.sims.rig import SPEED, head, make_piece, make_world, open_way, run, run_until, shine_beam, start_belts, warm_lamps


def test_dose_equals_field_length_over_speed():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    piece = make_piece(length_mm=450.0)
    world.add(piece, 4, head_mm=3790.0)
    start_belts(world)
    run(world, 7.0)
    stay = world.ledger.stays_of(piece.piece_id)[0]
    assert stay.dose_mj_per_cm2 == pytest.approx(10.0 * 800.0 / SPEED, rel=0.006)
    assert max(stay.dose_points_mj_per_cm2) == pytest.approx(40.0, rel=0.006)


def test_least_exposed_point_is_what_counts_when_the_lamps_go_out():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    world.add(make_piece(length_mm=300.0), 4, head_mm=3795.0)
    start_belts(world)
    run_until(world, lambda: head(world) > 4590.0)
    world.uv.lit = False
    run(world, 3.0)
    stay = world.ledger.stays[0]
    # The tail was 790 - 300 mm into the field when the light went.
    assert stay.dose_mj_per_cm2 == pytest.approx(10.0 * 490.0 / SPEED, rel=0.02)


def test_burnt_lamp_darkens_its_quarter():
    world = make_world()
    warm_lamps(world)
    world.inject("lamp_failure", lamp=2)
    readings = world.uv.irradiance_mw_per_cm2()
    assert min(readings) == readings[2] == pytest.approx(10.0 * 0.25 * 0.75, rel=0.01)
    assert world.uv.burning() == 0b1011
    world.clear("lamp_failure", lamp=2)
    assert world.uv.burning() == 0b1111


def test_lamps_have_no_power_while_frozen():
    world = make_world()
    warm_lamps(world)
    world.set_frozen(True)
    run(world, 0.05)
    assert world.uv.level_mw_per_cm2 == 0.0


def test_beam_needs_the_hardware_permit():
    world = make_world()
    world.set_beam(True, 80.0, 0.5)
    assert not world.beam_on
    shine_beam(world)
    assert world.beam_on
    world.set_beam_permit(False)
    assert (world.beam_on, world.beam_kv) == (False, 0.0)


def test_pieces_at_beam_gives_the_distance_from_the_leading_edge():
    world = make_world()
    piece = make_piece()
    world.add(piece, 1, head_mm=1650.0)
    world.add(make_piece("EE000000000VN"), 0, head_mm=800.0)
    assert world.pieces_at_beam() == [(piece, 50.0)]
