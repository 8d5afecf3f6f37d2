"""Somebody who looks at the lane at every step of the world: what must not be seen there whatever the station believes."""

from collections import Counter, defaultdict
from collections.abc import Callable

from firmware_sims.geometry import ZONE_UV_A, ZONE_UV_B
from firmware_sims.ledger import Stay
from firmware_sims.simulated_lane import STEP_S
from station.workflow.views import LaneState
from tests.support.virtual_lane import VirtualStation

STANDS_WITHIN_S = {LaneState.FROZEN: 1.0, LaneState.STOPPED: 3.0, LaneState.OFFLINE: 3.0, None: 3.0}
"""How long after its lane said so (None: after its station died) belts may still move and beam and lamps be on: deadlines, watchdogs."""

DARK_WITHIN_S = 1.0
"""An access to the light puts it out within half a second (docs/explanation/residual-risk.md); the rest is for seeing it."""

UV_ZONES = 1 << ZONE_UV_A | 1 << ZONE_UV_B
SPOILING_FAULTS = frozenset({"stuck", "dead_energy", "saturated"})
SPOILT_S = 0.5
"""A picture of which so much is spoilt shows nothing of a tenth of a metre."""

KV_ERROR_SHARE = 0.06
"""Twice what the station lets pass."""


class Bystander:
    """Follows one simulated lane, whichever station drives it. What it sees goes into `wrong`, each kind once."""

    def __init__(self, station: Callable[[], VirtualStation], *, kv: float, wrong: list[str]) -> None:
        self._station, self._kv, self._wrong = station, kv, wrong
        self._lane = station().simulated
        self._standing_s = self._lit_with_access_s = 0.0
        self._take_state(None)
        self._seen: set[str] = set()
        self._spoilt_s: defaultdict[int, float] = defaultdict(float)
        self.steps: Counter[str] = Counter()
        self._opened = self._lane.world.ledger.gate_opened
        self._lane.world.ledger.gate_opened = self._gate_opened  # type: ignore[method-assign]
        self._lane.followers.append(self._look)

    def _say(self, kind: str, detail: str) -> None:
        if kind not in self._seen:
            self._seen.add(kind)
            self._wrong.append(f"at {self._lane.simulated_s:.1f} s: {kind}: {detail}")

    def _look(self) -> None:
        station, world = self._station(), self._lane.world
        state = None if station.mains.off or station.lane_task.done() else station.lane.view().state
        if state is not self._state:
            self._take_state(state)
        self.steps[self._state_name] += 1
        self._standing_s = STEP_S if self._limit_s is None else self._standing_s + STEP_S
        if self._limit_s is not None and self._standing_s > self._limit_s and self._runs():
            speeds = [round(belt.speed_mm_s) for belt in world.belts]
            self._say(f"moves or shines although {state}", f"belts {speeds}, beam {world.beam_on}, light {world.uv.level_mw_per_cm2:g}")
        lit = world.access & UV_ZONES and world.uv.level_mw_per_cm2 > 0.0
        self._lit_with_access_s = self._lit_with_access_s + STEP_S if lit else 0.0
        if self._lit_with_access_s > DARK_WITHIN_S:
            self._say("light on hands", f"access {world.access:#b}")
        if world.beam_on:
            self._look_at_picture()

    def _take_state(self, state: LaneState | None) -> None:
        """Of a state all that stays the same until the next one."""
        self._state, self._state_name = state, "dead" if state is None else state.value
        self._limit_s = STANDS_WITHIN_S.get(state)
        if state is LaneState.FROZEN:
            self._standing_s = 0.0

    def _runs(self) -> bool:
        world = self._lane.world
        return world.beam_on or world.uv.level_mw_per_cm2 > 0.0 or any(belt.speed_mm_s for belt in world.belts)

    def _look_at_picture(self) -> None:
        """Count the time for which a piece's picture is taken by a sick detector or with another voltage."""
        world, beam_mm = self._lane.world, self._lane.world.geometry.beam_mm
        sick = SPOILING_FAULTS & self._lane.detector.lasting_faults or abs(world.beam_kv - self._kv) > KV_ERROR_SHARE * self._kv
        if sick and world.belts[1].speed_mm_s:
            for load in world.loads:
                if load.head_mm - load.length_mm < beam_mm <= load.head_mm:
                    self._spoilt_s[id(load.stay)] += STEP_S

    def _gate_opened(self, *, now_ms: float, permit_tag: int | None) -> None:
        ledger = self._lane.world.ledger
        self._opened(now_ms=now_ms, permit_tag=permit_tag)
        if permit_tag is not None:
            serial = ledger.tag_to_serial.get(permit_tag)
            stay = next((stay for stay in reversed(ledger.stays) if stay.serial == serial), None)
            unfit = "a piece that nobody tagged" if stay is None else self._unfit(stay)
            if unfit:
                self._say("the gate opened for", f"{stay.piece_id if stay else permit_tag}: {unfit}")

    def _unfit(self, stay: Stay) -> str:
        """Why the gate must not open for it; empty when it may."""
        if not stay.scanned or not stay.cleared:
            return "not scanned" if not stay.scanned else "not cleared"
        if stay.dose_mj_per_cm2 < self._station().target_mj_per_cm2:
            return f"{stay.dose_mj_per_cm2:.1f} mJ/cm2"
        spoilt_s = self._spoilt_s[id(stay)]
        return f"{spoilt_s:.1f} s of its picture were spoilt" if spoilt_s > SPOILT_S else ""
