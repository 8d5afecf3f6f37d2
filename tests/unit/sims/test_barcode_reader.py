"""The barcode readers."""

import pytest

from tests.unit.sims.rig import Bench, make_piece


def test_infeed_reader_sends_the_code_once():
    bench = Bench()
    bench.go()
    bench.world.feed(make_piece())
    bench.run(1.0)
    assert bench.r1.poll() == []
    bench.run(3.0)
    assert bench.r1.poll() == [b"]C0EE473124829VN\r\n"]
    assert bench.r1.poll() == []
    assert bench.r1.feed(b"x") == []


def test_gate_reader_reads_before_the_gate_eye():
    bench = Bench()
    bench.go()
    bench.feed_tagged(1)
    bench.until(lambda: bool(bench.r2.outbox))
    assert bench.head() < 5800.0 - 100.0
    assert bench.r2.poll() == [b"]C0EE473124829VN\r\n"]


def test_unprinted_code_is_no_read():
    bench = Bench()
    bench.go()
    piece = make_piece()
    piece.barcode = None
    bench.world.feed(piece)
    bench.run(3.0)
    assert bench.r1.poll() == [b"NOREAD\r\n"]


def test_faults_last_for_their_pieces():
    bench = Bench()
    piece = make_piece()

    def read() -> list[bytes]:
        bench.world.codes[0].append(piece)
        bench.step()
        return bench.r1.poll()

    right = b"]C0EE473124829VN\r\n"
    bench.r1.inject("unreadable", pieces=2)
    assert [read(), read(), read()] == [[b"NOREAD\r\n"], [b"NOREAD\r\n"], [right]]
    bench.r1.inject("misread")
    (garbled,) = read()
    assert garbled != right
    assert len(garbled) == len(right)
    assert sum(one != two for one, two in zip(garbled, right, strict=True)) == 1
    bench.r1.inject("misread", text="EE000000000VN")
    assert read() == [b"]C0EE000000000VN\r\n"]
    bench.r1.inject("repeat")
    assert read() == [right, right]
    bench.r1.inject("silent", pieces=5)
    assert read() == []
    bench.r1.clear("silent")
    assert read() == [right]
    for act in (bench.r1.inject, bench.r1.clear):
        with pytest.raises(KeyError):
            act("gremlin")


def test_reader_that_boots_reads_nothing_and_the_plc_knows_of_the_gate_reader():
    bench = Bench()
    bench.r2.brown_out()
    bench.world.codes[1].append(make_piece())
    bench.step()
    assert not bench.word(11) & 16
    bench.run(1.1)
    assert bench.word(11) & 16
    assert bench.r2.poll() == []
    assert bench.r2.boot_count == 2
    bench.r1.reboot()
    assert bench.word(11) & 16
