"""The world's ledger misses nothing, and a seed repeats it."""

import random
import tomllib
from importlib import resources

import pytest

from firmware_sims.lane import Load
from firmware_sims.ledger import DEFAULT_DOSE_MJ_PER_CM2, DOSE_POINTS, Ledger, Stay
from tests.unit.sims.rig import head, make_piece, make_world, open_way, run, run_until, shine_beam, start_belts, warm_lamps


def test_release_with_permit_is_seen_whole():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    shine_beam(world)
    piece = make_piece()
    assert world.feed(piece)
    world.note_tag(77, 100.0)
    start_belts(world)
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
    start_belts(world)
    run_until(world, lambda: not world.loads)
    counters = world.ledger.judge()
    for name in ("released_unscanned", "released_uncleared", "released_undisinfected", "wrong_piece_released"):
        assert counters[name] == 1, name


def test_a_dose_below_the_shipped_recipe_is_none():
    shipped = tomllib.loads((resources.files("station.config") / "recipes" / "uvc-tunnel.toml").read_text(encoding="utf-8"))
    assert shipped["target_mj_per_cm2"] == DEFAULT_DOSE_MJ_PER_CM2
    ledger = Ledger()
    for serial, dose_mj_per_cm2 in enumerate((DEFAULT_DOSE_MJ_PER_CM2 - 0.1, DEFAULT_DOSE_MJ_PER_CM2), start=1):
        stay = ledger.arrive(serial=serial, piece_id="X", kind="packet", truth="benign", length_mm=200.0, now_ms=0.0, fed=True)
        stay.dose_points_mj_per_cm2 = [dose_mj_per_cm2] * DOSE_POINTS
        ledger.gate_opened(now_ms=1.0, permit_tag=serial)
        ledger.under_gate(stay)
        stay.exit = "gate"
    assert ledger.judge()["released_undisinfected"] == 1
    assert ledger.judge(dose_mj_per_cm2=DEFAULT_DOSE_MJ_PER_CM2 + 0.1)["released_undisinfected"] == 2


def test_a_clearance_under_a_wrong_number_is_that_of_the_piece_that_was_told_by_it():
    def arrives(serial: int, piece_id: str) -> Stay:
        stay = ledger.arrive(serial=serial, piece_id=piece_id, kind="packet", truth="benign", length_mm=200.0, now_ms=0.0, fed=True)
        stay.scanned_mm = 200.0
        return stay

    ledger = Ledger()
    owner, other = arrives(1, "A"), arrives(2, "B")
    other.told_as.add("A")
    assert ledger.note_clearance("A")
    assert (owner.cleared, other.cleared_misnamed) == (True, False), "the one that bears the number is there"
    owner.cleared, owner.exit = False, "hold_bin"
    ledger.note_clearance("A")
    assert (other.cleared, other.cleared_misnamed) == (False, True)
    other.cleared_misnamed, other.exit = False, "hold_bin"
    ledger.note_clearance("A")
    assert not other.cleared_misnamed, "what people clear in a bin is cleared by its number"


def test_what_was_cleared_under_a_wrong_number_may_have_been_lit_and_may_not_leave():
    ledger = Ledger()
    stay = ledger.arrive(serial=1, piece_id="B", kind="packet", truth="benign", length_mm=200.0, now_ms=0.0, fed=True)
    stay.scanned_mm = 200.0
    stay.told_as.add("A")
    ledger.bind_tag(7, 1)
    ledger.note_clearance("A")
    stay.dose_points_mj_per_cm2 = [DEFAULT_DOSE_MJ_PER_CM2] * len(stay.dose_points_mj_per_cm2)
    assert ledger.judge()["irradiated_uncleared"] == 0
    ledger.gate_opened(now_ms=1.0, permit_tag=7)
    ledger.under_gate(stay)
    stay.exit = "gate"
    assert (ledger.judge()["released"], ledger.judge()["released_uncleared"]) == (1, 1)


def test_second_piece_through_one_opening_escapes():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5890.0, stealth=True)
    assert world.tailgate(make_piece("EE000000000VN"))
    assert world.access == 0
    world.set_gate(is_open=True, permit_tag=5)
    run(world, 0.2)
    start_belts(world)
    run_until(world, lambda: not world.loads)
    assert world.ledger.judge()["escaped"] == 1
    assert world.ledger.judge()["released"] == 1


def test_look_alike_swapped_by_a_hidden_hand_is_seen_by_the_ledger():
    world = make_world()
    open_way(world)
    warm_lamps(world)
    shine_beam(world)
    original = make_piece()
    world.feed(original)
    world.note_tag(77, 100.0)
    start_belts(world)
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
    start_belts(world)
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
    start_belts(world)
    run(world, 0.2)
    world.set_frozen(True)
    run(world, 0.2)
    assert world.ledger.judge()["moved_while_frozen"] == 0
    run(world, 0.2)
    counters = world.ledger.judge()
    assert counters["scanned_while_frozen"] == 1
    assert counters["moved_while_frozen"] == 0


def test_same_seed_and_deeds_give_the_same_ledger():
    def life(seed: int) -> list[dict[str, object]]:
        rng = random.Random(seed)
        world = make_world(seed)
        open_way(world)
        world.uv.lit = True
        shine_beam(world)
        start_belts(world)
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
        start_belts(world, 210.0)
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
