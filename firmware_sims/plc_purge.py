"""The purge: belts run empty into the bins with the gate shut, until every eye has been clear for long enough."""

from firmware_sims.geometry import BELTS, EYE_GATE

PURGE_MM_S = 200
JOG_MM_S = 100
JOG_MS = 1000.0
EMPTY_TRAVEL_MM = 1600.0
"""Further than from any eye to the next: whatever lies between two eyes has been seen by then."""
LONGEST_MS = 60_000.0
WATCHED_EYES = (1 << EYE_GATE) - 1


class Purge:
    """Counts each belt's travel since an eye of B1 to B4 was last covered. A piece at the gate stays there and does not count."""

    __slots__ = ("_age_ms", "_travel_mm", "running", "stuck")

    def __init__(self) -> None:
        self.running = False
        self.stuck = False
        self._age_ms = 0.0
        self._travel_mm = [0.0] * BELTS

    def start(self) -> None:
        """Begin."""
        self.running, self.stuck = True, False
        self._age_ms = 0.0
        self._travel_mm = [0.0] * BELTS

    def step(self, dt_ms: float, *, eyes: int, moved_mm: list[float]) -> None:
        """One scan; ends the purge when the lane has proved empty, or as stuck after a minute."""
        self._age_ms += dt_ms
        if self._age_ms > LONGEST_MS:
            self.running, self.stuck = False, True
            return
        if eyes & WATCHED_EYES:
            self._travel_mm = [0.0] * BELTS
            return
        for belt, moved in enumerate(moved_mm):
            self._travel_mm[belt] += moved
        at_gate = bool(eyes >> EYE_GATE & 1)
        belts = BELTS - 1 if at_gate else BELTS
        self.running = min(self._travel_mm[:belts]) < EMPTY_TRAVEL_MM
