"""The UV-C unit's firmware: lamps, samples, slots and what makes a dose fail."""

import pytest

from firmware_sims.modbus_slave import IllegalAddressError, IllegalValueError
from tests.unit.sims.rig import Bench, make_piece

TAG, NONCE = 0x00030004, 0xDEADBEEF


def long(bench: Bench, address: int) -> int:
    high, low = bench.unit_registers.read_input(address, 2)
    return high << 16 | low


def word(bench: Bench, address: int) -> int:
    return bench.unit_registers.read_input(address, 1)[0]


def write(bench: Bench, address: int, values: list[int]) -> int:
    bench.unit_registers.write(address, values)
    return word(bench, 7)


def announce(bench: Bench, tag: int = TAG, nonce: int = NONCE) -> None:
    assert write(bench, 120, [tag >> 16, tag & 0xFFFF, nonce >> 16, nonce & 0xFFFF]) == 1


def slot(bench: Bench, index: int = 0) -> dict[str, int]:
    at = 39 + 11 * index
    names = ("tag", "nonce", "dose", "entered", "left")
    return {name: long(bench, at + 2 * place) for place, name in enumerate(names)} | {"verdict": word(bench, at + 10)}


def lit(*, warm_s: float = 40.0, target: int = 200) -> Bench:
    bench = Bench()
    bench.go()
    write(bench, 125, [0, target])
    assert write(bench, 127, [1]) == 1
    bench.run(warm_s)
    return bench


def through_the_light(bench: Bench, *, length_mm: float = 300.0) -> None:
    announce(bench)
    bench.world.add(make_piece(length_mm=length_mm), 4, stealth=True, head_mm=3790.0)
    bench.run(7.0)


def test_block_has_the_layout_of_the_map():
    bench = Bench()
    bench.run(0.55)
    words = bench.unit_registers.read_input(0, 125)
    assert words[:2] == [0x4B55, 1]
    assert words[16:18] == bench.registers.read_input(16, 2)
    assert words[18] == words[124]
    assert words[20:22] == [0, 550]
    assert words[83] == 5
    assert words[25] == 3
    assert words[39:83] == [0] * 44
    with pytest.raises(IllegalAddressError):
        bench.unit_registers.read_input(0, 126)


@pytest.mark.parametrize("address", [0, 102, 114, 119, 131])
def test_holding_outside_the_map_is_refused(address: int):
    with pytest.raises(IllegalAddressError):
        Bench().unit_registers.write(address, [0])
    with pytest.raises(IllegalAddressError):
        Bench().unit_registers.read_holding(address, 1)


@pytest.mark.parametrize(
    ("address", "values"),
    [(101, [0]), (101, [1001]), (127, [2]), (120, [1, 2]), (122, [1, 2]), (125, [1]), (128, [0]), (121, [0] * 5)],
)
def test_torn_or_wild_values_are_refused(address: int, values: list[int]):
    with pytest.raises(IllegalValueError):
        Bench().unit_registers.write(address, values)


def test_holding_reads_back():
    bench = Bench()
    announce(bench)
    write(bench, 124, [3])
    write(bench, 128, [0, 500])
    write(bench, 130, [100])
    assert bench.unit_registers.read_holding(120, 11) == [3, 4, 0xDEAD, 0xBEEF, 3, 0, 0, 0, 0, 500, 100]
    bench.run(0.1)
    assert bench.unit_registers.read_holding(100, 2)[1] == 300


def test_lamps_warm_up_through_the_phases():
    bench = lit(warm_s=0.5)
    assert word(bench, 22) == 1
    assert word(bench, 32) == 0b1111
    bench.until(lambda: word(bench, 22) == 2, limit_s=15.0)
    bench.run(40.0)
    assert long(bench, 28) == pytest.approx(10_000, rel=0.01)
    assert long(bench, 30) >= long(bench, 28)


@pytest.mark.parametrize("length_mm", [100.0, 300.0, 450.0])
def test_slot_dose_is_the_truth_and_bound_by_the_nonce(length_mm: float):
    bench = lit()
    through_the_light(bench, length_mm=length_mm)
    done = slot(bench)
    assert (done["tag"], done["nonce"], done["verdict"]) == (TAG, NONCE, 1)
    assert done["dose"] == pytest.approx(400, rel=0.02)
    true_dose = bench.world.ledger.stays[0].dose_mj_per_cm2
    assert done["dose"] / 10.0 == pytest.approx(true_dose, rel=0.02)
    assert done["left"] - done["entered"] == pytest.approx((800.0 + length_mm) / 0.2, abs=40)
    assert slot(bench, 1)["tag"] == 0


def test_samples_are_newest_first_and_numbered_by_uptime():
    bench = Bench()
    bench.go()
    write(bench, 127, [1])
    bench.run(1.0)
    samples = [long(bench, 84 + 2 * place) for place in range(20)]
    assert samples[0] > samples[1] > samples[5] > 0
    assert samples[19] == 0
    assert word(bench, 83) == long(bench, 20) // 100
    number = word(bench, 83)
    bench.run(0.1)
    assert word(bench, 83) == number + 1
    assert long(bench, 86) == samples[0]


