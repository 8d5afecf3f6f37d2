"""A model that fails calls people; once it has read a piece the alarm is over, and the next failure calls again."""

from types import SimpleNamespace
from typing import Any

import pytest

from station.domain.alarm import Alarm, AlarmCode
from station.domain.errors import ScreeningError
from station.workflow.lane_piece import LanePiece
from station.workflow.passage import Passage
from tests.unit.workflow.feeding import LANE, Feeding

pytestmark = pytest.mark.usefixtures("announced")


def failures(feeding: Feeding) -> list[Alarm]:
    found = feeding.store.read(lambda view: view.alarms(active_only=False))
    return [alarm for alarm in found if alarm.code is AlarmCode.MODEL_FAILED]


async def fail(feeding: Feeding, piece: LanePiece, why: str) -> None:
    async def read(_: object) -> None:
        raise ScreeningError(why)

    equipment = SimpleNamespace(screening=SimpleNamespace(read=read), clock=feeding.clock)
    session: Any = SimpleNamespace(equipment=equipment, journey=feeding.journey, settings=SimpleNamespace(lane_id=LANE))
    assert await Passage(session, piece)._read(None) is None  # type: ignore[arg-type]


async def fed_without_reading(feeding: Feeding, why: str) -> None:
    piece = await feeding.arrive()
    await feeding.journey.scanning(piece)
    await fail(feeding, piece, why)
    await feeding.journey.unscanned(piece)


async def test_a_reading_ends_the_alarm_of_a_failed_model_and_the_next_failure_calls_again(
    feeding: Feeding, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fed_without_reading(feeding, "it crashed")
    (first,) = failures(feeding)
    assert (first.subject, first.detail, first.cleared_at) == (LANE, "it crashed", None)
    feeding.store.write(lambda uow: uow.acknowledge_alarm(first.alarm_id or 0, "an", feeding.clock.utc_now())).result()

    await fed_without_reading(feeding, "it crashed again")
    (standing,) = failures(feeding)
    assert (standing.cleared_at, standing.acknowledged_by) == (None, "an")

    told: list[str] = []
    monkeypatch.setattr(feeding.journey, "_on_change", told.append)
    await feeding.feed()
    (over,) = failures(feeding)
    assert over.cleared_at is not None
    assert told.count("") == 1
    await feeding.feed()
    assert told.count("") == 1

    await fed_without_reading(feeding, "it hangs")
    newest, _ = failures(feeding)
    assert (newest.detail, newest.acknowledged_at, newest.cleared_at) == ("it hangs", None, None)


async def test_a_piece_without_a_reading_leaves_the_alarm(feeding: Feeding) -> None:
    await fed_without_reading(feeding, "it crashed")
    await feeding.journey.unscanned(await feeding.arrive())
    assert [alarm.cleared_at for alarm in failures(feeding)] == [None]
