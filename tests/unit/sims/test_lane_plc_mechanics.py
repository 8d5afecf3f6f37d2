"""The lane PLC's belts, eyes and diverters: jams, purge and maintenance."""

import pytest

from tests.unit.sims.rig import EXECUTE, HELD, Bench, make_piece


def test_eye_stuck_covered_is_a_jam():
    bench = Bench()
    bench.go()
    bench.world.inject("eye_stuck", eye=2, blocked=True)
    bench.run(5.0)
    assert bench.fault(2)
    assert bench.word(11) & 8


@pytest.mark.parametrize(
    ("name", "args", "bit"),
    [("belt_jam", {"belt": 2}, 2), ("encoder_slip", {"belt": 1}, 6)],
)
def test_belt_faults_hold_the_lane(name: str, args: dict[str, int], bit: int):
    bench = Bench()
    bench.execute()
    bench.world.inject(name, **args)
    bench.write(120, [200] * 5)
    bench.run(2.0)
    assert bench.fault(bit)
    assert bench.word(4) == HELD


def test_jammed_diverter_is_found_and_the_lane_recovers():
    bench = Bench()
    bench.go()
    bench.run(3.0)
    bench.world.inject("diverter_jam", which=1)
    bench.write(125, [0])
    bench.run(1.0)
    assert bench.fault(3)
    assert bench.word(4) == HELD
    bench.world.clear("diverter_jam", which=1)
    bench.run(0.3)
    assert bench.operate(5) == 1
    bench.run(1.5)
    assert bench.word(4) == EXECUTE
    assert bench.word(42) == 0


def test_diverter_waiting_for_a_piece_is_no_jam():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1, make_piece(length_mm=450.0))
    bench.until(lambda: bench.head() > 3760.0)
    bench.write(125, [0])
    bench.write(120, [0] * 5)
    bench.run(3.0)
    assert bench.long(12) == 0
    bench.write(120, [200] * 5)
    bench.run(3.0)
    assert bench.long(12) == 0
    assert bench.word(42) == 0


def test_purge_empties_b1_to_b4_into_the_bins_and_stops():
    bench = Bench()
    for head_mm in (600.0, 1700.0, 3000.0, 4500.0):
        bench.world.add(make_piece(f"EE{head_mm:09.0f}VN"), 0, stealth=True, head_mm=head_mm)
    bench.world.add(make_piece("EE000000006VN"), 6, stealth=True, head_mm=5500.0)
    bench.run(0.1)
    bench.operate(1)
    bench.run(0.2)
    assert bench.operate(22) == 1
    assert bench.write(120, [100] * 5) == 3
    assert bench.write(125, [1]) == 3
    bench.run(1.0)
    assert bench.word(27) == 200
    bench.until(lambda: bench.word(27) == 0)
    assert [len(bench.world.bins["hold"]), len(bench.world.bins["return"])] == [3, 1]
    assert 5840.0 <= bench.head() < 5860.0
    assert len(bench.world.loads) == 1
    counters = bench.world.ledger.judge()
    assert (counters["gate_openings"], counters["escaped"]) == (0, 0)


def test_purge_of_a_blocked_lane_ends_as_a_jam():
    bench = Bench()
    bench.run(0.1)
    bench.world.inject("eye_stuck", eye=1, blocked=True)
    assert bench.operate(22) == 1
    bench.run(6.0)
    assert bench.fault(2)
    assert bench.word(27) == 0


def test_maintenance_jogs_one_belt_and_voids_every_track():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1)
    assert bench.operate(23, 1) == 3
    bench.world.inject("mode", mode=2)
    bench.run(0.5)
    assert bench.word(5) == 2
    assert bench.registers.read_input(52, 14) == [0] * 14
    assert bench.permit(1) == 11
    assert bench.operate(23, 6) == 10
    assert bench.operate(23, 3) == 1
    bench.run(0.5)
    assert bench.registers.read_input(27, 5) == [0, 0, 100, 0, 0]
    bench.run(1.0)
    assert bench.registers.read_input(27, 5) == [0] * 5
