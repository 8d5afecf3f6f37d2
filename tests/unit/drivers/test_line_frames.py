import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.drivers.line_frames import LineDecoder, number_gaps

FIRST = bytes.fromhex(
    "58 4C 49 4E 01 01 02 10 00 00 00 07 00 00 01 02 00 01 23 45 00 00 00 00 00 4C 4B 40 00 04 00 00"
    "00 03 00 00 3F 08 F7 D3 C8 AF BE AF 20 4E E8 03 C8 AF D2 AF 30 75 E9 03"
)
SECOND = bytes.fromhex(
    "58 4C 49 4E 01 00 02 10 FF FF FF FF 00 00 00 00 FF FF FF FF 00 00 01 00 00 00 00 00 00 01 FF FF FF FF 00 00 BD FC 1E 65 00 00 FF FF"
)
"""The vectors of docs/reference/lsp1.md."""

PIXELS = 3


def line(number: int, **changes: int) -> bytes:
    head = {"version": 1, "flags": 1, "energies": 2, "bits": 16, "pixels": PIXELS} | changes
    fields = (head["version"], head["flags"], head["energies"], head["bits"], 7, number, 8 * number % 2**32, 0, head["pixels"], 0, 3, 0)
    packed = struct.pack(">4sBBBBIIIQHHHH", b"XLIN", *fields)
    payload = struct.pack(f"<{2 * PIXELS}H", *[number & 0xFFFF] * (2 * PIXELS))
    return packed + zlib.crc32(packed + payload).to_bytes(4, "big") + payload


def taken(decoder: LineDecoder, *chunks: bytes) -> list[int]:
    got: list[int] = []
    for chunk in chunks:
        decoder.push(chunk)
        got += decoder.take()["number"].tolist()
    return got


def test_the_first_vector():
    decoder = LineDecoder(4)
    decoder.push(FIRST)
    assert decoder.has_line
    (record,) = decoder.take()
    fields = [int(record[name]) for name in ("flags", "acquisition", "number", "encoder", "time_us", "lost", "boot")]
    assert fields == [1, 7, 258, 74565, 5_000_000, 0, 3]
    assert record["le"].tolist() == [45000, 44990, 20000, 1000]
    assert record["he"].tolist() == [45000, 45010, 30000, 1001]


def test_the_second_vector():
    decoder = LineDecoder(1)
    decoder.push(SECOND)
    (record,) = decoder.take()
    fields = [int(record[name]) for name in ("flags", "acquisition", "number", "encoder", "time_us", "lost", "boot")]
    assert fields == [0, 4294967295, 0, 4294967295, 2**40, 65535, 65535]
    assert (record["le"].tolist(), record["he"].tolist()) == ([0], [65535])


@given(st.lists(st.integers(0, 2**32 - 1), max_size=6), st.data())
def test_lines_survive_any_cut(numbers: list[int], data: st.DataObject):
    stream, decoder, got = b"".join(map(line, numbers)), LineDecoder(PIXELS), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += taken(decoder, stream[:size])
        stream = stream[size:]
    assert got == numbers
    assert decoder.garbage_bytes == 0


@given(st.lists(st.one_of(st.integers(0, 1000).map(line), st.binary(max_size=60), st.just(b"XLIN"), st.just(line(1001)[:30]))))
def test_every_whole_line_is_found_in_garbage_and_nothing_else(parts: list[bytes]):
    sent = [struct.unpack(">I", part[12:16])[0] for part in parts if len(part) == 40 + 4 * PIXELS and part.startswith(b"XLIN")]
    decoder = LineDecoder(PIXELS)
    got = taken(decoder, *parts, bytes(decoder.line_bytes))
    assert got == sent


@pytest.mark.parametrize("field", ["version", "energies", "bits", "pixels"])
def test_a_proved_line_of_another_form_is_dropped(field: str):
    decoder = LineDecoder(PIXELS)
    assert taken(decoder, line(1, **{field: 5}) + line(2)) == [2]
    assert decoder.garbage_bytes == len(line(1))


@given(st.integers(0, 40 + 4 * PIXELS - 1), st.integers(1, 255))
def test_one_changed_byte_drops_the_line(at: int, flip: int):
    bad = bytearray(line(1))
    bad[at] ^= flip
    assert taken(LineDecoder(PIXELS), bytes(bad) + line(2)) == [2]


def test_garbage_is_not_hoarded():
    decoder = LineDecoder(PIXELS)
    for _ in range(100):
        assert taken(decoder, b"x" * 1000) == []
        assert len(decoder._buffer) < decoder.line_bytes


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(-1, 20))
def test_numbers_rise_and_gaps_add_up(numbers: list[int], last: int):
    new, missing = number_gaps(np.array(numbers, np.int64), np.zeros(len(numbers), np.uint16), last)
    kept = np.array(numbers, np.int64)[new].tolist()
    expected: list[int] = []
    for number in numbers:
        if number > max([last, *expected]):
            expected.append(number)
    assert kept == expected
    if kept:
        assert kept[-1] - last == len(kept) + int(missing.sum())


def test_the_detectors_own_count_holds_when_it_is_more_and_both_are_capped():
    _, missing = number_gaps(np.array([0, 1, 100_000]), np.array([65535, 0, 3], np.uint16), -1)
    assert missing.tolist() == [65535, 0, 65535]
