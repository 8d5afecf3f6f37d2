"""The lane PLC's firmware: watchdog, commands, interlocks and the emergency stop."""

import pytest

from tests.unit.sims.rig import ABORTED, EXECUTE, HELD, STOPPED, Bench


def test_nothing_moves_before_contact_and_execute():
    bench = Bench()
    bench.beating = False
    bench.run(0.5)
    assert bench.write(120, [200] * 5) == 6
    assert bench.operate(1) == 6
    bench.beating = True
    bench.run(0.2)
    assert bench.write(120, [200] * 5) == 3
    assert bench.write(127, [1]) == 3
    bench.run(0.3)
    assert not any(belt.speed_mm_s for belt in bench.world.belts)


def test_select_before_operate():
    bench = Bench()
    bench.run(0.1)
    bench.registers.write(113, [5])
    assert bench.registers.read_input(6, 2) == [5, 2]
    bench.registers.write(110, [1, 0, 9])
    bench.registers.write(113, [8])
    assert bench.registers.read_input(6, 2) == [8, 2]
    bench.registers.write(110, [1, 0, 9])
    bench.run(2.1)
    bench.registers.write(113, [9])
    assert bench.word(7) == 2
    bench.registers.write(110, [1, 0, 10, 10])
    assert bench.registers.read_input(6, 2) == [10, 2]
    bench.registers.write(113, [10])
    assert bench.word(7) == 2
    assert bench.word(4) == STOPPED


def test_one_select_serves_one_operate():
    bench = Bench()
    bench.execute()
    bench.registers.write(110, [4, 0, 99])
    bench.registers.write(113, [99])
    assert bench.word(7) == 1
    bench.registers.write(113, [99])
    assert bench.word(7) == 2


def test_unknown_command_and_wrong_state():
    bench = Bench()
    bench.run(0.1)
    assert bench.operate(77) == 10
    assert bench.operate(2) == 3
    assert bench.operate(20, 7) == 10


def test_stale_heartbeat_makes_everything_still_and_nothing_rearms():
    bench = Bench()
    bench.go()
    assert bench.write(127, [1]) == 1
    bench.run(0.1)
    assert bench.word(25) & 3 == 3
    bench.beating = False
    bench.run(0.8)
    assert bench.word(10) == 0
    assert bench.fault(8)
    assert bench.word(4) == HELD
    assert bench.word(25) == 0
    assert [bench.word(42), bench.word(43)] == [0, 0]
    assert not any(belt.speed_mm_s for belt in bench.world.belts)
    bench.beating = True
    bench.run(1.0)
    assert not any(belt.speed_mm_s for belt in bench.world.belts)
    assert bench.operate(5) == 1
    bench.run(0.5)
    assert bench.word(4) == EXECUTE
    assert not bench.fault(8)
    assert bench.registers.read_holding(120, 8) == [0] * 8


def test_watchdog_counts_device_time_and_only_a_change_feeds():
    bench = Bench()
    bench.beating = False
    bench.registers.write(100, [5])
    bench.registers.write(101, [500])
    for _ in range(45):
        bench.registers.write(100, [5])
        bench.step()
    assert bench.word(10) == pytest.approx(50, abs=1)
    bench.run(0.1)
    assert bench.word(10) == 0
    assert bench.word(9) == 5


def test_hv_permit_goes_within_two_seconds_of_a_stopped_b2():
    bench = Bench()
    bench.go()
    bench.write(127, [1])
    bench.run(0.1)
    assert bench.world.beam_permitted
    bench.write(121, [0])
    bench.run(1.8)
    assert bench.world.beam_permitted
    bench.run(0.3)
    assert not bench.world.beam_permitted
    bench.write(121, [200])
    bench.run(0.5)
    assert not bench.world.beam_permitted
    assert bench.registers.read_holding(127, 1) == [0]


def test_open_interlock_drops_the_request_for_good():
    bench = Bench()
    bench.go()
    bench.write(127, [1])
    bench.run(0.1)
    bench.world.inject("interlock_open")
    bench.run(0.05)
    assert not bench.world.beam_permitted
    assert bench.word(23) == 0
    bench.world.clear("interlock_open")
    bench.run(0.2)
    assert not bench.world.beam_permitted


def test_interlock_chatter_is_a_discrepancy_and_holds():
    bench = Bench()
    bench.go()
    bench.world.inject("interlock_chatter", duration_s=0.5)
    bench.run(1.0)
    assert bench.fault(1)
    assert bench.word(14) == 2
    assert bench.word(23) & 4
    assert bench.word(4) == HELD
    assert bench.operate(5) == 1
    assert not bench.fault(1)


def test_estop_aborts_and_needs_clear_reset_start():
    bench = Bench()
    bench.go()
    bench.world.inject("estop")
    bench.run(0.5)
    assert bench.word(4) == ABORTED
    assert bench.word(22) == 0
    assert bench.operate(9) == 3
    bench.world.clear("estop")
    bench.run(0.1)
    assert bench.operate(9) == 1
    bench.run(0.2)
    bench.execute()
