"""Wire shapes of how well somebody finds projected threats."""

from pydantic import BaseModel


class RateOut(BaseModel):
    """A rate, or d_a, with its 95 % interval."""

    value: float
    low: float
    high: float


class ReaderFiguresOut(BaseModel):
    """What one reader was shown and found; null where there was nothing to measure with."""

    name: str
    projections: int
    hits: int
    hit_rate: RateOut | None
    images: int
    false_alarms: int
    false_alarm_rate: RateOut | None
    d_a: RateOut | None
