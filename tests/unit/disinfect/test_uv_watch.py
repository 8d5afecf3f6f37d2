"""One piece's passage as it is read from both devices, around the moments when the uptime of one of them wraps."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passages import NOW, RECIPE, SLOT, status

from station.domain.disinfection import DisinfectionResult
from station.ports.disinfection_unit import UnitStatus
from station.ports.lane_plc import Eye, LaneStatus
from station.workflow.geometry import LaneGeometry
from station.workflow.lane_piece import LanePiece
from station.workflow.tracker import Track
from station.workflow.uv_watch import UvWatch

WRAP_MS = 1 << 32
FAR_S = 1_000_000.0
EDGE_S, ENTERS_S, LEAVES_S, LATEST_S = 5.0, 5.3, 10.3, 14.0
"""When the head is at the eye before the field, when it enters the field, when the tail leaves it, and when no verdict is waited for."""
EDGE_ENCODER = WRAP_MS - 10_000
STEP_S = 0.05
PIECE = LanePiece(
    track=Track(number=1, head_mm=5_000.0, length_mm=200.0, leading={Eye.UV_IN: EDGE_ENCODER}),
    piece_id="EE473124829VN",
    visit=1,
    tag=SLOT.tag,
    nonce=SLOT.nonce,
)
STANDING = LaneStatus(**{**dict.fromkeys(LaneStatus.__dataclass_fields__, 0), "freeze_latch": False})  # type: ignore[arg-type]


def since_boot_ms(at_s: float, wraps_at_s: float) -> int:
    """What a clock that never wraps shows at that moment; the device's wraps for the first time at `wraps_at_s`."""
    return WRAP_MS + round((at_s - wraps_at_s) * 1000)


def lane_at(at_s: float, wraps_at_s: float) -> LaneStatus:
    b4 = (EDGE_ENCODER + round((at_s - EDGE_S) * 2_000)) % WRAP_MS
    return replace(STANDING, read_at_s=at_s, uptime_ms=since_boot_ms(at_s, wraps_at_s) % WRAP_MS, encoders=(0, 0, 0, b4, 0))


def unit_at(at_s: float, wraps_at_s: float) -> UnitStatus:
    own_ms = since_boot_ms(at_s, wraps_at_s)
    entered_ms, left_ms = (since_boot_ms(moment_s, wraps_at_s) % WRAP_MS for moment_s in (ENTERS_S, LEAVES_S))
    slot = (
        replace(SLOT, entered_ms=entered_ms, left_ms=0, verdict=0)
        if at_s < LEAVES_S
        else replace(SLOT, entered_ms=entered_ms, left_ms=left_ms)
    )
    return status(own_ms % WRAP_MS, read_at_s=at_s, sample_seq=own_ms // 100 % 65_536, slots=(slot,) if at_s >= ENTERS_S else ())


def judged(*, lane_wraps_s: float = FAR_S, unit_wraps_s: float = FAR_S) -> DisinfectionResult:
    """What becomes of the piece when the uptimes wrap then; time 0 is the beginning of the session."""
    watch = UvWatch(LaneGeometry(), RECIPE, "uvc-1", clock_jump_ms=120.0)
    for step in range(round(LATEST_S / STEP_S)):
        at_s = step * STEP_S
        if step % 2:
            watch.note_lane(lane_at(at_s, lane_wraps_s), NOW + timedelta(seconds=at_s))
        else:
            watch.note_unit(unit_at(at_s, unit_wraps_s))
        if watch.verdict_is_in(PIECE):
            break
    return watch.judge(PIECE, at=NOW + timedelta(seconds=at_s))


LONG_AGO_S, JUST_BEFORE_S, AFTER_S = -400_000.0, 3.0, 13.0


@pytest.mark.parametrize("lane_wraps_s", [FAR_S, LONG_AGO_S, -30.0, 0.0, 1.01, JUST_BEFORE_S, AFTER_S])
@pytest.mark.parametrize("unit_wraps_s", [FAR_S, LONG_AGO_S, -30.0, 0.0, 1.01, JUST_BEFORE_S, AFTER_S])
def test_a_piece_before_or_after_a_wrap_is_disinfected_and_its_times_are_right(lane_wraps_s: float, unit_wraps_s: float):
    result = judged(lane_wraps_s=lane_wraps_s, unit_wraps_s=unit_wraps_s)
    assert result.reasons == ()
    assert result.dose_mj_per_cm2 == pytest.approx(39.2, rel=0.01)
    assert abs(result.started_at - (NOW + timedelta(seconds=ENTERS_S))) <= timedelta(seconds=2.5 * STEP_S)
    assert abs(result.ended_at - (NOW + timedelta(seconds=LEAVES_S))) <= timedelta(seconds=2.5 * STEP_S)


@given(wraps_s=st.floats(ENTERS_S, LEAVES_S), device=st.sampled_from(("lane_wraps_s", "unit_wraps_s")))
def test_a_piece_in_the_field_at_a_wrap_is_not_disinfected(wraps_s: float, device: str):
    assert not judged(**{device: wraps_s}).passed


@given(lane_wraps_s=st.floats(-60.0, LATEST_S), unit_wraps_s=st.floats(-60.0, LATEST_S))
def test_whenever_the_uptimes_wrap_nothing_counts_as_disinfected_at_a_wrong_time(lane_wraps_s: float, unit_wraps_s: float):
    result = judged(lane_wraps_s=lane_wraps_s, unit_wraps_s=unit_wraps_s)
    if result.passed:
        assert abs(result.started_at - (NOW + timedelta(seconds=ENTERS_S))) <= timedelta(seconds=2.5 * STEP_S)
        assert result.dose_mj_per_cm2 == pytest.approx(39.2, rel=0.01)
