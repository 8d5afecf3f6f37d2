"""What a lane shows of itself, and what people may ask of it: the seam between a lane's thread and the interface."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from station.domain.access import Caller
from station.domain.alarm import Alarm
from station.domain.piece import PieceState, Secrecy, Urgency
from station.domain.projection import ProjectionAnswer
from station.domain.review import OperatorDecision
from station.domain.scan import ModelReading
from station.domain.test_piece import TestPieceRun
from station.ports.screening import ScreeningResult


class LaneState(StrEnum):
    """The lane in one word."""

    OFFLINE = "offline"
    """A device is out of reach: nothing moves."""
    STARTING = "starting"
    """Connecting, purging, calibrating, warming lamps."""
    RUNNING = "running"
    WAITING = "waiting"
    """Belts wait for a late decision or for room downstream."""
    STOPPED = "stopped"
    """A person or a fault stopped it; it starts again when asked and the cause is gone."""
    ATTENTION = "attention"
    """An attention stop: the operator must decide."""
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceOnLane:
    """One piece on the belts. `head_mm` is the leading edge along the lane (0: start of B1).

    `marked`: it counts as marked, be it that its level is not known; `secrecy` is what was announced.
    """

    piece_id: str
    visit: int
    state: PieceState
    marked: bool
    secrecy: Secrecy | None
    urgency: Urgency | None
    destination: str
    head_mm: float
    length_mm: float
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """A scan that waits for the operator. The score and findings are None/empty while the read must stay blind."""

    piece_id: str
    visit: int
    scan_sha256: str
    opened_at: datetime
    seconds_left: float
    extended: bool
    attention: bool
    blind: bool
    score: float | None
    threshold: float | None
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedImage:
    """What stands for the true image of a scan now: the model's reading of it (which names piece, visit and hash), and its pictures."""

    scan_sha256: str
    reading: ModelReading
    views: ScreeningResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseView:
    """The image before showed a projected threat, and this is the truth about it.

    `box_share` is where the thing was: x, y, width, height in shares of the image. `confirmed`: a screen has said that it shows this.
    `silence_freezes`: a freeze was called, and without an answer about the true image the lane freezes. `level` is what the piece counts as
    now: nothing is projected into a marked piece, but advice may come late.
    """

    piece_id: str
    visit: int
    answer: ProjectionAnswer
    threat_class: str
    box_share: tuple[float, float, float, float]
    confirmed: bool
    silence_freezes: bool
    level: Secrecy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """One device as the supervisor sees it; `detail` says what is wrong, language-free."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeProgress:
    """How far a frozen lane is from being un-frozen, as far as the lane itself sees it. None: the PLC does not answer.

    `latched`: its freeze latch is set. `key_on`: the key switch at the lane is turned. `all_clear`: two people have given it, so that the
    PLC is asked to clear its latch once the key is turned. `refused` is the word for what it said to that last, empty while it did not.
    `unrecorded`: somebody has frozen the lane and it is not stored yet, so that no all clear counts.
    """

    latched: bool | None = None
    key_on: bool | None = None
    all_clear: bool = False
    refused: str = ""
    unrecorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """A snapshot of one lane. `latest_*` are the piece, the level that it counts as, and the hash of the newest complete scan.

    `garbage_bytes` came from the detector since it was connected and belonged to no line.
    `alarm` is what stopped the lane, whether or not it could be stored. `exercise` is one that has been revealed. `freeze` is None unless
    the lane is frozen.
    """

    lane_id: str
    at: datetime
    state: LaneState
    belt_speeds_mm_s: tuple[int, int, int, int, int]
    beam_on: bool
    lamps_on: bool
    gate: str
    frozen: bool
    radiation_nsv_per_h: int
    pieces: tuple[PieceOnLane, ...]
    request: DecisionRequest | None
    exercise: ExerciseView | None
    latest_piece_id: str | None
    latest_level: Secrecy | None
    latest_scan_sha256: str | None
    devices: tuple[DeviceHealth, ...]
    alarm: Alarm | None
    test_piece_passed_at: datetime | None
    test_piece_run: TestPieceRun | None
    pieces_per_hour: float
    garbage_bytes: int
    freeze: FreezeProgress | None = None


class LaneDecided(StrEnum):
    """What became of a decision about the scan that waits on a lane."""

    DECIDED = "decided"
    AWAITING_SECOND_PERSON = "awaiting-second-person"
    EXERCISE = "exercise"
    """The image was a projected one: nothing was decided about the piece."""


class LaneCommand(StrEnum):
    """What a person may ask of a lane."""

    START = "start"
    STOP = "stop"
    CLEAR_ACCESS = "clear-access"
    PURGE = "purge"


class LaneControl(Protocol):
    """A running lane as the handlers see it. Every method may be called from any thread or event loop."""

    @property
    def lane_id(self) -> str:
        """The lane's name, for example `lane-1`."""
        ...

    def view(self) -> LaneView:
        """The newest snapshot."""
        ...

    def projected_image(self) -> ProjectedImage | None:
        """The image that stands for the true one of its piece now."""
        ...

    async def decide(self, *, piece_id: str, visit: int, scan_sha256: str, decision: OperatorDecision, by: Caller) -> LaneDecided:
        """Somebody decides the scan that waits; returns when the decision is durable.

        Raises:
            ConflictError: that scan is not waiting (any more); nothing was changed.
            RefusedError: who asks may not decide about it, or has cleared it already; nothing was changed.
        """
        ...

    async def freeze(self, *, by: Caller, piece_id: str | None = None) -> bool:
        """Freeze in place: returns when the PLC's latch is read back. `piece_id` is the suspect, if the person named one.

        False when a reader named a piece whose image was a projected one: every belt stands, and nothing is latched (decision 0052).
        """
        ...

    async def confirm_exercise(self, *, piece_id: str, visit: int, by: Caller) -> bool:
        """This person's screen shows that the image in this piece was an exercise, and the true image. False: somebody else answered it.

        Raises:
            ConflictError: no exercise in that piece was revealed.
        """
        ...

    async def command(self, command: LaneCommand, *, person: str) -> None:
        """Start, stop, purge, or take a cleared access as seen. Raises `RefusedError` with the reason."""
        ...
