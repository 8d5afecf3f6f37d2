"""What readers of images did, as the store counts it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderCounts:
    """What one reader did: threat calls (`hits`) on projections, and (`false_alarms`) on images into which nothing was projected.

    `name` is a person's, or the SHA-256 of a model.
    """

    name: str
    by_model: bool
    projections: int
    hits: int
    plain: int
    false_alarms: int
