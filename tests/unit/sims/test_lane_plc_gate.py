"""Attacks on the gate: it opens for one permit, one piece, once."""

import pytest

from tests.unit.sims.rig import Bench, make_piece

TAG = 0x00020003


def waiting(*, length_mm: float = 200.0) -> Bench:
    """A tagged piece that has just come into the gate zone."""
    bench = Bench()
    bench.go()
    bench.feed_tagged(TAG, make_piece(length_mm=length_mm))
    bench.until(lambda: bench.head() > 5300.0)
    return bench


def at_gate() -> Bench:
    bench = waiting()
    bench.until(lambda: bench.head() > 5840.0)
    bench.run(0.5)
    return bench


def passed(bench: Bench) -> list[tuple[int, int, int]]:
    words = bench.registers.read_input(269, 40)
    ring = [words[at : at + 5] for at in range(0, 40, 5)]
    return sorted((seq, high << 16 | low, chigh << 16 | clow) for seq, high, low, chigh, clow in ring if seq)


def test_permitted_piece_goes_out_without_stopping():
    bench = waiting()
    bench.until(lambda: bench.head() > 5700.0)
    challenge = bench.long(45)
    assert bench.permit(TAG) == 1
    assert bench.word(44) == 0
    slowest = 200
    while bench.world.loads and bench.head() < 5950.0:
        bench.step()
        slowest = min(slowest, bench.word(31))
    assert slowest == 200
    bench.until(lambda: not bench.world.loads)
    bench.run(0.5)
    assert bench.word(44) == 0
    assert passed(bench) == [(1, TAG, challenge)]
    assert bench.long(45) != challenge
    assert bench.long(12) == 0
    counters = bench.world.ledger.judge()
    for name in ("openings_without_permit", "wrong_piece_released", "escaped"):
        assert counters[name] == 0
    assert counters["released"] == counters["gate_openings"] == 1


@pytest.mark.parametrize("length_mm", [100.0, 310.0, 450.0])
def test_gate_shuts_behind_pieces_of_every_length(length_mm: float):
    bench = waiting(length_mm=length_mm)
    bench.until(lambda: bench.head() > 5700.0)
    assert bench.permit(TAG) == 1
    bench.until(lambda: not bench.world.loads)
    bench.run(0.3)
    assert bench.word(44) == 0
    assert len(passed(bench)) == 1
    assert bench.long(12) == 0


def test_piece_without_permit_waits_before_the_shut_gate():
    bench = at_gate()
    assert 5840.0 <= bench.head() < 5860.0
    assert bench.word(31) == 0
    assert bench.word(30) == 200
    bench.run(5.0)
    assert bench.world.ledger.judge()["gate_openings"] == 0
    assert bench.permit(TAG) == 1
    bench.until(lambda: not bench.world.loads)
    assert bench.world.ledger.judge()["released"] == 1


def test_wrong_tag_is_refused():
    bench = at_gate()
    assert bench.permit(TAG + 1) == 4
    bench.run(1.0)
    assert bench.word(44) == 0


def test_permit_before_the_piece_is_in_the_gate_zone_is_refused():
    bench = Bench()
    bench.go()
    bench.feed_tagged(TAG)
    bench.until(lambda: bench.head() > 5000.0)
    assert bench.permit(TAG) == 4


def test_stale_challenges_are_refused():
    bench = Bench()
    bench.go()
    bench.feed_tagged(TAG)
    early = bench.long(45)
    bench.until(lambda: bench.head() > 5850.0 or bench.word(31) == 0)
    assert bench.long(45) != early
    assert bench.permit(TAG, challenge=early) == 5
    assert bench.permit(TAG, challenge=bench.long(45) ^ 1) == 5
    bench.run(1.0)
    assert bench.word(44) == 0


def test_used_permit_shows_as_a_new_challenge_and_does_not_open_again():
    bench = at_gate()
    challenge = bench.long(45)
    assert bench.permit(TAG) == 1
    bench.run(0.1)
    assert bench.long(45) != challenge
    assert bench.permit(TAG, challenge=challenge) == 5
    bench.until(lambda: not bench.world.loads)
    bench.feed_tagged(TAG)
    bench.until(lambda: bench.head() > 5840.0)
    assert bench.permit(TAG, challenge=challenge) == 5
    bench.run(1.0)
    assert bench.world.ledger.judge()["gate_openings"] == 1


