"""What the lane PLC concludes about its mechanics: belts, diverters and encoders that do not do what they were told."""

from firmware_sims.belts import Belt, Flap
from firmware_sims.geometry import BELTS, EYE_DIVERT, EYE_UV_IN, EYE_UV_OUT, EYES, Geometry
from firmware_sims.plc_tracking import Tracker

EYE_BELT = (0, 1, 1, 2, 3, 3, 4, 4, 2, 3)
"""The belt whose encoder stamps each eye's edges."""
EYES_OVER_DIVERTER = (1 << EYE_DIVERT | 1 << EYE_UV_IN, 1 << EYE_UV_OUT)
"""What a piece that stands on a diverter covers, or part of it."""
GRACE_MM = 600.0
"""After a boot and after each acknowledged fault a piece of which nothing is known may stand on a diverter: so far must the belts
before and after have run before a diverter off its target is called jammed."""
JAM_MS = 800.0
BLOCKED_TRAVEL_MM = 700.0
SLIP_WINDOW_MS = 500.0
SLIP_MM = 5.0


class Mechanics:
    """Counts, scan by scan, what has lasted too long."""

    __slots__ = ("_blocked_from_mm", "_diverter_mm", "_jam_ms", "_run_mm", "_slip_mm", "_slip_ms")

    def __init__(self, geometry: Geometry) -> None:
        self._diverter_mm = geometry.diverter_mm
        self._blocked_from_mm = [0.0] * EYES
        self._jam_ms = [0.0] * (BELTS + 2)
        self._slip_ms = 0.0
        self._slip_mm = [0.0] * BELTS
        self._run_mm = [0.0] * BELTS

    def forgive(self) -> None:
        """Faults were acknowledged: judge the diverters anew."""
        self._run_mm = [0.0] * BELTS
        self._jam_ms = [0.0] * (BELTS + 2)

    def watch_drives(self, belts: list[Belt], moved_mm: list[float], dt_ms: float) -> tuple[bool, bool]:
        """Whether a drive that is told to run stands for too long, and whether an encoder slips.

        It slips when over half a second it and its drive's speed disagree by more than 5 mm.
        """
        jam_ms, slip_mm, run_mm, dt_s = self._jam_ms, self._slip_mm, self._run_mm, dt_ms / 1000.0
        jammed = False
        for index, (belt, moved) in enumerate(zip(belts, moved_mm, strict=True)):
            run_mm[index] += moved
            speed = belt.speed_mm_s
            if speed:
                slip_mm[index] += speed * dt_s - moved
                jam_ms[index] = 0.0
            elif belt.target_mm_s:
                jam_ms[index] += dt_ms
                jammed |= jam_ms[index] > JAM_MS
            else:
                jam_ms[index] = 0.0
        self._slip_ms += dt_ms
        if self._slip_ms < SLIP_WINDOW_MS:
            return jammed, False
        slips = max(slip_mm) > SLIP_MM or min(slip_mm) < -SLIP_MM
        self._slip_ms, self._slip_mm = 0.0, [0.0] * BELTS
        return jammed, slips

    def covered(self, eye: int, encoder_mm: float) -> None:
        """An eye was covered at this place of its belt."""
        self._blocked_from_mm[eye] = encoder_mm

    def blocked_too_long(self, eyes: int, encoder_mm: list[float]) -> bool:
        """True once when a belt has run 70 cm on under an eye that stays covered."""
        for eye, belt in enumerate(EYE_BELT):
            if eyes >> eye & 1 and encoder_mm[belt] - self._blocked_from_mm[eye] > BLOCKED_TRAVEL_MM:
                self._blocked_from_mm[eye] = encoder_mm[belt]
                return True
        return False

    def diverter_jammed(self, flaps: list[Flap], tracker: Tracker, eyes: int, dt_ms: float) -> bool:
        """True while a diverter with no piece on it has been off its target for too long."""
        jam_ms, jammed = self._jam_ms, False
        for which, flap in enumerate(flaps):
            index = BELTS + which
            if flap.position == flap.target:
                jam_ms[index] = 0.0
                continue
            occupied = eyes & EYES_OVER_DIVERTER[which] or tracker.straddles(self._diverter_mm[which])
            unknown = min(self._run_mm[2 + which], self._run_mm[3 + which]) < GRACE_MM
            jam_ms[index] = 0.0 if occupied or unknown else jam_ms[index] + dt_ms
            jammed |= jam_ms[index] > JAM_MS
        return jammed
