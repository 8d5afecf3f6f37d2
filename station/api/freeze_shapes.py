"""The wire shapes of freezes: the checklist as it stands, what still lacks, and what people say."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from station.domain.freeze import LONGEST_NAME, LONGEST_NOTE, MOST_NAMES, FreezeOrigin
from station.workflow.views import FreezeProgress


class FreezeLacks(StrEnum):
    """What still lacks before a frozen lane is un-frozen."""

    RECORD = "record"
    """The freeze is not stored yet."""
    STEPS = "steps"
    ALL_CLEARS = "all-clears"
    PLC = "plc"
    """The lane's PLC does not answer."""
    KEY = "key"
    """The key switch at the lane must be turned, and stay so."""
    LATCH = "latch"
    """The PLC is being asked to clear its latch."""


class FreezeStepOut(BaseModel):
    """A step of the checklist in both languages. `needed`: not one for a powder, or one of those was done."""

    id: str
    vi: str
    en: str
    powder_only: bool
    needed: bool
    done_at: datetime | None
    done_by: str | None


class LaneFreezeOut(BaseModel):
    """What the lane itself sees; null where its PLC does not answer. `all_clear`: two people have given it. `refused`: the PLC's word."""

    latched: bool | None
    key_on: bool | None
    all_clear: bool
    refused: str


class FreezeOut(BaseModel):
    """The freeze that the lane is in. `number` is null, and so is what tells of a freeze, while it is in none.

    `suspects_restricted`: suspects that you may not see. `all_clears` is how many people have given the all clear, and `people` who; both
    are null to whoever has not given it, until enough have.
    """

    lane_id: str
    frozen: bool
    number: int | None
    frozen_at: datetime | None
    origin: FreezeOrigin | None
    frozen_by: str | None
    suspects: list[str]
    suspects_restricted: int
    latch_set_again_at: datetime | None
    checklist_sha256: str
    steps: list[FreezeStepOut]
    lacks: list[FreezeLacks]
    my_all_clear_at: datetime | None
    all_clears: int | None
    people: list[str] | None
    lane: LaneFreezeOut | None


class FreezeStepIn(BaseModel):
    """A step is done. `number` is the freeze that it is about."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1)
    step: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]


class FreezeStepDoneOut(BaseModel):
    """The step stands as done."""

    lane_id: str
    number: int
    step: str


class AllClearIn(BaseModel):
    """The all clear of a freeze. `present`: everybody who was in the room or near it, as far as one knows."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1)
    present: Annotated[list[Annotated[str, Field(max_length=LONGEST_NAME)]], Field(min_length=1, max_length=MOST_NAMES)]
    note: str = Field(default="", max_length=LONGEST_NOTE)


class AllClearOut(BaseModel):
    """It is recorded. `all_clear`: two people have given it; the latch is cleared once the key switch at the lane is turned."""

    lane_id: str
    number: int
    all_clear: bool


def lane_freeze_out(lane: FreezeProgress | None) -> LaneFreezeOut | None:
    """What a frozen lane sees of itself."""
    if lane is None:
        return None
    return LaneFreezeOut(latched=lane.latched, key_on=lane.key_on, all_clear=lane.all_clear, refused=lane.refused)
