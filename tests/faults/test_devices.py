"""Each fault of a device, of the mechanics and of the power, with a piece where it matters."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from station.domain.alarm import Alarm, AlarmCode
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.ports.lane_plc import STACK_RED
from tests.support.virtual_scene import RECOVERY_S, Scene, play

UV_MM, XRAY_MM, DECISION_MM, GATE_MM, EXIT_MM, INFEED_MM = 4300.0, 1500.0, 3000.0, 5500.0, 5960.0, 600.0


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """A fault, where the piece's head is when it begins, how long it lasts; `stops` tells that the lane must notice by itself.

    `reason`: what the piece is held for. `calls`: the alarm that people are called with.
    """

    device: str
    name: str
    args: dict[str, Any] = field(default_factory=dict)
    at_mm: float
    lasts_s: float = 6.0
    stops: bool = True
    clear: dict[str, Any] = field(default_factory=dict)
    reason: Reason | None = None
    calls: AlarmCode | None = None
    unnoticed: dict[str, int] | None = None

    def __str__(self) -> str:
        return "-".join([self.device, self.name, *(f"{name}={value}" for name, value in self.args.items()), f"{self.at_mm:.0f}"])


MISHAPS = [
    # the lane PLC
    Mishap(device="lane_plc", name="stuck_heartbeat", at_mm=DECISION_MM),
    Mishap(device="lane_plc", name="clock_jump", args={"ms": 5000.0}, at_mm=UV_MM, stops=False),
    Mishap(device="lane_plc", name="torn_block", args={"reads": 40}, at_mm=DECISION_MM),
    Mishap(device="lane_plc", name="torn_block", args={"reads": 2}, at_mm=XRAY_MM, stops=False),
    Mishap(device="lane_plc", name="stale_image", at_mm=DECISION_MM),
    Mishap(device="lane_plc", name="reboot", at_mm=XRAY_MM, reason=Reason.DEVICE_LOST, calls=AlarmCode.DEVICE_LOST),
    Mishap(device="lane_plc", name="reboot", at_mm=GATE_MM),
    Mishap(device="lane_plc", name="brown_out", at_mm=UV_MM),
    # the disinfection unit
    Mishap(device="disinfection_unit", name="stuck_heartbeat", at_mm=UV_MM),
    Mishap(device="disinfection_unit", name="clock_jump", args={"ms": 900.0}, at_mm=UV_MM, stops=False),
    Mishap(device="disinfection_unit", name="torn_block", args={"reads": 40}, at_mm=UV_MM),
    Mishap(device="disinfection_unit", name="stale_image", at_mm=UV_MM),
    Mishap(device="disinfection_unit", name="reboot", at_mm=UV_MM),
    Mishap(device="disinfection_unit", name="brown_out", at_mm=UV_MM),
    Mishap(
        device="disinfection_unit",
        name="sensor_drift",
        args={"factor": 0.4},
        at_mm=3700.0,
        lasts_s=8.0,
        stops=False,
        reason=Reason.DOSE_SHORT,
    ),
    Mishap(device="disinfection_unit", name="sensor_dead", at_mm=UV_MM, calls=AlarmCode.UNIT_FAULT),
    Mishap(device="disinfection_unit", name="over_temperature", at_mm=DECISION_MM, lasts_s=25.0, stops=False, reason=Reason.LAMP_FAULT),
    Mishap(device="disinfection_unit", name="lost_samples", at_mm=4000.0, stops=False, reason=Reason.DOSE_SHORT),
    Mishap(device="world", name="lamp_failure", args={"lamp": 2}, clear={"lamp": 2}, at_mm=UV_MM, calls=AlarmCode.LAMP),
    Mishap(device="world", name="lamp_failure", args={"lamp": 1, "health": 0.5}, clear={"lamp": 1}, at_mm=3600.0, lasts_s=8.0, stops=False),
    # the generator
    Mishap(device="xray_generator", name="arc", at_mm=XRAY_MM, stops=False, reason=Reason.BEAM_OFF_SET_POINT),
    Mishap(device="xray_generator", name="arc", args={"count": 6}, at_mm=XRAY_MM, stops=False, reason=Reason.BEAM_OFF_SET_POINT),
    Mishap(
        device="xray_generator", name="latch", args={"which": "over_voltage"}, at_mm=1650.0, stops=False, reason=Reason.BEAM_OFF_SET_POINT
    ),
    Mishap(device="xray_generator", name="interlock", at_mm=XRAY_MM, stops=False, reason=Reason.DEVICE_LOST),
    Mishap(device="xray_generator", name="kv_drift", args={"factor": 0.9}, at_mm=1400.0, stops=False, reason=Reason.BEAM_OFF_SET_POINT),
    Mishap(device="xray_generator", name="brown_out", at_mm=XRAY_MM),
    Mishap(device="xray_generator", name="reboot", at_mm=1650.0),
    Mishap(device="xray_generator", name="mute", at_mm=XRAY_MM),
    # the line detector
    Mishap(device="line_detector", name="reboot", at_mm=1650.0),
    Mishap(device="line_detector", name="clock_jump", args={"ms": 700.0}, at_mm=1650.0, stops=False),
    Mishap(device="line_detector", name="truncated", args={"count": 3}, at_mm=1650.0, stops=False, reason=Reason.LINES_MISSING),
    Mishap(device="line_detector", name="bit_flip", args={"count": 3}, at_mm=1650.0, stops=False, reason=Reason.LINES_MISSING),
    Mishap(device="line_detector", name="lost_lines", args={"count": 20}, at_mm=1650.0, stops=False, reason=Reason.LINES_MISSING),
    Mishap(device="line_detector", name="silent_gap", args={"count": 20}, at_mm=1650.0, stops=False, reason=Reason.LINES_MISSING),
    Mishap(device="line_detector", name="wrong_count", args={"count": 3}, at_mm=1650.0, stops=False, reason=Reason.LINES_MISSING),
    Mishap(device="line_detector", name="encoder_jump", args={"count": 3}, at_mm=1650.0, stops=False, reason=Reason.LINES_MISSING),
    Mishap(device="line_detector", name="stuck", at_mm=1500.0, stops=False, reason=Reason.SCAN_INCOMPLETE),
    Mishap(device="line_detector", name="mute_lines", at_mm=1500.0, reason=Reason.NO_SCAN, calls=AlarmCode.DEVICE_LOST),
    Mishap(device="line_detector", name="mute_commands", at_mm=1500.0, calls=AlarmCode.DEVICE_LOST),
    Mishap(device="line_detector", name="saturated", at_mm=1500.0, stops=False, reason=Reason.DETECTOR_SATURATED),
    Mishap(device="line_detector", name="gain_drift", at_mm=1500.0, stops=False),
    Mishap(device="line_detector", name="dead_energy", at_mm=1500.0, stops=False),
    Mishap(device="line_detector", name="hot", at_mm=1500.0, stops=False),
    # barcode readers
    Mishap(device="barcode_reader", name="misread", at_mm=250.0, stops=False),
    Mishap(device="barcode_reader", name="unreadable", at_mm=250.0, stops=False),
    Mishap(device="barcode_reader", name="silent", at_mm=250.0),
    Mishap(device="barcode_reader", name="repeat", at_mm=250.0, stops=False),
    Mishap(device="gate_reader", name="misread", at_mm=5300.0, stops=False),
    Mishap(device="gate_reader", name="unreadable", at_mm=5300.0, stops=False),
    Mishap(device="gate_reader", name="silent", at_mm=5300.0, stops=False),
    Mishap(device="gate_reader", name="repeat", at_mm=5300.0, stops=False),
    # mechanics
    Mishap(device="world", name="diverter_jam", args={"which": 1}, clear={"which": 1}, at_mm=DECISION_MM, calls=AlarmCode.PLC_FAULT),
    Mishap(device="world", name="diverter_jam", args={"which": 2}, clear={"which": 2}, at_mm=UV_MM, lasts_s=80.0, stops=False),
    Mishap(device="world", name="gate_jam", at_mm=GATE_MM),
    # Brute force opens a gate without a permit: nothing goes through, and the lane stops.
    Mishap(device="world", name="gate_forced", at_mm=DECISION_MM, unnoticed={"openings_without_permit": 1}),
    *(
        Mishap(device="world", name="belt_jam", args={"belt": b}, clear={"belt": b}, at_mm=mm, calls=AlarmCode.PLC_FAULT)
        for b, mm in enumerate((500, 1400, 2800, 4300, 5400))
    ),
    *(
        Mishap(
            device="world", name="eye_stuck", args={"eye": eye, "blocked": blocked}, clear={"eye": eye}, at_mm=mm, lasts_s=12.0, stops=False
        )
        for eye, mm in enumerate((300.0, 800.0, 2000.0, 3400.0, 3600.0, 4900.0, 5600.0, 5850.0, 3500.0, 4900.0))
        for blocked in (True, False)
    ),
    Mishap(device="world", name="encoder_slip", args={"belt": 1}, clear={"belt": 1}, at_mm=1400.0),
    Mishap(device="world", name="encoder_slip", args={"belt": 3, "factor": 1.3}, clear={"belt": 3}, at_mm=4000.0),
    # safety and surroundings
    Mishap(device="world", name="interlock_open", at_mm=XRAY_MM, calls=AlarmCode.PLC_FAULT),
    Mishap(device="world", name="interlock_chatter", args={"duration_s": 1.0}, at_mm=XRAY_MM),
    Mishap(device="world", name="estop", at_mm=UV_MM, calls=AlarmCode.PLC_FAULT),
    Mishap(device="world", name="mode", args={"mode": 2}, at_mm=DECISION_MM, lasts_s=10.0),
    *(Mishap(device="world", name="access", args={"zone": z}, clear={"zone": z}, at_mm=DECISION_MM) for z in range(7)),
    Mishap(device="world", name="radiation", args={"nsv_h": 900}, at_mm=200.0, lasts_s=10.0, stops=False, reason=Reason.RADIATION),
    Mishap(
        device="world", name="scale_offset", args={"grams": 900.0}, at_mm=200.0, lasts_s=10.0, stops=False, reason=Reason.WEIGHT_DIFFERS
    ),
    Mishap(device="world", name="tunnel_open", at_mm=UV_MM, reason=Reason.UNIT_FAULT, calls=AlarmCode.UNIT_FAULT),
    Mishap(device="world", name="tunnel_unlocked", at_mm=UV_MM, reason=Reason.UNIT_FAULT, calls=AlarmCode.UNIT_FAULT),
]


STANDING_S = 1.0
"""From a lane's stop until its belts have come to rest: telling the PLC, and braking."""