def test_permit_expires_before_its_piece_arrives():
    bench = waiting()
    assert bench.permit(TAG, valid_ms=300) == 1
    bench.run(5.0)
    assert bench.word(44) == 0
    assert bench.world.ledger.judge()["gate_openings"] == 0


def test_stale_heartbeat_voids_a_pending_permit():
    bench = waiting()
    bench.until(lambda: bench.head() > 5750.0)
    assert bench.permit(TAG) == 1
    bench.beating = False
    bench.registers.write(101, [100])
    bench.run(0.3)
    bench.beating = True
    bench.run(0.2)
    assert bench.permit(TAG) == 3
    bench.operate(5)
    bench.run(0.2)
    bench.write(120, [200] * 5)
    bench.run(2.0)
    assert bench.world.ledger.judge()["gate_openings"] == 0


def test_access_anywhere_refuses_and_voids():
    bench = waiting()
    bench.until(lambda: bench.head() > 5700.0)
    assert bench.permit(TAG) == 1
    bench.world.open_access(0)
    bench.run(2.0)
    assert bench.permit(TAG) == 8
    assert bench.world.ledger.judge()["gate_openings"] == 0


def test_freeze_refuses_and_voids():
    bench = waiting()
    bench.until(lambda: bench.head() > 5750.0)
    assert bench.permit(TAG) == 1
    bench.write(129, [1])
    bench.run(1.0)
    assert bench.permit(TAG) == 7
    assert bench.world.ledger.judge()["gate_openings"] == 0


def test_covered_uv_out_keeps_the_gate_shut():
    bench = at_gate()
    bench.world.add(make_piece("EE000000000VN"), 5, stealth=True, head_mm=5080.0)
    bench.write(123, [0])
    bench.run(0.2)
    assert bench.permit(TAG) == 9
    bench.run(1.0)
    assert bench.word(44) == 0


def test_reboot_draws_a_new_challenge_and_keeps_the_ring():
    bench = at_gate()
    challenge = bench.long(45)
    bench.permit(TAG)
    bench.until(lambda: not bench.world.loads)
    bench.run(0.3)
    bench.plc.reboot()
    bench.run(2.0)
    assert [entry[1:] for entry in passed(bench)] == [(TAG, challenge)]
    assert bench.long(45) != challenge


def test_piece_at_the_gate_after_a_reboot_stays_without_a_tag():
    bench = at_gate()
    bench.plc.reboot()
    bench.run(2.0)
    bench.execute()
    bench.write(120, [200] * 5)
    bench.run(2.0)
    assert bench.head() < 5860.0
    assert bench.permit(TAG) == 4


def test_tailgater_is_stopped_and_held():
    bench = at_gate()
    # So close that the eye sees both apart, and the second meets the eye while the gate is open.
    assert bench.world.tailgate(make_piece("EE000000000VN"), gap_mm=10.0)
    assert bench.permit(TAG) == 1
    bench.run(3.0)
    assert bench.fault(7)
    assert bench.word(11) & 4
    assert bench.word(4) == 11
    assert bench.world.ledger.judge()["escaped"] == 0


def test_tailgater_that_clings_is_stopped_by_its_length():
    bench = at_gate()
    assert bench.world.tailgate(make_piece("EE000000000VN"), gap_mm=0.0)
    assert bench.permit(TAG) == 1
    bench.run(5.0)
    assert bench.fault(7)
    assert bench.world.ledger.judge()["escaped"] == 0


def test_gate_held_by_one_piece_does_not_open_for_the_next():
    bench = Bench()
    bench.go()
    bench.feed_tagged(TAG, make_piece(length_mm=170.0))
    bench.until(lambda: bench.head() > 800.0)
    second = make_piece("EE000000000VN")
    bench.world.add(second, 0, stealth=True, head_mm=bench.head() - 200.0)
    bench.plc.tracker.leading(0).head_mm = bench.head() - 200.0
    assert bench.tag(TAG + 1) == 1
    bench.until(lambda: bench.head() > 5700.0)
    assert bench.permit(TAG) == 1
    bench.until(lambda: bench.fault(7))
    # Before the PLC calls the held gate jammed.
    bench.run(0.3)
    assert bench.operate(5) == 1
    bench.run(0.2)
    bench.write(120, [200] * 5)
    for _ in range(20):
        bench.permit(TAG + 1)
        bench.run(0.3)
    counters = bench.world.ledger.judge()
    assert (counters["gate_openings"], counters["escaped"]) == (1, 0)
    bench.world.lift(6)
    bench.run(1.0)
    bench.operate(20, 6)
    assert bench.word(44) == 0


