"""What the interface takes and gives: the wire shapes of every resource."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from station.api.exercise_shapes import ExerciseOut
from station.api.freeze_shapes import LaneFreezeOut
from station.api.scan_shapes import ScanOut
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.piece import PieceState, Secrecy, Urgency
from station.domain.review import OperatorDecision, ReviewOutcome
from station.workflow.views import LaneCommand, LaneState

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PieceId = Annotated[str, Field(pattern=r"^[!-.0-~]{1,40}$")]
Extent = Annotated[float, Field(gt=0, le=5000, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Code = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Asked(BaseModel):
    """A request's body: unknown members are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class AnnouncementIn(Asked):
    """Pre-advice of one piece: routing data only, never title or content."""

    piece_id: PieceId
    secrecy: str | None = Field(max_length=32, description="`A`, `B`, `C`; null for an unmarked piece. Anything else counts as `A`.")
    urgency: Urgency | None = None
    destination: Code = ""
    sender_unit: Code = ""
    kind: Literal["envelope", "packet", "parcel", "unknown"] = "unknown"
    length_mm: Extent | None = None
    width_mm: Extent | None = None
    height_mm: Extent | None = None
    weight_g: Weight | None = None


class HandOverIn(Asked):
    """A rejected piece leaves by hand."""

    how: Literal["returned", "handed_over"] = Field(description="Back to the sender unit, or to the competent force.")
    to: Code = Field(min_length=1, description="Who took it.")


class ReviewIn(Asked):
    """A reviewer's decision. `scan_sha256` names the scan that was looked at; null when there was none."""

    outcome: ReviewOutcome
    scan_sha256: Sha256 | None
    note: str = Field(default="", max_length=1000)


class LaneDecisionIn(Asked):
    """A decision on the scan that waits, which `scan_sha256` names."""

    piece_id: PieceId
    visit: int = Field(ge=1)
    scan_sha256: Sha256
    decision: OperatorDecision


class FreezeIn(Asked):
    """What a person says who freezes a lane. `piece_id` is the piece that the freeze is about, if it is about one."""

    piece_id: PieceId | None = None


class LaneCommandIn(Asked):
    """What a person asks of a lane."""

    command: LaneCommand


class PieceOut(BaseModel):
    """A piece as it is now. `restricted`: it counts as marked, and you see no images, so nothing about its content is given.

    A piece that was not announced counts as one of the highest level.
    """

    piece_id: str
    state: PieceState
    visit: int
    state_since: datetime
    announced: bool
    restricted: bool
    secrecy: Secrecy | None
    urgency: Urgency | None
    destination: str
    sender_unit: str
    kind: str
    lane_id: str | None
    reasons: list[str]
    row_version: int


class PageOut(BaseModel):
    """One page of pieces; `next` is the cursor of the next page, null on the last."""

    items: list[PieceOut]
    next: str | None


class ClaimOut(BaseModel):
    """A reviewer's lease."""

    person: str
    expires_at: datetime
    seconds_left: float


class FactOut(BaseModel):
    """One stored fact. `values` are its members; for a restricted piece only those that say nothing about its content."""

    row_id: int
    type: str
    visit: int
    at: datetime
    values: dict[str, object]


class PieceDetailOut(PieceOut):
    """A piece with its evidence. `people_needed`: how many different people must clear it."""

    scan: ScanOut | None
    claim: ClaimOut | None
    people_needed: int
    evidence: list[FactOut]


class QueueItemOut(PieceOut):
    """A held piece in the review queue."""

    scan_sha256: str | None
    claim: ClaimOut | None
    people_needed: int


class QueueOut(BaseModel):
    """One page of the review queue, urgent and marked pieces first."""

    items: list[QueueItemOut]
    next: str | None


class ChangedOut(BaseModel):
    """What became of a piece."""

    piece_id: str
    state: PieceState
    visit: int


class DecidedOut(ChangedOut):
    """What became of a piece after a decision."""

    awaiting_second_person: bool


class ClaimedOut(BaseModel):
    """The lease that was given."""

    piece_id: str
    person: str
    expires_at: datetime
    lease_s: float


class PieceOnLaneOut(BaseModel):
    """One piece on the belts; `head_mm` is its leading edge from the start of the lane. Nameless: one that you may not see lies there."""

    piece_id: str | None
    visit: int | None
    state: PieceState | None
    restricted: bool
    marked: bool
    secrecy: Secrecy | None
    urgency: Urgency | None
    destination: str
    head_mm: float
    length_mm: float
    outcome: str | None


