"""`/performance`: how well people and the model find projected threats. From counts that were kept with the evidence, day by day."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from station.api.callers import Needs
from station.api.context import Context
from station.api.reader_shapes import RateOut, ReaderFiguresOut
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.domain.errors import RefusedError
from station.ports.readers import ReaderCounts
from station.review.performance import RANKED_FROM, RELIABLE_FROM, Interval, Ranking, Tally, performance, rank_readers

MOST_DAYS = 400

SeesPerformance = Annotated[Caller, Depends(Needs(Action.SEE_PERFORMANCE))]


class ReaderOut(ReaderFiguresOut):
    """One reader. `d_a` is null while a projection or a plain image is missing.

    `rank` counts from 1; null when the reader may not be ranked, and `not_ranked` says why: under 100 projections, or because what lies
    between the readers could be chance.
    """

    rank: int | None
    not_ranked: Literal["too-few-projections", "may-be-chance"] | None


class PerformanceOut(BaseModel):
    """What was read from the first day to the last (UTC). A model's `name` is its SHA-256; models are not ranked among people."""

    first: date
    last: date
    people: list[ReaderOut]
    models: list[ReaderOut]
    reliability: float | None
    ranked_from_projections: int = RANKED_FROM
    ranked_from_reliability: float = RELIABLE_FROM


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource(tag="performance")

    @routes.get("/performance")
    def shown(
        caller: SeesPerformance,
        first: Annotated[date | None, Query(description="First day, UTC; the first of this month unless given.")] = None,
        last: Annotated[date | None, Query(description="Last day, UTC, included; today unless given.")] = None,
    ) -> PerformanceOut:
        """Hits, false alarms and d_a of people and models, with intervals, and who may be ranked."""
        to = last or context.clock.utc_now().date()
        since = first or to.replace(day=1)
        if not 0 <= (to - since).days < MOST_DAYS:
            raise RefusedError(f"From {since} to {to} is no period of 1 to {MOST_DAYS} days", remedy="Ask for a shorter one")
        return performance_out(since, to, context.sight(caller).read(lambda view: view.reader_counts(since, to)))

    return routes


def performance_out(first: date, last: date, counts: list[ReaderCounts]) -> PerformanceOut:
    """The figures of counts."""
    people = {one.name: _tally(one) for one in counts if not one.by_model}
    ranking = rank_readers(people)
    return PerformanceOut(
        first=first,
        last=last,
        people=[_reader(name, tally, ranking) for name, tally in people.items()],
        models=[_reader(one.name, _tally(one), None) for one in counts if one.by_model],
        reliability=ranking.reliability,
    )


def _tally(counts: ReaderCounts) -> Tally:
    return Tally(projections=counts.projections, hits=counts.hits, plain=counts.plain, false_alarms=counts.false_alarms)


def _rate(value: float | None, interval: Interval | None) -> RateOut | None:
    return None if value is None or interval is None else RateOut(value=value, low=interval.low, high=interval.high)


def _reader(name: str, tally: Tally, ranking: Ranking | None) -> ReaderOut:
    found = performance(tally)
    measured = found.sensitivity
    rank = ranking.order.index(name) + 1 if ranking is not None and name in ranking.order else None
    why = None if ranking is None or rank is not None else "too-few-projections" if name in ranking.too_few else "may-be-chance"
    return ReaderOut(
        name=name,
        projections=tally.projections,
        hits=tally.hits,
        hit_rate=_rate(found.hit_rate, found.hit_interval),
        images=tally.plain,
        false_alarms=tally.false_alarms,
        false_alarm_rate=_rate(found.false_alarm_rate, found.false_alarm_interval),
        d_a=_rate(measured.d_a, measured.interval) if measured is not None else None,
        rank=rank,
        not_ranked=why,
    )
