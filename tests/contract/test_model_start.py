"""A start without a model that may be trusted calls people: what it alone may clear is held until it is put in order."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from station.bootstrap.model_start import LANES_DIFFER, StartedModel, StartedWatch, say_whether_usable, start_model, start_watch
from station.bootstrap.stores import open_store
from station.clock import SystemClock
from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.policy import Authority
from station.ports.screening import ScreeningEngine
from station.screening.anomaly_model import InlineScreening
from station.settings import Configuration, load
from station.storage.store import SqliteStore
from tests.support import screening_models as models
from tests.support.site_store import site


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return load(site(tmp_path))


@pytest.fixture
def store(configuration: Configuration) -> Iterator[SqliteStore]:
    opened = open_store(configuration)
    yield opened
    opened.close()


def by(configuration: Configuration, authority: Authority) -> Configuration:
    """The same site where that authority clears unmarked pieces."""
    return replace(configuration, policy=replace(configuration.policy, authority_unmarked=authority))


def engine(configuration: Configuration) -> InlineScreening:
    folder = configuration.path.parent / "model"
    return InlineScreening(folder, alpha=0.05, site=configuration.station.site, trusted_keys=tuple(models.KEYS), pictures=False)


def unusable(store: SqliteStore) -> list[Alarm]:
    return [one for one in store.read(lambda view: view.alarms()) if one.code is AlarmCode.MODEL_UNUSABLE and one.cleared_at is None]


def begin(configuration: Configuration, store: SqliteStore, screening: dict[str, ScreeningEngine]) -> tuple[StartedModel, StartedWatch]:
    """What a start of the station does about its model."""
    model = start_model(screening)
    watch = start_watch(configuration, store, SystemClock()) if model.info is not None else StartedWatch(watch=None)
    say_whether_usable(configuration, model, watch, store, SystemClock())
    return model, watch


def test_a_model_in_order_calls_nobody(configuration: Configuration, store: SqliteStore) -> None:
    model, watch = begin(by(configuration, Authority.MODEL), store, {"lane-1": engine(configuration), "lane-2": engine(configuration)})
    assert model.info is not None
    assert watch.watch is not None
    assert unusable(store) == []


@pytest.mark.parametrize(("authority", "priority"), [(Authority.MODEL, AlarmPriority.HIGH), (Authority.OPERATOR, AlarmPriority.LOW)])
def test_a_model_that_cannot_be_watched_calls_people_until_a_start_at_which_it_can(
    configuration: Configuration, store: SqliteStore, authority: Authority, priority: AlarmPriority
) -> None:
    configured = by(configuration, authority)
    loaded: dict[str, ScreeningEngine] = {"lane-1": engine(configuration)}
    manifest = configuration.path.parent / "model" / "manifest.json"
    content = manifest.read_bytes()

    model = start_model(loaded)
    # Between the workers' look and the watch's somebody takes the calibration away.
    manifest.unlink()
    watch = start_watch(configured, store, SystemClock())
    say_whether_usable(configured, model, watch, store, SystemClock())
    assert watch.watch is None
    (alarm,) = unusable(store)
    assert (alarm.priority, alarm.subject, alarm.detail) == (priority, configuration.station.site, watch.why_not)
    assert "manifest" in alarm.detail

    manifest.write_bytes(content)
    begin(configured, store, {"lane-1": engine(configuration)})
    assert unusable(store) == []


def test_no_model_calls_people_whoever_clears(configuration: Configuration, store: SqliteStore) -> None:
    (configuration.path.parent / "model" / "manifest.json").unlink()
    begin(by(configuration, Authority.OPERATOR), store, {"lane-1": engine(configuration)})
    (alarm,) = unusable(store)
    assert alarm.priority is AlarmPriority.HIGH
    assert "manifest" in alarm.detail


def test_lanes_with_different_models_call_people(configuration: Configuration, store: SqliteStore, tmp_path: Path) -> None:
    other = load(site(tmp_path / "other", dense=0.7))
    model, _ = begin(by(configuration, Authority.MODEL), store, {"lane-1": engine(configuration), "lane-2": engine(other)})
    assert model.info is None
    (alarm,) = unusable(store)
    assert (alarm.priority, alarm.detail) == (AlarmPriority.HIGH, LANES_DIFFER)
