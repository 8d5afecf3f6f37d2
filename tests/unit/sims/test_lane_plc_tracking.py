"""The lane PLC's tracking: a tag goes with its piece, and with nothing else."""

from tests.unit.sims.rig import HELD, Bench, make_piece


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
