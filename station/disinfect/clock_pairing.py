"""Bringing the lane PLC's uptime and the disinfection unit's uptime together. Pure.

Each reading of a device pairs the station's monotonic time with that device's uptime (contract: device codes, clocks). What matters is
the difference between the two devices at the same instant: it stays constant as long as neither clock jumps, even if both stall together.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from itertools import islice, pairwise
from statistics import median

JUMP_MS = 120.0
"""A lasting change of the difference by more than this is a jump; well above what one late answer does to a median."""

_FAST = 7
_SLOW = 31
_NEAR = 15
_MAX_BRACKET_S = 2.0
_REACH_MS = 3_000.0
_LATELY = 64


class ClockPairing:
    """Maps the lane PLC's uptime to the unit's; what a jump or a reboot lies between cannot be mapped.

    Feed it every reading of both devices. `holds_over` tells whether a span may be used, `to_unit_ms` maps a moment.
    """

    def __init__(self, *, jump_ms: float = JUMP_MS, keep: int = 1_200) -> None:
        self._jump_ms = jump_ms
        self._lane: tuple[float, int] | None = None
        self._lately: deque[tuple[float, int]] = deque(maxlen=_LATELY)
        self._pending: list[tuple[float, int]] = []
        self._unit_ms: int | None = None
        self._boots: dict[str, int] = {}
        self._pairs: deque[tuple[float, float]] = deque(maxlen=keep)

    def observe_lane(self, *, read_at_s: float, uptime_ms: int, boot_count: int) -> None:
        """A reading of the lane PLC: station time in its middle, the PLC's uptime and boot count."""
        went_back = self._lane is not None and (read_at_s <= self._lane[0] or uptime_ms < self._lane[1])
        if self._rebooted("lane", boot_count) or went_back:
            self._forget()
            self._lane = (read_at_s, uptime_ms)
            return
        if self._lane is not None and read_at_s - self._lane[0] <= _MAX_BRACKET_S:
            self._pair(self._lane, (read_at_s, uptime_ms))
            self._lately.append((read_at_s, uptime_ms))
        else:
            self._lately.clear()
            self._lately.append((read_at_s, uptime_ms))
        self._pending = [one for one in self._pending if one[0] > read_at_s]
        self._lane = (read_at_s, uptime_ms)

    def observe_unit(self, *, read_at_s: float, uptime_ms: int, boot_count: int) -> None:
        """A reading of the disinfection unit."""
        went_back = self._unit_ms is not None and uptime_ms < self._unit_ms
        if self._rebooted("unit", boot_count) or went_back:
            self._forget()
        self._unit_ms = uptime_ms
        # A unit on a slow line answers after the lane PLC has been read again: its moment may lie between earlier lane readings.
        for before, after in pairwise(self._lately):
            if before[0] <= read_at_s <= after[0]:
                self._pending.append((read_at_s, uptime_ms))
                self._pair(before, after)
                self._pending.pop()
                return
        self._pending.append((read_at_s, uptime_ms))
        del self._pending[:-_NEAR]

    def to_unit_ms(self, lane_ms: float) -> float | None:
        """The unit's uptime at that moment of the lane PLC's uptime; None when the pairing does not reach there."""
        moments = [pair[0] for pair in self._pairs]
        middle = bisect_left(moments, lane_ms)
        near = list(self._pairs)[max(0, middle - _NEAR // 2 - 1) : middle + _NEAR // 2 + 1]
        if len(near) < _FAST or not (near[0][0] - _REACH_MS <= lane_ms <= near[-1][0] + _REACH_MS):
            return None
        return lane_ms + _difference(near)

    def holds_over(self, start_lane_ms: float, end_lane_ms: float) -> bool:
        """True when both clocks ran evenly and were observed from before the start to after the end of the span."""
        return len(self._pairs) >= _FAST and self._pairs[0][0] <= start_lane_ms <= end_lane_ms <= self._pairs[-1][0]

    def _rebooted(self, device: str, boot_count: int) -> bool:
        before = self._boots.get(device)
        self._boots[device] = boot_count
        return before is not None and before != boot_count

    def _forget(self) -> None:
        self._pairs.clear()
        self._pending.clear()
        self._lately.clear()
        self._lane = None
        self._unit_ms = None

    def _pair(self, before: tuple[float, int], after: tuple[float, int]) -> None:
        for at_s, unit_ms in self._pending:
            if before[0] <= at_s <= after[0]:
                share = (at_s - before[0]) / (after[0] - before[0])
                lane_ms = before[1] + share * (after[1] - before[1])
                if not self._pairs or lane_ms > self._pairs[-1][0]:
                    self._pairs.append((lane_ms, unit_ms - lane_ms))
                    self._drop_before_a_jump()

    def _drop_before_a_jump(self) -> None:
        newest_first = list(islice(reversed(self._pairs), _FAST + _SLOW))
        newest, earlier = newest_first[:_FAST], newest_first[_FAST:]
        if len(earlier) >= _FAST and abs(_difference(newest) - _difference(earlier)) > self._jump_ms:
            self._pairs = deque(reversed(newest), maxlen=self._pairs.maxlen)


def _difference(pairs: Sequence[tuple[float, float]]) -> float:
    return median(pair[1] for pair in pairs)
