"""The physical world: movement, eyes, the scale and hands."""

import pytest

from tests.unit.sims.rig import SPEED, head, make_piece, make_world, open_way, run, run_until, start_belts


def test_belt_carries_a_piece_at_its_speed():
    world = make_world()
    world.feed(make_piece())
    start_belts(world)
    run(world, 0.2)
    place, before = head(world), world.encoder(0)
    run(world, 1.0)
    assert head(world) - place == pytest.approx(200.0)
    assert (world.encoder(0) - before) & 0xFFFFFFFF == pytest.approx(2000, abs=1)


def test_piece_moves_with_the_belt_under_its_centre():
    world = make_world()
    world.feed(make_piece(length_mm=400.0))
    world.set_belt_speed(0, SPEED)
    run_until(world, lambda: head(world) > 1100.0)
    world.set_belt_speed(0, 0.0)
    world.set_belt_speed(1, SPEED)
    run(world, 0.5)
    stopped, before = head(world), world.encoder(1)
    run(world, 1.0)
    assert head(world) == stopped
    assert world.encoder(1) - before == pytest.approx(2000, abs=1)


def test_eyes_see_a_piece_from_head_to_tail():
    world = make_world()
    world.feed(make_piece(length_mm=300.0))
    start_belts(world)
    blocked_at = []
    for _ in range(400):
        run(world, 0.01)
        if world.eye(0):
            blocked_at.append(head(world))
    assert blocked_at[0] == pytest.approx(150.0, abs=2.1)
    assert blocked_at[-1] == pytest.approx(450.0, abs=2.1)


def test_hidden_hand_leaves_no_access_bit_and_an_open_one_does():
    world = make_world()
    world.add(make_piece(), 2, stealth=True)
    assert world.access == 0
    world.lift(2)
    assert world.access == 1 << 2
    run(world, 0.6)
    assert world.access == 0
    assert world.lift(2) is None


def test_reaching_into_the_xray_zone_opens_both_interlocks():
    world = make_world()
    world.open_access(1)
    assert (world.interlock_a, world.interlock_b) == (False, False)
    world.close_access(1)
    assert (world.interlock_a, world.interlock_b) == (True, True)


def test_interlock_chatter_makes_the_two_disagree():
    world = make_world()
    world.inject("interlock_chatter", duration_s=0.5)
    disagreements = 0
    for _ in range(60):
        run(world, 0.01)
        disagreements += world.interlock_a != world.interlock_b
    assert disagreements > 10
    assert world.interlock_a


def test_heavier_piece_shoves_a_lighter_one_and_a_lighter_one_slips():
    for weight, shoved in ((500.0, True), (50.0, False)):
        world = make_world()
        world.add(make_piece(), 4, head_mm=4500.0)
        world.add(make_piece("EE000000000VN", weight_g=weight), 3, head_mm=3600.0)
        open_way(world)
        run(world, 0.2)
        world.set_belt_speed(2, 300.0)
        run(world, 0.5)
        world.loads[0].head_mm = 3950.0
        run(world, 1.0)
        assert (head(world) > 3952.0) is shoved
        assert world.loads[1].head_mm <= head(world) - 200.0 + 1e-6


def test_no_room_at_the_infeed_refuses_a_feed():
    world = make_world()
    assert world.feed(make_piece())
    assert not world.feed(make_piece())
    assert world.scale_g() == 100.0
    world.inject("scale_offset", grams=7)
    assert world.scale_g() == 107.0


def test_stuck_eye_says_what_it_is_stuck_at():
    world = make_world()
    world.inject("eye_stuck", eye=3, blocked=True)
    assert world.eye(3)
    world.clear("eye_stuck", eye=3)
    assert not world.eye(3)
    world.add(make_piece(), 0, head_mm=200.0)
    run(world, 0.01)
    world.inject("eye_stuck", eye=0, blocked=False)
    assert not world.eye(0)


def test_slipping_encoder_counts_too_little():
    world = make_world()
    world.inject("encoder_slip", belt=0, factor=0.5)
    start_belts(world)
    run(world, 0.2)
    before = world.encoder(0)
    run(world, 1.0)
    assert (world.encoder(0) - before) & 0xFFFFFFFF == pytest.approx(1000, abs=1)


def test_estop_and_belt_jam_brake():
    world = make_world()
    start_belts(world)
    run(world, 0.2)
    world.inject("belt_jam", belt=2)
    run(world, 0.2)
    assert [world.belt_speed_mm_s(belt) for belt in range(5)] == [200.0, 200.0, 0.0, 200.0, 200.0]
    world.inject("estop")
    run(world, 0.2)
    assert not any(world.belt_speed_mm_s(belt) for belt in range(5))


def test_unknown_fault_is_refused():
    world = make_world()
    with pytest.raises(KeyError):
        world.inject("gremlin")
    assert set(world.faults) == set(world._fault_table())
