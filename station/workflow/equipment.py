"""What a lane works with: its devices, its settings and the services that it shares with others."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from station.disinfect.clock_pairing import JUMP_MS
from station.disinfect.recipes import TunnelRecipe
from station.domain.freeze import Checklist
from station.domain.reasons import Reason
from station.ports.clock import Clock
from station.ports.lane_devices import LaneDevices
from station.ports.screening import ScreeningEngine
from station.ports.vault import ImageStore
from station.workflow.geometry import LaneGeometry

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs blocking work off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return the work's result, or raise what it raised."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """A lane's numbers. Times in seconds of station time.

    `verdict_wait_s` is how long B4 may stand before D2 for the unit's verdict: less than the second after which the lamps go out.
    `clock_jump_ms` bounds what counts as jitter between two devices' clocks; jitter is in wall time, so a faster clock has more of it.
    """

    lane_id: str
    kv: float
    ma: float
    recipe: TunnelRecipe
    unit_id: str = "uv-1"
    geometry: LaneGeometry = field(default_factory=LaneGeometry)
    poll_s: float = 0.05
    unit_poll_s: float = 0.1
    generator_poll_s: float = 0.2
    detector_poll_s: float = 2.0
    start_timeout_s: float = 120.0
    beam_idle_s: float = 6.0
    dark_max_age_s: float = 1500.0
    gate_code_wait_s: float = 1.5
    permit_valid_ms: int = 1000
    exit_wait_s: float = 4.0
    verdict_wait_s: float = 0.8
    clock_jump_ms: float = JUMP_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """Everything that a lane's session is built from."""

    settings: LaneSettings
    devices: LaneDevices
    clock: Clock
    screening: ScreeningEngine
    images: ImageStore
    run_blocking: RunBlocking
    checklist: Checklist


class LaneTrouble(Exception):  # noqa: N818 - trouble is what the lane is in, not an error of the program
    """The lane cannot go on as it is: belts stop, everything on them is held, a person starts it again.

    `piece_reason` is why the pieces concerned are held; `detail` is language-free (see `station.workflow.says`).
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class FreezeLatched(Exception):  # noqa: N818 - a condition of the lane
    """The PLC's retained freeze latch is set: nothing on the lane moves until it is cleared at the lane."""


class RecalibrationDue(Exception):  # noqa: N818 - a date, not an error
    """The dark lines are old, and the belts are empty or will not get so: the lane prepares anew by itself, if nobody stopped it."""