def test_dose_from_samples_agrees_with_the_slot():
    bench = lit(warm_s=3.0)
    announce(bench)
    piece = make_piece(length_mm=200.0)
    bench.world.add(piece, 4, stealth=True, head_mm=3790.0)
    samples: dict[int, int] = {}
    while bench.world.loads and bench.head() < 5000.0:
        bench.step()
        samples[word(bench, 83)] = long(bench, 84)
    done = slot(bench)
    first, last = done["entered"] / 100.0, done["entered"] / 100.0 + 40.0
    head_dose = sum(value * 0.1 for number, value in samples.items() if first < number <= last) / 100.0
    # The lamps still warm, so that the head, first in the light, is the least-exposed point.
    assert done["dose"] == pytest.approx(head_dose, rel=0.05)
    assert done["dose"] / 10.0 == pytest.approx(bench.world.ledger.stays[0].dose_mj_per_cm2, rel=0.02)


def test_short_dose_fails():
    bench = lit(target=450)
    through_the_light(bench)
    assert slot(bench)["verdict"] == 2


def test_piece_without_announcement_fails():
    bench = lit()
    bench.world.add(make_piece(), 4, stealth=True, head_mm=3790.0)
    bench.run(7.0)
    assert (slot(bench)["tag"], slot(bench)["verdict"]) == (0, 2)
    assert slot(bench)["dose"] > 300


def test_announcement_serves_one_piece():
    bench = lit()
    through_the_light(bench)
    assert bench.unit_registers.read_holding(120, 4) == [3, 4, 0xDEAD, 0xBEEF]
    bench.world.add(make_piece(), 4, stealth=True, head_mm=3790.0)
    bench.run(7.0)
    assert slot(bench)["tag"] == TAG
    assert slot(bench, 1)["tag"] == 0


def test_fifth_piece_takes_the_first_slot():
    bench = lit()
    bench.write(126, [0])
    for turn in range(5):
        announce(bench, tag=turn + 1)
        bench.world.add(make_piece(f"EE{turn:09d}VN"), 4, stealth=True, head_mm=3790.0)
        bench.run(7.0)
    assert [slot(bench, index)["tag"] for index in range(4)] == [5, 2, 3, 4]
    assert long(bench, 37) == 5


def test_running_slot_counts_from_nothing():
    bench = lit()
    announce(bench)
    bench.world.add(make_piece(length_mm=450.0), 4, stealth=True, head_mm=3790.0)
    bench.run(1.0)
    running = slot(bench)
    assert (running["verdict"], running["left"]) == (0, 0)
    assert running["dose"] < 50
    assert word(bench, 22) == 3


def test_piece_lifted_out_of_the_light_fails():
    bench = lit()
    announce(bench)
    bench.world.add(make_piece(), 4, stealth=True, head_mm=3790.0)
    bench.run(2.0)
    bench.world.lift(4, stealth=True)
    bench.run(8.0)
    assert slot(bench)["verdict"] == 2


def test_lamps_go_out_one_second_after_b4_stops_and_stay_out():
    bench = lit()
    bench.write(123, [0])
    bench.run(0.9)
    assert word(bench, 32) == 0b1111
    bench.run(0.4)
    assert word(bench, 32) == 0
    assert word(bench, 22) == 0
    bench.write(123, [200])
    bench.run(1.0)
    assert word(bench, 32) == 0
    assert bench.unit_registers.read_holding(127, 1) == [0]
    assert write(bench, 127, [1]) == 1
    bench.run(0.3)
    # Still warm.
    assert long(bench, 28) > 9500


def test_failed_lamp_trips_and_spoils():
    bench = lit()
    announce(bench)
    bench.world.add(make_piece(), 4, stealth=True, head_mm=3790.0)
    bench.run(1.0)
    bench.world.inject("lamp_failure", lamp=1)
    bench.run(0.1)
    assert long(bench, 12) == 1 << 10
    assert word(bench, 14) == 11
    assert word(bench, 32) == 0
    bench.run(6.0)
    assert slot(bench)["verdict"] == 2


def test_stale_heartbeat_darkens_the_tunnel_for_good():
    bench = lit()
    bench.beating = False
    bench.run(0.6)
    assert word(bench, 32) == 0
    assert long(bench, 12) == 1 << 8
    bench.beating = True
    bench.run(0.5)
    assert word(bench, 32) == 0
    assert write(bench, 127, [1]) == 3
    assert bench.operate(1, registers=bench.unit_registers) == 1
    assert long(bench, 12) == 0


def test_lamps_are_refused_without_contact_and_while_frozen():
    bench = Bench()
    assert write(bench, 127, [1]) == 6
    bench.run(0.2)
    bench.write(129, [1])
    assert write(bench, 127, [1]) == 7


