"""The wire shapes of exercises: what is told of a projected threat once it is revealed."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from station.domain.projection import ProjectionAnswer


class ExerciseShownIn(BaseModel):
    """The screen shows that the image of this visit was an exercise, and the true image."""

    model_config = ConfigDict(extra="forbid")

    piece_id: Annotated[str, Field(pattern=r"^[!-.0-~]{1,40}$")]
    visit: int = Field(ge=1)


class ExerciseShownOut(BaseModel):
    """The lane knows it. Not `confirmed`: somebody else answered, whose screen has not said so yet."""

    lane_id: str
    piece_id: str
    visit: int
    confirmed: bool


class ExerciseOut(BaseModel):
    """The image before showed a projected threat. `box_share`: where, x, y, width, height in shares of the image.

    `confirmed`: a screen has said that it shows this; until then nothing can be decided. `silence_freezes`: without an answer about the
    true image the lane freezes.
    """

    piece_id: str
    visit: int
    answer: ProjectionAnswer
    threat_class: str
    box_share: tuple[float, float, float, float]
    confirmed: bool
    silence_freezes: bool
