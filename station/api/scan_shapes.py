"""The wire shapes of scans: what is known of one, and for how long somebody looked at it."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DAY_MS = 24 * 3600 * 1000


class FindingOut(BaseModel):
    """Something noticed in a scan; `box_px` is x, y, width, height in the corrected image."""

    reason: str
    box_px: tuple[int, int, int, int] | None
    measured: float | None
    limit: float | None


class ScanOut(BaseModel):
    """The newest scan of a piece's visit, and what the model said of it."""

    sha256: str
    visit: int
    at: datetime
    lane_id: str
    lines: int
    pixels: int
    length_mm: float
    width_mm: float
    kv: float
    ma: float
    findings: list[FindingOut]
    score: float | None
    threshold: float | None
    p_value: float | None
    model_sha256: str | None


class LookedIn(BaseModel):
    """For how long a picture was on the screen, and for how much of that with the heat map over it."""

    model_config = ConfigDict(extra="forbid")

    shown_ms: int = Field(ge=0, le=DAY_MS)
    heat_ms: int = Field(ge=0, le=DAY_MS)

    @model_validator(mode="after")
    def _part_of_the_whole(self) -> Self:
        if self.heat_ms > self.shown_ms:
            raise ValueError("heat_ms is a part of shown_ms")
        return self


class LookedOut(BaseModel):
    """Whether it is written down."""

    written: bool
