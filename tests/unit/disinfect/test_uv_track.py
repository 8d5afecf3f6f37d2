"""Where the belt was when, and what time it was on the other device."""

import math
import random
from dataclasses import replace

import pytest

from station.disinfect.belt_track import MAX_GAP_MS, BeltReading, LitField, crossings, points_along
from station.disinfect.clock_pairing import ClockPairing
from station.disinfect.cycle import LIT_PHASES, TunnelPhase, is_lit
from station.domain.reasons import Reason

FIELD = LitField(start_mm=60.0, length_mm=800.0)
EDGE = 4_294_966_000  # the encoder wraps while the piece is under the light


def readings(*, step_ms: int = 100, speed_mm_s: float = 200.0, until_ms: int = 9_000) -> list[BeltReading]:
    return [
        BeltReading(uptime_ms=at, boot_count=1, encoder=(EDGE + round(speed_mm_s * (at - 1_000) / 100)) % 2**32)
        for at in range(0, until_ms, step_ms)
    ]


def follow(way: list[BeltReading], length_mm: float = 200.0, **more: float) -> object:
    return crossings(way, edge_encoder=EDGE, field=FIELD, piece_length_mm=length_mm, **more)


@pytest.mark.parametrize("step_ms", [50, 100, 130, 400, 1_500])
def test_a_steady_belt(step_ms: int):
    found = follow(readings(step_ms=step_ms, until_ms=12_000))
    assert isinstance(found, tuple)
    assert len(found) == 5
    for number, one in enumerate(found):
        assert one.entered_ms == pytest.approx(1_300 + 250 * number, abs=1)
        assert one.left_ms == pytest.approx(5_300 + 250 * number, abs=1)


def test_a_stop_under_the_light_counts_and_one_at_its_edge_does_not():
    way = readings()
    stopped = [one if one.uptime_ms <= 3_000 else replace(one, uptime_ms=one.uptime_ms + 2_000) for one in way]
    pause = [replace(way[30], uptime_ms=at) for at in range(3_100, 5_100, 100)]
    found = follow([*stopped[:31], *pause, *stopped[31:]], length_mm=100.0)
    assert isinstance(found, tuple)
    assert found[0].left_ms - found[0].entered_ms == pytest.approx(6_000, abs=150)
    at_edge = [one for one in way if one.uptime_ms <= 1_300]
    later = [replace(one, uptime_ms=one.uptime_ms + 1_000) for one in way if one.uptime_ms > 1_300]
    pause = [replace(at_edge[-1], uptime_ms=at) for at in range(1_400, 2_400, 100)]
    found = follow([*at_edge, *pause, *later], length_mm=100.0)
    assert isinstance(found, tuple)
    assert found[0].entered_ms == pytest.approx(2_300, abs=1)
    assert found[0].left_ms == pytest.approx(6_300, abs=1)


def test_a_stop_at_the_far_edge_ends_the_exposure_when_it_begins():
    way = readings()
    before = [one for one in way if one.uptime_ms <= 5_300]
    pause = [replace(before[-1], uptime_ms=at) for at in range(5_400, 6_400, 100)]
    later = [replace(one, uptime_ms=one.uptime_ms + 1_000) for one in way if one.uptime_ms > 5_300]
    found = follow([*before, *pause, *later], length_mm=100.0)
    assert isinstance(found, tuple)
    assert found[0].left_ms == pytest.approx(5_300, abs=1)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ([], Reason.TRACK_LOST),
        (readings()[:1], Reason.TRACK_LOST),
        (readings()[:50], Reason.TRACK_LOST),
        (readings()[20:], Reason.TRACK_LOST),
        ([*readings()[:30], replace(readings()[30], boot_count=2), *readings()[31:]], Reason.DEVICE_LOST),
        ([*readings()[:30], replace(readings()[30], uptime_ms=2_900), *readings()[31:]], Reason.TRACK_LOST),
        ([*readings()[:30], replace(readings()[30], encoder=readings()[28].encoder), *readings()[31:]], Reason.TRACK_LOST),
        ([*readings()[:20], *readings()[36:]], Reason.DEVICE_LOST),
    ],
    ids=["none", "one", "not to the end", "not from the start", "reboot", "time stands", "belt back", "gap"],
)
def test_a_void_track(broken: list[BeltReading], reason: Reason):
    assert follow(broken) is reason


