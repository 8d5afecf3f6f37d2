"""The feed and its stream: nothing is missed without being told, nobody slows a writer."""

import asyncio
import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from station.workflow.feed import EventFeed, FeedBatch, FeedEvent
from tests.support.api_station import LANE, Desk


def read(answer: httpx.Response) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def stream(desk: Desk, last: str | None = None):
    headers = {"Last-Event-ID": last} if last else {}
    return desk.client.stream("GET", "/api/v1/events", headers=headers)


def test_the_stream_brings_lanes_ticks_and_changes(desk: Desk) -> None:
    with stream(desk) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read(answer)
        first = next(events)
        assert (first["event"], first["id"]) == ("reset", "run1-0")
        seen: dict[str, dict[str, str]] = {}
        while not {"lane", "tick", "piece"} <= seen.keys():
            event = next(events)
            if event["event"] == "tick" and "piece" not in seen:
                desk.handlers._tell_piece("EE1", "held")
            seen[event["event"]] = event
        assert json.loads(seen["lane"]["data"])["lane_id"] == LANE
        assert json.loads(seen["tick"]["data"])["lane_age_s"][LANE] < 1
        assert seen["piece"]["id"] == "run1-1"
        assert "id" not in seen["lane"]


def test_a_lane_that_falls_silent_shows_its_age(desk: Desk) -> None:
    desk.lane.stale = True
    with stream(desk) as answer:
        ages = (json.loads(event["data"])["lane_age_s"][LANE] for event in read(answer) if event["event"] == "tick")
        assert next(age for age in ages if age > 0.9) > 0.9


def test_the_stream_resumes_after_the_last_id(desk: Desk) -> None:
    for number in range(5):
        desk.feed.publish("piece", json.dumps({"n": number}))
    with stream(desk, "run1-3") as answer:
        events = read(answer)
        assert next(events)["event"] == "resumed"
        assert [json.loads(next(events)["data"])["n"] for _ in range(2)] == [3, 4]


@pytest.mark.parametrize("last", ["run0-3", "nonsense", "run1-x", "run1-", "run1-" + "9" * 30])
def test_an_id_of_another_run_means_everything_anew(desk: Desk, last: str) -> None:
    desk.feed.publish("piece", "{}")
    with stream(desk, last) as answer:
        first = next(read(answer))
        assert (first["event"], first["id"]) == ("reset", "run1-1")


def test_who_falls_behind_the_ring_is_told(desk: Desk) -> None:
    for _ in range(70):
        desk.feed.publish("piece", "{}")
    with stream(desk, "run1-2") as answer:
        events = read(answer)
        assert [next(events)["event"] for _ in range(2)] == ["resumed", "reset"]
        assert next(events)["id"] == "run1-7"


def test_stopping_the_server_ends_the_stream(desk: Desk) -> None:
    with stream(desk) as answer:
        events = read(answer)
        next(events)
        desk.server.stop()
        assert all(event["event"] in {"lane", "tick"} for event in events)


async def test_an_update_reaches_every_stream_once_and_in_order(desk: Desk) -> None:
    readers = 12
    heard: list[list[str]] = [[] for _ in range(readers)]
    async with httpx.AsyncClient(base_url=desk.server.url, headers=desk.client.headers, timeout=20) as client:

        async def listen(mine: list[str], begun: asyncio.Event) -> None:
            async with client.stream("GET", "/api/v1/events") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        mine.append(line[4:])
                        begun.set()
                        if len(mine) == 4:
                            return

        begun = [asyncio.Event() for _ in range(readers)]
        listening = [asyncio.create_task(listen(*one)) for one in zip(heard, begun, strict=True)]
        await asyncio.gather(*(one.wait() for one in begun))
        for number in range(3):
            desk.feed.publish("alarm", json.dumps({"n": number}))
        await asyncio.wait_for(asyncio.gather(*listening), 20)
    assert heard == [["run1-0", "run1-1", "run1-2", "run1-3"]] * readers


@pytest.mark.parametrize("after", range(11))
def test_a_reader_gets_what_came_after_it_and_is_told_what_is_lost(after: int) -> None:
    feed = EventFeed(epoch="e", capacity=4)
    for _ in range(10):
        feed.publish("x", "{}")
    batch = feed.since(after)
    assert [event.number for event in batch.events] == [number for number in (7, 8, 9, 10) if number > after]
    assert (batch.last, batch.missed, batch.closed) == (10, after < 6, False)
    feed.close()
    assert feed.since(batch.last) == FeedBatch(events=(), last=10, missed=False, closed=True)


def test_writers_in_threads_reach_a_reader_in_order() -> None:
    feed = EventFeed(epoch="e", capacity=10_000)

    def write(name: str) -> None:
        for number in range(500):
            feed.publish(name, str(number))

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    seen: list[FeedEvent] = []
    for thread in threads:
        thread.start()
    while len(seen) < 1500:
        batch = feed.since(seen[-1].number if seen else 0)
        assert not batch.missed
        seen += batch.events
    for thread in threads:
        thread.join()
    assert [event.number for event in seen] == list(range(1, 1501))
    for name in "abc":
        assert [int(event.data) for event in seen if event.type == name] == list(range(500))


def test_what_the_feed_does_not_take() -> None:
    feed = EventFeed(epoch="e")
    for bad in ("a\nb", "a\rb"):
        with pytest.raises(ValueError, match="one line"):
            feed.publish("x", bad)
    with pytest.raises(ValueError, match="letters and digits"):
        EventFeed(epoch="a-b")
