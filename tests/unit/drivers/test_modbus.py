import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import DeviceProtocolError, DeviceUnreachableError, RequestNotTakenError, StationError
from station.drivers.modbus import ModbusMaster, crc16
from tests.support.virtual_time import run_virtual
from tests.support.waiting import until
from tests.unit.drivers.scripted_wire import ScriptedWire

DEADLINE_S = 0.02
READ_10 = bytes.fromhex("01 03 00 00 00 0A C5 CD")
WRITE_1 = bytes.fromhex("01 06 00 64 00 01 09 D5")
WRITE_2 = bytes.fromhex("01 10 00 64 00 02 04 00 2A 00 01 14 7C")
EXCEPTION_2 = bytes.fromhex("01 83 02 C0 F1")
"""Worked examples (protocol facts, "Modbus")."""


def crc(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return data + value.to_bytes(2, "little")


@given(st.binary(max_size=256))
def test_the_crc_is_the_standards(data: bytes):
    assert data + crc16(data).to_bytes(2, "little") == crc(data)


async def rtu(wire: ScriptedWire) -> ModbusMaster:
    master = ModbusMaster("serial:/dev/none?baudrate=115200", 1, device="It", connector=wire, deadline_s=DEADLINE_S, quiet_s=0.0)
    await master.open()
    return master


async def tcp(wire: ScriptedWire) -> ModbusMaster:
    master = ModbusMaster("tcp:host:502", 1, device="It", connector=wire, deadline_s=DEADLINE_S)
    await master.open()
    return master


async def test_rtu_frames_are_the_standards():
    answers = {
        READ_10: crc(bytes([1, 3, 20, *range(20)])),
        WRITE_1: WRITE_1,
        WRITE_2: crc(bytes.fromhex("01 10 00 64 00 02")),
    }
    master = await rtu(ScriptedWire(answers.__getitem__))
    assert await master.read_holding(0, 10) == bytes(range(20))
    await master.write_one(100, 1)
    await master.write_many(100, bytes.fromhex("002A 0001"))
    await master.close()


async def test_an_rtu_exception_is_a_refusal():
    wire = ScriptedWire(lambda _request: EXCEPTION_2)
    master = await rtu(wire)
    for _ in range(2):
        with pytest.raises(RequestNotTakenError, match="not in its map"):
            await master.read_holding(0, 10)
    assert wire.opened == 1
    await master.close()


async def test_tcp_frames_are_the_standards():
    wire = ScriptedWire(lambda request: request[:4] + b"\0\7\1\4\4\xde\xad\xbe\xef")
    master = await tcp(wire)
    assert await master.read_input(0x0102, 2) == b"\xde\xad\xbe\xef"
    assert wire.sent == [bytes.fromhex("0001 0000 0006 01 04 0102 0002")]
    await master.close()


async def test_transaction_ids_wrap_and_are_never_nought():
    wire = ScriptedWire(lambda request: request[:4] + b"\0\5\1\4\2\0\0")
    master = await tcp(wire)
    master._tid = 0xFFFE
    for _ in range(3):
        await master.read_input(0, 1)
    assert [request[:2] for request in wire.sent] == [b"\xff\xff", b"\0\1", b"\0\2"]
    await master.close()


@pytest.mark.parametrize("length", [0, 1, 2, 255, 0xFFFF])
async def test_an_impossible_length_is_refused(length: int):
    master = await tcp(ScriptedWire(lambda request: request[:4] + length.to_bytes(2, "big") + bytes(300)))
    with pytest.raises(DeviceProtocolError, match="not Modbus TCP"):
        await master.read_input(0, 1)
    with pytest.raises(DeviceUnreachableError, match="not connected"):
        await master.read_input(0, 1)
    await master.close()


async def test_a_line_that_dies_while_it_is_drained_is_no_link():
    wire = ScriptedWire(lambda _request: b"")

    async def dying(endpoint: str, /) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await wire(endpoint)
        wire.abort()
        return streams

    master = ModbusMaster("serial:/dev/none", 1, device="It", connector=dying, deadline_s=DEADLINE_S)
    with pytest.raises(DeviceUnreachableError, match="closed"):
        await master.open()
    with pytest.raises(DeviceUnreachableError):
        await master.read_input(0, 1)
    master.spoil()
    await master.close()
    master.spoil()


async def test_a_late_answer_is_drained_before_anything_is_asked():
    wire = ScriptedWire(lambda _request: b"")
    master = await rtu(wire)
    with pytest.raises(DeviceUnreachableError, match="did not answer"):
        await master.read_holding(0, 10)
    master._quiet_s = 0.02
    opening = asyncio.ensure_future(master.open())
    await until(lambda: wire.opened > 1, look_every_s=0.0)
    wire.push(crc(bytes([1, 3, 20, *range(20)])))
    await opening
    wire.answer = lambda _request: crc(bytes([1, 3, 20, *range(100, 120)]))
    assert await master.read_holding(0, 10) == bytes(range(100, 120))
    await master.close()


payload = st.binary(min_size=4, max_size=4)


@given(payload, st.data())
def test_no_mutation_of_an_rtu_answer_gives_another_value(value: bytes, data: st.DataObject):
    good = crc(b"\1\4\4" + value)
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "random"]))
    bad = bytearray(good)
    if kind == "flip":
        bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del bad[data.draw(st.integers(0, len(bad) - 1)) :]
    elif kind == "insert":
        bad.insert(data.draw(st.integers(0, len(bad))), data.draw(st.integers(0, 255)))
    else:
        bad = bytearray(data.draw(st.binary(max_size=20)))

    async def ask() -> bytes:
        master = await rtu(ScriptedWire(lambda _request: bytes(bad)))
        return await master.read_input(0, 2)

    try:
        got = run_virtual(ask)
    except StationError:
        return
    assert bytes(bad) == crc(b"\1\4\4" + got)


@given(st.binary(max_size=30))
def test_no_tcp_answer_but_the_right_one_is_taken(junk: bytes):
    async def ask() -> bytes:
        master = await tcp(ScriptedWire(lambda _request: junk))
        return await master.read_input(0, 2)

    try:
        got = run_virtual(ask)
    except StationError:
        return
    assert junk.startswith(b"\0\1\0\0\0\7\1\4\4" + got)
