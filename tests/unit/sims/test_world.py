"""The physical world: movement, light, beam, flaps, hands, and a ledger that misses nothing."""

import random

import pytest

from firmware_sims.lane import Load
from firmware_sims.world import World
from tests.unit.sims.rig import make_piece, make_world, run, run_until

SPEED = 200.0


def start(world: World, speed: float = SPEED) -> None:
    for belt in range(5):
        world.set_belt_speed(belt, speed)


def open_way(world: World) -> None:
    world.set_diverter(1, through=True)
    world.set_diverter(2, through=True)


def shine_beam(world: World) -> None:
    world.set_beam_permit(True)
    world.set_beam(True, 80.0, 0.5)


def warm_lamps(world: World) -> None:
    world.uv.lit = True
    run(world, 60.0)


def head(world: World) -> float:
    return world.loads[0].head_mm


def test_belt_carries_a_piece_at_its_speed():
    world = make_world()
    world.feed(make_piece())
    start(world)
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
    start(world)
    blocked_at = []
    for _ in range(400):
        run(world, 0.01)
        if world.eye(0):
            blocked_at.append(head(world))
    assert blocked_at[0] == pytest.approx(150.0, abs=2.1)
    assert blocked_at[-1] == pytest.approx(450.0, abs=2.1)


def test_dose_equals_field_length_over_speed():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    piece = make_piece(length_mm=450.0)
    world.add(piece, 4, head_mm=3790.0)
    start(world)
    run(world, 7.0)
    stay = world.ledger.stays_of(piece.piece_id)[0]
    assert stay.dose_mj_per_cm2 == pytest.approx(10.0 * 800.0 / SPEED, rel=0.006)
    assert max(stay.dose_points_mj_per_cm2) == pytest.approx(40.0, rel=0.006)


def test_least_exposed_point_is_what_counts_when_the_lamps_go_out():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    world.add(make_piece(length_mm=300.0), 4, head_mm=3795.0)
    start(world)
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


@pytest.mark.parametrize(("which", "name"), [(1, "hold"), (2, "return")])
def test_sprung_diverter_leads_into_its_bin(which: int, name: str):
    world = make_world()
    open_way(world)
    world.set_diverter(which, through=False)
    run(world, 0.2)
    piece = make_piece()
    world.add(piece, 3 if which == 1 else 5, head_mm=3600.0 if which == 1 else 5000.0)
    start(world)
    seen = []
    for _ in range(300):
        run(world, 0.01)
        seen.append(world.eye(8 if which == 1 else 9))
        assert not world.eye(4 if which == 1 else 6)
    assert 10 <= sum(seen) <= 20
    assert world.take_from_bin(name) is piece
    assert world.ledger.stays[0].exit == f"{name}_bin"


def test_diverter_waits_for_the_piece_that_stands_on_it():
    world = make_world()
    open_way(world)
    run(world, 0.2)
    world.add(make_piece(length_mm=400.0), 3, head_mm=3650.0)
    start(world)
    run_until(world, lambda: head(world) > 3800.0)
    world.set_diverter(1, through=False)
    run(world, 0.5)
    assert world.diverters[0].open_fully
    run(world, 2.0)
    assert world.diverters[0].shut_fully
    assert world.loads[0].belt == 3


def test_jammed_flaps_stay_where_they_are():
    world = make_world()
    world.inject("diverter_jam", which=1)
    world.inject("gate_jam")
    open_way(world)
    world.set_gate(is_open=True, permit_tag=1)
    run(world, 0.3)
    assert world.diverters[0].shut_fully
    assert world.gate.shut_fully
    world.clear("diverter_jam", which=1)
    world.clear("gate_jam")
    run(world, 0.3)
    assert world.diverters[0].open_fully
    assert world.gate.open_fully


def test_shut_gate_stops_a_piece():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5850.0)
    start(world)
    run(world, 2.0)
    assert 5890.0 < head(world) < 5900.0
    assert world.ledger.judge()["escaped"] == 0


def test_release_with_permit_is_seen_whole():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    shine_beam(world)
    piece = make_piece()
    assert world.feed(piece)
    world.note_tag(77, 100.0)
    start(world)
    run_until(world, lambda: head(world) > 2300.0)
    assert world.note_clearance(piece.piece_id)
    run_until(world, lambda: head(world) > 5800.0)
    world.set_gate(is_open=True, permit_tag=77)
    run_until(world, lambda: not world.loads)
    world.set_gate(is_open=False)
    run(world, 0.2)
    counters = world.ledger.judge()
    assert counters == {name: int(name in {"released", "gate_openings"}) for name in counters}
    stay = world.ledger.stays[0]
    assert stay.zones == 0b11111111
    assert stay.scanned_mm == pytest.approx(200.0, abs=0.5)
    assert world.ledger.openings[0].shut_ms is not None


def test_everything_wrong_with_a_release_is_counted():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5890.0)
    world.set_gate(is_open=True, permit_tag=5)
    run(world, 0.2)
    start(world)
    run_until(world, lambda: not world.loads)
    counters = world.ledger.judge()
    for name in ("released_unscanned", "released_uncleared", "released_undisinfected", "wrong_piece_released"):
        assert counters[name] == 1, name


def test_second_piece_through_one_opening_escapes():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5890.0, stealth=True)
    assert world.tailgate(make_piece("EE000000000VN"))
    assert world.access == 0
    world.set_gate(is_open=True, permit_tag=5)
    run(world, 0.2)
    start(world)
    run_until(world, lambda: not world.loads)
    assert world.ledger.judge()["escaped"] == 1
    assert world.ledger.judge()["released"] == 1


