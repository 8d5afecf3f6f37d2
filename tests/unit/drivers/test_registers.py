import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import DeviceProtocolError, DeviceRefusedError
from station.drivers import disinfection_unit, lane_plc, modbus_unit
from station.drivers.registers import Block, Register

MAPS = Path(__file__).parent / "maps"
COMMON_WORDS = 20


def rows(name: str) -> list[dict[str, str]]:
    with (MAPS / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kinds_of(row: dict[str, str]) -> tuple[tuple[str, ...], int]:
    """Types of one element and how many elements, from the contract's notation."""
    notation = row["type"]
    if struct := re.fullmatch(r"\{(.*)\}(?:\[(\d+)\])?", notation):
        return tuple(part.split()[-1] for part in struct[1].split(",")), int(struct[2] or 1)
    plain = re.fullmatch(r"(\w+?)(?:\[(\d+)\])?", notation)
    assert plain
    return (plain[1],), int(plain[2] or 1)


def contract_inputs(name: str) -> dict[int, dict[str, str]]:
    return {int(row["address"]): row for row in rows(name) if row["table"] == "input"}


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("lane-plc-registers.csv", [lane_plc.STATUS, lane_plc.EVENTS]),
        ("disinfection-unit-registers.csv", [disinfection_unit.STATUS]),
    ],
)
def test_the_blocks_are_the_contracts(name: str, blocks: list[Block]):
    contract = contract_inputs(name)
    ours = [register for block in blocks for register in block.registers]
    seen = set()
    for register in ours:
        if name.startswith("disinfection") and register.address < COMMON_WORDS:
            continue
        row = contract[register.address]
        kinds, repeat = kinds_of(row)
        # An edge's eye and direction share one word: "eye|direction<<8 u16".
        assert (register.name, register.words, register.kinds, register.repeat) == (row["name"], int(row["words"]), kinds, repeat)
        seen.add(register.address)
    assert seen == {address for address, row in contract.items() if row["name"] != "common"}


def test_the_common_rows_are_the_lane_plcs():
    assert disinfection_unit.STATUS.registers[: len(modbus_unit.COMMON)] == modbus_unit.COMMON
    assert sum(register.words for register in modbus_unit.COMMON) == COMMON_WORDS


@pytest.mark.parametrize(
    ("name", "register"),
    [
        ("lane-plc-registers.csv", lane_plc.BELT_SPEED_SET),
        ("lane-plc-registers.csv", lane_plc.DIVERTER_1_SET),
        ("lane-plc-registers.csv", lane_plc.DIVERTER_2_SET),
        ("lane-plc-registers.csv", lane_plc.BEAM_REQUEST),
        ("lane-plc-registers.csv", lane_plc.STACK_LIGHT_SET),
        ("lane-plc-registers.csv", lane_plc.FREEZE),
        ("lane-plc-registers.csv", lane_plc.INFEED_TAG),
        ("lane-plc-registers.csv", lane_plc.PERMIT),
        ("lane-plc-registers.csv", modbus_unit.HEARTBEAT),
        ("lane-plc-registers.csv", modbus_unit.WATCHDOG),
        ("disinfection-unit-registers.csv", disinfection_unit.NEXT_PIECE),
        ("disinfection-unit-registers.csv", disinfection_unit.DOSE_TARGET),
        ("disinfection-unit-registers.csv", disinfection_unit.LAMPS),
    ],
)
def test_the_writes_are_the_contracts(name: str, register: Register):
    (row,) = [row for row in rows(name) if row["table"] == "holding" and int(row["address"]) == register.address]
    kinds, repeat = kinds_of(row)
    assert (register.name, register.words, register.kinds, register.repeat) == (row["name"], int(row["words"]), kinds, repeat)


def test_big_endian_high_word_first():
    assert Register(address=0, name="a", kinds=("u32",)).encode(0x01020304) == b"\1\2\3\4"
    assert Register(address=0, name="a", kinds=("i16",)).encode(-2) == b"\xff\xfe"
    assert Register(address=0, name="a", kinds=("f32",)).encode(-123.45) == bytes.fromhex("c2f6e666")


@pytest.mark.parametrize("values", [(70000,), (-1,), (), (1, 2)])
def test_what_does_not_fit_is_refused(values: tuple[int, ...]):
    with pytest.raises(DeviceRefusedError, match="does not fit"):
        Register(address=0, name="a", kinds=("u16",)).encode(*values)


def test_a_gap_in_a_block_is_an_error():
    with pytest.raises(ValueError, match="1 is next"):
        Block((Register(address=0, name="a", kinds=("u16",)), Register(address=2, name="b", kinds=("u16",))))


BLOCK = Block(
    (
        Register(address=4, name="a", kinds=("u16",)),
        Register(address=5, name="b", kinds=("u16", "u32"), repeat=2),
        Register(address=11, name="c", kinds=("f32",)),
        Register(address=13, name="d", kinds=("i16",), divisor=10),
    )
)


@given(
    st.integers(0, 65535),
    st.lists(st.integers(0, 65535), min_size=4, max_size=4),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-32768, 32767),
)
def test_a_block_reads_what_was_encoded(a: int, b: list[int], c: float, d: int):
    data = b"".join(register.encode(*values) for register, values in zip(BLOCK.registers, ((a,), b, (c,), (d,)), strict=True))
    values = BLOCK.decode(data)
    assert (BLOCK.address, BLOCK.words) == (4, 10)
    assert values.one("a") == a
    assert values.rows("b", 2) == [(b[0], b[1]), (b[2], b[3])]
    assert values.real("c") == c
    assert values.scaled("d") == d / 10


@pytest.mark.parametrize(
    "data", [b"", bytes(19), bytes(21), bytes(14) + b"\x7f\xc0\0\0" + bytes(2), bytes(14) + b"\x7f\x80\0\0" + bytes(2)]
)
def test_another_size_or_no_number_is_dropped(data: bytes):
    with pytest.raises(DeviceProtocolError):
        BLOCK.decode(data)
