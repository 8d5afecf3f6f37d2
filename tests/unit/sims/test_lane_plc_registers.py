"""The lane PLC's registers have the layout of the map and refuse what is outside it."""

import struct

import pytest

from firmware_sims.modbus_slave import IllegalAddressError, IllegalValueError
from tests.unit.sims.rig import STOPPED, Bench, make_piece


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