class DecisionRequestOut(BaseModel):
    """A scan that waits for the operator. Of a restricted piece neither the scan nor what was found in it is given.

    Nameless: the lane waits for somebody who may see the piece.
    """

    piece_id: str | None
    visit: int | None
    restricted: bool
    scan_sha256: str | None
    opened_at: datetime | None
    seconds_left: float
    extended: bool
    attention: bool
    blind: bool
    score: float | None
    threshold: float | None
    findings: list[str]


class DeviceOut(BaseModel):
    """One device's health."""

    name: str
    ok: bool
    detail: str


class TestValueOut(BaseModel):
    """One test of a run; `measured` is -1 where it could not be measured."""

    __test__ = False

    name: str
    measured: float
    limit: float
    passed: bool


class TrendWarningOut(BaseModel):
    """A value that drifts from the mean of its first runs."""

    name: str
    reference: float
    newest: float
    rises: bool


class TestPieceRunOut(BaseModel):
    """The newest run of the lane's test piece; `error` says why it could not be scored."""

    __test__ = False

    lane_id: str
    piece_id: str
    at: datetime
    passed: bool
    values: list[TestValueOut]
    not_asked: list[str]
    warnings: list[TrendWarningOut]
    error: str


class ReferenceEndedIn(Asked):
    """What was done to the scanner, for whoever reads the trend later."""

    note: Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ReferenceEndedOut(BaseModel):
    """The trend of the lane's test piece begins anew with the next passed run."""

    lane_id: str
    person: str
    at: datetime


class TestPieceStandOut(BaseModel):
    """The newest run of the lane's test piece in short: names of the values that failed, and of those that drift."""

    __test__ = False

    at: datetime
    passed: bool
    failed: list[str]
    drifting: list[str]


class LaneOut(BaseModel):
    """A snapshot of one lane. `latest_*` is the newest scan that may be shown; `exercise` one that has been revealed.

    `freeze` is null unless the lane is frozen; more of it under `/freeze`.
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
    pieces: list[PieceOnLaneOut]
    request: DecisionRequestOut | None
    exercise: ExerciseOut | None
    latest_piece_id: str | None
    latest_restricted: bool
    latest_scan_sha256: str | None
    devices: list[DeviceOut]
    test_piece_passed_at: datetime | None
    test_piece: TestPieceStandOut | None
    pieces_per_hour: float
    freeze: LaneFreezeOut | None


class LanesOut(BaseModel):
    """All running lanes."""

    items: list[LaneOut]
    next: None = None


class LaneDecidedOut(BaseModel):
    """The decision is recorded; or, with `exercise`, the image was a projected one, and nothing was decided about the piece.

    `awaiting_second_person`: it takes effect once somebody else has cleared the piece too, before the window ends.
    """

    lane_id: str
    piece_id: str
    visit: int
    decision: OperatorDecision
    exercise: bool = False
    awaiting_second_person: bool = False


class FrozenOut(BaseModel):
    """The lane's latch is read back. Not `frozen`: the freeze was about an exercise; all belts stand, and the truth is shown."""

    lane_id: str
    frozen: bool


class CommandedOut(BaseModel):
    """The lane took the command."""

    lane_id: str
    command: LaneCommand


class AlarmOut(BaseModel):
    """One alarm; active until `cleared_at`, unacknowledged until `acknowledged_at`. Without `alarm_id` it could not be stored yet.

    `restricted`: it is about a piece that you may not see, so neither subject nor detail is given.
    """

    alarm_id: int | None
    code: AlarmCode
    priority: AlarmPriority
    subject: str
    detail: str
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None
    restricted: bool


class AlarmsOut(BaseModel):
    """Alarms. `present`: how many are active or unacknowledged, listed here or not; `unacknowledged`: how many nobody has seen."""

    items: list[AlarmOut]
    present: int
    unacknowledged: int
    next: None = None


class SettleIn(Asked):
    """What became of what escaped: where it is, or who has taken the search over."""

    note: str = Field(min_length=1, max_length=1000)


class SettledOut(BaseModel):
    """The alarm is over by that person's word."""

    alarm_id: int
    settled_by: str
    settled_at: datetime


class AcknowledgedOut(BaseModel):
    """The alarm is acknowledged."""

    alarm_id: int
    acknowledged_by: str
    acknowledged_at: datetime