def test_odd_readings_outside_the_passage_do_not_matter():
    way = readings(until_ms=12_000)
    assert isinstance(follow([*way[:5], replace(way[5], encoder=way[3].encoder), *way[6:]]), tuple)
    assert isinstance(follow([*way[:80], *way[110:]]), tuple)


def test_a_gap_of_just_the_limit_and_a_little_backlash_are_borne():
    way = readings()
    assert isinstance(follow([*way[:20], *way[19 + MAX_GAP_MS // 100 :]]), tuple)
    rocking = [*way[:30], replace(way[30], encoder=(way[29].encoder - 5) % 2**32), *way[31:]]
    assert isinstance(follow(rocking), tuple)


@pytest.mark.parametrize("length_mm", [0.0, -1.0, math.nan, math.inf])
def test_a_length_that_means_nothing(length_mm: float):
    assert follow(readings(), length_mm=length_mm) is Reason.TRACK_LOST


def test_points_lie_from_head_to_tail():
    assert points_along(200.0, 50.0) == (0.0, 50.0, 100.0, 150.0, 200.0)
    assert points_along(201.0, 50.0)[-1] == 201.0
    assert len(points_along(201.0, 50.0)) == 6
    assert points_along(10.0, 50.0) == (0.0, 10.0)
    assert points_along(50.0, 50.0) == (0.0, 50.0)
    assert len(follow(readings(), spacing_mm=100.0)) == 3  # type: ignore[arg-type]


def paired(seed: int = 1, *, jitter_ms: float = 15.0, seconds: float = 12.0, jump_at: float = 99.0, jump_ms: int = 0) -> ClockPairing:
    """The lane PLC booted 3 s before the unit; both are polled at odd intervals, and the station stalls once."""
    wobble = random.Random(seed)
    pairing = ClockPairing()
    at = 0.0
    while at < seconds:
        at += 0.1 if not 5 < at < 5.1 else 0.7
        shift = jump_ms if at > jump_at else 0
        late = [wobble.uniform(-jitter_ms, jitter_ms) / 1000 for _ in range(2)]
        pairing.observe_lane(read_at_s=at, uptime_ms=round((at + late[0]) * 1000) + 10_000, boot_count=1)
        pairing.observe_unit(read_at_s=at + 0.05, uptime_ms=round((at + 0.05 + late[1]) * 1000) + 7_000 + shift, boot_count=4)
    return pairing


@pytest.mark.parametrize("seed", range(20))
def test_moments_are_aligned_to_50_ms_in_spite_of_jitter(seed: int):
    pairing = paired(seed, jitter_ms=40.0)
    assert pairing.holds_over(11_000, 20_000)
    for lane_ms in range(11_000, 20_000, 500):
        found = pairing.to_unit_ms(lane_ms)
        assert found is not None
        assert abs(found - (lane_ms - 3_000)) <= 50


@pytest.mark.parametrize("jump_ms", [-5_000, -400, 200, 400, 5_000, 60_000])
def test_a_jump_voids_what_spans_it(jump_ms: int):
    pairing = paired(jump_at=6.0, jump_ms=jump_ms)
    assert not pairing.holds_over(12_000, 18_000)
    assert pairing.holds_over(18_000, 20_000)
    found = pairing.to_unit_ms(19_000)
    assert found == pytest.approx(16_000 + jump_ms, abs=50)
    assert pairing.to_unit_ms(11_000) is None


def test_a_jump_of_the_lanes_clock_voids_too():
    pairing = ClockPairing()
    for number in range(100):
        at = number / 10
        pairing.observe_lane(read_at_s=at, uptime_ms=round(at * 1000) + (900 if at > 5 else 0), boot_count=1)
        pairing.observe_unit(read_at_s=at + 0.05, uptime_ms=round(at * 1000) + 50, boot_count=1)
    assert not pairing.holds_over(3_000, 8_000)
    assert pairing.holds_over(7_500, 10_000)


@pytest.mark.parametrize("device", ["lane", "unit", "lane back", "unit back", "station back"])
def test_a_reboot_or_a_clock_that_goes_back_forgets_everything(device: str):
    pairing = paired(jitter_ms=0.0)
    assert pairing.holds_over(11_000, 20_000)
    if device == "lane":
        pairing.observe_lane(read_at_s=13.0, uptime_ms=25_000, boot_count=2)
    elif device == "unit":
        pairing.observe_unit(read_at_s=13.0, uptime_ms=25_000, boot_count=5)
    elif device == "lane back":
        pairing.observe_lane(read_at_s=13.0, uptime_ms=100, boot_count=1)
    elif device == "unit back":
        pairing.observe_unit(read_at_s=13.0, uptime_ms=100, boot_count=4)
    else:
        pairing.observe_lane(read_at_s=12.0, uptime_ms=25_000, boot_count=1)
    assert not pairing.holds_over(11_000, 20_000)
    assert not pairing.holds_over(11_000, 11_000)
    assert pairing.to_unit_ms(15_000) is None


def test_both_devices_may_stall_together():
    pairing = ClockPairing()
    for number in range(100):
        at = number / 10
        own_ms = round(at * 1000) - (600 if at > 5 else 0) * (at < 6)
        own_ms = max(own_ms, round(min(at, 5) * 1000))
        pairing.observe_lane(read_at_s=at, uptime_ms=own_ms + 10_000, boot_count=1)
        pairing.observe_unit(read_at_s=at + 0.001, uptime_ms=own_ms + 1, boot_count=1)
    assert pairing.holds_over(11_000, 19_000)


def test_nothing_is_known_before_enough_was_seen_or_far_outside():
    pairing = ClockPairing()
    assert pairing.to_unit_ms(0) is None
    assert not pairing.holds_over(0, 0)
    pairing = paired()
    assert pairing.to_unit_ms(40_000) is None
    assert not pairing.holds_over(11_000, 40_000)
    assert not pairing.holds_over(5_000, 20_000)
    assert not pairing.holds_over(15_000, 14_000)


@pytest.mark.parametrize("behind_s", [0.15, 0.55, 2.0])
def test_a_unit_that_answers_after_the_lane_was_read_again_is_paired_all_the_same(behind_s: float):
    pairing = ClockPairing()
    for number in range(120):
        at_s = number / 10
        pairing.observe_lane(read_at_s=at_s, uptime_ms=round(at_s * 1000) + 10_000, boot_count=1)
        asked_s = at_s - behind_s
        if asked_s > 0:
            pairing.observe_unit(read_at_s=asked_s, uptime_ms=round(asked_s * 1000) + 7_000, boot_count=4)
    assert pairing.holds_over(10_500, 19_000)
    assert pairing.to_unit_ms(15_000) == pytest.approx(12_000, abs=1)


def test_readings_too_far_apart_pair_nothing():
    pairing = ClockPairing()
    for number in range(40):
        pairing.observe_lane(read_at_s=3.0 * number, uptime_ms=3_000 * number, boot_count=1)
        pairing.observe_unit(read_at_s=3.0 * number + 1, uptime_ms=3_000 * number + 1_000, boot_count=1)
    assert pairing.to_unit_ms(60_000) is None


def test_a_reading_may_arrive_before_one_that_was_taken_earlier():
    pairing = ClockPairing()
    for number in range(40):
        at = number / 10
        pairing.observe_unit(read_at_s=at + 0.12, uptime_ms=round(at * 1000) + 120, boot_count=1)
        pairing.observe_lane(read_at_s=at, uptime_ms=round(at * 1000) + 500, boot_count=1)
    assert pairing.to_unit_ms(2_500) == pytest.approx(2_000, abs=1)


def test_the_phases_of_the_tunnel():
    assert {TunnelPhase.READY, TunnelPhase.EXPOSING} == LIT_PHASES
    assert [is_lit(phase) for phase in (0, 1, 2, 3, 4, 99)] == [False, False, True, True, False, False]
