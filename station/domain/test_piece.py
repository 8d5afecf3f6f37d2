"""What is known of the daily test piece: each run as a fact, and whether its values drift from what the first runs showed.

A limit says that a scanner is unfit today; the trend says that it is on its way there. Each watched value has a two-sided CUSUM against the
mean of its own first runs (Page 1954): small lasting changes add up, single odd runs do not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

FIRST_RUNS = 15
"""Passed runs that make the reference; nothing is said of drift before."""
ALLOWANCE = 1.0
"""In spreads: a change smaller than this never adds up."""
LEVEL = 8.0
"""In spreads: what must have added up for a warning."""
MOST_STEP = 5.0
"""In spreads: one run counts for no more, so that one alone never warns."""
MOST_SUM = 12.0
"""In spreads: no more is kept, so that a repair shows after a few runs."""
SPREAD_MARGIN = 1.3
"""So few runs may show too small a spread."""

WATCHED: Mapping[str, float] = {
    "air-signal-share": 0.02,
    "air-noise-share": 0.02,
    "dark-share": 0.02,
    "lead-light-share": 0.10,
    "steel-attenuation": 0.005,
    "material-separation": 0.01,
    "modulation-along": 0.04,
    "modulation-across": 0.01,
    "thin-steel-100-um-signal": 0.04,
    "single-wire-signal": 0.10,
}
"""Values whose drift is watched, each with the least spread that is taken for its own, as a share of its reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestValue:
    """One test of a run. `measured` is −1 where it could not be measured."""

    __test__ = False

    name: str
    measured: float
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendWarning:
    """A value that drifts: the mean of its first runs, the newest value, and where the change is going."""

    name: str
    reference: float
    newest: float
    rises: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPieceRun:
    """The test piece passed the beam and was scored. Not scored (`error` says why), it has failed.

    `not_asked`: what a detector with such pixels cannot show. `warnings`: what drifts, with this run taken into account.
    """

    __test__ = False

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    passed: bool
    values: tuple[TestValue, ...]
    not_asked: tuple[str, ...]
    warnings: tuple[TrendWarning, ...]
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPieceReferenceEnded:
    """After work on the scanner a person ended the reference of a lane's trend; the next passed runs make another.

    Piece and visit are those of the last run that was compared with it.
    """

    __test__ = False

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTrend:
    """One value over its runs: `first` are the reference's, `up` and `down` the two sums, in spreads."""

    first: tuple[float, ...] = ()
    up: float = 0.0
    down: float = 0.0
    newest: float = 0.0

    @property
    def reference(self) -> float:
        """Mean of the first runs; 0 when there are none."""
        return math.fsum(self.first) / len(self.first) if self.first else 0.0

    def spread(self, least_share: float) -> float:
        """Standard deviation of the first runs with its margin, at least `least_share` of the reference; always above 0."""
        mean, count = self.reference, len(self.first)
        own = math.sqrt(math.fsum((one - mean) ** 2 for one in self.first) / (count - 1)) if count > 1 else 0.0
        return max(own * SPREAD_MARGIN, least_share * abs(mean), 1e-9)

    def step(self, value: float, least_share: float, *, passed: bool) -> "ValueTrend":
        """Take one run into account; only passed runs make the reference."""
        if len(self.first) < FIRST_RUNS:
            first = (*self.first, value) if passed else self.first
            return ValueTrend(first=first, newest=value)
        off = (value - self.reference) / self.spread(least_share)
        off = max(-MOST_STEP, min(MOST_STEP, off))
        return ValueTrend(
            first=self.first,
            up=min(MOST_SUM, max(0.0, self.up + off - ALLOWANCE)),
            down=min(MOST_SUM, max(0.0, self.down - off - ALLOWANCE)),
            newest=value,
        )

    @property
    def drifts(self) -> bool:
        """True when enough has added up on either side."""
        return max(self.up, self.down) > LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPieceTrend:
    """All watched values of one lane's test piece. `asked` names every value of a run: with another detector it begins anew."""

    __test__ = False

    asked: tuple[str, ...] = ()
    limits: tuple[float, ...] = ()
    values: Mapping[str, ValueTrend] = field(default_factory=dict)

    def step(self, values: tuple[TestValue, ...], *, passed: bool) -> "TestPieceTrend":
        """Take one run into account; a run that did not show the piece changes nothing."""
        measured = {one.name: one.measured for one in values if one.name in WATCHED}
        if len(measured) < len(WATCHED) or not all(math.isfinite(one) and one >= 0.0 for one in measured.values()):
            return self
        asked, limits = tuple(one.name for one in values), tuple(one.limit for one in values)
        known = self.values if (asked, limits) == (self.asked, self.limits) else {}
        stepped = {name: known.get(name, ValueTrend()).step(value, WATCHED[name], passed=passed) for name, value in measured.items()}
        return TestPieceTrend(asked=asked, limits=limits, values=stepped)

    @property
    def warnings(self) -> tuple[TrendWarning, ...]:
        """What drifts now."""
        return tuple(
            TrendWarning(name=name, reference=one.reference, newest=one.newest, rises=one.up > one.down)
            for name, one in self.values.items()
            if one.drifts
        )
