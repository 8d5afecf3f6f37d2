"""A station's start with its model: loaded in every lane's worker, watched for drift; and what of that calls people."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from station.bootstrap.stores import drift_watch
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ScreeningError
from station.domain.piece import Secrecy
from station.domain.policy import Authority, Policy
from station.ports.clock import Clock
from station.ports.screening import ModelInfo, ScreeningEngine
from station.ports.store import UnitOfWork
from station.screening.drift import DriftWatch
from station.settings import Configuration
from station.storage.store import SqliteStore

LANES_DIFFER = "the lanes loaded different models"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedModel:
    """What the lanes loaded; None where one of them has none, or another one than the rest: `why_not` says so."""

    info: ModelInfo | None
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedWatch:
    """The watch over the model, as it stood when the station ended; None where the model cannot be watched: `why_not` says why."""

    watch: DriftWatch | None
    why_not: str = ""


def start_model(screening: Mapping[str, ScreeningEngine]) -> StartedModel:
    """Load the model in every lane's worker."""

    async def start() -> list[ModelInfo]:
        return await asyncio.gather(*(engine.start() for engine in screening.values()))

    try:
        first, *others = asyncio.run(start())
    except ScreeningError as error:
        log.warning("no model: every piece will be held", error=str(error))
        return StartedModel(info=None, why_not=error.what)
    if any(other != first for other in others):
        log.warning("no model: the lanes loaded different ones; it clears nothing")
        return StartedModel(info=None, why_not=LANES_DIFFER)
    return StartedModel(info=first)


def start_watch(configuration: Configuration, store: SqliteStore, clock: Clock) -> StartedWatch:
    """Begin to watch the model; without a watch it clears nothing."""
    try:
        watch = drift_watch(configuration)
    except ScreeningError as error:
        log.warning("the model cannot be watched: it clears nothing", error=str(error))
        return StartedWatch(watch=None, why_not=error.what)
    store.write(lambda uow: watch.start(uow, clock.utc_now())).result()
    if watch.tripped:
        log.warning("the model was stopped because it no longer fits what it sees: people decide about every piece")
    return StartedWatch(watch=watch)


def say_whether_usable(configuration: Configuration, model: StartedModel, watch: StartedWatch, store: SqliteStore, clock: Clock) -> None:
    """An alarm until the next start at which the lanes have a model that is watched: until then it clears nothing."""
    site, why_not = configuration.station.site, model.why_not or watch.why_not
    holds = model.info is None or _model_clears(configuration.policy)

    def work(uow: UnitOfWork) -> None:
        now = clock.utc_now()
        if why_not:
            uow.raise_alarm(AlarmCode.MODEL_UNUSABLE, AlarmPriority.HIGH if holds else AlarmPriority.LOW, site, why_not, now)
        else:
            uow.clear_alarm(AlarmCode.MODEL_UNUSABLE, site, now)

    store.write(work).result()


def say_whether_proved(configuration: Configuration, model: ModelInfo | None, store: SqliteStore, clock: Clock) -> None:
    """An alarm as long as the demo's waiver stands in for a proof; a model that was fitted here and signed off needs none."""
    site, waived = configuration.station.site, configuration.policy.unproved_model and not (model is not None and model.proved)

    def work(uow: UnitOfWork) -> None:
        if waived:
            uow.raise_alarm(AlarmCode.UNPROVED_MODEL, AlarmPriority.LOW, site, "", clock.utc_now())
        else:
            uow.clear_alarm(AlarmCode.UNPROVED_MODEL, site, clock.utc_now())

    store.write(work).result()


def _model_clears(policy: Policy) -> bool:
    """True where pieces of some level go on by the model's word alone: without it they are held."""
    return any(policy.authority_for(level) is Authority.MODEL for level in (None, *Secrecy))