def test_drifting_sensor_shows_and_the_truth_does_not_follow():
    bench = lit()
    bench.unit.inject("sensor_drift", factor=1.5)
    through_the_light(bench)
    assert slot(bench)["dose"] == pytest.approx(600, rel=0.02)
    assert bench.world.ledger.stays[0].dose_mj_per_cm2 == pytest.approx(40.0, rel=0.01)
    bench.unit.clear("sensor_drift")
    bench.run(0.2)
    assert long(bench, 28) == pytest.approx(10_000, rel=0.01)


def test_dead_sensor_and_heat_are_faults():
    bench = lit(warm_s=1.0)
    bench.unit.inject("sensor_dead")
    bench.run(0.3)
    assert long(bench, 12) == 1 << 11
    bench = lit(warm_s=1.0)
    bench.unit.inject("over_temperature")
    bench.run(10.0)
    assert long(bench, 12) == 1 << 12
    assert word(bench, 26) > 600
    assert word(bench, 32) == 0


def reset(bench: Bench) -> None:
    bench.run(0.2)
    assert bench.operate(1, registers=bench.unit_registers) == 1
    bench.run(0.2)


def test_an_open_door_takes_the_lamps_supply_and_stays_a_fault_while_it_is_open():
    bench = lit(warm_s=1.0)
    bench.world.inject("tunnel_open")
    bench.run(0.1)
    assert (word(bench, 25), word(bench, 32), long(bench, 12)) == (0, 0, 1 << 14)
    reset(bench)
    assert (long(bench, 12), write(bench, 127, [1])) == (1 << 14, 3)
    bench.world.clear("tunnel_open")
    bench.run(0.2)
    assert (word(bench, 25), word(bench, 32), long(bench, 12)) == (0b11, 0, 1 << 14)
    assert bench.operate(3, registers=bench.unit_registers) == 1
    reset(bench)
    assert (long(bench, 12), write(bench, 127, [1])) == (0, 1)


def test_a_lock_that_gives_way_shows_in_the_door_bits_alone():
    bench = lit(warm_s=1.0)
    bench.world.inject("tunnel_unlocked")
    bench.run(0.2)
    assert (word(bench, 25), word(bench, 32), long(bench, 12)) == (0b01, 0b1111, 0)
    bench.world.clear("tunnel_unlocked")
    bench.run(0.1)
    assert word(bench, 25) == 0b11


def test_lost_samples_count_as_nothing():
    bench = lit()
    announce(bench)
    bench.world.add(make_piece(), 4, stealth=True, head_mm=3790.0)
    bench.run(2.0)
    bench.unit.inject("lost_samples")
    bench.run(5.0)
    assert slot(bench)["verdict"] == 2
    bench.unit.clear("lost_samples")


def test_reboot_forgets_slots_and_keeps_counts():
    bench = lit()
    through_the_light(bench)
    bench.unit.inject("reboot")
    assert not bench.unit_registers.online
    bench.run(2.0)
    assert word(bench, 15) == 2
    assert long(bench, 37) == 1
    assert slot(bench)["tag"] == 0
    assert word(bench, 32) == 0


def test_brown_out_aborts_and_clear_brings_it_back():
    bench = lit()
    bench.unit.inject("brown_out")
    bench.run(0.3)
    assert word(bench, 4) == 9
    assert long(bench, 12) == 1 << 9
    assert bench.operate(9, registers=bench.unit_registers) == 1
    bench.run(0.2)
    assert bench.operate(1, registers=bench.unit_registers) == 1
    bench.run(0.2)
    assert bench.operate(2, registers=bench.unit_registers) == 1
    bench.run(0.2)
    assert word(bench, 4) == 6
    assert bench.operate(4, registers=bench.unit_registers) == 1
    assert bench.operate(99, registers=bench.unit_registers) == 10
    bench.run(0.2)
    assert write(bench, 127, [1]) == 3


def test_clock_jump_leaves_missing_samples():
    bench = lit()
    number = word(bench, 83)
    bench.unit.inject("clock_jump", ms=1000)
    bench.run(0.1)
    assert word(bench, 83) == number + 11
    assert [long(bench, 84 + 2 * place) for place in range(1, 11)] == [0] * 10
    assert word(bench, 83) == long(bench, 20) // 100


def test_controller_faults_show_on_the_wire():
    bench = lit(warm_s=0.5)
    bench.unit.inject("torn_block")
    words = bench.unit_registers.read_input(0, 125)
    assert words[18] != words[124]
    bench.unit.inject("stale_image")
    held = bench.unit_registers.read_input(0, 125)
    bench.run(0.5)
    assert bench.unit_registers.read_input(0, 125) == held
    for name in bench.unit.faults:
        bench.unit.clear(name)
    assert bench.unit_registers.read_input(0, 125) != held
    with pytest.raises(KeyError):
        bench.unit.inject("gremlin")
