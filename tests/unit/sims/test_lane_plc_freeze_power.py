"""The lane PLC's freeze, and what becomes of it all when the power goes or the controller fails."""

import pytest

from tests.unit.sims.rig import ABORTED, STOPPED, Bench, make_piece


def test_freeze_stills_the_lane_and_outlives_a_reboot():
    bench = Bench()
    bench.go()
    bench.unit_registers.write(127, [1])
    bench.world.add(make_piece(), 2, stealth=True)
    bench.write(127, [1])
    bench.run(0.1)
    assert bench.write(129, [1]) == 1
    bench.run(0.3)
    assert bench.word(47) == 1
    assert not any(belt.speed_mm_s for belt in bench.world.belts)
    assert not bench.world.beam_permitted
    assert bench.world.uv.level_mw_per_cm2 == 0.0
    assert [bench.word(42), bench.word(43)] == [1, 1]
    for address, values in ((120, [200] * 5), (125, [0]), (127, [1]), (130, [0, 5]), (129, [0])):
        assert bench.write(address, values) == 7
    for command in (2, 5, 7, 22, 23):
        assert bench.operate(command) == 7
    bench.plc.reboot()
    bench.run(2.0)
    assert bench.word(15) == 2
    assert bench.word(47) == 1
    bench.operate(1)
    bench.run(0.2)
    assert bench.operate(2) == 7
    assert bench.world.ledger.judge()["moved_while_frozen"] == 0


def test_freeze_is_cleared_only_with_the_key():
    bench = Bench()
    bench.go()
    bench.write(129, [1])
    assert bench.operate(21) == 3
    bench.world.inject("key_switch")
    assert bench.word(11) & 1
    assert bench.operate(21) == 1
    assert bench.operate(21) == 3
    bench.run(0.5)
    assert not any(belt.speed_mm_s for belt in bench.world.belts)
    assert bench.operate(5) == 1


def test_freeze_is_taken_even_without_contact():
    bench = Bench()
    bench.beating = False
    bench.run(0.5)
    assert bench.write(129, [1]) == 1
    assert bench.word(47) == 1
    assert bench.write(129, [0]) == 7


def test_reboot_forgets_all_but_what_is_retained():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1)
    challenge = bench.long(45)
    bench.plc.inject("reboot")
    assert not bench.registers.online
    bench.run(1.0)
    assert not any(belt.speed_mm_s for belt in bench.world.belts)
    bench.run(1.0)
    assert bench.registers.online
    assert bench.word(4) == STOPPED
    assert bench.word(15) == 2
    assert bench.long(45) != challenge
    assert bench.long(20) < 1000
    assert bench.registers.read_input(52, 14) == [0] * 14
    assert bench.registers.read_input(205, 64) == [0] * 64


def test_brown_out_aborts_and_is_latched():
    bench = Bench()
    bench.go()
    bench.plc.inject("brown_out")
    bench.run(0.5)
    assert bench.fault(9)
    assert bench.word(4) == ABORTED
    assert bench.word(42) == 0
    assert bench.word(15) == 1


def test_controller_faults_show_on_the_wire():
    bench = Bench()
    bench.run(0.3)
    bench.plc.inject("stuck_heartbeat")
    before = bench.word(8)
    bench.run(0.5)
    assert bench.word(8) == before
    bench.plc.clear("stuck_heartbeat")
    bench.run(0.5)
    assert bench.word(8) != before
    bench.plc.inject("torn_block")
    words = bench.registers.read_input(0, 67)
    assert words[18] != words[66]
    words = bench.registers.read_input(0, 67)
    assert words[18] == words[66]
    uptime = bench.long(20)
    bench.plc.inject("clock_jump", ms=3000)
    assert bench.long(20) == uptime + 3000
    bench.plc.inject("stale_image")
    held = bench.registers.read_input(0, 67)
    bench.run(0.5)
    assert bench.registers.read_input(0, 67) == held
    bench.plc.clear("stale_image")
    assert bench.registers.read_input(0, 67) != held
    for name in bench.plc.faults:
        bench.plc.clear(name)
    with pytest.raises(KeyError):
        bench.plc.inject("gremlin")
    with pytest.raises(KeyError):
        bench.plc.clear("gremlin")