MISHAPS_OF_A_LANE = 5
"""One after the other on the same lane, as a lane in service meets them."""
CHAINS = [MISHAPS[first : first + MISHAPS_OF_A_LANE] for first in range(0, len(MISHAPS), MISHAPS_OF_A_LANE)]


@pytest.mark.parametrize("mishaps", CHAINS, ids=lambda mishaps: str(mishaps[0]))
def test_mishaps_harm_nobody_and_the_lane_works_again(mishaps: list[Mishap]):
    async def scene(scene: Scene) -> None:
        met = {await meet(scene, mishap): mishap for mishap in mishaps}
        await scene.still_releases()
        # The same pieces come to their end, whatever became of them: people review them and feed them in again.
        for piece_id, mishap in met.items():
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
            if mishap.reason is not None:
                assert mishap.reason in scene.reasons(piece_id)

    unnoticed: Counter[str] = Counter()
    for mishap in mishaps:
        unnoticed.update(mishap.unnoticed or {})
    play(scene, unnoticed=dict(unnoticed))


def alarms_of(scene: Scene) -> list[Alarm]:
    """Every alarm that was raised, oldest first."""
    return sorted(scene.station.store.read(lambda view: view.alarms()), key=lambda alarm: alarm.alarm_id or 0)


async def meet(scene: Scene, mishap: Mishap) -> str:
    """A further piece goes as far as the mishap wants it, and meets it there; the piece."""
    piece_id = await scene.feed()
    await scene.until_at(piece_id, mishap.at_mm, timeout_s=RECOVERY_S)
    await scene.until_running()
    before = len(alarms_of(scene))
    scene.station.fault(mishap.device, mishap.name, **mishap.args)
    if mishap.stops:
        await scene.until_stopped(timeout_s=15.0)
    await scene.settle(mishap.lasts_s)
    if mishap.calls is not None:
        assert [alarm.code for alarm in alarms_of(scene)[before:]] == [mishap.calls]
    scene.station.clear_fault(mishap.device, mishap.name, **mishap.clear)
    return piece_id


