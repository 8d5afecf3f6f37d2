"""The lane PLC's firmware: watchdog, commands, tracking, freeze, purge and power."""

import struct

import pytest

from firmware_sims.modbus_slave import IllegalAddressError, IllegalValueError
from tests.unit.sims.rig import Bench, make_piece

EXECUTE, HELD, ABORTED, STOPPED = 6, 11, 9, 2


def test_status_block_has_the_layout_of_the_map():
    bench = Bench()
    bench.run(0.5)
    words = bench.registers.read_input(0, 67)
    assert words[:2] == [0x4B54, 1]
    assert words[4:6] == [STOPPED, 1]
    assert struct.unpack(">f", struct.pack(">2H", *words[16:18]))[0] == pytest.approx(-123.45)
    assert words[18] == words[66]
    assert words[15] == 1
    assert words[20] << 16 | words[21] == 500
    assert words[22:26] == [3, 3, 0, 0]
    assert words[42:45] == [0, 0, 0]
    assert words[49] << 16 | words[50] == 110
    assert words[52:66] == [0] * 14
    assert words[8] > 1


def test_event_block_has_the_layout_of_the_map():
    bench = Bench()
    bench.go()
    bench.world.feed(make_piece())
    bench.run(2.0)
    words = bench.registers.read_input(200, 110)
    assert words[0] == words[109]
    assert words[2] == 1
    assert words[1] == bench.word(9)
    edges = [words[5 + 4 * slot : 9 + 4 * slot] for slot in range(16)]
    seen = sorted(edge[:2] for edge in edges if edge[0])
    assert seen == [[1, 0], [2, 256]]
    lead, trail = (next(edge for edge in edges if edge[0] == seq) for seq in (1, 2))
    length = ((trail[2] << 16 | trail[3]) - (lead[2] << 16 | lead[3])) & 0xFFFFFFFF
    assert length == pytest.approx(2000, abs=40)


@pytest.mark.parametrize(("address", "count"), [(67, 1), (0, 68), (199, 1), (309, 2), (310, 1), (66, 2)])
def test_input_outside_the_map_is_refused(address: int, count: int):
    with pytest.raises(IllegalAddressError):
        Bench().registers.read_input(address, count)


@pytest.mark.parametrize("address", [0, 99, 102, 109, 114, 119, 137])
def test_holding_outside_the_map_is_refused(address: int):
    bench = Bench()
    with pytest.raises(IllegalAddressError):
        bench.registers.read_holding(address, 1)
    with pytest.raises(IllegalAddressError):
        bench.registers.write(address, [0])


@pytest.mark.parametrize(
    ("address", "values"),
    [
        (101, [0]),
        (101, [1001]),
        (120, [501]),
        (121, [0xFF00]),
        (125, [2]),
        (127, [2]),
        (129, [2]),
        (130, [0, 0]),
        (130, [1]),
        (131, [1]),
        (132, [0, 1, 0, 1]),
        (132, [0, 1, 0, 1, 0]),
        (132, [0, 1, 0, 1, 1001]),
        (132, [0, 0, 0, 1, 100]),
        (131, [1, 0, 1, 0, 1, 100]),
    ],
)
def test_values_out_of_range_or_torn_are_refused_whole(address: int, values: list[int]):
    bench = Bench()
    with pytest.raises(IllegalValueError):
        bench.registers.write(address, values)


def test_holding_reads_back_what_is_in_force():
    bench = Bench()
    bench.go()
    bench.write(101, [250])
    assert bench.registers.read_holding(101, 1) == [250]
    assert bench.registers.read_holding(120, 8) == [200, 200, 200, 200, 200, 1, 1, 0]
    bench.write(128, [7])
    assert bench.registers.read_holding(128, 2) == [7, 0]
    assert bench.word(48) == 7


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


def test_tags_follow_their_pieces_through_all_zones():
    bench = Bench()
    bench.go()
    bench.feed_tagged(0x00010002)
    zones: list[int] = []
    while bench.world.loads and bench.head() < 5830.0:
        bench.step()
        here = [zone for zone in range(7) if bench.long(52 + 2 * zone) == 0x00010002]
        assert len(here) == 1
        zones += here if here[0] not in zones else []
    assert zones == [0, 1, 2, 3, 4, 5, 6]


def test_tag_needs_an_untagged_piece_on_b1():
    bench = Bench()
    bench.go()
    assert bench.tag(5) == 4
    bench.world.feed(make_piece())
    bench.run(1.0)
    assert bench.tag(5) == 1
    assert bench.tag(6) == 4
    bench.world.feed(make_piece("EE000000000VN"))
    bench.run(1.0)
    assert bench.tag(5) == 4
    bench.until(lambda: bool(bench.word(26) & 2))
    bench.run(3.0)
    assert bench.tag(6) == 4


def test_queued_pieces_show_the_one_furthest_downstream():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1, make_piece(length_mm=150.0))
    bench.run(2.0)
    bench.feed_tagged(2, make_piece("EE000000000VN", length_mm=150.0))
    bench.until(lambda: bench.head() > 1800.0)
    assert bench.long(54) == 1
    bench.until(lambda: bench.head() > 2300.0)
    assert bench.long(54) == 2


def test_lifted_piece_loses_its_track_at_the_next_eye():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1)
    bench.until(lambda: bench.head() > 1500.0)
    bench.world.lift(1, stealth=True)
    bench.run(5.0)
    assert bench.registers.read_input(52, 14) == [0] * 14


def test_piece_added_by_a_hidden_hand_has_no_tag():
    bench = Bench()
    bench.go()
    bench.world.add(make_piece(), 4, stealth=True, head_mm=4300.0)
    bench.run(9.0)
    assert bench.word(26) & 1 << 6
    assert bench.registers.read_input(52, 14) == [0] * 14
    assert 5840.0 <= bench.head() < 5860.0


def test_blind_eye_is_found_by_the_next_one():
    bench = Bench()
    bench.go()
    bench.world.inject("eye_stuck", eye=2, blocked=False)
    bench.feed_tagged(1)
    bench.run(19.0)
    assert bench.fault(5)
    assert bench.word(4) == HELD
    assert bench.registers.read_input(52, 14) == [0] * 14


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


def test_piece_for_the_bin_leaves_the_track_and_is_seen_by_its_eye():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1)
    bench.write(125, [0])
    bench.until(lambda: bool(bench.word(26) & 1 << 8))
    bench.run(0.1)
    assert bench.registers.read_input(52, 14) == [0] * 14
    assert len(bench.world.bins["hold"]) == 1


def test_access_is_latched_until_it_is_cleared_and_voids_downstream():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1)
    bench.run(4.0)
    bench.feed_tagged(2, make_piece("EE000000000VN"))
    bench.until(lambda: bench.head() > 2300.0)
    bench.world.open_access(2)
    bench.run(0.1)
    assert bench.word(24) == 4
    assert bench.operate(20, 2) == 8
    bench.world.close_access(2)
    bench.run(0.1)
    assert bench.word(24) == 4
    assert bench.operate(20, 2) == 1
    assert bench.word(24) == 0
    tags = {bench.long(52 + 2 * zone) for zone in range(7)}
    assert tags == {0, 2}


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
