"""The uptime of a device wraps after 49.7 days: what lies under the lamps then is fed in again, and everything after it goes out."""

import pytest

from station.domain.piece import PieceState
from station.domain.reasons import Reason
from tests.support.virtual_scene import RECOVERY_S, Scene, play

UPTIME_WRAP_MS = 1 << 32
BEFORE_WRAP_S = 120.0
TO_THE_LAMPS_S = 26.0
"""From the feeding of some pieces until the second of them lies under the lamps."""
DEVICES = ("lane_plc", "disinfection_unit")


def until_wrap_s(scene: Scene, device: str) -> float:
    """Seconds until the device's uptime wraps; negative when it has."""
    return (UPTIME_WRAP_MS - scene.station.do(do="state")["uptime_ms"][device]) / 1000.0


async def come_to_the_wrap(scene: Scene, device: str) -> None:
    """Let the device have been on for 49.7 days, and the lane run again if it took that for a clock gone wrong."""
    ms = 1000.0 * (until_wrap_s(scene, device) - BEFORE_WRAP_S)
    scene.station.fault(device, "clock_jump", ms=ms - ms % 100.0)
    await scene.settle(5.0)
    await scene.until_running()


@pytest.mark.parametrize("device", DEVICES)
def test_pieces_go_out_across_a_wrap_without_a_stop(device: str):
    async def scene(scene: Scene) -> None:
        await come_to_the_wrap(scene, device)
        await scene.until(lambda: until_wrap_s(scene, device) <= TO_THE_LAMPS_S)
        starts = scene.people.starts
        fed = [await scene.feed() for _ in range(4)]
        for piece_id in fed:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=RECOVERY_S)
        assert until_wrap_s(scene, device) < 0.0
        assert [piece_id for piece_id in fed if Reason.DEVICE_LOST in scene.reasons(piece_id)] == [fed[1]]
        assert scene.people.starts == starts
        await scene.still_releases(2)
        assert scene.people.starts == starts

    play(scene)
