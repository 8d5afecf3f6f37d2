"""The simulators' own Modbus codec: vectors, split and joined frames, damage, refusals."""

import random
from typing import Literal

import pytest

from firmware_sims.modbus_slave import IllegalAddressError, IllegalValueError, ModbusSlave, crc16


class Registers:
    """A map of 200 words that can be written, read both ways."""

    def __init__(self) -> None:
        self.words = [0] * 200
        self.online = True

    def read_input(self, address: int, count: int) -> list[int]:
        return self.read_holding(address, count)

    def read_holding(self, address: int, count: int) -> list[int]:
        if address + count > len(self.words):
            raise IllegalAddressError
        return self.words[address : address + count]

    def write(self, address: int, values: list[int]) -> None:
        if address + len(values) > len(self.words):
            raise IllegalAddressError
        if 0xFFFF in values:
            raise IllegalValueError
        self.words[address : address + len(values)] = values


def slave(framing: Literal["rtu", "tcp"] = "rtu") -> ModbusSlave:
    return ModbusSlave(1, Registers(), framing)


def rtu(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc16(body).to_bytes(2, "little")


def tcp(text: str, *, transaction: int = 7, unit: int = 1) -> bytes:
    pdu = bytes.fromhex(text)
    return transaction.to_bytes(2, "big") + bytes(2) + (len(pdu) + 1).to_bytes(2, "big") + bytes([unit]) + pdu


@pytest.mark.parametrize(
    "frame",
    [
        "01 03 00 00 00 0A C5 CD",
        "01 06 00 64 00 01 09 D5",
        "01 10 00 64 00 02 04 00 2A 00 01 14 7C",
        "01 83 02 C0 F1",
    ],
)
def test_crc_of_the_published_vectors(frame: str):
    data = bytes.fromhex(frame)
    assert crc16(data[:-2]) == int.from_bytes(data[-2:], "little")


def test_answers_to_the_published_requests():
    unit = slave()
    assert unit.feed(bytes.fromhex("01060064000109D5")) == [bytes.fromhex("01060064000109D5")]
    assert unit.feed(bytes.fromhex("0110006400020 4002A0001147C".replace(" ", ""))) == [rtu("011000640002")]
    assert unit.feed(rtu("010300640002")) == [rtu("0103 04 002A 0001")]
    assert unit.feed(rtu("010400640001")) == [rtu("0104 02 002A")]
    assert unit.feed(rtu("0103 00C8 0001")) == [bytes.fromhex("018302C0F1")]


def test_frames_split_and_joined():
    unit = slave()
    one, two = rtu("010600010005"), rtu("0110 0002 0001 02 0007")
    answers = [answer for byte in one + two for answer in unit.feed(bytes([byte]))]
    assert answers == [one, rtu("0110 0002 0001")]
    assert unit.feed(one + two + one[:3]) == answers
    assert unit.feed(one[3:]) == [one]


def test_damaged_frames_are_dropped_and_the_next_is_found():
    unit = slave()
    good = rtu("010300000001")
    damaged = bytearray(good)
    damaged[3] ^= 1
    answer = rtu("0103 02 0000")
    assert unit.feed(bytes(damaged)) == []
    assert unit.feed(good) == [answer]
    assert unit.feed(b"\x00\xff\x13" + good) == [answer]


def test_silence_drops_half_a_request():
    unit = slave()
    unit.feed(rtu("0110 0002 0001 02 0007")[:8])
    unit.idle()
    assert unit.feed(rtu("010300000001")) == [rtu("0103 02 0000")]


def test_noise_never_gets_a_wrong_write_through():
    rng = random.Random(5)
    unit = slave()
    frame = rtu("010600010005")
    for _ in range(2000):
        broken = bytearray(frame)
        broken[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        unit.feed(bytes(broken))
        unit.idle()
    assert unit.registers.read_holding(0, 200) == [0] * 200


@pytest.mark.parametrize(
    ("request_hex", "answer_hex"),
    [
        ("01 03 00C7 0002", "01 83 02"),
        ("01 04 0000 0000", "01 84 03"),
        ("01 04 0000 007E", "01 84 03"),
        ("01 06 00C8 0000", "01 86 02"),
        ("01 06 0000 FFFF", "01 86 03"),
        ("01 10 0000 0002 02 0001", "01 90 03"),
        ("01 10 0000 0000 00", "01 90 03"),
        ("01 01 0000 0001", "01 81 01"),
        ("01 0F 0000 0001 01 01", "01 8F 01"),
        ("01 2B 0E 01 00", "01 AB 01"),
    ],
)
def test_refusals(request_hex: str, answer_hex: str):
    assert slave().feed(rtu(request_hex)) == [rtu(answer_hex)]


def test_other_units_are_left_alone_and_broadcasts_are_done_in_silence():
    unit = slave()
    assert unit.feed(rtu("020600010005")) == []
    assert unit.registers.read_holding(1, 1) == [0]
    assert unit.feed(rtu("000600010005")) == []
    assert unit.registers.read_holding(1, 1) == [5]


def test_device_without_power_says_nothing_and_forgets_half_requests():
    registers = Registers()
    unit = ModbusSlave(1, registers, "rtu")
    frame = rtu("010300000001")
    unit.feed(frame[:4])
    registers.online = False
    assert unit.feed(frame) == []
    registers.online = True
    assert unit.feed(frame) == [rtu("0103 02 0000")]


def test_tcp_keeps_the_transaction_and_takes_split_and_joined_requests():
    unit = slave("tcp")
    one, two = tcp("0600010005", transaction=1), tcp("0300010001", transaction=0xABCD)
    answers = [answer for byte in one + two for answer in unit.feed(bytes([byte]))]
    assert answers == [tcp("0600010005", transaction=1), tcp("03020005", transaction=0xABCD)]
    assert unit.feed(one + two) == answers
    assert unit.feed(tcp("0300C80001")) == [tcp("8302")]
    assert unit.feed(tcp("0300000001", unit=9)) == []


def test_tcp_malformed_requests():
    unit = slave("tcp")
    assert unit.feed(tcp("03000000")) == [tcp("8303")]
    assert unit.feed(tcp("060000")) == [tcp("8603")]
    assert unit.feed(tcp("1000")) == [tcp("9003")]
    assert unit.feed(b"\0\1\0\7\0\6\1\3\0\0\0\1") == []
    assert unit.feed(b"\0\1\0\0\1\0\1\3\0\0\0\1") == []
    assert unit.feed(tcp("0300000001")) == [tcp("03020000")]
