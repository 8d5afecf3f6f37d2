"""What a running lane calls people for before it has to stop: a bin that takes nothing more, a test piece that falls due."""

from station.domain.alarm import AlarmCode, AlarmPriority
from station.ports.lane_plc import Eye, LaneStatus
from station.workflow import says
from station.workflow.journey import Journey
from station.workflow.says import Says, say

BIN_FULL_S = 2.0
"""What falls into a bin passes its eye in a part of a second; what covers it for longer lies on what is in there."""


class RunningCalls:
    """The calls of one session.

    Args:
        journey: makes a call durable.
        lane_id: what the calls are about.
    """

    def __init__(self, journey: Journey, lane_id: str) -> None:
        self._journey = journey
        self._lane_id = lane_id
        self._free_s: dict[Eye, float] = {}
        self._full = 0
        self._called = 0

    def note(self, status: LaneStatus, now_s: float) -> None:
        """Take one reading of the lane into account, at station time (monotonic, s)."""
        self._full = 0
        for eye in (Eye.HOLD_BIN, Eye.RETURN_BIN):
            if not status.eye(eye):
                self._free_s[eye] = now_s
            elif now_s - self._free_s.setdefault(eye, now_s) > BIN_FULL_S:
                self._full |= 1 << eye

    async def call(self) -> None:
        """Make durable what the readings show, and what the time brings."""
        full = self._full
        if full and full != self._called:
            if self._called and full & ~self._called:
                # Whoever has seen that one is full is called to the other.
                await self._journey.clear_alarm(AlarmCode.BIN_FULL, self._lane_id)
            detail = say(Says.COVERED, eyes=says.eyes(full))
            await self._journey.raise_alarm(AlarmCode.BIN_FULL, AlarmPriority.HIGH, self._lane_id, detail)
        elif self._called and not full:
            await self._journey.clear_alarm(AlarmCode.BIN_FULL, self._lane_id)
        self._called = full
        await self._journey.call_when_test_piece_falls_due()
