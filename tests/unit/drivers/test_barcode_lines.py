from hypothesis import given
from hypothesis import strategies as st

from station.drivers.barcode_reader import CAP_BYTES, CodeLines, parse_code

printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="]"), min_size=1, max_size=40)


@given(st.lists(printable.filter(lambda text: text != "NOREAD")), st.data())
def test_codes_survive_any_cut(texts: list[str], data: st.DataObject):
    stream, lines, got = b"".join(f"]C0{text}\r\n".encode() for text in texts), CodeLines(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += lines.feed(stream[:size], 0.0)
        stream = stream[size:]
    assert got == [(text, "code128") for text in texts]


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_junk_is_survived_and_capped(chunks: list[bytes]):
    lines = CodeLines()
    for chunk in chunks:
        for text, _ in lines.feed(chunk, 0.0):
            assert text is None or text.isprintable()
        assert len(lines._line) <= CAP_BYTES
    assert lines.feed(b"\n]C0fine\r\n", 0.0)[-1] == ("fine", "code128")


def test_a_torso_does_not_join_a_later_code():
    lines = CodeLines()
    assert lines.feed(b"]C0EE47", 0.0) == []
    assert lines.feed(b"3124829VN\r\n", 0.4) == [("EE473124829VN", "code128")]
    assert lines.feed(b"x" * 500, 1.0) == []
    assert lines.feed(b"]C0RR\n", 2.0) == [(None, ""), ("RR", "code128")]


def test_what_a_reader_may_say():
    assert parse_code(b"NOREAD") == (None, "")
    assert parse_code(b"]C0NOREAD") == (None, "code128")
    assert parse_code(b"]z9other") == ("other", "]z9")
    assert parse_code(b" padded ") == ("padded", "")
