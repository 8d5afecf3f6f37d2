"""The world's diverters and its gate."""

import pytest

from tests.unit.sims.rig import head, make_piece, make_world, open_way, run, run_until, start_belts


@pytest.mark.parametrize(("which", "name"), [(1, "hold"), (2, "return")])
def test_sprung_diverter_leads_into_its_bin(which: int, name: str):
    world = make_world()
    open_way(world)
    world.set_diverter(which, through=False)
    run(world, 0.2)
    piece = make_piece()
    world.add(piece, 3 if which == 1 else 5, head_mm=3600.0 if which == 1 else 5000.0)
    start_belts(world)
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
    start_belts(world)
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
    start_belts(world)
    run(world, 2.0)
    assert 5890.0 < head(world) < 5900.0
    assert world.ledger.judge()["escaped"] == 0


def test_forced_gate_is_an_opening_without_permit():
    world = make_world()
    world.add(make_piece(), 6, head_mm=5890.0)
    start_belts(world)
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
    start_belts(world)
    run_until(world, lambda: head(world) > 5950.0)
    world.set_gate(is_open=False)
    run(world, 3.0)
    assert [load.piece.piece_id for load in world.loads] == ["EE000000000VN"]
    assert world.gate.shut_fully
    assert world.ledger.judge()["escaped"] == 0
