"""From facts to figures: one pass, in memory that does not grow with the number of facts. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from station.ports.reporting import ReportFact
from station.reports.catalogue import Key, keys, may_count, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How many facts; of those that were measured how many, the sum and the greatest amount, in the figure's unit."""

    count: int = 0
    measured: int = 0
    total: int = 0
    greatest: int = 0

    @property
    def mean(self) -> float | None:
        """Mean of what was measured; None where nothing was."""
        return self.total / self.measured if self.measured else None

    def __add__(self, other: "Measure") -> "Measure":
        return Measure(
            count=self.count + other.count,
            measured=self.measured + other.measured,
            total=self.total + other.total,
            greatest=max(self.greatest, other.greatest),
        )


Figures = Mapping[Key, Measure]
"""Only numbers above 0 stand in it."""


def count(facts: Iterable[ReportFact], clearance: str | None) -> dict[Key, Measure]:
    """The figures of these facts, for somebody cleared so high."""
    counts: dict[Key, list[int]] = {}
    for fact in facts:
        if not may_count(fact, clearance):
            continue
        for share in shares(fact):
            for key in keys(share):
                sums = counts.setdefault(key, [0, 0, 0, 0])
                sums[0] += 1
                if share.amount is not None:
                    sums[1] += 1
                    sums[2] += share.amount
                    sums[3] = max(sums[3], share.amount)
    return {
        key: Measure(count=number, measured=measured, total=total, greatest=greatest)
        for key, (number, measured, total, greatest) in counts.items()
    }


def added(parts: Iterable[Figures]) -> dict[Key, Measure]:
    """The figures of several periods, or of several pages of one, together."""
    sums: dict[Key, Measure] = {}
    for part in parts:
        for key, measure in part.items():
            sums[key] = sums.get(key, Measure()) + measure
    return sums


def counts_for(fact: ReportFact, key: Key, clearance: str | None) -> bool:
    """True when that fact is part of the evidence behind a number."""
    return may_count(fact, clearance) and any(key in keys(share) for share in shares(fact))