@pytest.mark.parametrize(("name", "args"), [("stale_image", {}), ("torn_block", {"reads": 1000})])
def test_belts_stand_while_the_plc_cannot_be_believed(name: str, args: dict[str, Any]):
    """People go on trying to clear the access meanwhile: each try feeds its watchdog."""

    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_at(piece_id, DECISION_MM)
        scene.station.fault("lane_plc", name, **args)
        await scene.until_stopped(timeout_s=5.0)
        await scene.settle(STANDING_S)
        assert scene.station.simulated.plc.stack_light == STACK_RED
        belts = scene.station.simulated.world.belts
        encoders = [belt.encoder for belt in belts]
        await scene.settle(6.0)
        assert [belt.encoder for belt in belts] == encoders
        scene.station.clear_fault("lane_plc", name)
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)

    play(scene)


def test_an_exit_eye_that_sees_something_behind_a_shut_gate_lets_nobody_escape():
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        scene.station.fault("gate_reader", "silent", pieces=1)
        await scene.until_at(piece_id, 5805.0)
        scene.station.fault("world", "eye_stuck", eye=7, blocked=True)
        await scene.until_stopped(timeout_s=5.0)
        assert PieceState.ESCAPED not in scene.states(piece_id)
        scene.station.clear_fault("world", "eye_stuck", eye=7)
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)

    play(scene)


@pytest.mark.parametrize("early_mm", [150.0, 80.0])
def test_an_exit_eye_that_sees_something_before_the_piece_is_there_releases_nothing(early_mm: float):
    """The gate's ring is written by the exit eye: here it says that a piece passed which people then take from the gate."""

    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = scene.people.reviews = False
        piece_id = await scene.feed()
        await scene.until_at(piece_id, EXIT_MM - early_mm)
        scene.station.fault("world", "eye_stuck", eye=7, blocked=True)
        await scene.until_stopped(timeout_s=5.0)
        await scene.settle(12.0)
        scene.station.clear_fault("world", "eye_stuck", eye=7)
        await scene.until_running()
        assert not {PieceState.RELEASED, PieceState.ESCAPED} & set(scene.states(piece_id))
        assert Reason.TRACK_LOST in scene.reasons(piece_id)
        assert scene.where(piece_id)["place"] != "outside"
        scene.people.refeeds_pieces = scene.people.reviews = True
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=400.0)
        assert scene.where(piece_id)["place"] == "outside"

    play(scene)
