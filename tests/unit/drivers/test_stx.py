import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.drivers.stx import CAP_BYTES, StxDecoder, StxFrame, checksum, encode

VECTORS = [
    ((10, 4095), "02 31 30 2C 34 30 39 35 2C 75 03"),
    ((22,), "02 32 32 2C 70 03"),
    ((99, 1), "02 39 39 2C 31 2C 45 03"),
    ((99, 0), "02 39 39 2C 30 2C 46 03"),
    ((27,), "02 32 37 2C 6B 03"),
    ((28, 3), "02 32 38 2C 33 2C 4B 03"),
]
"""Worked examples of the manuals (protocol facts, "Spellman STX family")."""

frames = st.builds(
    StxFrame,
    command=st.integers(0, 99),
    arguments=st.lists(
        st.text(st.characters(codec="ascii", exclude_characters=",", exclude_categories=["C"]), min_size=1, max_size=5), max_size=20
    ).map(tuple),
)


def wire(frame: StxFrame) -> bytes:
    body = ",".join([f"{frame.command:02d}", *frame.arguments]).encode() + b","
    return b"\x02" + body + bytes([checksum(body), 3])


@pytest.mark.parametrize(("command", "frame"), VECTORS)
def test_the_manuals_examples(command: tuple[int, ...], frame: str):
    assert encode(*command) == bytes.fromhex(frame)
    (decoded,) = StxDecoder().feed(bytes.fromhex(frame))
    assert (decoded.command, *map(int, decoded.arguments)) == command


def test_the_manuals_answer():
    (frame,) = StxDecoder().feed(bytes.fromhex("02 31 30 2C 24 2C 63 03"))
    assert frame == StxFrame(command=10, arguments=("$",))


def test_the_checksum_is_blind_to_order():
    assert encode(98, 1)[-2] == encode(99, 0)[-2] == 0x46


def test_without_checksum():
    assert encode(22, with_checksum=False) == b"\x0222,\x03"
    assert StxDecoder(with_checksum=False).feed(b"\x0222,0,1,0,\x03") == [StxFrame(command=22, arguments=("0", "1", "0"))]
    assert StxDecoder(with_checksum=False).feed(b"\x0222,0\x03\x02\x03") == []


def test_a_command_has_two_digits():
    with pytest.raises(ValueError, match="two digits"):
        encode(100)


@pytest.mark.parametrize("body", [b"", b",", b"1,", b"22", b"2a,", b"222,", b"22,\x7f,", b"22,\xe9,"])
def test_a_proved_body_of_another_form_is_rejected(body: bytes):
    decoder = StxDecoder()
    assert decoder.feed(b"\x02" + body + bytes([checksum(body), 3])) == []
    assert decoder.rejected == 1


@given(st.lists(frames, max_size=5), st.data())
def test_frames_survive_any_cut(sent: list[StxFrame], data: st.DataObject):
    stream = b"".join(map(wire, sent))
    decoder, got = StxDecoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += decoder.feed(stream[:size])
        stream = stream[size:]
    assert got == sent
    assert (decoder.rejected, decoder.noise) == (0, 0)


@given(frames, st.data())
def test_one_changed_byte_never_gives_another_frame(frame: StxFrame, data: st.DataObject):
    good = wire(frame)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != good[at] and (byte ^ good[at]) & 0x3F))
    assert frame not in StxDecoder().feed(bytes(bad)) or frame.command == -1
    for found in StxDecoder().feed(bytes(bad)):
        assert wire(found) in bytes(bad)


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_noise_is_survived_and_capped(chunks: list[bytes]):
    decoder = StxDecoder()
    for chunk in chunks:
        for frame in decoder.feed(chunk):
            assert 0 <= frame.command <= 99
        assert len(decoder._frame or b"") <= CAP_BYTES
    assert decoder.feed(b"\x03" + encode(22))[-1] == StxFrame(command=22, arguments=())
    decoder.reset()
    assert (decoder.rejected, decoder.noise) == (0, 0)


def test_an_endless_frame_is_dropped():
    decoder = StxDecoder()
    assert decoder.feed(b"\x02" + b"1" * (CAP_BYTES + 1) + encode(22)) == [StxFrame(command=22, arguments=())]
    assert decoder.rejected == 1
    assert decoder.feed(b"\x0222" + encode(22)) == [StxFrame(command=22, arguments=())]
    assert decoder.rejected == 2