def test_lane_recovers_from_a_tailgater():
    bench = at_gate()
    bench.world.tailgate(make_piece("EE000000000VN"), gap_mm=10.0)
    bench.permit(TAG)
    bench.run(3.0)
    while bench.world.lift(6) is not None:
        bench.run(0.6)
    bench.run(1.0)
    assert bench.word(44) == 0
    assert bench.operate(20, 6) == 1
    assert bench.operate(5) == 1
    bench.run(0.3)
    bench.write(120, [200] * 5)
    bench.write(125, [1, 1])
    bench.feed_tagged(TAG + 1)
    bench.until(lambda: bench.head() > 5700.0)
    assert bench.permit(TAG + 1) == 1
    bench.until(lambda: not bench.world.loads)
    assert bench.world.ledger.judge()["escaped"] == 0


def test_two_pieces_each_need_their_own_permit():
    bench = Bench()
    bench.go()
    bench.feed_tagged(TAG)
    bench.run(3.5)
    bench.feed_tagged(TAG + 1, make_piece("EE000000000VN"))
    bench.until(lambda: bench.head() > 5700.0)
    first = bench.long(45)
    assert bench.permit(TAG + 1) == 4
    assert bench.permit(TAG) == 1
    bench.until(lambda: len(bench.world.loads) == 1)
    bench.until(lambda: bench.head() > 5700.0)
    assert bench.permit(TAG + 1, challenge=first) == 5
    assert bench.permit(TAG) == 4
    bench.run(2.0)
    assert bench.world.ledger.judge()["gate_openings"] == 1
    assert bench.permit(TAG + 1) == 1
    bench.until(lambda: not bench.world.loads)
    bench.run(0.3)
    assert [entry[:2] for entry in passed(bench)] == [(1, TAG), (2, TAG + 1)]


def test_contact_lost_under_the_gate_shuts_it_behind_the_piece():
    bench = at_gate()
    bench.permit(TAG)
    bench.until(lambda: bench.head() > 5950.0)
    bench.beating = False
    bench.run(2.0)
    assert bench.head() < 6100.0
    assert bench.word(44) != 0
    bench.beating = True
    bench.run(0.2)
    bench.operate(5)
    bench.run(0.2)
    bench.write(120, [200] * 5)
    bench.until(lambda: not bench.world.loads)
    bench.run(0.5)
    assert bench.word(44) == 0
    counters = bench.world.ledger.judge()
    assert (counters["released"], counters["escaped"]) == (1, 0)
    assert len(passed(bench)) == 1


def test_open_gate_shuts_again_when_its_piece_does_not_come():
    bench = waiting()
    bench.until(lambda: bench.head() > 5700.0)
    bench.permit(TAG)
    bench.until(lambda: bench.word(44) == 1)
    bench.write(124, [0])
    bench.run(3.5)
    assert bench.word(44) == 0
    assert bench.permit(TAG, challenge=bench.long(45)) == 1


def test_jammed_gate_is_found():
    bench = at_gate()
    bench.world.inject("gate_jam")
    bench.permit(TAG)
    bench.run(1.5)
    assert bench.fault(4)
    assert bench.head() < 5860.0
    bench.world.clear("gate_jam")
    bench.run(0.5)
    assert bench.operate(5) == 1


def test_forced_gate_stops_b5_and_is_latched():
    bench = at_gate()
    bench.world.inject("gate_forced")
    bench.run(1.0)
    assert bench.fault(14)
    assert bench.world.ledger.judge()["escaped"] == 0
    assert bench.world.ledger.judge()["openings_without_permit"] == 1


def test_eight_places_of_the_ring_keep_the_newest():
    bench = Bench()
    bench.go()
    for turn in range(1, 11):
        bench.feed_tagged(turn, make_piece(f"EE{turn:09d}VN", length_mm=150.0))
        bench.until(lambda: bench.head() > 5700.0)
        assert bench.permit(turn) == 1
        bench.until(lambda: not bench.world.loads)
    assert [entry[:2] for entry in passed(bench)] == [(seq, seq) for seq in range(3, 11)]
