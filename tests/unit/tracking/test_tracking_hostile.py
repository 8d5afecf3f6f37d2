"""Whatever a receiver answers, a clock says or a person leaves, the relay goes on, and never without a pause."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.domain.events import PieceStatus
from station.ports.outbox import LONGEST_WAIT, OutboxEvent
from station.ports.tracking import Answer, Reply
from station.storage.store import SqliteStore
from station.tracking.answers import answer_of
from station.tracking.message import MessageRules
from station.tracking.relay import Relay, RelaySettings
from station.tracking.replay import PAUSED_KEY, Replay, ReplayBox
from station.tracking.trust import TrustedKey
from station.tracking.verdict import ReceiptRule
from tests.support.clocks import LoopClock
from tests.support.store_facts import event, opened
from tests.support.tracking_wire import RECEIVER_KEY
from tests.support.waiting import until

NOW = LoopClock().utc_now()
SIGNED = ReceiptRule(trusted=(TrustedKey(public=RECEIVER_KEY.public_key()),))
PLAIN = ReceiptRule(trusted=None)
OK = Answer(status=200, body="{}")


class Receiver:
    """Answers as it is told and remembers what it was asked. The date stands still, so that whatever waits is not asked again."""

    def __init__(self, answer: Callable[[OutboxEvent], Answer]) -> None:
        self.asked: list[str] = []
        self._answer = answer

    async def send(self, event: OutboxEvent) -> Answer:
        self.asked.append(event.event_id)
        return self._answer(event)

    async def close(self) -> None:
        return None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path / "station", render=MessageRules(site="S").render) as one:
        yield one


def publish(store: SqliteStore, *pieces: str) -> None:
    for piece in pieces:
        store.write(lambda unit, p=piece: unit.publish(replace(event(p, PieceStatus.HELD), at=NOW))).result(10)


def first(store: SqliteStore, piece: str) -> OutboxEvent:
    return store.read(lambda view: view.events_of(piece)[0])


@asynccontextmanager
async def relaying(store: SqliteStore, receiver: Receiver, rule: ReceiptRule = PLAIN, box: ReplayBox | None = None) -> AsyncIterator[Relay]:
    relay = Relay(store, receiver, LoopClock(), random.Random(1), rule, RelaySettings(poll_s=0.01, watch_s=0.0), box)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        assert await asyncio.gather(task, return_exceptions=True) != [None]
        assert task.cancelled()


def broken(_: OutboxEvent) -> Answer:
    raise LookupError("\ud800")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: Answer(status=200, body="[" * 5000),
        lambda _: answer_of(Reply(status=400, text=json.dumps({"type": "\ud800" * 5}), headers={})),
        lambda _: answer_of(Reply(status=400, text=json.dumps({"type": "x" * 100_000}), headers={"retry-after": "-5"})),
        broken,
    ],
)
async def test_nothing_that_is_answered_makes_the_relay_hurry(store: SqliteStore, answer: Callable[[OutboxEvent], Answer]):
    publish(store, "P1")
    receiver = Receiver(answer)
    async with relaying(store, receiver, SIGNED):
        await until(lambda: first(store, "P1").attempts == 1, 5)
        publish(store, "P2")
        await until(lambda: first(store, "P2").attempts == 1, 5)
    assert receiver.asked == ["S:P1:1", "S:P2:1"]
    assert len(first(store, "P1").last_error) <= 200


async def test_a_gap_that_no_event_fills_is_not_asked_about_without_end(store: SqliteStore):
    publish(store, "P1", "P1")
    receiver = Receiver(lambda one: OK if one.sequence == 1 else Answer(status=409, problem="kt1:sequence-gap", expected_sequence=1))
    async with relaying(store, receiver):
        await until(lambda: [one.attempts for one in store.read(lambda view: view.events_of("P1"))] == [0, 1], 5)
        await until(lambda: first(store, "P1").state == "receipted", 5)
    assert receiver.asked == ["S:P1:1", "S:P1:2", "S:P1:1"]


async def test_what_was_told_to_be_gone_asks_next_about_another(store: SqliteStore):
    publish(store, "P1")
    async with relaying(store, Receiver(lambda _: Answer(status=410))):
        await until(lambda: bool(store.read(lambda view: view.value(PAUSED_KEY))) and first(store, "P1").attempts == 1, 5)


async def test_a_clock_that_was_years_ahead_holds_nothing_back(store: SqliteStore):
    publish(store, "P1", "P2")
    store.write(lambda unit: unit.mark_retry("P1", 1, NOW + timedelta(days=1500), "")).result()
    store.write(lambda unit: unit.mark_retry("P2", 1, NOW + LONGEST_WAIT, "")).result()
    async with relaying(store, Receiver(lambda _: OK)):
        await until(lambda: first(store, "P1").state == "receipted", 5)
    assert first(store, "P2").state == "pending"


async def test_a_backlog_of_before_the_start_is_called_over(store: SqliteStore):
    store.write(lambda unit: unit.raise_alarm(AlarmCode.TRACKING_BACKLOG, AlarmPriority.MEDIUM, "tracking", "", NOW)).result()
    async with relaying(store, Receiver(lambda _: OK)):
        await until(lambda: all(one.cleared_at for one in store.read(lambda view: view.alarms())), 5)


async def test_whatever_lies_in_the_box_the_relay_goes_on(store: SqliteStore, tmp_path: Path):
    box = ReplayBox(tmp_path / "replays")
    box.open()
    wanted = {"piece_id": None, "since": None, "blocked": False}
    for number, members in enumerate(
        ({"piece_id": ["P1"]}, {"piece_id": "\udcff"}, {"since": "2026-01-01T00:00"}, {"since": "0001-01-01T00:00+07:00"}, {"blocked": 1})
    ):
        (tmp_path / f"replays/{number}.wanted").write_text(json.dumps(wanted | members))
    (tmp_path / "replays/deep.wanted").write_text("[" * 5000)
    (tmp_path / "replays/folder.wanted").mkdir()
    (tmp_path / "replays/nowhere.wanted").symlink_to("/dev/zero")
    async with relaying(store, Receiver(lambda _: OK), box=box):
        publish(store, "P1")
        await until(lambda: first(store, "P1").state == "receipted", 5)
        name = box.put(Replay(piece_id="P1"))
        await until(lambda: box.answer_to(name) == 1, 5)
    assert [path.name for path in (tmp_path / "replays").iterdir()] == ["folder.wanted"]


async def test_a_box_that_cannot_be_written_holds_nothing_up_and_repeats_nothing(store: SqliteStore, tmp_path: Path):
    class Stuck(ReplayBox):
        def _write(self, name: str, text: str) -> None:
            if name.endswith(".done"):
                raise PermissionError(13, "Permission denied")
            super()._write(name, text)

    publish(store, "P1")
    box, receiver = Stuck(tmp_path / "replays"), Receiver(lambda _: OK)
    box.open()
    async with relaying(store, receiver, box=box):
        await until(lambda: first(store, "P1").state == "receipted", 5)
        box.put(Replay(piece_id="P1"))
        await until(lambda: receiver.asked == ["S:P1:1", "S:P1:1"], 5)
        publish(store, "P2")
        await until(lambda: first(store, "P2").state == "receipted", 5)
    assert receiver.asked == ["S:P1:1", "S:P1:1", "S:P2:1"]
    with pytest.raises(StoreError, match="Permission denied"):
        box.done("x", 1)