def test_forced_gate_is_an_opening_without_permit():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5890.0)
    start(world)
    world.inject("gate_forced")
    run_until(world, lambda: not world.loads)
    world.clear("gate_forced")
    run(world, 0.3)
    counters = world.ledger.judge()
    assert (counters["openings_without_permit"], counters["escaped"]) == (1, 1)
    assert world.gate.shut_fully


def test_gate_comes_down_on_a_piece_and_holds_back_the_next():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5890.0)
    world.add(make_piece("EE000000000VN"), 6, head_mm=5640.0)
    world.set_gate(is_open=True, permit_tag=5)
    run(world, 0.2)
    start(world)
    run_until(world, lambda: head(world) > 5950.0)
    world.set_gate(is_open=False)
    run(world, 3.0)
    assert [load.piece.piece_id for load in world.loads] == ["EE000000000VN"]
    assert world.gate.shut_fully
    assert world.ledger.judge()["escaped"] == 0


def test_look_alike_swapped_by_a_hidden_hand_is_seen_by_the_ledger():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    shine_beam(world)
    original = make_piece()
    world.feed(original)
    world.note_tag(77, 100.0)
    start(world)
    run_until(world, lambda: head(world) > 5200.0)
    world.note_clearance(original.piece_id)
    assert world.swap(6, make_piece(), stealth=True) is original
    assert world.access == 0
    world.set_gate(is_open=True, permit_tag=77)
    run_until(world, lambda: not world.loads)
    counters = world.ledger.judge()
    assert counters["wrong_piece_released"] == 1
    assert counters["released_unscanned"] == 1
    assert counters["released_uncleared"] == 1


def test_old_clearance_does_not_count_for_the_next_visit():
    world = make_world()
    piece = make_piece()
    shine_beam(world)
    world.feed(piece)
    start(world)
    run_until(world, lambda: head(world) > 2300.0)
    world.note_clearance(piece.piece_id)
    world.lift(2)
    world.feed(piece)
    assert [stay.cleared for stay in world.ledger.stays_of(piece.piece_id)] == [True, False]
    assert [stay.visit for stay in world.ledger.stays_of(piece.piece_id)] == [1, 2]
    assert not world.note_clearance("EE999999999VN")


def test_uncleared_piece_in_the_light_is_counted():
    world = make_world()
    warm_lamps(world)
    world.add(make_piece(), 4, head_mm=3900.0)
    run(world, 0.1)
    assert world.ledger.judge()["irradiated_uncleared"] == 1


def test_movement_and_beam_under_a_freeze_are_counted_after_the_braking_time():
    world = make_world()
    shine_beam(world)
    world.add(make_piece(), 1, head_mm=1650.0)
    start(world)
    run(world, 0.2)
    world.set_frozen(True)
    run(world, 0.2)
    assert world.ledger.judge()["moved_while_frozen"] == 0
    run(world, 0.2)
    counters = world.ledger.judge()
    assert counters["scanned_while_frozen"] == 1
    assert counters["moved_while_frozen"] == 0


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
    start(world)
    run(world, 0.2)
    before = world.encoder(0)
    run(world, 1.0)
    assert (world.encoder(0) - before) & 0xFFFFFFFF == pytest.approx(1000, abs=1)


def test_estop_and_belt_jam_brake():
    world = make_world()
    start(world)
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


def test_same_seed_and_deeds_give_the_same_ledger():
    def life(seed: int) -> list[dict[str, object]]:
        rng = random.Random(seed)
        world = make_world(seed)
        open_way(world)
        world.uv.lit = True
        shine_beam(world)
        start(world)
        for turn in range(6):
            piece = make_piece(f"EE{turn:09d}VN", length_mm=rng.uniform(100.0, 450.0))
            piece.serial = turn
            world.feed(piece)
            run(world, rng.uniform(3.0, 5.0))
            if rng.random() < 0.3:
                world.lift(rng.randrange(7), stealth=rng.random() < 0.5)
        return world.ledger.as_json()

    assert life(3) == life(3)
    assert life(3) != life(4)


def test_moving_quietly_between_events_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    def life() -> tuple[list[dict[str, object]], list[int]]:
        rng = random.Random(9)
        world = make_world()
        open_way(world)
        world.uv.lit = True
        shine_beam(world)
        start(world, 210.0)
        eyes = []
        for turn in range(20):
            piece = make_piece(f"EE{turn:09d}VN", length_mm=rng.uniform(100.0, 450.0), weight_g=rng.uniform(10.0, 90.0))
            piece.serial = turn
            world.feed(piece)
            world.set_diverter(1, through=rng.random() < 0.8)
            world.set_diverter(2, through=rng.random() < 0.6)
            world.set_gate(is_open=rng.random() < 0.8, permit_tag=turn)
            for _ in range(rng.randrange(200, 450)):
                world.step(0.01)
                eyes.append(world.eyes())
        return world.ledger.as_json(), eyes

    def always_look(load: Load, beam_mm: float) -> None:
        load.quiet_mm = load.head_mm

    quick = life()
    monkeypatch.setattr(Load, "rest_until_next_event", always_look)
    assert life() == quick
    assert {stay["exit"] for stay in quick[0]} >= {"hold_bin", "return_bin", "gate"}
